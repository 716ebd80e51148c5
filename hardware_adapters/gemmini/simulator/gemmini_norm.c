#include "gemmini_arithmetic.h"
#include "gemmini_state.h"

// Integer GELU, layernorm and softmax at mvout, and the statistics over rows that the latter two need. All sums wrap
// at 32 bits. The default hardware is built without them; functional model and normalising builds have them.

enum NormCommand { NORM_RESET, NORM_SUM, NORM_MEAN, NORM_VARIANCE, NORM_INV_STDDEV, NORM_MAX, NORM_SUM_EXP, NORM_INV_SUM_EXP };

static const Statistics *current(const Gemmini *g) { return &g->statistics[g->norm.stat_id]; }

static void need_statistic(const Gemmini *g, int set, const char *name) {
    if (!set) fault_raise("uninitialised_read", "mvout uses the %s of stat id %u, which was never computed", name, g->norm.stat_id);
}

static void check_exponential(const Gemmini *g) {
    const NormConfig *n = &g->norm;
    if (!n->polynomial_set) fault_raise("unset_configuration", "mvout needs qb and qc: no config_norm has set them");
    if (!n->qln2_set || !n->qln2_inv_set) fault_raise("unset_configuration", "mvout needs %s: no config_norm has set it", n->qln2_set ? "qln2_inv" : "qln2");
}

void check_activation(const Gemmini *g, unsigned activation) {
    const Statistics *s = current(g);
    switch (activation) {
    case ACTIVATION_IGELU:
        if (!g->norm.polynomial_set) fault_raise("unset_configuration", "mvout with iGELU needs qb and qc: no config_norm has set them");
        break;
    case ACTIVATION_LAYERNORM:
        need_statistic(g, s->mean_set, "mean");
        need_statistic(g, s->inv_stddev_set, "inverse standard deviation");
        break;
    case ACTIVATION_SOFTMAX:
        check_exponential(g);
        need_statistic(g, s->max_set, "maximum");
        need_statistic(g, s->inv_sum_exp_set, "inverse sum of exponentials");
        break;
    default: break;
    }
}

// --- values

int32_t igelu(const Gemmini *g, int32_t v) {
    int32_t qb = g->norm.qb, sign = v < 0 ? -1 : 1, magnitude = v < 0 ? wrap_sub(0, v) : v, limit = wrap_sub(0, qb);
    int32_t p = wrap_add(magnitude < limit ? magnitude : limit, qb);
    int32_t t = wrap_mul(sign, wrap_add(wrap_mul(p, p), g->norm.qc));
    return wrap_mul(v, wrap_add(t, g->norm.qc));
}

int32_t layernorm(const Gemmini *g, int32_t v) {
    float x = (float)wrap_sub(v, current(g)->mean) * current(g)->inv_stddev;
    return x >= 2147483648.0f ? INT32_MAX : (int32_t)x; // inv_stddev is at most 1: only the upper end can be reached
}

static int32_t integer_exp(const Gemmini *g, int32_t v, int32_t max) {
    const NormConfig *n = &g->norm;
    int32_t q = wrap_sub(v, max);
    if (q > 0) fault_raise("limit_exceeded", "mvout of %d, which is above the recorded maximum %d of stat id %u", v, max, n->stat_id);
    int32_t z = wrap_mul(wrap_sub(0, q), n->qln2_inv) >> 16;
    if (z < 0) fault_raise("limit_exceeded", "mvout of %d, too far below the maximum %d of stat id %u: its distance times qln2_inv = %d does not fit", v, max, n->stat_id, n->qln2_inv);
    int32_t p = wrap_add(wrap_add(q, wrap_mul(z, n->qln2)), n->qb);
    int32_t e = wrap_add(wrap_mul(p, p), n->qc);
    return z > 31 ? 0 : e >> z;
}

int8_t softmax(const Gemmini *g, int32_t v) {
    const Statistics *s = current(g);
    return scale_to_int8(integer_exp(g, v, s->max), s->inv_sum_exp);
}

// --- statistics

// Sums go on within a row: only the last block of it completes a mean, a deviation or a sum of exponentials.
static unsigned acting_command(unsigned command, int last) {
    if (last) return command;
    return command == NORM_MEAN ? NORM_SUM : command == NORM_INV_STDDEV ? NORM_VARIANCE : command == NORM_INV_SUM_EXP ? NORM_SUM_EXP : command;
}

static int32_t floor_sqrt(int32_t v) { // exact: a double holds every int32
    return (int32_t)sqrt((double)v);
}

static void accumulate(const Gemmini *g, Statistics *s, unsigned command, const int32_t *values, unsigned count) {
    if (command == NORM_VARIANCE || command == NORM_INV_STDDEV) need_statistic(g, s->mean_set, "mean");
    if (command == NORM_SUM_EXP || command == NORM_INV_SUM_EXP) {
        check_exponential(g);
        s->max = s->running_max;
        s->max_set = 1;
    }
    for (unsigned c = 0; c < count; c++) {
        int32_t v = values[c], term = v;
        if (command == NORM_MAX) {
            if (v > s->running_max) s->running_max = v;
            continue;
        }
        if (command == NORM_VARIANCE || command == NORM_INV_STDDEV) {
            int32_t distance = wrap_sub(v, s->mean);
            term = wrap_mul(distance, distance);
        } else if (command == NORM_SUM_EXP || command == NORM_INV_SUM_EXP) term = integer_exp(g, v, s->max);
        s->sum = wrap_add(s->sum, term);
    }
    if (command >= NORM_SUM && command <= NORM_INV_STDDEV) s->count = wrap_add(s->count, (int32_t)count);
}

static void complete(const Gemmini *g, Statistics *s, unsigned command) {
    if (command == NORM_MEAN || command == NORM_INV_STDDEV) {
        if (s->count <= 0) fault_raise("limit_exceeded", "mvout divides by the count of stat id %u, which has wrapped to %d", g->norm.stat_id, s->count);
    }
    if (command == NORM_MEAN) {
        s->mean = s->sum / s->count;
        s->mean_set = 1;
    } else if (command == NORM_INV_STDDEV) {
        int32_t variance = s->sum / s->count, deviation;
        if (variance < 0) fault_raise("limit_exceeded", "mvout finds a variance of %d for stat id %u: the sum of squares has wrapped", variance, g->norm.stat_id);
        deviation = floor_sqrt(variance);
        s->inv_stddev = 1.0f / (float)(deviation ? deviation : 1);
        s->inv_stddev_set = 1;
    } else if (command == NORM_INV_SUM_EXP) {
        if (s->sum <= 0) fault_raise("limit_exceeded", "mvout finds a sum of exponentials of %d for stat id %u: it must be positive", s->sum, g->norm.stat_id);
        s->running_max = INT32_MIN;
        s->inv_sum_exp = 127.0f / (float)s->sum;
        s->inv_sum_exp_set = 1;
    }
}

void follow_statistics(Gemmini *g, unsigned command, const int32_t *values, unsigned count, int last) {
    Statistics *s = &g->statistics[g->norm.stat_id];
    command = acting_command(command, last);
    if (!s->running) {
        s->sum = s->count = 0;
        s->running_max = INT32_MIN;
    }
    s->running = command != NORM_RESET && command != NORM_MEAN && command != NORM_INV_STDDEV;
    if (command == NORM_RESET) return;
    accumulate(g, s, command, values, count);
    complete(g, s, command);
}
