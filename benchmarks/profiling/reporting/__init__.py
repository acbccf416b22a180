"""From the records of a profile to its tables, plots and conclusions."""
