"""The C++ source of `fused_cpu`, and the code that compiles it on the user's machine."""
