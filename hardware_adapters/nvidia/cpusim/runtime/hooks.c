/* The names under which compilers report accesses when told -fsanitize=thread and -fsanitize=alignment. The sanitizers'
   own runtimes are never linked. */
#include "cpusim.h"
#include <math.h>
#include <string.h>

/* A whole aligned word of shared memory, whose last write and reads leave no doubt: true when all is done. */
static inline int quick_load(uintptr_t address) {
    uintptr_t offset = address - shared_base, word = offset / 4;
    if (unlikely(offset >= SHARED_SPAN || (offset & 3) || shared_valid[word] != 15 || mode != DEVICE || pending_write)) return 0;
    Cell *cell = &shared_cells[word];
    if (unlikely(cell->write_segment < block_first)) return 0;
    if (unlikely(cell->write_segment == segment && ((cell->write_who ^ whole_word) & TID))) return 0;
    if (cell->read_segment != segment) {
        cell->read_segment = segment;
        cell->read_who = whole_word;
        return 1;
    }
    if ((cell->read_who & (BY_BLOCK | BYTES)) == (BY_BLOCK | BYTES)) return 1;
    uint32_t differs = cell->read_who ^ whole_word;
    if ((differs & ~BY_WARP) == 0) return 1;
    if ((differs & TID) == 0 || (differs & (BYTES | 0xFFFF0000u | (TID & ~31u)))) return 0;
    cell->read_who |= BY_WARP; /* another lane of the same warp */
    return 1;
}
static inline int quick_store(uintptr_t address) {
    uintptr_t offset = address - shared_base, word = offset / 4;
    if (unlikely(offset >= SHARED_SPAN || (offset & 3) || shared_valid[word] != 15 || mode != DEVICE || pending_write)) return 0;
    Cell *cell = &shared_cells[word];
    if (unlikely(cell->write_segment == segment || cell->read_segment == segment)) return 0;
    cell->write_segment = segment;
    cell->write_who = whole_word;
    return 1;
}
/* Compilers call the plain hooks for what they take to be aligned, to 8 bytes at most. */
static inline void on_aligned(uintptr_t address, unsigned size, enum Op op, uintptr_t pc) {
    if (unlikely(address & (size < 8 ? size - 1 : 7) && mode == DEVICE))
        fault("misaligned", pc, 0, "an access of %u bytes at an address that is no multiple of %u", size, size < 8 ? size : 8);
    access_check(address, size, op, pc, 0);
}
#define ALIGNED(name, size, op) void name(void *p); void name(void *p) { on_aligned((uintptr_t)p, size, op, PC()); }
void __tsan_read4(void *p);
void __tsan_read4(void *p) {
    if (unlikely(!quick_load((uintptr_t)p))) on_aligned((uintptr_t)p, 4, LOAD, PC());
    else if (job.trace) trace_access((uintptr_t)p, 4, LOAD, SHARED, PC(), 0);
}
void __tsan_write4(void *p);
void __tsan_write4(void *p) {
    if (unlikely(!quick_store((uintptr_t)p))) on_aligned((uintptr_t)p, 4, STORE, PC());
    else if (job.trace) trace_access((uintptr_t)p, 4, STORE, SHARED, PC(), 0);
}

/* Threads that wait for each other do it through volatile variables: in global memory these are ordered like atomics, and
   who reads one again and again lets the others run. */
#define MAX_SPINS 64
static void on_volatile(uintptr_t address, unsigned size, enum Op op, uintptr_t pc) {
    relaxed = 1;
    access_check(address, size, op, pc, 0);
    relaxed = 0;
    if (mode != DEVICE || op != LOAD || ++current->spins < MAX_SPINS) return;
    current->spins = 0;
    current->line = 0;
    current->value = pc;
    fiber_leave(YIELDED);
}

