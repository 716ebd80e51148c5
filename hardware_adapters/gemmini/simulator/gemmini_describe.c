#include <inttypes.h>

#include "gemmini_state.h"

// Commands as text, for diagnoses.

static void describe_local(char *text, size_t n, Operand o) {
    if (o.local == GARBAGE) {
        snprintf(text, n, "NONE");
        return;
    }
    int acc = in_accumulator(o.local);
    const char *mode = acc && (o.local & ACCUMULATE_BIT) ? "+" : acc && (o.local & FULL_BIT) ? " full" : "";
    snprintf(text, n, "%s%s 0x%x %ux%u", acc ? "acc" : "spad", mode, o.local & ROW_MASK, o.rows, o.cols);
}

static const char *name_of(unsigned funct, uint64_t rs1) {
    static const char *const NAMES[] = {
        [FUNCT_MVIN2] = "mvin2", [FUNCT_MVIN] = "mvin", [FUNCT_MVOUT] = "mvout", [FUNCT_COMPUTE_PRELOADED] = "compute_preloaded",
        [FUNCT_COMPUTE_ACCUMULATED] = "compute_accumulated", [FUNCT_PRELOAD] = "preload", [FUNCT_FLUSH] = "flush", [FUNCT_LOOP_WS] = "loop_ws",
        [9] = "loop_ws_config_bounds", [10] = "loop_ws_config_addrs_ab", [11] = "loop_ws_config_addrs_dc", [12] = "loop_ws_config_strides_ab",
        [FUNCT_LOOP_WS_LAST] = "loop_ws_config_strides_dc", [FUNCT_MVIN3] = "mvin3", [FUNCT_LOOP_CONV] = "loop_conv_ws",
        [FUNCT_LOOP_CONV_FIRST] = "loop_conv_ws_config_1", [17] = "loop_conv_ws_config_2", [18] = "loop_conv_ws_config_3",
        [19] = "loop_conv_ws_config_4", [20] = "loop_conv_ws_config_5", [FUNCT_LOOP_CONV_LAST] = "loop_conv_ws_config_6"};
    static const char *const CONFIGS[] = {"config_ex", "config_ld", "config_st", "config_norm"};
    if (funct == FUNCT_CONFIG) return CONFIGS[rs1 & 3];
    if (funct == FUNCT_COUNTER) return "counter";
    return funct < sizeof NAMES / sizeof *NAMES ? NAMES[funct] : NULL;
}

void gemmini_describe(unsigned funct, uint64_t rs1, uint64_t rs2, char *text, size_t n) {
    const char *name = name_of(funct, rs1);
    char first[64], second[64];
    describe_local(first, sizeof first, operand_of(rs1));
    describe_local(second, sizeof second, operand_of(rs2));
    switch (funct) {
    case FUNCT_MVIN: case FUNCT_MVIN2: case FUNCT_MVIN3: case FUNCT_MVOUT:
        snprintf(text, n, "%s dram=0x%" PRIx64 " local=%s (rows x columns)", name, rs1, second);
        return;
    case FUNCT_PRELOAD: case FUNCT_COMPUTE_PRELOADED: case FUNCT_COMPUTE_ACCUMULATED:
        snprintf(text, n, "%s %s, %s (rows x columns)", name, first, second);
        return;
    case FUNCT_FLUSH: snprintf(text, n, "flush"); return;
    default:
        if (name) snprintf(text, n, "%s rs1=0x%" PRIx64 " rs2=0x%" PRIx64, name, rs1, rs2);
        else snprintf(text, n, "custom-3 funct=%u rs1=0x%" PRIx64 " rs2=0x%" PRIx64, funct, rs1, rs2);
    }
}
