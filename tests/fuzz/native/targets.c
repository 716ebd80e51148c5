// What the targets share.
#define _POSIX_C_SOURCE 200809L
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine.h"
#include "profile.h"

Target *target_named(const char *name) {
    static const struct { const char *name; Target *target; } known[] = {
        {"elf", fuzz_elf}, {"code", fuzz_code}, {"commands", fuzz_commands}, {"job", fuzz_job},
        {"overrun", planted_overrun}, {"overflow", planted_overflow}, {"hang", planted_hang}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0) return known[i].target;
    return NULL;
}

static char file_name[300];
static void remove_file(void) { unlink(file_name); }

const char *file_of(const uint8_t *data, size_t size) {
    static FILE *file;
    if (!file) {
        const char *folder = getenv("TMPDIR");
        snprintf(file_name, sizeof file_name, "%s/gemsim-fuzz-XXXXXX", folder ? folder : "/tmp");
        int descriptor = mkstemp(file_name);
        file = descriptor < 0 ? NULL : fdopen(descriptor, "wb");
        if (!file) abort();
        atexit(remove_file);
    }
    rewind(file);
    if (ftruncate(fileno(file), 0) != 0 || (size && fwrite(data, 1, size, file) != size) || fflush(file) != 0) abort();
    return file_name;
}

Machine *machine_of(unsigned configuration, int timed) {
    static Machine machine[CONFIGURATIONS];
    static int made[CONFIGURATIONS];
    static Config every_cycle; // no cycle skipped: another path through the timing
    static const char *const NAMES[CONFIGURATIONS] = {"gemmini16-int8", "gemmini4-fp32", "gemmini32-int8", NULL};
    const char *name = NAMES[configuration];
    Machine *m = &machine[configuration];
    if (!made[configuration]) {
        every_cycle = config_gemmini16;
        every_cycle.every_cycle = 1;
        if (!machine_new(m, name ? config_named(name) : &every_cycle)) abort();
        made[configuration] = 1;
    }
    m->hart->elf = NULL;
    m->hart->traps_are_faults = 1;
    m->hart->allow_misaligned = 0;
    m->hart->tohost = m->hart->fromhost = 0;
    memory_clear(m->memory);
    machine_reset(m, timed);
    return m;
}

Gemmini *gemmini_of(Machine *m) { return m->gemmini; }
Memory *memory_of(Machine *m) { return m->memory; }

void write_profile(Machine *m, uint64_t cycle) {
    char error[300];
    m->rocket->now = cycle;
    if (!profile_write(m, "/dev/null", "/dev/null", cycle, error)) abort();
}
