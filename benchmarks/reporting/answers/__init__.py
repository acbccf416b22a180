"""What is computed from runs: who is fastest where, by how much, how surely, and what is doubtful."""
