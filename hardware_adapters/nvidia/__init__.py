"""NVIDIA GPUs: CUDA kernels, emulated on the CPU or run on a device."""
