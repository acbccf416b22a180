"""Where the time of a case goes: threads sampled at random times, and each sample attributed to a kind of work."""
