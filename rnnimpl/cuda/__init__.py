"""The CUDA C++ of `fused_cuda`: its kernel, the plan of a launch, compiling and launching."""
