"""The engine for real CUDA devices: build, run, time, profile."""
