"""The NVIDIA target: CUDA kernels, emulated and counted on the CPU."""
