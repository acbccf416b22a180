"""How fast this machine is, as measured, and what that bounds: peaks of libraries and cores, lower bounds of a call."""
