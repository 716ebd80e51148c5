#include "gemmini_arithmetic.h"
#include "gemmini_state.h"

// The config command: its kind lies in the two lowest bits of rs1.

static unsigned field(uint64_t word, unsigned low, unsigned bits) { return (unsigned)(word >> low & ((UINT64_C(1) << bits) - 1)); }

static void config_execute(Gemmini *g, uint64_t rs1, uint64_t rs2) {
    ExecuteConfig *e = &g->execute;
    unsigned a_stride = field(rs1, 16, 16), c_stride = field(rs2, 48, 16);
    if (field(rs1, 7, 1)) {
        if (!e->set) fault_raise("unset_configuration", "config_ex that sets only the strides, before one that sets the rest");
        e->a_stride = a_stride;
        e->c_stride = c_stride;
        return;
    }
    int ws = (int)field(rs1, 2, 1), a_transpose = (int)field(rs1, 8, 1), b_transpose = (int)field(rs1, 9, 1);
    uint32_t shift = (uint32_t)rs2;
    if (b_transpose && ws == a_transpose)
        fault_raise("unsupported_command", "config_ex(%s) with %s: there is one transposer", ws ? "WS" : "OS",
                    ws ? "both A and B transposed" : "only B transposed, which output-stationary products cannot have");
    if (shift > 31) fault_raise("limit_exceeded", "config_ex with a sys_shift of %u: at most 31", shift);
    if (shift && g->floating) fault_raise("unsupported_command", "config_ex with a sys_shift of %u: float32 results are not shifted", shift);
    if (e->set && e->weight_stationary != ws) g->weights_set = g->partial_set = 0;
    *e = (ExecuteConfig){1, ws, a_transpose, b_transpose, field(rs1, 3, 2), a_stride, c_stride, shift};
}

static void config_load(Gemmini *g, uint64_t rs1, uint64_t rs2) {
    unsigned id = field(rs1, 3, 2), repeats = field(rs1, 8, 8);
    if (id >= LOAD_IDS) fault_raise("limit_exceeded", "config_ld with id %u: the ids are 0, 1 and 2", id);
    // Accumulator loads of float32 have the element's width and are scaled, shrunk or not.
    int shrunk = (int)field(rs1, 2, 1) && !g->floating;
    g->load[id] = (LoadConfig){1, shrunk, rs2, float_of_bits((uint32_t)(rs1 >> 32)), field(rs1, 16, 16), repeats ? repeats : 1};
}

static void config_store(Gemmini *g, uint64_t rs1, uint64_t rs2) {
    StoreConfig *s = &g->store;
    unsigned activation = field(rs1, 2, 2);
    uint32_t scale = (uint32_t)(rs2 >> 32);
    Pooling pool = {.stride = field(rs1, 4, 2), .size = field(rs1, 6, 2), .upad = field(rs1, 8, 2), .lpad = field(rs1, 10, 2), .out_dim = field(rs1, 24, 8),
                    .porows = field(rs1, 32, 8), .pocols = field(rs1, 40, 8), .orows = field(rs1, 48, 8), .ocols = field(rs1, 56, 8)};
    if (pool.size && !pool.stride) fault_raise("unsupported_command", "config_st with a pool_size of %u and a pool_stride of 0", pool.size);
    if (activation != ACTIVATION_NONE || s->activation != ACTIVATION_SOFTMAX) s->activation = activation; // softmax is sticky
    if (scale != UINT32_MAX) {
        s->scale = float_of_bits(scale);
        s->scale_set = 1;
    }
    s->stride = (uint32_t)rs2;
    s->pool = pool;
    s->set = 1;
}

static void config_norm(Gemmini *g, uint64_t rs1, uint64_t rs2) {
    NormConfig *n = &g->norm;
    unsigned stat_id = field(rs1, 8, 8), activation = g->store.activation | field(rs1, 16, 1) << 2;
    int32_t constant = (int32_t)(rs1 >> 32);
    if (stat_id >= STAT_IDS) fault_raise("limit_exceeded", "config_norm with stat id %u: the ids are 0 to 3", stat_id);
    if (field(rs1, 17, 1)) {
        n->stat_id = stat_id;
        return;
    }
    if (activation > ACTIVATION_SOFTMAX)
        fault_raise("unsupported_command", "config_norm turns activation %u into %u: softmax needs a config_st with activation 0 before it", g->store.activation, activation);
    n->stat_id = stat_id;
    n->qb = (int32_t)rs2;
    n->qc = (int32_t)(rs2 >> 32);
    n->polynomial_set = 1;
    if (field(rs1, 18, 1)) n->qln2_inv = constant, n->qln2_inv_set = 1;
    else n->qln2 = constant, n->qln2_set = 1;
    g->store.activation = activation;
}

void gemmini_configure(Gemmini *g, uint64_t rs1, uint64_t rs2, Op *op) {
    switch (rs1 & 3) {
    case 0:
        config_execute(g, rs1, rs2);
        *op = (Op){.unit = UNIT_EXECUTE, .kind = KIND_CONFIG_EX};
        return;
    case 1: config_load(g, rs1, rs2); *op = (Op){.unit = UNIT_LOAD, .kind = KIND_CONFIG}; return;
    case 2: config_store(g, rs1, rs2); *op = (Op){.unit = UNIT_STORE, .kind = KIND_CONFIG}; return;
    default: config_norm(g, rs1, rs2); *op = (Op){.unit = UNIT_STORE, .kind = KIND_CONFIG}; return;
    }
}
