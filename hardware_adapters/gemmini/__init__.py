"""Gemmini: kernels in C, an embedded RV64 + Gemmini simulator."""
