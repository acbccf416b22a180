"""The answer to which implementation a user's own model should use: measured on its layers, said in ten lines."""
