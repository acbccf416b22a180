"""The sections of `report.md`, each as Markdown; empty where runs have no data for it."""
