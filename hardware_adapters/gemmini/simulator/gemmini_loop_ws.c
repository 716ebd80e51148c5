#include "gemmini_state.h"

// loop_ws: a tile of C = A x B + D, or the sum of two matrices. The commands are those that the hardware sends, several
// blocks wide where it does so; `after` follows its unroller (LoopMatmul in the generator's source).

static const char NAME[] = "loop_ws";

enum { FULL_C = 2, LOW_D = 4, RESIDUAL_ADD = 4, RUN_RS2_BITS = 7 };

typedef struct Dim { // of blocks; the last has `pad` rows or columns less
    unsigned blocks, pad;
} Dim;

typedef struct MatmulLoop {
    Gemmini *g;
    Dim i, j, k;
    uint64_t a, b, c, d;                                   // DRAM, 0: skip
    uint64_t a_stride, b_stride, c_stride, d_stride;       // elements
    unsigned accumulate, full_c, low_d, activation, a_transpose, b_transpose;
    uint32_t a_row, b_row, c_row;                          // local
    unsigned wide;                                         // most blocks of elements in one move
    unsigned a_i_step, a_k_step, b_k_step, b_j_step, c_step, d_step; // blocks that each load or store covers
    uint32_t a_count, b_count, d_count, execute_count;     // commands of each stream
} MatmulLoop;

static unsigned extent(const MatmulLoop *l, Dim d, unsigned block) { return l->g->dim - (block == d.blocks - 1 ? d.pad : 0); }

// Columns of `count` blocks from `block` on.
static unsigned span(const MatmulLoop *l, Dim d, unsigned block, unsigned count) {
    return (count - 1) * l->g->dim + extent(l, d, block + count - 1);
}

static unsigned ceil_div(unsigned a, unsigned b) { return (a + b - 1) / b; }
static unsigned wide_blocks(unsigned row_bytes) { return row_bytes < WIDE_MOVE_BYTES ? WIDE_MOVE_BYTES / row_bytes : 1; }
static unsigned least(unsigned a, unsigned b) { return a < b ? a : b; }

// --- reading the registers

static Dim dimension(uint64_t bounds, uint64_t pads, unsigned shift, const char *name, unsigned dim) {
    Dim d = {bounds >> shift & 0xffff, pads >> shift & 0xffff};
    if (!name) return (Dim){1, 0}; // does not matter
    if (!d.blocks) fault_raise("limit_exceeded", "loop_ws with %s = 0 blocks", name);
    if (d.pad >= dim) fault_raise("limit_exceeded", "loop_ws with pad_%s = %u: less than %u", name, d.pad, dim);
    return d;
}

static void check_load_config(const MatmulLoop *l, unsigned id, int used, const char *operand, int into_acc, int narrow) {
    const LoadConfig *c = &l->g->load[id];
    if (!used || !c->set) return; // the mvin itself tells when it is not set
    if (into_acc && !l->g->floating && c->shrunk != narrow)
        fault_raise("unsupported_command", "loop_ws loads %s as %s, but config_ld %u is %sshrunk", operand, narrow ? "int8" : "int32", id, narrow ? "not " : "");
    if (c->block_stride != l->g->dim)
        fault_raise("limit_exceeded", "loop_ws loads %s several blocks at once, but config_ld %u has a block stride of %u rows: use %u", operand, id, c->block_stride, l->g->dim);
}

static void check_sizes(const MatmulLoop *l) {
    const Config *config = l->g->config;
    uint64_t dim = l->g->dim, i = l->i.blocks, j = l->j.blocks, k = l->k.blocks;
    if ((i * k + k * j) * dim > config->spad_rows / 2)
        fault_raise("limit_exceeded", "loop_ws with I, J, K = %u, %u, %u blocks: A and B take %u rows, half of the scratchpad has %u", l->i.blocks, l->j.blocks, l->k.blocks,
                    (unsigned)((i * k + k * j) * dim), config->spad_rows / 2);
    if (i * j * dim > config->acc_rows / 2)
        fault_raise("limit_exceeded", "loop_ws with I, J = %u, %u blocks: C takes %u rows, half of the accumulator has %u", l->i.blocks, l->j.blocks, (unsigned)(i * j * dim),
                    config->acc_rows / 2);
}

