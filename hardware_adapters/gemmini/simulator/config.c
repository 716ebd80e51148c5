#include "config.h"

// Sources: "documented" = the generator's public documentation; "RTL" = the calibration corpus of cycle counts measured
// on the RTL of a Rocket + Gemmini system (tests/data/gemmini_rtl).
const Config config_gemmini16 = {
    .name = "gemmini16-int8",
    .dim = 16,                      // documented
    .spad_banks = 4,                // documented: 256 KiB
    .spad_rows = 4 * 4096,
    .acc_banks = 2,                 // documented: 64 KiB
    .acc_rows = 2 * 512,
    .load_entries = 8,              // RTL corpus README: counted in the elaborated reservation station
    .store_entries = 4,
    .execute_entries = 16,
    .command_queue = 8,             // RTL: rows q_*: Rocket blocks about 8 commands after the station is full
    .enter_cycles = 4,              // RTL traces: CMD to ALLOC
    .issue_cycles = 1,              // RTL traces: ALLOC to ISS
    .execute_queue = 8,             // documented
    .config_ex_drain_cycles = 8,    // RTL: cfg_ex_between_pc, about 74 per pair instead of 16
    .beat_bytes = 16,               // documented: 128-bit port
    .max_request_bytes = 64,        // documented
    .requests_in_flight = 16,       // documented
    .load_start_cycles = 7,         // RTL traces: ISS_LD to the first request
    .load_end_cycles = 6,           // RTL traces: last beat to DONE
    .zero_fill_row_cycles = 1,      // RTL: mvin_zero_acc 16 per 16 rows
    .store_start_cycles = 22,       // RTL: q_mvout, single command
    .store_ack_cycles = 8,          // RTL: mvout_fence_each
    .store_row_cycles = 1,
    .store_partial_cycles = 1,
    .weight_cycles = 16,            // RTL: pc_1row costs the same 16 as pc_16rows
    .compute_latency_cycles = 36,   // RTL traces: ISS to DONE of a lone compute
    .write_latency_cycles = 37,     // RTL traces: DONE of a compute to DONE of its preload
    .l2_sets = 1024,                // RTL corpus README: 512 KiB inclusive cache
    .l2_ways = 8,
    .line_bytes = 64,
    .l2_hit_cycles = 6,             // RTL traces: first request to first beat
    .dram_latency_cycles = 28,      // RTL traces: cold first request to first beat, less the hit time
    .dram_line_cycles = 8,          // 8 bytes per cycle behind the AXI port
    .dram_row_miss_cycles = 3,      // RTL: dram_cold rows at a large stride, against sequential
    .dram_row_bytes = 8192,
    .dram_banks = 8,
};
