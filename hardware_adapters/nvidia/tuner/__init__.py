"""CUDA kernels from schedules, and menu options as changes of them."""
