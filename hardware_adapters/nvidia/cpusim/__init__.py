"""CUDA C++ on the CPU: `rewrite`, `build`, `emulate`; what they answer is in `report`."""
