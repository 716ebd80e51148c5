#include "gemmini_arithmetic.h"
#include "gemmini_state.h"

// preload and compute in both dataflows. The array is dim x dim; outside of an operand's limits a matrix is 0, so
// every product is one of whole arrays.

typedef struct Product { // of one compute; row-major dim x dim
    float left[MAX_DIM * MAX_DIM];
    union {
        int32_t i[MAX_DIM * MAX_DIM];
        float f[MAX_DIM * MAX_DIM];
    } sum;
} Product;

// --- operands

// Rows that an operand takes up. Limits are those of the logical matrix: a transposed one lies there with its columns as rows.
static Range operand_range(const Gemmini *g, Operand o, unsigned stride, int transposed, const char *what) {
    if (o.local == GARBAGE) return (Range){0, 0};
    check_size(g, o, g->dim, what);
    if (in_accumulator(o.local)) fault_raise("bad_local_address", "%s comes from the scratchpad, not from the accumulator", what);
    return local_range(g, o.local, ((transposed ? o.cols : o.rows) - 1) * stride + 1, what);
}

static void gather_row(const Gemmini *g, uint32_t row, unsigned count, float *to, unsigned step) {
    if (g->floating)
        for (unsigned c = 0; c < count; c++) to[c * step] = spad_float(g, row)[c];
    else
        for (unsigned c = 0; c < count; c++) to[c * step] = spad_int8(g, row)[c];
}

enum { USUAL_DIM = 16 };

static void gather_usual_row(const Gemmini *g, uint32_t row, float *to) { // constant count and no aliasing: vector code
    int8_t value[USUAL_DIM];
    memcpy(value, spad_int8(g, row), sizeof value);
    for (unsigned c = 0; c < USUAL_DIM; c++) to[c] = value[c];
}

static int rows_set(const Gemmini *g, uint32_t row, unsigned count) {
    unsigned set = 1;
    for (unsigned r = 0; r < count; r++) set &= g->spad_set[row + r];
    return (int)set;
}

// A whole array full of int8, row after row, without a branch for each.
static int gather_usual(const Gemmini *g, Operand o, unsigned stride, int transposed, float *to) {
    uint32_t row = o.local & ROW_MASK;
    if (g->floating || g->dim != USUAL_DIM || transposed || stride != 1 || o.rows != USUAL_DIM || o.cols != USUAL_DIM || !rows_set(g, row, USUAL_DIM)) return 0;
    for (unsigned r = 0; r < USUAL_DIM; r++) gather_usual_row(g, row + r, to + r * USUAL_DIM);
    return 1;
}

// The operand as the array sees it, zeros outside of its limits. float32 holds int8 exactly.
static void gather(const Gemmini *g, Operand o, unsigned stride, int transposed, const char *what, float *to) {
    unsigned dim = g->dim, lying = transposed ? o.cols : o.rows, count = transposed ? o.rows : o.cols;
    if (o.local == GARBAGE || o.rows < dim || o.cols < dim) memset(to, 0, (size_t)dim * dim * sizeof *to);
    if (o.local == GARBAGE || gather_usual(g, o, stride, transposed, to)) return;
    for (unsigned r = 0; r < lying; r++) {
        uint32_t row = (o.local & ROW_MASK) + r * stride;
        need_row(g, 0, row, what);
        if (transposed) gather_row(g, row, count, to + r, dim);
        else if (count == USUAL_DIM && !g->floating) gather_usual_row(g, row, to + r * dim);
        else gather_row(g, row, count, to + r * dim, 1);
    }
}

// The bias, as the start of the sums.
static void start_sums(const Gemmini *g, Operand d, const char *what, Product *p) {
    unsigned dim = g->dim;
    memset(&p->sum, 0, (size_t)dim * dim * sizeof *p->sum.i);
    if (d.local == GARBAGE) return;
    for (unsigned r = 0; r < d.rows; r++) {
        uint32_t row = (d.local & ROW_MASK) + r;
        need_row(g, 0, row, what);
        if (g->floating) memcpy(p->sum.f + r * dim, spad_float(g, row), d.cols * sizeof(float));
        else
            for (unsigned c = 0; c < d.cols; c++) p->sum.i[r * dim + c] = spad_int8(g, row)[c];
    }
}

