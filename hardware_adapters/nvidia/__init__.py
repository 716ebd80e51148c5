"""NVIDIA GPUs: CUDA kernels."""
