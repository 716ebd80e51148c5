#include <stddef.h>
#include <string.h>

#include "config.h"

// Systems by name. Only the default has been measured: the others have its timing, with their own sizes (public
// documentation of the generator and of TinyMPC's build).

const char config_names[] = "gemmini16-int8, gemmini4-fp32, gemmini32-int8";

static const struct {
    const char *name;
    enum Element element;
    unsigned dim, spad_rows, acc_rows;
} SIZES[] = {
    {"gemmini4-fp32", ELEMENT_FLOAT32, 4, 16384, 4096},
    {"gemmini32-int8", ELEMENT_INT8, 32, 8192, 512},
};

const Config *config_named(const char *name) {
    static Config resized[sizeof SIZES / sizeof *SIZES];
    if (strcmp(name, config_gemmini16.name) == 0) return &config_gemmini16;
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        if (strcmp(name, SIZES[i].name) != 0) continue;
        resized[i] = config_gemmini16;
        resized[i].name = SIZES[i].name;
        resized[i].element = SIZES[i].element;
        resized[i].dim = SIZES[i].dim;
        resized[i].spad_rows = SIZES[i].spad_rows;
        resized[i].acc_rows = SIZES[i].acc_rows;
        resized[i].spad_row_bytes = SIZES[i].dim * (SIZES[i].element == ELEMENT_FLOAT32 ? 4 : 1);
        resized[i].acc_row_bytes = SIZES[i].dim * 4;
        return &resized[i];
    }
    return NULL;
}

#define CONSTANT(field, least, most) {#field, offsetof(Config, field), least, most}
static const struct {
    const char *name;
    size_t offset;
    unsigned least, most;
} CONSTANTS[] = {
    CONSTANT(every_cycle, 0, 1),
    CONSTANT(command_queue, 1, 16),
    CONSTANT(enter_cycles, 1, 100),
    CONSTANT(request_cycles, 1, 100),
    CONSTANT(request_slack, 0, 100),
    CONSTANT(load_write_cycles, 1, 100),
    CONSTANT(scale_cycles, 1, 100),
    CONSTANT(array_latency_cycles, 16, 200),
    CONSTANT(l2_hit_cycles, 1, 100),
    CONSTANT(l2_misses, 1, 16),
    CONSTANT(dram_latency_cycles, 0, 400),
    CONSTANT(dram_line_eighths, 8, 400),
    CONSTANT(dram_jump_eighths, 0, 400),
    CONSTANT(dram_write_back_eighths, 0, 400),
};

int config_set(Config *config, const char *constant, uint64_t value) {
    for (size_t i = 0; i < sizeof CONSTANTS / sizeof *CONSTANTS; i++) {
        if (strcmp(CONSTANTS[i].name, constant) != 0) continue;
        if (value < CONSTANTS[i].least || value > CONSTANTS[i].most) return 0;
        unsigned small = (unsigned)value;
        memcpy((char *)config + CONSTANTS[i].offset, &small, sizeof small);
        return 1;
    }
    return 0;
}