// --- products

// Inlined with constant sizes: the loops become vector code.
static inline __attribute__((always_inline)) void multiply_int8(const float *left, const float *right, unsigned rows, int32_t *sum, unsigned dim) {
    for (unsigned r = 0; r < rows; r++) {
        float product[MAX_DIM] = {0};
        for (unsigned k = 0; k < dim; k++)
            for (unsigned c = 0; c < dim; c++) product[c] += left[r * dim + k] * right[k * dim + c];
        for (unsigned c = 0; c < dim; c++) sum[r * dim + c] = wrap_add(sum[r * dim + c], (int32_t)product[c]);
    }
}

// Vectors of 32 bytes; wider ones slow down some processors' clock for all that follows.
enum { LANES = 8 };
typedef float Lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t IntLanes __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef uint32_t SumLanes __attribute__((vector_size(LANES * sizeof(uint32_t))));

static inline Lanes load_lanes(const float *from) {
    Lanes lanes;
    memcpy(&lanes, from, sizeof lanes);
    return lanes;
}

static inline void add_lanes(int32_t *to, SumLanes sum) {
    SumLanes total;
    memcpy(&total, to, sizeof total);
    total += sum;
    memcpy(to, &total, sizeof total);
}

// The same for the usual size, in blocks of rows and columns whose sums stay in registers.
static void multiply_usual(const float *left, const float *right, unsigned rows, int32_t *sum) {
#pragma STDC FP_CONTRACT ON // every sum is exact, fused or not
    for (unsigned r = 0; r < rows; r += 4, left += 4 * USUAL_DIM, sum += 4 * USUAL_DIM)
        for (unsigned c = 0; c < USUAL_DIM; c += 2 * LANES) {
            Lanes product[4][2] = {{{0}}};
            for (unsigned k = 0; k < USUAL_DIM; k++) {
                Lanes first = load_lanes(right + k * USUAL_DIM + c), second = load_lanes(right + k * USUAL_DIM + c + LANES);
                for (unsigned i = 0; i < 4; i++) {
                    product[i][0] += left[i * USUAL_DIM + k] * first;
                    product[i][1] += left[i * USUAL_DIM + k] * second;
                }
            }
            for (unsigned i = 0; i < 4; i++)
                for (unsigned half = 0; half < 2; half++)
                    add_lanes(sum + i * USUAL_DIM + c + half * LANES, (SumLanes)__builtin_convertvector(product[i][half], IntLanes));
        }
}

static void multiply_float(const float *left, const float *right, float *sum, unsigned dim) {
    for (unsigned r = 0; r < dim; r++)
        for (unsigned k = 0; k < dim; k++)
            for (unsigned c = 0; c < dim; c++) sum[r * dim + c] += left[r * dim + k] * right[k * dim + c];
}

// Adds left x right; rows of left from `rows` on are zero.
static void multiply(const Gemmini *g, const float *left, const float *right, unsigned rows, Product *p) {
    if (g->floating) multiply_float(left, right, p->sum.f, g->dim); // every row: 0 x infinity counts
    else if (g->dim == USUAL_DIM) multiply_usual(left, right, rows, p->sum.i);
    else if (g->dim == 32) multiply_int8(left, right, rows, p->sum.i, 32);
    else multiply_int8(left, right, rows, p->sum.i, g->dim);
}

// --- results

static void add_usual_row(int32_t *to, const int32_t *from) {
    for (unsigned c = 0; c < USUAL_DIM; c += LANES) {
        SumLanes sum; // as wide as it was written: the processor forwards it
        memcpy(&sum, from + c, sizeof sum);
        add_lanes(to + c, sum);
    }
}

