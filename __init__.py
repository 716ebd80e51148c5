"""autocomp-mcp: kernels for tensor accelerators, made fast by a search with the hardware as judge."""

import os

# NumPy computes the expected results beside the simulator: threads of its BLAS would take the simulator's processors,
# and spin on them when they have nothing to do. Read when NumPy is imported, hence here.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
