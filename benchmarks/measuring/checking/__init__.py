"""The checks of a worker's results and times, in the process that asks it."""
