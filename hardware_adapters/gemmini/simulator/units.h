// What the parts of the timing model share: the state of each unit and the calls between them. A unit is stepped once a
// cycle in which something can happen to it; `*_wake` says when that is next, so that waiting costs nothing.
//
// The structure follows the generator's public RTL: reservation station, load, store and execute controllers, DMA reader and
// writer, banked memories. Values never appear here.
#ifndef GEMSIM_UNITS_H
#define GEMSIM_UNITS_H

#include "activity.h"
#include "occupancy.h"
#include "timing.h"

enum { MAX_STATION = 32, MAX_WAITING = 16, MAX_TAGS = 8, MAX_REQUESTS = 16, SLOTS = 512, ROWS_RING = 256 };
static const uint64_t NEVER = UINT64_MAX;

// What the array did in a cycle. Exclusive; they sum to the cycles of a call.
enum Cause { ARRAY_BUSY, WAIT_LOAD, WAIT_STORE, WAIT_ISSUE, CONFLICT_SPAD, WEIGHTS_ALONE, ARRAY_FULL, DEPENDENCY, CONFIG_EX, FENCE, CAUSES };

// --- reservation station: commands wait here for the hazards between units, and inside a unit for their turn

typedef struct Fifo { // of station slots, in order, with the cycle from which the reader sees each
    int slot[MAX_STATION];
    uint64_t at[MAX_STATION];
    int head, count;
} Fifo;

typedef struct Waiting { // between the CPU and the station
    Op op;
    uint64_t ready;
} Waiting;

typedef struct Station {
    Waiting queue[MAX_WAITING];
    int queue_head, queue_count;
    Op op[MAX_STATION];
    uint32_t live, slots[UNITS];     // a bit for each slot in use; the slots that belong to a unit
    uint32_t waits_for[MAX_STATION]; // slots that have to finish before this one is issued
    uint32_t write_banks[MAX_STATION]; // a bit for each bank that the command may write
    Fifo unissued[UNITS], issued[UNITS];
    Fifo done[UNITS + 1];            // completions on their way: one a cycle gets through, results of the array first
    int wake_known;                  // nothing has happened to the station since `wake` was computed
    uint64_t wake;
} Station;

enum { DONE_RESULTS = UNITS }; // the array's finished preloads: before every other completion

// --- hardware loops: what the unroller has still to send

enum { LOOPS = 2 };

typedef struct LoopRun {
    LoopOp *op; // in program order
    size_t count, capacity;
    uint32_t *order, *stream[STREAMS]; // indices of the commands of each stream, one stream after the other
    uint32_t sent[STREAMS], total[STREAMS];
} LoopRun;

typedef struct Loops {
    LoopRun run[LOOPS];
    int head, count;
} Loops;

// --- memory port: requests leave in order, answers come back as their lines are ready, one beat a cycle

typedef struct Channel { // taken[c % SLOTS] == c: cycle c is taken
    uint64_t taken[SLOTS], full_until; // no free cycle before full_until
} Channel;

typedef struct Port {
    Channel requests, answers;
    uint64_t stalled_until;           // requests wait for a miss register
    uint64_t miss_done[MAX_REQUESTS]; // when each of the L2's miss registers is free again
    unsigned next_miss;               // the one that is free first
} Port;

typedef struct Beats {
    uint64_t first, last; // cycles of the first and last beat of the answer
    unsigned apart;       // cycles from one beat to the next
} Beats;

typedef struct Requests { // end of each request in flight
    uint64_t until[MAX_REQUESTS];
    unsigned next;
} Requests;

// The first cycle, from `now` on, in which one more can be sent; it is taken by request_sent().
static inline uint64_t request_free(Requests *r, unsigned count, uint64_t now) {
    for (unsigned k = 0; k < count; k++, r->next = r->next + 1 < count ? r->next + 1 : 0)
        if (r->until[r->next] <= now) return now;
    for (unsigned i = 0; i < count; i++)
        if (r->until[i] < r->until[r->next]) r->next = i;
    return r->until[r->next];
}
static inline void request_sent(Requests *r, uint64_t until) { r->until[r->next] = until; }

