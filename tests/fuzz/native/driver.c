// A small coverage-guided fuzzer that needs nothing but a compiler with sanitizers: replays the inputs it is given, then runs
// as many mutations of them as it is told. Those that reach new code join the inputs.
//   driver [--mutate N] [--seed S] [--seconds T] [--keep FOLDER] FILE...     the target is that of $GEMSIM_FUZZ_TARGET
// Coverage comes from -fsanitize-coverage=trace-pc, with which gemsim is compiled and this file is not.
// An input that takes longer than HANG_SECONDS, or that makes the process grow beyond MOST_MIB, ends it; so do the sanitizers.
// The input is then in the file `crash` of the working folder. The last line says how many inputs there were.
#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "target.h"

enum { HANG_SECONDS = 10, MOST_MIB = 2500, MOST_BYTES = 1 << 16, MOST_INPUTS = 1 << 14 };

static struct { uint8_t *data; size_t size; } corpus[MOST_INPUTS];
static int inputs;
static uint8_t work[2 * MOST_BYTES];
static uint64_t state;

enum { EDGES = 1 << 16 };
static uint8_t hits[EDGES], seen[EDGES]; // seen: a bit for each order of magnitude of hits
static uint32_t before;

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void) {
    uint32_t here = (uint32_t)((uintptr_t)__builtin_return_address(0) * UINT64_C(0x9e3779b97f4a7c15) >> 40);
    uint8_t *hit = &hits[(here ^ before) % EDGES];
    *hit += *hit < 255;
    before = here >> 1;
}

static int new_coverage(void) {
    int found = 0;
    for (size_t i = 0; i < EDGES; i++) {
        if (!hits[i]) continue;
        uint8_t magnitude = (uint8_t)(1u << (31 - __builtin_clz(hits[i])));
        found |= !(seen[i] & magnitude);
        seen[i] |= magnitude;
    }
    return found;
}

static uint64_t below(uint64_t n) { // xorshift64*
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return (state * UINT64_C(2685821657736338717) >> 16) % n;
}

static void read_input(const char *path) {
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(MOST_BYTES);
    if (!f || !data || inputs == MOST_INPUTS) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    corpus[inputs].data = data;
    corpus[inputs++].size = fread(data, 1, MOST_BYTES, f);
    fclose(f);
}

static const uint8_t *current; // the input that is being run
static size_t current_size;

static void keep_crash(void) {
    int file = open("crash", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || write(file, current, current_size) < 0) _exit(4);
    close(file);
}

// Both sanitizers end the process by SIGABRT, so that the input is kept.
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "abort_on_error=1:detect_leaks=0:allocator_may_return_null=1"; }
const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void) { return "abort_on_error=1:print_stacktrace=1"; }

static void aborted(int signal_number) {
    (void)signal_number;
    keep_crash();
    _exit(3);
}

static void hang(int signal_number) {
    static const char said[] = "hang: an input takes too long\n";
    (void)signal_number;
    keep_crash();
    if (write(2, said, sizeof said - 1) < 0) _exit(4);
    _exit(3);
}

// 1 when it reached something that no input before reached.
static int run(Target *target, const uint8_t *data, size_t size) {
    uint8_t *exact = malloc(size ? size : 1); // reading past the end is seen
    if (!exact) exit(2);
    memcpy(exact, data, size);
    current = data;
    current_size = size;
    memset(hits, 0, sizeof hits);
    before = 0;
    setitimer(ITIMER_PROF, &(struct itimerval){.it_value = {.tv_sec = HANG_SECONDS}}, NULL); // of processor time: machines are shared
    target(exact, size);
    setitimer(ITIMER_PROF, &(struct itimerval){.it_value = {.tv_sec = 0}}, NULL);
    free(exact);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    if (usage.ru_maxrss > (long)MOST_MIB * 1024) {
        fprintf(stderr, "memory: %ld MiB\n", usage.ru_maxrss / 1024);
        keep_crash();
        exit(3);
    }
    return new_coverage();
}

