"""The history of a project's speed on a machine: revisions are measured and recorded, and steps are found."""