static void write_acc(Gemmini *g, uint32_t row, const Product *p, unsigned r) {
    unsigned dim = g->dim, cols = g->c.cols;
    if (!(g->c.local & ACCUMULATE_BIT)) memcpy(acc_int32(g, row), p->sum.i + r * dim, cols * ACC_BYTES);
    else if (g->floating)
        for (unsigned c = 0; c < cols; c++) acc_float(g, row)[c] += p->sum.f[r * dim + c];
    else if (cols == USUAL_DIM) add_usual_row(acc_int32(g, row), p->sum.i + r * dim);
    else
        for (unsigned c = 0; c < cols; c++) acc_int32(g, row)[c] = wrap_add(acc_int32(g, row)[c], p->sum.i[r * dim + c]);
    g->acc_set[row] = 1;
}

static void write_spad(Gemmini *g, uint32_t row, const Product *p, unsigned r) {
    int relu = g->execute.activation == ACTIVATION_RELU;
    for (unsigned c = 0; c < g->c.cols; c++) {
        if (g->floating) {
            float v = p->sum.f[r * g->dim + c];
            spad_float(g, row)[c] = relu && v <= 0.0f ? 0.0f : v; // no -0
        } else {
            int8_t v = saturate_int8(p->sum.i[r * g->dim + c]);
            spad_int8(g, row)[c] = relu && v < 0 ? 0 : v;
        }
    }
    g->spad_set[row] = 1;
}

static void write_result(Gemmini *g, const Product *p) {
    int acc = in_accumulator(g->c.local);
    if (g->c.local == GARBAGE) return;
    local_range(g, g->c.local, (g->c.rows - 1) * g->execute.c_stride + 1, "the C operand of preload"); // strides may have changed since
    for (unsigned r = 0; r < g->c.rows; r++) {
        uint32_t row = (g->c.local & ROW_MASK) + r * g->execute.c_stride;
        if (acc && (g->c.local & ACCUMULATE_BIT)) need_row(g, 1, row, "an accumulating compute (C)");
        if (acc) write_acc(g, row, p, r);
        else write_spad(g, row, p, r);
    }
}

// Output-stationary partial sums on their way out of the array: shifted, then clipped to the 20 bits the array carries.
static void read_out(const Gemmini *g, const Product *p, Product *out) {
    unsigned count = g->dim * g->dim;
    if (g->floating) {
        memcpy(out->sum.f, p->sum.f, count * sizeof *p->sum.f);
        return;
    }
    const int64_t most = (INT64_C(1) << 19) - 1;
    for (unsigned i = 0; i < count; i++) {
        int64_t v = rounding_shift(p->sum.i[i], g->execute.shift);
        out->sum.i[i] = (int32_t)(v > most ? most : v < -most - 1 ? -most - 1 : v);
    }
}

// --- commands

void gemmini_preload(Gemmini *g, Operand stationary, Operand c, Op *op) {
    const ExecuteConfig *e = &g->execute;
    if (!e->set) fault_raise("unset_configuration", "preload before a config_ex");
    const char *what = e->weight_stationary ? "the B operand of preload" : "the D operand of preload";
    *op = (Op){.unit = UNIT_EXECUTE, .kind = KIND_PRELOAD, .output_stationary = !e->weight_stationary,
               .a_transpose = (uint8_t)e->a_transpose, .b_transpose = (uint8_t)e->b_transpose};
    op->reads[0] = operand_range(g, stationary, 1, e->weight_stationary && e->b_transpose, what);
    if (c.local != GARBAGE) {
        check_size(g, c, g->dim, "the C operand of preload");
        check_norm_bits(c.local, "the C operand of preload");
        op->writes = local_range(g, c.local, (c.rows - 1) * e->c_stride + 1, "the C operand of preload");
        op->rows = (uint16_t)c.rows;
        op->row_stride = (uint16_t)e->c_stride;
        op->accumulate = in_accumulator(c.local) && (c.local & ACCUMULATE_BIT);
        use_rows(g, op->writes);
    }
    g->stationary = stationary;
    g->c = c;
    g->preloaded = 1;
}