static void keep(const char *folder, const uint8_t *data, size_t size) {
    char path[400];
    if (inputs < MOST_INPUTS && (corpus[inputs].data = malloc(size ? size : 1))) {
        memcpy(corpus[inputs].data, data, size);
        corpus[inputs++].size = size;
    }
    if (!folder) return;
    uint64_t name = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++) name = (name ^ data[i]) * UINT64_C(0x100000001b3);
    snprintf(path, sizeof path, "%s/%016llx", folder, (unsigned long long)name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0) exit(2);
}

static size_t mutate(size_t size) {
    static const uint64_t TELLING[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, UINT64_MAX, (uint64_t)1 << 63, 16, 64, 4096};
    for (uint64_t n = 1 + below(6); n; n--) {
        size_t at = size ? below(size) : 0, bytes = (size_t)1 << below(4);
        switch (below(6)) {
        case 0: if (size) work[at] ^= (uint8_t)(1u << below(8)); break;
        case 1: if (size) work[at] = (uint8_t)below(256); break;
        case 2: {
            uint64_t v = TELLING[below(sizeof TELLING / sizeof *TELLING)];
            for (size_t i = 0; i < bytes && at + i < size; i++) work[at + i] = (uint8_t)(v >> (8 * i));
            break;
        }
        case 3: { // leave a piece out
            size_t gone = size ? below(size - at) + 1 : 0;
            if (gone > 32) gone = 32;
            memmove(work + at, work + at + gone, size - at - gone);
            size -= gone;
            break;
        }
        case 4: { // a piece twice
            size_t twice = size ? below(size - at) + 1 : 0;
            if (twice > 64) twice = 64;
            if (size + twice > MOST_BYTES) break;
            memmove(work + at + twice, work + at, size - at);
            size += twice;
            break;
        }
        default: { // go on as another input does
            int other = (int)below((uint64_t)inputs);
            size_t from = corpus[other].size ? below(corpus[other].size) : 0, rest = corpus[other].size - from;
            if (at + rest > MOST_BYTES) break;
            memcpy(work + at, corpus[other].data + from, rest);
            size = at + rest;
        }
        }
    }
    return size;
}

int main(int argc, char **argv) {
    const char *name = getenv("GEMSIM_FUZZ_TARGET");
    Target *target = name ? target_named(name) : NULL;
    const char *folder = NULL;
    uint64_t mutations = 0, seed = 1, tried = 0;
    double seconds = 1e9;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--mutate") == 0 && i + 1 < argc) mutations = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) seconds = strtod(argv[++i], NULL);
        else if (strcmp(argv[i], "--keep") == 0 && i + 1 < argc) folder = argv[++i];
        else read_input(argv[i]);
    }
    if (!target || !inputs) {
        fprintf(stderr, "usage: GEMSIM_FUZZ_TARGET=elf|code|commands|job %s [--mutate N] [--seed S] [--seconds T] [--keep FOLDER] FILE...\n", argv[0]);
        return 2;
    }
    signal(SIGPROF, hang);
    signal(SIGABRT, aborted);
    if (!freopen("/dev/null", "w", stdout)) return 2; // programs print
    for (int i = 0, given = inputs; i < given; i++, tried++)
        if (run(target, corpus[i].data, corpus[i].size) && folder) keep(folder, corpus[i].data, corpus[i].size);
    state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (; mutations; mutations--, tried++) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((double)(now.tv_sec - start.tv_sec) > seconds) break;
        int i = (int)below((uint64_t)inputs);
        memcpy(work, corpus[i].data, corpus[i].size);
        size_t size = mutate(corpus[i].size);
        if (run(target, work, size)) keep(folder, work, size);
    }
    int edges = 0;
    for (size_t i = 0; i < EDGES; i++) edges += seen[i] != 0;
    fprintf(stderr, "inputs: %llu, edges: %d\n", (unsigned long long)tried, edges);
    return 0;
}
