"""Where random streams keep their data."""

from gemmini_isa import DEFAULT

DIM = DEFAULT.dim
INPUT_BYTES, OUTPUT_BYTES = 16384, 49152
RANDOM_OUTPUT_BYTES = 16384  # where the random mvouts go; the final stores of all regions lie behind
REGION_ROWS = 64
INPUT, OUTPUT = 1 << 40, 2 << 40  # DRAM addresses in a table are relative to one of the kernel's arguments
