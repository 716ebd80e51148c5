/* What the parts of the emulator share. One block runs at a time, one fiber per CUDA thread, in one OS thread: none of
   this needs locks. */
#ifndef CPUSIM_H
#define CPUSIM_H
#include <stddef.h>
#include <stdint.h>

#define MAX_THREADS 1024
#define WARP 32
#define MAX_WARPS (MAX_THREADS / WARP)
#define MAX_BUFFERS 64
#define MAX_DIMS 32
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define PC() ((uintptr_t)__builtin_return_address(0))

typedef struct { unsigned x, y, z; } uint3;

/* ---- fibers (fiber.c) ---- */
enum State { READY, AT_BARRIER, AT_WARP, YIELDED, EXITED };
typedef struct Fiber {
    void *sp;
    unsigned state;
    unsigned tid, lane, warp;
    uint3 index;
    char *stack_low, *stack_high;
    int line;            /* of the barrier or warp operation it waits at */
    unsigned op, mask;   /* of the warp operation; of a barrier: its kind */
    uint64_t value, result;
    int argument, width; /* of a shuffle; of a barrier: the predicate */
    unsigned spins;      /* atomics since it last gave way */
} Fiber;
extern Fiber fibers[MAX_THREADS];
extern Fiber *current;
extern char *stacks_low, *stacks_high;
void fibers_init(void);
void fiber_prepare(Fiber *fiber);
void fiber_enter(Fiber *fiber);   /* from the scheduler: runs it until it blocks or ends */
void fiber_leave(unsigned state); /* from a fiber: back to the scheduler */

/* ---- the running launch (launch.c) and its blocks (schedule.c) ---- */
enum { WORKS = 8 };         /* amounts that blocks are told apart by */
enum { MAX_DRAWN = 4096 }; /* blocks that are kept apart */
enum Mode { HOST, DEVICE, RUNTIME };
typedef struct {
    const char *kernel;
    int line;
    uint3 grid, block;
    uint64_t dynamic_bytes, static_bytes, blocks_run, blocks_total, barriers;
    uint64_t unique_read_sectors, unique_write_sectors, block_read_sectors, block_write_sectors;
    uint64_t operand_sectors; /* of these of blocks: in inputs and outputs */
    double differences[WORKS * (WORKS + 1) / 2]; /* see trace_spread */
    double work[WORKS];
    void (*entry)(void *);
    void *closure;
} Launch;
extern Launch *running;
extern enum Mode mode;
extern uint3 current_block;
extern unsigned threads_in_block, warps_in_block;
extern uint16_t warp_epoch[MAX_WARPS];
void run_block(uint3 index, uint64_t number);
/* Resolves what the lanes of a warp wait for; how many lanes go on. */
unsigned warp_resolve(Fiber *lanes, unsigned count, int last_resort);

/* Points of order. A segment is one block between two barriers; its number grows over the whole run. */
extern uint32_t segment, block_first, launch_first, last_fence;
extern int block_has_atomics;

/* ---- the job (job.c) ---- */
typedef struct {
    char name[64], file[64];
    uint64_t bytes, file_bytes;
    int role; /* 0 input, 1 output, 2 scratch */
    int descriptor;
    char *data, *pages;
    uint64_t page_bytes;
} Buffer;
typedef struct {
    char nonce[65];
    int order, trace, calls;
    uint64_t seed, blocks; /* 0: all of them */
    double cpu_s, seconds; /* after which no further block of a launch is drawn; 0: never */
    uint64_t shared_limit;
    unsigned dims, buffers;
    int64_t dim[MAX_DIMS];
    Buffer buffer[MAX_BUFFERS];
} Job;
extern Job job;
void job_read(const char *path);

