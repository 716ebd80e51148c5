/* What the host code of a candidate may do: launch kernels, set and copy device memory, ask for nothing else. */
#include "cpusim.h"
#include <string.h>
#include <time.h>

Launch *running;
enum Mode mode = RUNTIME;
uint32_t block_number;
char cpusim_parameters[8192] __attribute__((aligned(256)));
uint64_t cpusim_parameter_bytes;
struct { unsigned x, y, z; } threadIdx, blockIdx, blockDim, gridDim;
char cpusim_stream; /* its address is the stream that launch() is given */

#define MAX_OPTED 32
static struct { char name[128]; uint64_t bytes; } opted[MAX_OPTED];
static unsigned opted_count;
static unsigned launches; /* of this call, share the seconds: each has its part, and one block at least */

static void check_shape(const Launch *launch, const void *stream) {
    uint64_t threads = (uint64_t)launch->block.x * launch->block.y * launch->block.z;
    uint3 g = launch->grid, b = launch->block;
    if (!g.x || !g.y || !g.z || !threads)
        fault("bad_launch", 0, launch->line, "grid (%u,%u,%u), block (%u,%u,%u): no dimension may be 0", g.x, g.y, g.z, b.x, b.y, b.z);
    if (b.x > 1024 || b.y > 1024 || b.z > 64 || threads > MAX_THREADS)
        fault("bad_launch", 0, launch->line, "a block of (%u,%u,%u) is %llu threads; at most 1024 in all, and 64 in z", b.x, b.y, b.z, (unsigned long long)threads);
    if (g.x > 0x7FFFFFFF || g.y > 65535 || g.z > 65535)
        fault("bad_launch", 0, launch->line, "a grid of (%u,%u,%u): y and z go up to 65535", g.x, g.y, g.z);
    if (stream != &cpusim_stream)
        fault("wrong_stream", 0, launch->line, "a kernel is launched on another stream than launch() was given");
}

static void check_dynamic(const Launch *launch) {
    uint64_t allowed = 48 * 1024;
    for (unsigned i = 0; i < opted_count; i++)
        if (!strcmp(opted[i].name, launch->kernel) && opted[i].bytes > allowed) allowed = opted[i].bytes;
    if (launch->dynamic_bytes > allowed)
        fault("shared_memory", 0, launch->line, "%llu bytes of dynamic shared memory: over 49152 has to be asked for with cudaFuncSetAttribute, up to %llu",
              (unsigned long long)launch->dynamic_bytes, (unsigned long long)job.shared_limit);
}

/* One of each of `wanted` equal parts, drawn: a kernel that knew which ones are counted would make these ones cheap. */
static uint64_t sampled(uint64_t number, uint64_t total, uint64_t wanted) {
    if (wanted == total) return number;
    uint64_t first = number * total / wanted, behind = (number + 1) * total / wanted;
    uint64_t drawn = (job.seed ^ (number + 1) * 0x9E3779B97F4A7C15ull) * 0xBF58476D1CE4E5B9ull;
    drawn = (drawn ^ drawn >> 31) * 0x94D049BB133111EBull;
    return first + (drawn ^ drawn >> 29) % (behind - first);
}