static MatmulLoop read_registers(Gemmini *g, uint64_t rs1, uint64_t rs2) {
    const LoopState *s = &g->loop_ws;
    unsigned dim = g->dim;
    MatmulLoop l = {
        .g = g, .i = dimension(s->rs2[0], s->rs1[0], 0, "I", dim), .j = dimension(s->rs2[0], s->rs1[0], 16, "J", dim),
        .k = dimension(s->rs2[0], s->rs1[0], 32, rs2 & RESIDUAL_ADD ? NULL : "K", dim), .a = s->rs1[1], .b = s->rs2[1], .d = s->rs1[2], .c = s->rs2[2],
        .a_stride = s->rs1[3], .b_stride = s->rs2[3], .d_stride = s->rs1[4], .c_stride = s->rs2[4],
        .accumulate = rs1 & 1, .full_c = (rs1 & FULL_C) != 0, .low_d = (rs1 & LOW_D) != 0 || g->floating, .activation = rs1 >> 8 & 7,
        .a_transpose = rs2 & 1, .b_transpose = rs2 >> 1 & 1, .wide = wide_blocks(dim * g->element_bytes)};
    if (rs2 & ~(uint64_t)RUN_RS2_BITS) fault_raise("unsupported_command", "loop_ws with 0x%llx in rs2: only bits 0 to 2 are known", (unsigned long long)rs2);
    if (l.a_transpose && l.b_transpose) fault_raise("unsupported_command", "loop_ws with both A and B transposed: there is one transposer");
    if (l.full_c && (l.activation == ACTIVATION_LAYERNORM || l.activation == ACTIVATION_SOFTMAX))
        fault_raise("unsupported_command", "loop_ws with full_C and activation %u: normalised results have the element's width", l.activation);
    return l;
}

// --- moves

static void send_mvin(MatmulLoop *l, unsigned stream, const LoopAfter *after, unsigned funct, uint64_t dram, uint32_t local, unsigned cols, unsigned rows) {
    loop_send(l->g, stream, after, funct, dram, operand_word(local, cols, rows));
}

static uint32_t c_address(const MatmulLoop *l, unsigned i, unsigned j) { return ACC_BIT | (l->c_row + (i * l->j.blocks + j) * l->g->dim); }

static void load_d(MatmulLoop *l) {
    Gemmini *g = l->g;
    unsigned row_bytes = g->dim * (l->low_d ? g->element_bytes : ACC_BYTES);
    for (unsigned j = 0; j < l->j.blocks; j += l->d_step)
        for (unsigned i = 0; i < l->i.blocks; i++) {
            unsigned blocks = least(l->d_step, l->j.blocks - j);
            send_mvin(l, STREAM_D, NULL, FUNCT_MVIN3, l->d + (i * l->d_stride + j) * row_bytes, c_address(l, i, j), span(l, l->j, j, blocks), extent(l, l->i, i));
        }
}

// The block of A at (i, k) and those that one load brings with it.
static void load_a(MatmulLoop *l, unsigned i, unsigned k) {
    Gemmini *g = l->g;
    uint64_t row_bytes = (uint64_t)g->dim * g->element_bytes;
    if (!l->a || i % l->a_i_step || k % l->a_k_step) return;
    if (l->a_transpose)
        send_mvin(l, STREAM_A, NULL, FUNCT_MVIN, l->a + (k * l->a_stride + i) * row_bytes, l->a_row + (k * l->i.blocks + i) * g->dim,
                  span(l, l->i, i, least(l->a_i_step, l->i.blocks - i)), extent(l, l->k, k));
    else
        send_mvin(l, STREAM_A, NULL, FUNCT_MVIN, l->a + (i * l->a_stride + k) * row_bytes, l->a_row + (i * l->k.blocks + k) * g->dim,
                  span(l, l->k, k, least(l->a_k_step, l->k.blocks - k)), extent(l, l->i, i));
}

static void load_b(MatmulLoop *l, unsigned k, unsigned j) {
    Gemmini *g = l->g;
    uint64_t row_bytes = (uint64_t)g->dim * g->element_bytes;
    if (!l->b || k % l->b_k_step || j % l->b_j_step) return;
    if (l->b_transpose)
        send_mvin(l, STREAM_B, NULL, FUNCT_MVIN2, l->b + (j * l->b_stride + k) * row_bytes, l->b_row + (j * l->k.blocks + k) * g->dim,
                  span(l, l->k, k, least(l->b_k_step, l->k.blocks - k)), extent(l, l->j, j));
    else
        send_mvin(l, STREAM_B, NULL, FUNCT_MVIN2, l->b + (k * l->b_stride + j) * row_bytes, l->b_row + (k * l->j.blocks + j) * g->dim,
                  span(l, l->j, j, least(l->b_j_step, l->j.blocks - j)), extent(l, l->k, k));
}

// --- when the unroller sends what

// Loads (outer, inner) go out with the inner index fastest. How many have gone when the loader is past (outer, inner)?
static uint32_t loads_past(unsigned outer, unsigned inner, unsigned outer_step, unsigned inner_step, Dim inner_dim, uint32_t count) {
    uint32_t per_group = ceil_div(inner_dim.blocks, inner_step);
    uint32_t sent = outer / outer_step * per_group + (outer % outer_step ? per_group : inner / inner_step + 1);
    return sent < count ? sent : count;
}

