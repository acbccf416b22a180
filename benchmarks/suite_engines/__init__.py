"""The regression cases of inference engines, between whose releases times change: `pytest benchmarks/suite_engines`."""