static void compute_weight_stationary(Gemmini *g, int accumulated, Operand a, Operand d) {
    const ExecuteConfig *e = &g->execute;
    Product p;
    if (!accumulated) {
        operand_range(g, g->stationary, 1, e->b_transpose, "the B operand of preload"); // the transposition may have changed since
        gather(g, g->stationary, 1, e->b_transpose, "preload (B)", g->weights);
        g->weights_set = 1;
    } else if (!g->weights_set) fault_raise("unset_configuration", "compute_accumulated reuses weights, but none were loaded since the dataflow was chosen");
    // Every operand row enters the array before the first result leaves it: C may overlap A and D.
    gather(g, a, e->a_stride, e->a_transpose, "compute (A)", p.left);
    start_sums(g, d, "compute (D)", &p);
    multiply(g, p.left, g->weights, a.rows, &p);
    write_result(g, &p);
}

static void compute_output_stationary(Gemmini *g, int accumulated, Operand a, Operand b) {
    const ExecuteConfig *e = &g->execute;
    size_t bytes = (size_t)g->dim * g->dim * ACC_BYTES;
    float right[MAX_DIM * MAX_DIM];
    Product p, out;
    if (accumulated && !g->partial_set)
        fault_raise("unset_configuration", "compute_accumulated adds to partial sums, but the array holds none: they were read out by the last compute whose "
                                           "preload named a C, or never started by a compute_preloaded");
    if (!accumulated) {
        operand_range(g, g->stationary, 1, 0, "the D operand of preload"); // the dataflow may have changed since
        start_sums(g, g->stationary, "preload (D)", &p);
    } else memcpy(&p.sum, &g->partial, bytes);
    gather(g, a, e->a_stride, e->a_transpose, "compute (A)", p.left);
    gather(g, b, 1, e->b_transpose, "compute (B)", right);
    multiply(g, p.left, right, a.rows, &p);
    memcpy(&g->partial, &p.sum, bytes);
    g->partial_set = g->c.local == GARBAGE;
    if (g->c.local == GARBAGE) return;
    if (e->c_stride != 1) fault_raise("unsupported_command", "an output-stationary result with a C_stride of %u: the array reads out backwards, use 1", e->c_stride);
    if (e->shift && in_accumulator(g->c.local))
        fault_raise("unsupported_command", "an output-stationary result into the accumulator with a sys_shift of %u: shift results into the scratchpad only", e->shift);
    read_out(g, &p, &out);
    write_result(g, &out);
}

// Reused weights: the hardware feeds as many rows as the larger of A and D has, and writes no others.
static void check_fed_rows(const Gemmini *g, Operand a, Operand d) {
    unsigned fed = d.local != GARBAGE && d.rows > a.rows ? d.rows : a.rows;
    if (g->stationary.local == GARBAGE && g->c.local != GARBAGE && g->c.rows > fed)
        fault_raise("unsupported_command", "compute into a C of %u rows with reused weights and %u rows of A and D: use as many", g->c.rows, fed);
}

void gemmini_compute(Gemmini *g, int accumulated, Operand a, Operand second, Op *op) {
    const ExecuteConfig *e = &g->execute;
    int ws = e->weight_stationary;
    if (!g->preloaded) fault_raise("unset_configuration", "compute without a preload before it");
    g->preloaded = 0;
    if (a.local == GARBAGE) fault_raise("bad_local_address", "compute needs an A, not NONE: the hardware would multiply whatever it read last");
    Range ra = operand_range(g, a, e->a_stride, e->a_transpose, "the A operand of compute");
    Range rs = operand_range(g, second, 1, !ws && e->b_transpose, ws ? "the D operand of compute" : "the B operand of compute");
    if (ws) check_fed_rows(g, a, second);
    if (ws) compute_weight_stationary(g, accumulated, a, second);
    else compute_output_stationary(g, accumulated, a, second);
    *op = (Op){.unit = UNIT_EXECUTE, .kind = KIND_COMPUTE, .output_stationary = !ws,
               .a_transpose = (uint8_t)e->a_transpose, .b_transpose = (uint8_t)e->b_transpose, .rows = (uint16_t)a.rows,
               .reads = {ra, rs}};
}
