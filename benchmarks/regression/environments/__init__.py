"""The revisions, and the environments in which each runs its own code."""
