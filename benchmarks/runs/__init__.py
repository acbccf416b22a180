"""Runs as they are read: trials loaded from their folder, pooled by case, and as a pandas frame."""
