"""Data on topics that only some runs measure: streams, unequal lengths, scans of sizes, DeepBench, two names."""
