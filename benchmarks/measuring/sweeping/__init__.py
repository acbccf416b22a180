"""A sweep from its request to a finished run."""
