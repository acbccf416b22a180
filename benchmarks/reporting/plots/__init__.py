"""The plots of a report: what each shows, how its panels are drawn, and how they are laid out."""
