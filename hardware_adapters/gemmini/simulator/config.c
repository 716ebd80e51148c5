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
    .spad_row_bytes = 16,
    .acc_row_bytes = 64,
    .load_entries = 8,              // RTL corpus README: counted in the elaborated reservation station
    .store_entries = 4,
    .execute_entries = 16,
    .command_queue = 10,            // RTL: rows q_*: Rocket blocks about 8 commands after the station is full
    .enter_cycles = 5,              // RTL traces: CMD to ALLOC
    .load_queue = 8,                // documented
    .store_queue = 2,               // documented
    .execute_queue = 10,            // documented: 8, and 2 in front of them that unroll transposed preloads
    .execute_issue_cycles = 2,      // RTL: those two queues
    .fence_cycles = 3,
    .beat_bytes = 16,               // documented: 128-bit port
    .max_request_bytes = 64,        // documented
    .requests_in_flight = 16,       // documented
    .request_cycles = 4,            // RTL traces: ISS_LD to the first request, less the controller's 3
    .request_slack = 4,
    .put_answer_cycles = 3,         // RTL: mvout_acc8, single command
    .put_partial_cycles = 2,        // RTL: mvout_10x16
    .load_start_cycles = 2,         // RTL traces: ISS_LD to the first request
    .load_write_cycles = 5,         // RTL traces: last beat to DONE
    .load_write_wide_cycles = 3,
    .load_scale_cycles = 4,         // documented: 4 multipliers for 16 elements
    .load_end_cycles = 1,
    .zero_cycles = 2,
    .store_start_cycles = 1,        // RTL traces: ISS_ST to the first write
    .scale_cycles = 8,              // documented: latency of the default accumulator scale
    .spad_read_cycles = 4,          // documented
    .store_end_cycles = 1,          // RTL traces: ISS_ST to DONE
    .array_latency_cycles = 38,     // RTL traces: DONE of a compute to DONE of its preload
    .feed_cycles = 5,               // documented: delay of a scratchpad read, and its register
    .matmuls_in_array = 6,          // RTL: five and one at the array's input
    .config_ex_drain_cycles = 4,    // RTL: cfg_ex_between_pc, about 74 per pair instead of 16
    .l2_sets = 1024,                // RTL corpus README: 512 KiB inclusive cache
    .l2_ways = 8,
    .line_bytes = 64,
    .l2_hit_cycles = 6,             // RTL traces: first request to first beat
    .dram_latency_cycles = 28,      // RTL traces: cold first request to first beat, less the hit time
    .l2_misses = 12,                // RTL corpus README
    .dram_beat_cycles = 2,          // 8 bytes per cycle behind the AXI port
    .dram_write_back_eighths = 40,   // RTL: the hardware loop on 12544x256x64, which writes half lines all over, reaches 81 %
    .dram_line_eighths = 68,        // 8 bytes per cycle behind the AXI port make 64; RTL: dram_cold_seq, with any memory behind it
    .dram_jump_eighths = 8,         // RTL: dram_cold rows at a large stride, against sequential
    .dram_block_bytes = 1024,
};