#define HOOK(name, size, op) void name(void *p); void name(void *p) { access_check((uintptr_t)p, size, op, PC(), 0); }
#define VOLATILE(name, size, op) void name(void *p); void name(void *p) { on_volatile((uintptr_t)p, size, op, PC()); }
#define HOOKS(size)                                                                                                              \
    HOOK(__tsan_unaligned_read##size, size, LOAD)                                                                                        \
    HOOK(__tsan_unaligned_write##size, size, STORE)                                                                            \
    VOLATILE(__tsan_volatile_read##size, size, LOAD)                                                                           \
    VOLATILE(__tsan_volatile_write##size, size, STORE)                                                                         \
    VOLATILE(__tsan_unaligned_volatile_read##size, size, LOAD)                                                                 \
    VOLATILE(__tsan_unaligned_volatile_write##size, size, STORE)
#define PLAIN(size) ALIGNED(__tsan_read##size, size, LOAD) ALIGNED(__tsan_write##size, size, STORE)
PLAIN(1)
PLAIN(2)
PLAIN(8)
PLAIN(16)
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

static void range(uintptr_t address, uint64_t size, enum Op op, uintptr_t pc) {
    for (uint64_t at = 0; at < size; at += 16) access_check(address + at, size - at < 16 ? (unsigned)(size - at) : 16, op, pc, 0);
}
void __tsan_read_range(void *p, uint64_t size);
void __tsan_read_range(void *p, uint64_t size) { range((uintptr_t)p, size, LOAD, PC()); }
void __tsan_write_range(void *p, uint64_t size);
void __tsan_write_range(void *p, uint64_t size) { range((uintptr_t)p, size, STORE, PC()); }
void __tsan_init(void);
void __tsan_init(void) {}
void __tsan_func_entry(void *pc);
void __tsan_func_entry(void *pc) { (void)pc; }
void __tsan_func_exit(void);
void __tsan_func_exit(void) {}

/* Copies that the compiler made of assignments, and those that the source names: a piece at a time, as a thread would. */
static void copy(char *to, const char *from, uint64_t size, uintptr_t pc) {
    range((uintptr_t)from, size, LOAD, pc);
    range((uintptr_t)to, size, STORE, pc);
    memmove(to, from, size);
}
static void set(char *to, int value, uint64_t size, uintptr_t pc) {
    range((uintptr_t)to, size, STORE, pc);
    memset(to, value, size);
}
void *__tsan_memcpy(void *to, const void *from, uint64_t size);
void *__tsan_memcpy(void *to, const void *from, uint64_t size) { copy(to, from, size, PC()); return to; }
void *__tsan_memmove(void *to, const void *from, uint64_t size);
void *__tsan_memmove(void *to, const void *from, uint64_t size) { copy(to, from, size, PC()); return to; }
void *__tsan_memset(void *to, int value, uint64_t size);
void *__tsan_memset(void *to, int value, uint64_t size) { set(to, value, size, PC()); return to; }
void *__wrap_memcpy(void *to, const void *from, uint64_t size);
void *__wrap_memcpy(void *to, const void *from, uint64_t size) { copy(to, from, size, PC()); return to; }
void *__wrap_memmove(void *to, const void *from, uint64_t size);
void *__wrap_memmove(void *to, const void *from, uint64_t size) { copy(to, from, size, PC()); return to; }
void *__wrap_memset(void *to, int value, uint64_t size);
void *__wrap_memset(void *to, int value, uint64_t size) { set(to, value, size, PC()); return to; }

/* Functions of mathematics that write a part of their result through a pointer. */
static void written(void *at, unsigned size, uintptr_t pc) { access_check((uintptr_t)at, size, STORE, pc, 0); }
#define SPLIT(name, type, part)                                                                                                  \
    type __wrap_##name(type x, part *at);                                                                                        \
    type __wrap_##name(type x, part *at) { written(at, sizeof *at, PC()); return name(x, at); }
SPLIT(frexp, double, int)
SPLIT(frexpf, float, int)
SPLIT(modf, double, double)
SPLIT(modff, float, float)
#define REMAINDER(name, type)                                                                                                    \
    type __wrap_##name(type x, type y, int *at);                                                                                 \
    type __wrap_##name(type x, type y, int *at) { written(at, sizeof *at, PC()); return name(x, y, at); }
REMAINDER(remquo, double)
REMAINDER(remquof, float)
#define SINCOS(name, sine, cosine, type)                                                                                         \
    void __wrap_##name(type x, type *s, type *c);                                                                                \
    void __wrap_##name(type x, type *s, type *c) {                                                                               \
        written(s, sizeof *s, PC());                                                                                             \
        *s = sine(x);                                                                                                            \
        written(c, sizeof *c, PC());                                                                                             \
        *c = cosine(x);                                                                                                          \
    }
SINCOS(sincos, sin, cos, double)
SINCOS(sincosf, sinf, cosf, float)

typedef struct { const char *file; uint32_t line, column; } Place;
typedef struct { uint16_t kind, info; char name[]; } Type;
typedef struct { Place place; const Type *type; uint8_t log_align, access; } Mismatch;
typedef struct { Place place; const Type *array, *index; } Outside;

static void mismatch(const Mismatch *data, uintptr_t address, uintptr_t pc) {
    int line = (int)data->place.line;
    if (mode != DEVICE || address < 65536) access_check(address, 1, LOAD, pc, line);
    if (mode == DEVICE && address >= 65536 && data->log_align && (address & ((1ull << data->log_align) - 1)))
        fault("misaligned", pc, line, "an access of type %s at an address that is no multiple of %d", data->type->name, 1 << data->log_align);
}
void __ubsan_handle_type_mismatch_v1(void *data, uintptr_t address);
void __ubsan_handle_type_mismatch_v1(void *data, uintptr_t address) { mismatch(data, address, PC()); }
void __ubsan_handle_type_mismatch_v1_abort(void *data, uintptr_t address);
void __ubsan_handle_type_mismatch_v1_abort(void *data, uintptr_t address) { mismatch(data, address, PC()); }
void __ubsan_handle_out_of_bounds_abort(void *data, uintptr_t index);
void __ubsan_handle_local_out_of_bounds_abort(void);
void __ubsan_handle_local_out_of_bounds_abort(void) {
    if (mode == DEVICE) fault("out_of_bounds", PC(), 0, "an index outside of a local array");
}
void __ubsan_handle_local_out_of_bounds(void);
void __ubsan_handle_local_out_of_bounds(void) {
    if (mode == DEVICE) fault("out_of_bounds", PC(), 0, "an index outside of a local array");
}
void __ubsan_handle_out_of_bounds(void *data, uintptr_t index);
void __ubsan_handle_out_of_bounds(void *data, uintptr_t index) {
    const Outside *outside = data;
    if (mode == DEVICE && !shared_has_shape(outside->array->name)) fault("out_of_bounds", PC(), (int)outside->place.line, "index %lld of an array %s", (long long)index, outside->array->name);
}
void __ubsan_handle_out_of_bounds_abort(void *data, uintptr_t index) { __ubsan_handle_out_of_bounds(data, index); }

/* __ldg and its like: the header names size and alignment (in bits 8 and up) and the caller's line. */
void cpusim_access(const void *at, unsigned size, int op, int line);
void cpusim_access(const void *at, unsigned size, int op, int line) {
    uintptr_t align = size >> 8;
    size &= 255;
    if (mode == DEVICE && align && (uintptr_t)at % align) fault("misaligned", 0, line, "an access of %u bytes at an address that is no multiple of %u", size, (unsigned)align);
    access_check((uintptr_t)at, size, (enum Op)op, 0, line);
}
void cpusim_copy(void *to, const void *from, uint64_t size);
void cpusim_copy(void *to, const void *from, uint64_t size) { memcpy(to, from, size); }

uint64_t cpusim_clock(void);
uint64_t cpusim_clock(void) { /* advances, and means nothing */
    static uint64_t ticks;
    return ticks += 32;
}
