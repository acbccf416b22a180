"""The CUDA C++ of `fused_cuda`: its kernel, how its work is cut, and how it is compiled and launched."""
