// What the modules of the accelerator share: its state, local addresses, operands. Private to gemmini*.c.
#ifndef GEMSIM_GEMMINI_STATE_H
#define GEMSIM_GEMMINI_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "fault.h"
#include "gemmini.h"
#include "gemmini_loops.h"
#include "timing.h"

enum { MAX_DIM = 32, LOAD_IDS = 3, STAT_IDS = 4, COUNTERS = 8, ACC_BYTES = 4, WIDE_MOVE_BYTES = 64 };

enum Funct {
    FUNCT_CONFIG = 0, FUNCT_MVIN2 = 1, FUNCT_MVIN = 2, FUNCT_MVOUT = 3, FUNCT_COMPUTE_PRELOADED = 4, FUNCT_COMPUTE_ACCUMULATED = 5,
    FUNCT_PRELOAD = 6, FUNCT_FLUSH = 7, FUNCT_LOOP_WS = 8, FUNCT_LOOP_WS_FIRST = 9, FUNCT_LOOP_WS_LAST = 13, FUNCT_MVIN3 = 14,
    FUNCT_LOOP_CONV = 15, FUNCT_LOOP_CONV_FIRST = 16, FUNCT_LOOP_CONV_LAST = 21, FUNCT_COUNTER = 126
};

enum Count {
    COUNT_CONFIG_EX, COUNT_CONFIG_LD, COUNT_CONFIG_ST, COUNT_CONFIG_NORM, COUNT_MVIN, COUNT_MVOUT, COUNT_PRELOAD, COUNT_COMPUTE,
    COUNT_FLUSH, COUNT_LOOP_WS, COUNT_LOOP_CONV, COUNT_LOOP_CONFIG, COUNT_COUNTER, COUNTS
};

enum Activation { ACTIVATION_NONE, ACTIVATION_RELU, ACTIVATION_LAYERNORM, ACTIVATION_IGELU, ACTIVATION_SOFTMAX };

// Local addresses.
static const uint32_t GARBAGE = 0xffffffffu; // no operand
static const uint32_t ACC_BIT = 1u << 31, ACCUMULATE_BIT = 1u << 30, FULL_BIT = 1u << 29, NORM_BITS = 7u << 26, ROW_MASK = (1u << 26) - 1;
enum { NORM_SHIFT = 26 };

typedef struct Operand { // the packed operand word: rows << 48 | cols << 32 | local address
    uint32_t local;
    unsigned rows, cols;
} Operand;

typedef struct LoadConfig {
    int set, shrunk;
    uint64_t stride;
    float scale;
    unsigned block_stride, pixel_repeats;
} LoadConfig;

typedef struct ExecuteConfig {
    int set, weight_stationary, a_transpose, b_transpose;
    unsigned activation, a_stride, c_stride, shift;
} ExecuteConfig;

typedef struct Pooling {
    unsigned stride, size, upad, lpad, out_dim, porows, pocols, orows, ocols; // stride 0: no pooling
} Pooling;

typedef struct StoreConfig {
    int set, scale_set;
    unsigned activation; // set by config_st and config_norm
    uint64_t stride;
    float scale;
    Pooling pool;
} StoreConfig;

typedef struct NormConfig {
    int polynomial_set, qln2_set, qln2_inv_set;
    int32_t qb, qc, qln2, qln2_inv;
    unsigned stat_id;
} NormConfig;

typedef struct Statistics { // of the rows that one stat id follows
    int running; // the sums go on: the next command does not reset them
    int mean_set, inv_stddev_set, max_set, inv_sum_exp_set;
    int32_t sum, count, running_max, mean, max;
    float inv_stddev, inv_sum_exp;
} Statistics;

typedef struct CounterFile { // the performance counters that programs read
    struct {
        unsigned event;
        int external;
        int64_t base, snapshot;
    } counter[COUNTERS];
    int snapshot_taken, running; // running: a command came since the last reset
    uint64_t started, issued[UNITS]; // cycle of the first command since then; commands since then
} CounterFile;

struct Gemmini {
    const Config *config;
    Memory *memory;
    L2 *l2;
    Timing *timing;
    int timed, floating;
    unsigned dim, element_bytes, max_cols; // max_cols: of one mvin or mvout