/* ---- device memory (memory.c) ---- */
typedef struct { /* who wrote and who read a word of four bytes last; see access.c */
    uint32_t write_segment, write_who;
    uint32_t read_segment, read_who;
} Cell;
extern uintptr_t device_base, device_span;
extern uint8_t *page_owner; /* of each page of the device's span: number of the buffer + 1, or 0 */
extern Cell *device_cells;
extern uint32_t *sectors_read, *sectors_written;
void memory_plan(uint64_t seed);
void memory_fill(uint64_t call);
void memory_open(int open); /* whether kernels may use it; the host never may */
void memory_store_outputs(void);
Buffer *memory_buffer(uintptr_t address);
void memory_describe(uintptr_t address, unsigned size, char *text, size_t room);

/* ---- shared memory (shared.c) ---- */
#define SHARED_SPAN (1u << 19)
#define DYNAMIC_AT (1u << 18)
extern uintptr_t shared_base;
extern uint8_t shared_valid[SHARED_SPAN / 4]; /* which bytes of the word belong to a declared array */
extern Cell shared_cells[SHARED_SPAN / 4];
void shared_init(void);
void shared_launch(uint64_t dynamic_bytes);
void shared_block(void);
int shared_has_shape(const char *type);
void shared_describe(uintptr_t address, char *text, size_t room);

/* ---- the fast way of the most frequent accesses (hooks.c); whatever is unusual goes to access_check ---- */
#define TID 0x3FFu
#define BYTES_AT 10
#define BYTES (15u << BYTES_AT)
#define ATOMICALLY (1u << 14) /* of a write */
#define BY_WARP (1u << 14)    /* of reads: by several lanes of the warp */
#define BY_BLOCK (1u << 15)   /* of reads: by several warps */
#define EPOCH_AT 16
extern uint32_t whole_word; /* what the running thread leaves in a cell whose four bytes it touches */

/* ---- accesses (access.c) and counting (trace.c) ---- */
enum Op { LOAD, STORE, ATOMIC };
void access_check(uintptr_t address, unsigned size, enum Op op, uintptr_t pc, int line);
void access_settle(void);
void access_mark_written(uintptr_t address, uint64_t size);
extern int pending_write;
extern int relaxed; /* the access is volatile */
enum Space { GLOBAL, SHARED };
void trace_access(uintptr_t address, unsigned size, enum Op op, enum Space space, uintptr_t pc, int line);
void trace_launch(void);
void trace_variables(void); /* once it is known where the candidate's lie */
void trace_flush_warp(void);
void trace_block(uint64_t part); /* one drawn of this part of the grid has ended */

/* ---- the end: a fault or a report (fault.c, report.c) ---- */
void fault_init(void);
_Noreturn void fault(const char *kind, uintptr_t pc, int line, const char *format, ...) __attribute__((format(printf, 4, 5)));
_Noreturn void fault_of(const Fiber *who, const char *kind, uintptr_t pc, int line, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void note(const char *kind, uintptr_t pc, int line, const char *message);
_Noreturn void broken(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern uintptr_t image_low, image_high; /* of the loaded candidate */
extern uintptr_t relro_low, relro_high; /* the part of it that is fixed when it is loaded: addresses of our functions */
int candidate_owns(uintptr_t address, unsigned size); /* a variable of its */
typedef struct { void *pointer[MAX_BUFFERS + 1]; int64_t dim[MAX_DIMS + 1]; } Arguments;
extern Arguments *host_arguments; /* of launch(); NULL before it is called */
extern uintptr_t host_stack_high;  /* where its frames begin */
extern uintptr_t code_low, code_high;
void report_open(void);
void report_launch(const Launch *launch);
void report_fill(uint64_t bytes);
void report_return(int value);
_Noreturn void report_finish(void);
_Noreturn void report_fault(const char *kind, const char *message, uintptr_t pc, int line, const Fiber *who);
void report_note(const char *kind, const char *message, uintptr_t pc, int line);
void report_site(const char *kernel, uintptr_t pc, int line, enum Space space, enum Op op, unsigned bytes, const uint64_t counts[7]);
void trace_report(void);
void trace_spread(Launch *launch);
void confine(void);
#endif