static double seconds(void) { /* of processor time */
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* An order for the parts of the grid, so that those which ran when time is over are any of them. */
static uint16_t turns[MAX_DRAWN];
static void mix(uint64_t wanted) {
    uint64_t state = job.seed | 1;
    for (unsigned i = 0; i < wanted; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        unsigned other = (unsigned)(state % (i + 1));
        turns[i] = turns[other];
        turns[other] = (uint16_t)i;
    }
}

static uint64_t shuffled(uint64_t number, uint64_t count) { /* a permutation: steps of a number without common divisor */
    uint64_t step = count / 2 + job.seed % (count / 2 + 1) + 1, a = step, b = count;
    for (;;) {
        for (a = step, b = count; b;) {
            uint64_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a == 1) return number * step % count;
        step++;
    }
}

/* Called through the rewritten <<<>>>. `kernel` outlives the run: it is a literal of the candidate. */
void cpusim_launch(const char *kernel, int line, const uint3 *grid, const uint3 *block, uint64_t shared, const void *stream,
                   void (*entry)(void *), const void *closure, uint64_t closure_bytes) {
    if (mode == DEVICE) fault("unsupported", 0, line, "a kernel launches a kernel (dynamic parallelism)");
    Launch launch = {.kernel = kernel, .line = line, .grid = *grid, .block = *block, .dynamic_bytes = shared, .entry = entry, .closure = cpusim_parameters};
    running = &launch;
    check_shape(&launch, stream);
    check_dynamic(&launch);
    if (closure_bytes > sizeof cpusim_parameters) fault("unsupported", 0, line, "more than 4 KiB of parameters");
    memcpy(cpusim_parameters, closure, closure_bytes);
    cpusim_parameter_bytes = closure_bytes;
    mode = RUNTIME;
    memory_open(1);
    shared_launch(shared);
    threads_in_block = block->x * block->y * block->z;
    warps_in_block = (threads_in_block + WARP - 1) / WARP;
    for (unsigned tid = 0; tid < threads_in_block; tid++)
        fibers[tid].index = (uint3){tid % block->x, tid / block->x % block->y, tid / block->x / block->y};
    memcpy(&blockDim, block, sizeof *block);
    memcpy(&gridDim, grid, sizeof *grid);
    launch_first = ++segment;
    launch.blocks_total = (uint64_t)grid->x * grid->y * grid->z;
    uint64_t wanted = job.blocks && job.blocks < launch.blocks_total ? job.blocks : launch.blocks_total;
    int limited = job.seconds > 0 && wanted <= MAX_DRAWN;
    if (limited) mix(wanted);
    double began = seconds();
    launches++;
    if (job.trace) trace_launch();
    for (uint64_t i = 0; i < wanted; i++) {
        uint64_t at = job.order == 1 ? wanted - 1 - i : job.order == 2 ? shuffled(i, wanted) : i;
        if (limited) {
            if (i && seconds() - began > job.seconds / launches) break;
            at = turns[i];
        }
        uint64_t number = sampled(at, launch.blocks_total, wanted);
        block_number++;
        run_block((uint3){(unsigned)(number % grid->x), (unsigned)(number / grid->x % grid->y), (unsigned)(number / grid->x / grid->y)}, number);
        launch.blocks_run++;
        if (job.trace) trace_block(at);
    }
    if (job.trace && launch.blocks_run < launch.blocks_total) trace_spread(&launch);
    segment++;
    memory_open(0);
    report_launch(&launch);
    running = NULL;
    mode = HOST;
}

int cpusim_set_attribute(const char *kernel, int attribute, int value, int line) {
    if (attribute != 8) return 0; /* the carve-out is a hint */
    if (value < 0 || (uint64_t)value > job.shared_limit)
        fault("shared_memory", 0, line, "cudaFuncSetAttribute: %d bytes of dynamic shared memory, the device has %llu per block", value, (unsigned long long)job.shared_limit);
    if (opted_count == MAX_OPTED) fault("unsupported", 0, line, "more than %d calls of cudaFuncSetAttribute", MAX_OPTED);
    strncpy(opted[opted_count].name, kernel, sizeof opted[0].name - 1);
    opted[opted_count++].bytes = (uint64_t)value;
    return 0;
}

static char *device_range(void *at, uint64_t bytes, int writing, const void *stream, int line) {
    uintptr_t address = (uintptr_t)at;
    Buffer *buffer = memory_buffer(address);
    if (stream != &cpusim_stream) fault("wrong_stream", 0, line, "work on another stream than launch() was given");
    if (mode != HOST) fault("bad_call", 0, line, "a call of the host's API in a kernel");
    if (address >= image_low && address + bytes <= image_high) return at; /* a __device__ or __constant__ variable */
    if (!buffer || address < (uintptr_t)buffer->data || address + bytes > (uintptr_t)buffer->data + buffer->bytes) {
        char text[160];
        memory_describe(address, (unsigned)bytes, text, sizeof text);
        fault("out_of_bounds", 0, line, "%llu bytes from %s", (unsigned long long)bytes, text);
    }
    if (writing && buffer->role == 0) fault("input_written", 0, line, "the input '%s' is written: inputs are read-only", buffer->name);
    return at;
}

int cpusim_memset(void *at, int value, uint64_t bytes, const void *stream, int line) {
    if (!bytes) return 0;
    device_range(at, bytes, 1, stream, line);
    report_fill(bytes);
    memory_open(1);
    memset(at, value, bytes);
    memory_open(0);
    if (memory_buffer((uintptr_t)at)) access_mark_written((uintptr_t)at, bytes);
    return 0;
}

int cpusim_memcpy(void *to, const void *from, uint64_t bytes, const void *stream, int line) {
    if (!bytes) return 0;
    device_range(to, bytes, 1, stream, line);
    device_range((void *)(uintptr_t)from, bytes, 0, stream, line);
    report_fill(2 * bytes);
    memory_open(1);
    memmove(to, from, bytes);
    memory_open(0);
    if (memory_buffer((uintptr_t)to)) access_mark_written((uintptr_t)to, bytes);
    return 0;
}
