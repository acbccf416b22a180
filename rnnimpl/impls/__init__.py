"""The implementations, one file each; a file's name is the implementation's name."""
