"""How fast each revision was on a machine: measuring revisions, keeping what was measured, and finding steps in it."""
