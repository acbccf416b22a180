"""The verbs of the command line: their words, and what they start. The work itself is done elsewhere."""
