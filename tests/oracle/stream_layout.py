"""Where random streams keep their data. DRAM addresses in a table are relative to one of the kernel's arguments."""

INPUT_BYTES = 32768
RANDOM_OUTPUT_BYTES = 16384  # where the random mvouts go; the final stores of all regions lie behind
SCRATCHPAD_REGIONS, ACCUMULATOR_REGIONS, REGION_ROWS = 6, 4, 64
FINAL_ROW_BYTES = 128  # the widest row: 32 sums
POISON = 0xA5  # what fills the output before, as gemsim does it before the first call
OUTPUT_BYTES = RANDOM_OUTPUT_BYTES + (SCRATCHPAD_REGIONS + ACCUMULATOR_REGIONS) * REGION_ROWS * FINAL_ROW_BYTES
INPUT, OUTPUT = 1 << 40, 2 << 40
