"""The regression cases of LSTM and GRU, a suite of their own: `pytest benchmarks/suite_gated`."""