static LoopAfter before_execute(const MatmulLoop *l, unsigned k, unsigned j, unsigned i) {
    LoopAfter after = {{0}};
    after.sent[STREAM_A] = loads_past(k, i, l->a_k_step, l->a_i_step, l->i, l->a_count);
    // The hardware looks at B's column only while A's loader is at this k; at a k that A's loader skips, or without A at
    // any but the first, the whole row of B has to be on its way.
    int whole_row = l->a_count ? k % l->a_k_step != 0 : k > 0;
    after.sent[STREAM_B] = loads_past(k, whole_row ? l->j.blocks - 1 : j, l->b_k_step, l->b_j_step, l->j, l->b_count);
    after.sent[STREAM_D] = l->d_count;
    return after;
}

// --- products and results

static void execute(MatmulLoop *l, unsigned k, unsigned j, unsigned i) {
    Gemmini *g = l->g;
    unsigned m = extent(l, l->i, i), n = extent(l, l->j, j), depth = extent(l, l->k, k), dim = g->dim;
    uint32_t a = l->a_row + (l->a_transpose ? k * l->i.blocks + i : i * l->k.blocks + k) * dim;
    uint32_t b = l->b_row + (l->b_transpose ? j * l->k.blocks + k : k * l->j.blocks + j) * dim;
    uint32_t c = c_address(l, i, j) | (k > 0 || l->accumulate ? ACCUMULATE_BIT : 0);
    LoopAfter after = before_execute(l, k, j, i);
    loop_send(g, STREAM_EXECUTE, &after, FUNCT_PRELOAD, operand_word(i == 0 ? b : GARBAGE, n, depth), operand_word(c, n, m));
    loop_send(g, STREAM_EXECUTE, &after, i == 0 ? FUNCT_COMPUTE_PRELOADED : FUNCT_COMPUTE_ACCUMULATED, operand_word(a, depth, m), operand_word(GARBAGE, dim, dim));
}

static void store(MatmulLoop *l, const LoopAfter *after, unsigned i, unsigned j) {
    unsigned element = l->full_c ? ACC_BYTES : l->g->element_bytes, blocks = least(l->c_step, l->j.blocks - j);
    loop_send(l->g, STREAM_C, after, FUNCT_MVOUT, l->c + (i * l->c_stride + j) * l->g->dim * element,
              operand_word(c_address(l, i, j) | (l->full_c ? FULL_BIT : 0), span(l, l->j, j, blocks), extent(l, l->i, i)));
}

// Columns of results up to and with j are complete for row block i: store those that one mvout takes.
static void store_completed(MatmulLoop *l, unsigned j, unsigned i) {
    if (!l->c || ((j + 1) % l->c_step && j + 1 < l->j.blocks)) return;
    LoopAfter after = {{0}};
    after.sent[STREAM_EXECUTE] = 2 * (((l->k.blocks - 1) * l->j.blocks + j) * l->i.blocks + i + 1);
    store(l, &after, i, j / l->c_step * l->c_step);
}

// Statistics in two passes over each row, then the row itself: four rows at a time, one per stat id.
static void store_normalised(MatmulLoop *l, unsigned i) {
    static const unsigned COMMANDS[2][3][2] = {{{1, 2}, {3, 4}, {0, 0}}, {{5, 5}, {6, 7}, {0, 0}}}; // within a row; at its end
    Gemmini *g = l->g;
    unsigned rows = extent(l, l->i, i);
    LoopAfter after = {{0}};
    after.sent[STREAM_EXECUTE] = l->execute_count;
    for (unsigned first = 0; first < rows; first += STAT_IDS)
        for (unsigned pass = 0; pass < 3; pass++)
            for (unsigned row = first; row < least(first + STAT_IDS, rows); row++) {
                loop_send(g, STREAM_C, &after, FUNCT_CONFIG, 1u << 17 | (row - first) << 8 | 3, 0);
                for (unsigned j = 0; j < l->j.blocks; j += l->c_step) {
                    unsigned blocks = least(l->c_step, l->j.blocks - j), command = COMMANDS[l->activation == ACTIVATION_SOFTMAX][pass][j + blocks == l->j.blocks];
                    uint64_t dram = l->c + ((i * l->c_stride + j) * g->dim + row * l->c_stride) * g->element_bytes;
                    loop_send(g, STREAM_C, &after, FUNCT_MVOUT, dram, operand_word((c_address(l, i, j) + row) | command << NORM_SHIFT, span(l, l->j, j, blocks), 1));
                }
            }
}