    void *spad, *acc;           // rows of dim int8 or float; rows of dim int32 or float
    uint8_t *spad_set, *acc_set; // per row: some column of it was written; the others are 0 then

    LoadConfig load[LOAD_IDS];
    ExecuteConfig execute;
    StoreConfig store;
    NormConfig norm;
    Statistics statistics[STAT_IDS];

    Operand stationary, c;   // latched by preload
    int preloaded;           // and not yet used by a compute
    int weights_set;         // WS: the array holds weights
    int partial_set;         // OS: the array holds partial sums that were not read out
    float weights[MAX_DIM * MAX_DIM]; // dim x dim; float32 holds every sum of MAX_DIM products of int8 exactly, and hosts multiply it fastest
    union {
        int32_t i[MAX_DIM * MAX_DIM];
        float f[MAX_DIM * MAX_DIM];
    } partial;

    LoopState loop_ws, loop_conv;
    LoopTrace trace; // commands of the hardware loop that is being expanded

    CounterFile counters;

    uint64_t commands, kinds[COUNTS];
    uint64_t work;                // see gemmini_work()
    uint64_t zero_fill_rows;      // accumulator rows filled from address 0
    unsigned spad_high, acc_high; // rows used, for the profile
};

// --- memories

static inline int8_t *spad_int8(const Gemmini *g, uint32_t row) { return (int8_t *)g->spad + (size_t)row * g->dim; }
static inline float *spad_float(const Gemmini *g, uint32_t row) { return (float *)g->spad + (size_t)row * g->dim; }
static inline void *spad_row(const Gemmini *g, uint32_t row) { return (uint8_t *)g->spad + (size_t)row * g->dim * g->element_bytes; }
static inline int32_t *acc_int32(const Gemmini *g, uint32_t row) { return (int32_t *)g->acc + (size_t)row * g->dim; }
static inline float *acc_float(const Gemmini *g, uint32_t row) { return (float *)g->acc + (size_t)row * g->dim; }

// --- operands (gemmini_operand.c); `what` starts the message of a fault

Operand operand_of(uint64_t packed);
uint64_t operand_word(uint32_t local, unsigned cols, unsigned rows);
void check_size(const Gemmini *, Operand, unsigned max_cols, const char *what);
Range local_range(const Gemmini *, uint32_t local, unsigned rows, const char *what);
void check_norm_bits(uint32_t local, const char *what); // a local address that is not an mvout's
_Noreturn void fault_unwritten(int acc, uint32_t row, const char *what);
void use_rows(Gemmini *, Range); // for the profile

static inline int in_accumulator(uint32_t local) { return (local & ACC_BIT) != 0; }

static inline void need_row(const Gemmini *g, int acc, uint32_t row, const char *what) {
    if (!(acc ? g->acc_set : g->spad_set)[row]) fault_unwritten(acc, row, what);
}

// --- commands: each takes effect at once and describes itself for the timing

void gemmini_configure(Gemmini *, uint64_t rs1, uint64_t rs2, Op *);
void gemmini_mvin(Gemmini *, unsigned id, uint64_t dram, Operand, Op *);
void gemmini_mvout(Gemmini *, uint64_t dram, Operand, Op *);
void gemmini_preload(Gemmini *, Operand stationary, Operand c, Op *);
void gemmini_compute(Gemmini *, int accumulated, Operand a, Operand second, Op *);

// --- performance counters (gemmini_counter.c)

uint64_t counter_access(Gemmini *, uint64_t cycle, uint64_t rs1);
void counter_reset(Gemmini *);
void counter_note(Gemmini *, uint64_t cycle, const Op *); // a command was issued

// Executes any command but the loops and their configuration, the flush and the counters; counts it.
void gemmini_execute(Gemmini *, unsigned funct, uint64_t rs1, uint64_t rs2, Op *);

// --- normalisation (gemmini_norm.c)

int32_t igelu(const Gemmini *, int32_t value);
int32_t layernorm(const Gemmini *, int32_t value);
int8_t softmax(const Gemmini *, int32_t value);
void check_activation(const Gemmini *, unsigned activation); // what the activation needs is set
// One row's block of dim values or less; `last` in its row.
void follow_statistics(Gemmini *, unsigned command, const int32_t *values, unsigned count, int last);

#endif
