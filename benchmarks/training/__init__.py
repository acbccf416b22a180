"""Gradient descent with every implementation on one task, and the curves compared."""
