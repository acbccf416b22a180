"""The calls of the modes that keep the time of every call, in the process that makes them."""
