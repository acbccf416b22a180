"""What a call does from its beginning to its end: traces of PyTorch, of Python, of samples, and of a GPU."""
