"""What the array does in the cycles that it does not work, and which counters tell why there are so many."""

from __future__ import annotations

from ..base import StallCause

# Of the stalls that gemsim counts (profile.py takes the prefix stall_ off); `array_busy` is the array's own work.
CAUSES = {
    "array_busy": StallCause(
        "the array computes, on padding too: rows pushed through it, one a cycle", ("array_rows", "compute", "preload")
    ),
    "wait_load": StallCause(
        "the array waits for operands that are still being loaded",
        ("dma_bytes_in", "mvin", "load_busy_cycles", "load_bank_wait_cycles", "l2_misses"),
    ),
    "wait_store": StallCause(
        "the array waits for results to be moved out of the accumulator rows that it needs next",
        ("dma_bytes_out", "mvout", "store_busy_cycles", "store_bank_wait_cycles"),
    ),
    "wait_issue": StallCause(
        "no command is there yet, because the CPU has not issued it",
        ("commands", "instret", "mispredictions", "instruction_misses", "data_misses"),
    ),
    "fence": StallCause("a fence keeps the CPU from issuing what comes next", ("fence",)),
    "weights_alone": StallCause(
        "weights move in with no compute beside them: the next pair was not queued in time", ("preload", "compute")
    ),
    "bank_conflict_spad": StallCause(
        "a load writes the scratchpad bank that the array reads", ("spad_rows_used", "mvin", "load_busy_cycles")
    ),
    "dependency": StallCause("a command waits for one in front that it depends on", ("preload", "compute", "mvin")),
    "array_full": StallCause("the array holds as many products as it can", ("compute", "array_rows")),
    "config_ex": StallCause("a configuration of the array drains it first", ("config_ex",)),
}
