"""How often `regress` is wrong on this machine: the same code against itself, and slowdowns that were put in."""