static void multiply(MatmulLoop *l) {
    int normalised = l->c && (l->activation == ACTIVATION_LAYERNORM || l->activation == ACTIVATION_SOFTMAX);
    if (l->d) load_d(l);
    for (unsigned k = 0; k < l->k.blocks; k++)
        for (unsigned j = 0; j < l->j.blocks; j++)
            for (unsigned i = 0; i < l->i.blocks; i++) {
                int last_k = k == l->k.blocks - 1;
                if (j == 0) load_a(l, i, k);
                if (i == 0) load_b(l, k, j);
                execute(l, k, j, i);
                if (last_k && !normalised) store_completed(l, j, i);
                if (last_k && normalised && j == l->j.blocks - 1) store_normalised(l, i);
            }
}

// --- residual add: A + B, through the accumulator

static void add_matrices(MatmulLoop *l) {
    Gemmini *g = l->g;
    uint64_t row_bytes = (uint64_t)g->dim * g->element_bytes;
    unsigned groups = ceil_div(l->j.blocks, l->wide);
    for (unsigned j = 0; l->a && j < l->j.blocks; j += l->wide)
        for (unsigned i = 0; i < l->i.blocks; i++)
            send_mvin(l, STREAM_A, NULL, FUNCT_MVIN, l->a + (i * l->a_stride + j) * row_bytes, c_address(l, i, j), span(l, l->j, j, least(l->wide, l->j.blocks - j)), extent(l, l->i, i));
    LoopAfter after = {{0}};
    after.sent[STREAM_A] = g->trace.sent[STREAM_A];
    for (unsigned i = 0; l->b && i < l->i.blocks; i++)
        for (unsigned j = 0; j < l->j.blocks; j += l->wide)
            send_mvin(l, STREAM_B, &after, FUNCT_MVIN2, l->b + (i * l->b_stride + j) * row_bytes, c_address(l, i, j) | ACCUMULATE_BIT,
                      span(l, l->j, j, least(l->wide, l->j.blocks - j)), extent(l, l->i, i));
    for (unsigned j = 0; l->c && j < l->j.blocks; j += l->c_step)
        for (unsigned i = 0; i < l->i.blocks; i++) {
            unsigned past = i * groups + least(j + l->c_step - 1, l->j.blocks - 1) / l->wide + 1;
            after.sent[STREAM_B] = l->b ? past : 0;
            store(l, &after, i, j);
        }
}

void loop_matmul(Gemmini *g, uint64_t rs1, uint64_t rs2) {
    LoopState *s = &g->loop_ws;
    loop_begin(g, s, FUNCT_LOOP_WS_LAST - FUNCT_LOOP_WS_FIRST + 1, NAME);
    MatmulLoop l = read_registers(g, rs1, rs2);
    int residual = (rs2 & RESIDUAL_ADD) != 0;
    check_sizes(&l);
    check_load_config(&l, 0, l.a != 0, "A", residual, 1);
    check_load_config(&l, 1, l.b != 0, "B", residual, 1);
    l.c_step = l.full_c ? 1 : least(l.wide, l.j.blocks);
    if (residual) {
        if (l.d) fault_raise("unsupported_command", "loop_ws adds residuals, and has a D: it adds A and B only");
        if (l.a_transpose || l.b_transpose) fault_raise("unsupported_command", "loop_ws adds residuals: it cannot transpose");
        l.c_row = s->runs % 2 * (g->config->acc_rows / 2);
        add_matrices(&l);
        loop_end(s, l.c != 0);
        return;
    }
    check_load_config(&l, 2, l.d != 0, "D", 1, (int)l.low_d);
    uint32_t a_half = loop_spad_half(g, s, rs1 >> 18 & 3, NAME), b_half = loop_spad_half(g, s, rs1 >> 16 & 3, NAME);
    l.a_row = a_half;
    l.b_row = b_half + g->config->spad_rows / 2 - l.k.blocks * l.j.blocks * g->dim;
    l.c_row = loop_acc_half(g, s);
    l.a_i_step = l.a_transpose ? least(l.wide, l.i.blocks) : 1;
    l.a_k_step = l.a_transpose ? 1 : least(l.wide, l.k.blocks);
    l.b_k_step = l.b_transpose ? least(l.wide, l.k.blocks) : 1;
    l.b_j_step = l.b_transpose ? 1 : least(l.wide, l.j.blocks);
    l.a_count = l.a ? ceil_div(l.i.blocks, l.a_i_step) * ceil_div(l.k.blocks, l.a_k_step) : 0;
    l.b_count = l.b ? ceil_div(l.k.blocks, l.b_k_step) * ceil_div(l.j.blocks, l.b_j_step) : 0;
    l.d_step = l.low_d ? l.wide : wide_blocks(g->dim * ACC_BYTES);
    l.d_count = l.d ? l.i.blocks * ceil_div(l.j.blocks, l.d_step) : 0;
    l.execute_count = 2 * l.i.blocks * l.j.blocks * l.k.blocks;
    multiply(&l);
    loop_end(s, l.c != 0);
}
