#include "session.h"

#include <inttypes.h>
#include <string.h>

#include "json.h"
#include "machine.h"
#include "profile.h"

static const uint64_t STACK_BASE = 0x8f000000, STACK_BYTES = 64 << 10;
static const uint64_t RETURN_ADDRESS = 0x10000; // outside every region: where solution() returns to
enum { FUNCT_FLUSH = 7, REG_RA = 1, REG_SP = 2, REG_GP = 3, REG_A0 = 10 };

typedef struct Session {
    const Job *job;
    Machine machine;
    Elf *elf;
    uint64_t entry, global_pointer;
    Json json;
    int profiled; // the one call that is profiled has been run
    char *error;
} Session;

// --- setting a case up

// A file holds the data of one call, or those of each call one after the other.
static int load_input(Session *s, const JobCase *c, const JobBuffer *b, Region *r, int call) {
    FILE *f = fopen(b->path, "rb");
    if (!f) return snprintf(s->error, 300, "buffer %.40s: cannot open %.200s", b->name, b->path), 0;
    long size = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    uint64_t held = size < 0 ? 0 : (uint64_t)size, at = held == b->bytes ? 0 : (uint64_t)call * b->bytes;
    int ok = (held == b->bytes || held == b->bytes * (uint64_t)c->calls) && fseek(f, (long)at, SEEK_SET) == 0 && fread(r->host, 1, b->bytes, f) == b->bytes;
    fclose(f);
    if (!ok)
        return snprintf(s->error, 300, "buffer %.40s: %.150s does not hold exactly %" PRIu64 " bytes", b->name, b->path, b->bytes), 0;
    return 1;
}

static int load_inputs(Session *s, const JobCase *c, int call) {
    for (int i = 0; i < c->buffers; i++) {
        const JobBuffer *b = &c->buffer[i];
        if (!b->is_output && !load_input(s, c, b, memory_region(s->machine.memory, b->address), call)) return 0;
    }
    return 1;
}

static int load_case(Session *s, const JobCase *c) {
    Memory *m = s->machine.memory;
    memory_clear(m);
    if (!elf_map(s->elf, m, s->error)) return 0;
    Region *stack = memory_add(m, STACK_BASE, STACK_BYTES, MEM_R | MEM_W, "the stack", s->error);
    if (!stack) return 0;
    stack->is_stack = 1;
    for (int i = 0; i < c->buffers; i++) {
        const JobBuffer *b = &c->buffer[i];
        Region *r = memory_add(m, b->address, b->bytes, b->is_output ? MEM_R | MEM_W : MEM_R, b->name, s->error);
        if (!r) return 0;
        r->is_buffer = 1;
    }
    memory_watch(m);
    machine_reset(&s->machine, c->timed);
    return 1;
}

static void poison_outputs(Session *s, const JobCase *c, int call) {
    for (int i = 0; i < c->buffers; i++)
        if (c->buffer[i].is_output)
            memset(memory_region(s->machine.memory, c->buffer[i].address)->host, call % 2 ? 0x5a : 0xa5, c->buffer[i].bytes);
}

static int dump_outputs(Session *s, const JobCase *c) {
    for (int i = 0; i < c->buffers; i++) {
        const JobBuffer *b = &c->buffer[i];
        if (!b->is_output) continue;
        FILE *f = fopen(b->path, "ab");
        int ok = f && fwrite(memory_region(s->machine.memory, b->address)->host, 1, b->bytes, f) == b->bytes;
        if (f && fclose(f) != 0) ok = 0;
        if (!ok) return snprintf(s->error, 300, "buffer %.40s: cannot write %.200s", b->name, b->path), 0;
    }
    return 1;
}

// --- one call of solution()

typedef struct CallResult {
    uint64_t cycles, instret, commands;
} CallResult;

static void set_arguments(Session *s, const JobCase *c) {
    Hart *h = s->machine.hart;
    memset(h->reg, 0, sizeof h->reg);
    h->fflags = h->frm = 0;
    h->reg[REG_RA] = h->return_pc = RETURN_ADDRESS;
    h->reg[REG_SP] = STACK_BASE + STACK_BYTES - ROCKET_HARNESS_FRAME;
    h->reg[REG_GP] = s->global_pointer;
    for (int i = 0; i < c->buffers; i++) h->reg[REG_A0 + i] = c->buffer[i].address;
    h->pc = h->last_jump_from = s->entry;
}

static uint64_t limit_from(uint64_t start, uint64_t limit) { return start + limit < start ? UINT64_MAX : start + limit; }

