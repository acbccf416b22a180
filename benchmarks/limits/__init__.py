"""The speed of this machine and what it bounds: peaks of libraries and cores, lower bounds on the time of a call."""
