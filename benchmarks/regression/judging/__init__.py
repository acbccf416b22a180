"""From pairs to verdicts: which cases can be compared, when to stop, what is slower, and on which machine."""
