"""autocomp-mcp: kernels for tensor accelerators, made fast by a search with the hardware as judge."""

__version__ = "0.1.0"
