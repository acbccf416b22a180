"""Calls of a network on its arrays, and their times and memory, in the process that makes them."""
