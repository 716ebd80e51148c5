// Sizes and timing of one Gemmini system, as data. Every figure says where it comes from.
#ifndef GEMSIM_CONFIG_H
#define GEMSIM_CONFIG_H

#include <stdint.h>

enum Element { ELEMENT_INT8, ELEMENT_FLOAT32 }; // with accumulators of int32 and float32

typedef struct Config {
    const char *name;
    enum Element element;

    // Sizes (public documentation of the generator's default configuration).
    unsigned dim;                    // rows and columns of the systolic array
    unsigned spad_banks, spad_rows;  // rows in all banks; a row is dim elements
    unsigned acc_banks, acc_rows;    // rows in all banks; a row is dim accumulators
    unsigned load_entries, store_entries, execute_entries; // reservation station
    unsigned command_queue;          // commands that wait between Rocket and the reservation station

    // Issue, in cycles.
    unsigned enter_cycles;           // from Rocket to the reservation station
    unsigned issue_cycles;           // from the reservation station to a unit
    unsigned execute_queue;          // commands the execute unit holds ahead of the array
    unsigned config_ex_drain_cycles; // config_ex waits for the array to empty, then this long

    // DMA.
    unsigned beat_bytes;             // one bus beat per cycle
    unsigned max_request_bytes;      // largest read or write
    unsigned requests_in_flight;
    unsigned load_start_cycles;      // from issue to the first request on the bus
    unsigned load_end_cycles;        // from the last beat to the command's completion
    unsigned zero_fill_row_cycles;
    unsigned store_start_cycles;     // from issue to the first row read
    unsigned store_ack_cycles;       // from the last beat written to the command's completion, L2 hit
    unsigned store_row_cycles;       // accumulator read, scale and write of one row
    unsigned store_partial_cycles;   // further cost of a row that needs more than one write

    // Array.
    unsigned weight_cycles;          // a preload of weights occupies the array's feed
    unsigned compute_latency_cycles; // from the first row fed to the command's completion
    unsigned write_latency_cycles;   // from a compute's completion to its last row in the accumulator

    // L2 and DRAM.
    unsigned l2_sets, l2_ways, line_bytes;
    unsigned l2_hit_cycles;          // request to first beat
    unsigned dram_latency_cycles;    // what a miss adds to the first beat
    unsigned dram_line_cycles;       // bus time of one line
    unsigned dram_row_miss_cycles;   // further cost when the line lies in another DRAM row
    unsigned dram_row_bytes, dram_banks;
} Config;

extern const Config config_gemmini16;

// The configuration with this name, or NULL. `names` of the others, for messages, comma separated.
const Config *config_named(const char *name);
extern const char config_names[];

#endif