// The calling sequence of the measured corpus: flush, fence, read the counters, call, fence, read them again.
static CallResult call_solution(Session *s, const JobCase *c, int call) {
    Machine *m = &s->machine;
    Hart *h = m->hart;
    Rocket *r = m->rocket;
    uint64_t ignored, start = 0, instret = h->instret, commands;
    uint64_t arguments = (uint64_t)(ROCKET_HARNESS_PER_ARGUMENT * c->buffers);
    set_arguments(s, c);
    h->start_instructions = hart_spent(h);
    h->limit_instructions = limit_from(h->start_instructions, s->job->limit_instructions);
    if (c->timed) {
        rocket_warm_data(r, h->reg[REG_SP]);
        r->now = gemmini_command(m->gemmini, r->now, 0, FUNCT_FLUSH, 0, 0, &ignored);
        start = r->now = gemmini_fence(m->gemmini, r->now);
        h->start_cycles = start;
        h->limit_cycles = limit_from(start, s->job->limit_cycles);
        rocket_mark(r);
        rocket_push_return(r, RETURN_ADDRESS);
        r->now += ROCKET_HARNESS_CYCLES + arguments + (call == 0 ? ROCKET_HARNESS_COLD : 0);
    }
    commands = gemmini_command_count(m->gemmini);
    gemmini_mark(m->gemmini, start);
    memory_zero_traffic(m->memory);
    hart_run(h);
    memory_fence(m->memory);
    h->unfenced = 0;
    if (c->timed) r->now = gemmini_fence(m->gemmini, r->now);
    return (CallResult){c->timed ? r->now - start : 0, h->instret - instret + ROCKET_HARNESS_INSTRET + arguments,
                        gemmini_command_count(m->gemmini) - commands};
}

static void emit_counter(void *ctx, const char *name, int64_t value) { json_int(ctx, name, value); }

static void write_call(Session *s, const JobCase *c, const CallResult *result) {
    Json *j = &s->json;
    json_object(j, NULL);
    if (c->timed) json_uint(j, "cycles", result->cycles);
    else json_null(j, "cycles");
    json_uint(j, "instret", result->instret);
    json_uint(j, "commands", result->commands);
    json_object(j, "counters");
    write_core_counters(j, &s->machine, c->timed, result->cycles);
    gemmini_counters(s->machine.gemmini, emit_counter, j);
    json_end_object(j);
    json_end_object(j);
}

static void write_fault(Session *s, int call) {
    Json *j = &s->json;
    json_object(j, "fault");
    json_string(j, "kind", fault_current.kind);
    json_string(j, "message", fault_current.message);
    json_uint(j, "pc", fault_current.pc);
    json_string(j, "instruction", fault_current.instruction);
    json_int(j, "call", call + 1);
    json_end_object(j);
}

// 1 when the call ended by itself, 0 when it faulted.
static int guarded_call(Session *s, const JobCase *c, int call, CallResult *result) {
    fault_clear();
    fault_locator(hart_locate, s->machine.hart);
    if (setjmp(fault_jump) != 0) return 0;
    *result = call_solution(s, c, call);
    return 1;
}

static int run_case(Session *s, const JobCase *c) {
    Json *j = &s->json;
    if (!load_case(s, c)) return 0;
    json_object(j, NULL);
    json_string(j, "name", c->name);
    json_string(j, "mode", c->timed ? "timed" : "functional");
    json_array(j, "calls");
    int call = 0, finished = 1;
    for (; call < c->calls; call++) {
        CallResult result;
        int profile = c->timed && !s->profiled && (*s->job->profile || *s->job->timeline);
        if (profile) gemmini_profile_start(s->machine.gemmini);
        s->machine.hart->profiling = profile;
        if (!load_inputs(s, c, call)) return 0;
        poison_outputs(s, c, call);
        finished = guarded_call(s, c, call, &result);
        if (!finished) break;
        write_call(s, c, &result);
        if (!dump_outputs(s, c)) return 0;
        if (profile) {
            s->profiled = 1;
            if (!profile_write(&s->machine, s->job->profile, s->job->timeline, result.cycles, s->error)) return 0;
            s->machine.hart->profiling = 0;
        }
        if (result.cycles >= s->job->repeat_below) break;
    }
    json_end_array(j);
    json_string(j, "status", finished ? "ok" : "fault");
    if (finished) json_null(j, "fault");
    else write_fault(s, call);
    json_end_object(j);
    return 1;
}

static int open_program(Session *s) {
    s->elf = elf_open(s->job->elf, s->error);
    if (!s->elf) return 0;
    if (!elf_symbol(s->elf, s->job->entry, &s->entry))
        return snprintf(s->error, 300, "the program does not define %.48s", s->job->entry), 0;
    if (!elf_symbol(s->elf, "__global_pointer$", &s->global_pointer)) s->global_pointer = 0;
    return 1;
}

int session_run(const Job *job, const char *version, FILE *out, char error[300]) {
    static Session session; // one job per process; keeps everything reachable to its end
    Session *s = &session;
    if (!machine_new(&s->machine, job->config)) return snprintf(error, 300, "out of memory"), 0;
    s->job = job;
    s->error = error;
    s->json = json_to(out);
    if (!open_program(s)) return 0;
    s->machine.hart->elf = s->elf;
    s->machine.hart->traps_are_faults = 1;
    json_object(&s->json, NULL);
    json_string(&s->json, "version", version);
    json_array(&s->json, "cases");
    for (int i = 0; i < job->cases; i++)
        if (!run_case(s, &job->case_list[i])) return 0;
    json_end_array(&s->json);
    json_end_object(&s->json);
    fputc('\n', out);
    elf_free(s->elf);
    s->elf = NULL;
    machine_free(&s->machine);
    return 1;
}
