"""The regression cases as an ordinary pytest-benchmark suite: `pytest benchmarks`."""
