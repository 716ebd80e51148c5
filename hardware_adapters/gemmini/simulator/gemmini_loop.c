#include <stdlib.h>
#include <string.h>

#include "gemmini_state.h"

// What both hardware loops share: their registers, the halves they work in, and the commands they send.

void loop_configure(Gemmini *g, unsigned funct, uint64_t rs1, uint64_t rs2) {
    int conv = funct >= FUNCT_LOOP_CONV_FIRST;
    LoopState *s = conv ? &g->loop_conv : &g->loop_ws;
    unsigned number = funct - (conv ? FUNCT_LOOP_CONV_FIRST : FUNCT_LOOP_WS_FIRST);
    s->rs1[number] = rs1;
    s->rs2[number] = rs2;
    s->configured |= 1u << number;
}

void loop_begin(Gemmini *g, LoopState *s, unsigned registers, const char *name) {
    unsigned missing = ~s->configured & ((1u << registers) - 1);
    if (missing)
        fault_raise("unset_configuration", "%s without its configuration %u of %u since the last run: the hardware uses two sets of registers in turn", name,
                    (unsigned)__builtin_ctz(missing) + 1, registers);
    if (!g->execute.set) fault_raise("unset_configuration", "%s before a config_ex", name);
    if (!g->execute.weight_stationary) fault_raise("unsupported_command", "%s with the output-stationary dataflow: use config_ex(WS, ...)", name);
    g->trace.count = 0;
    g->trace.loads_in_turn = s == &g->loop_conv;
    memset(g->trace.sent, 0, sizeof g->trace.sent);
}

void loop_end(LoopState *s, int stores) {
    s->configured = 0;
    s->runs++;
    s->stores += stores != 0;
}

uint32_t loop_spad_half(const Gemmini *g, const LoopState *s, unsigned spad_id, const char *name) {
    if (spad_id > 2) fault_raise("limit_exceeded", "%s with spad id %u: 0, 1 or 2", name, spad_id);
    unsigned half = spad_id ? spad_id - 1 : s->runs % 2;
    return half * (g->config->spad_rows / 2);
}

uint32_t loop_acc_half(const Gemmini *g, const LoopState *s) { return s->stores % 2 * (g->config->acc_rows / 2); }

void loop_send(Gemmini *g, unsigned stream, const LoopAfter *after, unsigned funct, uint64_t rs1, uint64_t rs2) {
    LoopTrace *t = &g->trace;
    if (t->count == MAX_LOOP_COMMANDS)
        fault_raise("limit_exceeded", "a hardware loop of more than %d commands: the simulator holds no more of them at a time", MAX_LOOP_COMMANDS);
    if (t->count == t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : 1024;
        LoopOp *grown = realloc(t->op, capacity * sizeof *grown);
        if (!grown) fault_raise("host_error", "out of memory for a hardware loop of %zu commands", capacity);
        t->op = grown;
        t->capacity = capacity;
    }
    LoopOp *l = &t->op[t->count];
    gemmini_execute(g, funct, rs1, rs2, &l->op);
    l->stream = (uint8_t)stream;
    l->in_turn = g->trace.loads_in_turn && stream <= STREAM_D;
    if (after) memcpy(l->after, after->sent, sizeof l->after);
    else memset(l->after, 0, sizeof l->after);
    t->sent[stream]++;
    t->count++;
    g->work++;
}