// --- load unit

typedef struct Write { // a row on its way into a bank
    uint64_t at;
    uint8_t bank, tracker, accumulate;
} Write;

typedef struct Request {      // the shape of one; most are alike
    uint64_t key;             // what it was made for: alignment, bytes left, place in the row
    unsigned size, useful, beats; // useful: bytes of this row
    unsigned rows, at[8];     // pieces of rows that it brings: cycle, counted from the first beat, in which each is whole
    unsigned occupied;        // cycles until the merger takes the next answer
} Request;

typedef struct Tracker { // of a load whose rows have not all been written
    int slot;            // -1: free
    unsigned rows_left, all_sent;
    uint64_t began, last_row; // last_row: when that of the requests sent so far is written
} Tracker;

enum { TRACKERS = 2 };

typedef struct LoadUnit {
    int active; // tracker of the command whose requests are going out, or -1
    unsigned row, offset;
    uint64_t next_request, controller_free, tracker_free;
    Requests requests;
    Request request; // the last one
    Tracker tracker[TRACKERS];
    Write writes[ROWS_RING];
    unsigned writes_head, writes_count;
    uint64_t last_write, scaler_free;
} LoadUnit;

// --- store unit

enum { SCALE_DEPTH = 5, READ_AHEAD = 3 };

typedef struct StoreUnit {
    unsigned row, block, started;
    uint64_t next_read, began;
    uint64_t scaled[8], written[8]; // of the last rows: cycle of entering the scaler, of leaving to the writer
    unsigned rows;                  // how many there have been
    uint64_t writer_free, last_answer;
    Requests requests;
} StoreUnit;

// --- execute unit

typedef struct Result { // a row that will leave the array
    uint64_t at;
    uint8_t bank, accumulate;
} Result;

enum { A, B, D, OPERANDS };

typedef struct Operand {
    int bank;       // or -1: nothing to read
    unsigned reads; // rows read from there; padding for the others
    unsigned fed;
} Operand;

typedef struct ExecuteUnit {
    int active, compute, preload;      // slots of the commands under way, or -1
    unsigned rows;                     // of the operation
    Operand operand[OPERANDS];
    int target;                        // preload whose result the next compute makes, or -1
    enum Cause alone;                  // why the next weights will move in without a compute beside them
    uint64_t began;
    uint64_t tags[MAX_TAGS];           // end of each matmul in the array; NEVER until it is known
    unsigned tags_head, tags_count;
    uint64_t drained;                  // last result row written
    Result results[ROWS_RING];
    unsigned results_head, results_count, spad_results;
    uint32_t result_banks; // of the results since there were none
} ExecuteUnit;

// Kinds of slices that are no commands: what the CPU waits for.
enum { WAIT_QUEUE = KINDS, WAIT_FENCE, SLICE_KINDS, CPU = UNITS };

typedef struct Slice { // of the timeline
    uint64_t start, end, pc;
    uint8_t unit, kind;
} Slice;

struct Timing {
    const Config *config;
    L2 *l2;
    unsigned spad_bank_shift, acc_bank_shift; // banks hold a power of two of rows
    uint64_t now;
    int fencing;
    Station station;
    Loops loops;
    Port port;
    LoadUnit load;
    StoreUnit store;
    ExecuteUnit execute;
    unsigned stuck; // cycles since anything was due to happen, while somebody waits for it
    int changed; // a command was completed or left its queue: the station may have something to do
    uint32_t written, accumulated, read; // banks that are written, read and written, read in this cycle

    uint64_t causes[CAUSES], start, busy[UNITS], array_cycles, queue_full, fences, bytes_in, bytes_out;
    uint64_t bank_wait[UNITS]; // cycles in which the unit's next row is ready, but another unit uses its bank
    int recording;
    unsigned slices, slices_lost;
    Slice *slice;
    uint64_t busy_until[UNITS]; // of the slices so far: commands of a unit overlap
    Occupancy *occupancy;
    Activity activity;
};

static inline uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t later(uint64_t a, uint64_t b) { return a > b ? a : b; }

