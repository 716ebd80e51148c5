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
    unsigned spad_row_bytes, acc_row_bytes; // of a row: dim elements, powers of two
    unsigned load_entries, store_entries, execute_entries; // reservation station
    unsigned command_queue;          // commands that wait between Rocket and the reservation station

    // Issue, in cycles.
    unsigned enter_cycles;           // from Rocket to the reservation station
    unsigned load_queue, store_queue, execute_queue; // commands a unit holds after the station
    unsigned execute_issue_cycles;   // from the station to the head of the execute unit's queue
    unsigned fence_cycles;           // from the end of all work to the instruction after a fence

    // DMA.
    unsigned beat_bytes;             // one bus beat per cycle
    unsigned max_request_bytes;      // largest read or write
    unsigned requests_in_flight;     // of the reader, and as many of the writer
    unsigned request_cycles;         // from the reader or writer to the L2
    unsigned request_slack;          // requests that wait in between before the reader or writer does
    unsigned put_answer_cycles;      // from the L2's answer to the writer
    unsigned put_partial_cycles;     // request channel: a write that does not fill its beats
    unsigned load_start_cycles;      // from the head of the queue to the first request
    unsigned load_write_cycles;      // from a row's last byte to its bank, scaler included
    unsigned load_write_wide_cycles; // the same for 32-bit rows into the accumulator, which pass no scaler
    unsigned load_scale_cycles;      // what a row of int8 takes in the scaler when it is scaled by something else than 1
    unsigned load_end_cycles;        // from the last row written to the command's completion
    unsigned zero_cycles;            // from the first request of a load of zeros to its first row written
    unsigned store_start_cycles;     // from the head of the queue to the first row read
    unsigned scale_cycles;           // latency of the accumulator's scaler
    unsigned spad_read_cycles;       // what a row of the scratchpad takes instead
    unsigned store_end_cycles;       // from the last row read to the command's completion

    // Array.
    unsigned array_latency_cycles;   // from a row fed to its result written
    unsigned feed_cycles;            // from the bank to the array
    unsigned matmuls_in_array;       // tags: those under way at a time
    unsigned config_ex_drain_cycles; // config_ex waits for the last result, then this long

    // L2 and DRAM.
    unsigned l2_sets, l2_ways, line_bytes;
    unsigned l2_hit_cycles;          // request to first beat
    unsigned dram_latency_cycles;    // what a miss adds to the first beat
    unsigned l2_misses;              // requests that can wait for DRAM
    unsigned dram_line_eighths;      // bus time of one line, in eighths of a cycle
    unsigned dram_beat_cycles;       // from one beat of a line from DRAM to the next
    unsigned dram_write_back_eighths; // bus time of a dirty line that makes room
    unsigned dram_jump_eighths;      // further cost when the line does not lie in the block before it
    unsigned dram_block_bytes;

    unsigned every_cycle; // 1: visit cycles in which nothing happens as well; slower, and the same figures
} Config;

extern const Config config_gemmini16;

// The configuration with this name, or NULL. `names` of the others, for messages, comma separated.
const Config *config_named(const char *name);
extern const char config_names[];

// Sets a constant of the timing by its name, for calibration. 0: there is none, or the model cannot take the value.
int config_set(Config *, const char *constant, uint64_t value);

#endif
