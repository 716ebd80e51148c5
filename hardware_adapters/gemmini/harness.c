// Runs a kernel on a whole RISC-V machine: calls it in user mode, protected from it where the core has memory
// protection, and leaves a report for the host. The expected result is not in this machine.
#include <stdint.h>

enum { ARGUMENTS = 8, MAX_CALLS = 4, GROUPS = 64, SAMPLES = 32, REGIONS = 8, SYS_WRITE = 64, CAUSE_ECALL_FROM_USER = 8 };
enum { BEGUN = 1, FINISHED = 2, TRAPPED = 3, NOT_ISOLATED = 4 };
static const uint64_t MIX = 0x9e3779b97f4a7c15u;

struct Entry { // layout known to harness_start.S
    uint64_t pc, gp, sp, arguments[ARGUMENTS];
};

struct Outcome { // likewise
    uint64_t cycles, instret, cause, pc, value;
};

// Written by the host into the program (harness.py keeps the same order).
struct Parameters {
    uint64_t nonce, calls, unisolated_is_fine, print_report, keep_outputs, output, output_bytes;
    uint64_t report, copies, region[REGIONS], region_configuration, sample[SAMPLES];
    struct Entry kernel;
};
#define PARAMETERS ((const volatile struct Parameters *)0x80080000)

// Read back by the host: from memory, or as printed.
struct Call {
    uint64_t cycles, instret, group[GROUPS], sample[SAMPLES];
};
struct Report {
    uint64_t nonce, state, isolated, overhead_cycles, overhead_instret, calls, cause, pc, value;
    struct Call call[MAX_CALLS];
};

extern volatile uint64_t tohost, fromhost;
extern char user_return[], user_empty[], user_peek[];
void protect(const uint64_t address[REGIONS], uint64_t configuration);
void run_user(struct Outcome *, const struct Entry *);

static volatile uint64_t message[8] __attribute__((aligned(64)));
static char text[64 + 17 * sizeof(struct Report) / 8];

static void print(const char *from, uint64_t bytes) {
    message[0] = SYS_WRITE;
    message[1] = 1;
    message[2] = (uint64_t)from;
    message[3] = bytes;
    __asm__ volatile("fence" ::: "memory");
    tohost = (uint64_t)message;
    while (fromhost == 0) {
    }
    fromhost = 0;
    __asm__ volatile("fence" ::: "memory");
}

static _Noreturn void leave(void) {
    __asm__ volatile("fence" ::: "memory");
    for (;;) tohost = 1;
}

static char *put(char *at, const char *word) {
    while (*word) *at++ = *word++;
    return at;
}

static char *put_hex(char *at, uint64_t value) {
    for (int shift = 60; shift >= 0; shift -= 4) *at++ = "0123456789abcdef"[value >> shift & 15];
    return at;
}

// One line, so that nothing an engine prints can come between its words.
static void print_words(const char *title, const uint64_t *words, uint64_t count) {
    char *at = put(text, title);
    for (uint64_t i = 0; i < count; i++) {
        *at++ = ' ';
        at = put_hex(at, words[i]);
    }
    *at++ = '\n';
    print(text, (uint64_t)(at - text));
}

static uint64_t mixed(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * MIX;
    return hash ^ hash >> 29;
}

// Whole words; the host counts the bytes after the output's end as they were laid down.
static void summarise(struct Call *call, const volatile uint8_t *output, uint64_t bytes, uint64_t nonce) {
    const volatile uint64_t *words = (const volatile uint64_t *)output;
    uint64_t count = (bytes + 7) / 8, each = (count + GROUPS - 1) / GROUPS;
    for (uint64_t g = 0; g < GROUPS; g++) {
        uint64_t hash = nonce + g, end = (g + 1) * each < count ? (g + 1) * each : count;
        for (uint64_t i = g * each; i < end; i++) hash = mixed(hash, words[i]);
        call->group[g] = hash;
    }
    for (int i = 0; i < SAMPLES; i++) call->sample[i] = output[PARAMETERS->sample[i]];
}

static void poison(volatile uint8_t *output, uint64_t bytes, uint8_t byte) {
    for (uint64_t i = 0; i < bytes; i++) output[i] = byte;
}

static void copy(volatile uint64_t *to, const volatile uint8_t *from, uint64_t bytes) {
    const volatile uint64_t *words = (const volatile uint64_t *)from;
    for (uint64_t i = 0; i < (bytes + 7) / 8; i++) to[i] = words[i];
}

static int returned(const struct Outcome *o) {
    return o->cause == CAUSE_ECALL_FROM_USER && o->pc == (uint64_t)user_return;
}

static struct Outcome run(void *pc, uint64_t argument) {
    struct Outcome outcome;
    struct Entry entry = {.pc = (uint64_t)pc, .sp = PARAMETERS->kernel.sp, .arguments = {argument}};
    run_user(&outcome, &entry);
    return outcome;
}

static void call_kernel(struct Report *report, const struct Entry *kernel) {
    const volatile struct Parameters *p = PARAMETERS;
    volatile uint8_t *output = (volatile uint8_t *)p->output;
    uint64_t words = (p->output_bytes + 7) / 8;
    for (uint64_t i = 0; i < p->calls; i++) {
        struct Outcome outcome;
        if (i) poison(output, p->output_bytes, i & 1 ? 0x5a : 0xa5); // the first poison came with the program: caches stay cold
        run_user(&outcome, kernel);
        if (!returned(&outcome)) {
            report->state = TRAPPED;
            report->cause = outcome.cause;
            report->pc = outcome.pc;
            report->value = outcome.value;
            return;
        }
        report->call[i].cycles = outcome.cycles;
        report->call[i].instret = outcome.instret;
        if (p->keep_outputs) copy((volatile uint64_t *)p->copies + i * words, output, p->output_bytes);
        else summarise(&report->call[i], output, p->output_bytes, p->nonce);
        report->calls = i + 1;
    }
    report->state = FINISHED;
}

_Noreturn void harness(void) {
    const volatile struct Parameters *p = PARAMETERS;
    struct Report *report = (struct Report *)p->report;
    uint64_t region[REGIONS], nonce = p->nonce;
    for (uint64_t i = 0; i < sizeof *report / 8; i++) ((volatile uint64_t *)report)[i] = 0; // DRAM may hold anything
    struct Entry kernel = {.pc = p->kernel.pc, .gp = p->kernel.gp, .sp = p->kernel.sp};
    for (int i = 0; i < ARGUMENTS; i++) kernel.arguments[i] = p->kernel.arguments[i];
    for (int i = 0; i < REGIONS; i++) region[i] = p->region[i];
    protect(region, p->region_configuration);
    // Believed only when tried: user mode must not get at the parameters.
    struct Outcome peek = run(user_peek, (uint64_t)p);
    report->isolated = !returned(&peek);
    run(user_empty, 0);
    struct Outcome empty = run(user_empty, 0);
    report->overhead_cycles = empty.cycles;
    report->overhead_instret = empty.instret;
    report->state = BEGUN;
    report->nonce = nonce;
    print_words("autocomp-begun", &nonce, 1);
    if (report->isolated || p->unisolated_is_fine) call_kernel(report, &kernel);
    else report->state = NOT_ISOLATED;
    if (p->print_report) print_words("autocomp-report", (const uint64_t *)report, sizeof *report / 8);
    leave();
}
