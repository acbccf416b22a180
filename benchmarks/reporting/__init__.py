"""Reports of runs: the analysis, its tables, sentences and plots. Imports no torch."""
