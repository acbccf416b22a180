"""The implementations, a file or package each; its name is the implementation's name."""