static inline void fifo_push(Fifo *f, int slot, uint64_t at) {
    int i = (f->head + f->count++) % MAX_STATION;
    f->slot[i] = slot;
    f->at[i] = at;
}
static inline void fifo_pop(Fifo *f) { f->head = (f->head + 1) % MAX_STATION, f->count--; }
// The i-th slot if it can be seen in cycle `now`, else -1.
static inline int fifo_at(const Fifo *f, int i, uint64_t now) {
    int at = (f->head + i) % MAX_STATION;
    return i < f->count && f->at[at] <= now ? f->slot[at] : -1;
}
// The next one can be seen from `at` on.
static inline void fifo_hold(Fifo *f, uint64_t at) {
    if (f->count && f->at[f->head] < at) f->at[f->head] = at;
}
static inline uint64_t fifo_wake(const Fifo *f) { return f->count ? f->at[f->head] : NEVER; }

// Banks of the scratchpad are numbered from 0, those of the accumulator follow.
static inline int bank_of(const Timing *t, uint32_t row) {
    if (row >= ACC_BASE) return (int)(t->config->spad_banks + ((row - ACC_BASE) >> t->acc_bank_shift));
    return (int)(row >> t->spad_bank_shift);
}
// A bit for each bank that a range of rows lies in.
static inline uint32_t banks_of(const Timing *t, Range r) {
    return r.end == r.first ? 0 : (2u << bank_of(t, r.end - 1)) - (1u << bank_of(t, r.first));
}

void station_step(Timing *);             // issue, accept, complete: at most one a cycle of each
void station_done(Timing *, int slot, int source, uint64_t at);
int station_full(const Timing *);
void station_push(Timing *, const Op *, unsigned delay);
unsigned station_load(const Timing *, int unit); // commands of a unit in the station or on their way to it
unsigned station_entries(const Timing *, int unit);
int station_empty(const Timing *);
uint64_t station_wake(Timing *);
void unit_took(Timing *);               // a command left its unit's queue

void loops_step(Timing *);
uint64_t loops_wake(Timing *);
int loops_full(const Timing *);
int loops_add(Timing *, const LoopOp *, size_t count); // 0: out of memory

void port_reset(Port *);
uint64_t port_read(Timing *, uint64_t cycle, uint64_t addr, unsigned bytes, unsigned occupied, Beats *);
int port_read_at_once(Timing *, uint64_t cycle, uint64_t addr, uint64_t *answer); // one beat, if it leaves in this cycle and is answered by the L2 without delay
uint64_t port_write(Timing *, uint64_t cycle, uint64_t addr, unsigned beats, unsigned cost, uint64_t *answer);

void load_reset(LoadUnit *);
void load_step(Timing *);
int load_burst(Timing *, uint64_t until); // requests of one beat that leave one a cycle, as long as nothing holds them up; 0: none
void load_write(Timing *);     // a row into its bank
void load_write_until(Timing *, uint64_t until); // rows, when nobody else uses a bank
uint64_t load_ends(const Timing *); // next cycle in which a command's last row is written
int load_backlog(const Timing *);   // too many rows wait to be written
uint32_t load_banks(const Timing *); // that the loads under way may write, and that the next one may
uint64_t load_wake(Timing *, int alone);
int load_empty(const Timing *);

void store_step(Timing *);
uint64_t store_wake(const Timing *);

void execute_reset(ExecuteUnit *);
void execute_write(Timing *); // result rows into banks
enum Cause execute_step(Timing *);
enum Cause execute_idle_cause(const Timing *);
uint32_t execute_result_banks(const Timing *); // that results may be written to before another operation starts
uint32_t execute_operand_banks(const Timing *); // that the operation under way reads
unsigned execute_steady(const Timing *); // cycles in which the array is fed undisturbed unless a load writes to its banks, the last row left out
enum Cause execute_burst(Timing *, unsigned cycles); // so many of them at once
uint64_t execute_wake(const Timing *);

void timing_slice(Timing *, int slot, uint64_t start, uint64_t end);
void timing_result(Timing *, const Op *, uint64_t at); // the last row of a preload's C is written

#endif
