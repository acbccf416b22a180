"""Where the time of one case goes: what its process was doing, look by look, and what can be concluded from it."""
