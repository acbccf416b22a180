"""The C++ source of `fused_cpu`, and what compiles it on the machine that runs it."""
