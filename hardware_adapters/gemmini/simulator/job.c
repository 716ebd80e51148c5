// Grammar, one directive per line, fields separated by single spaces:
//   elf PATH | entry SYMBOL | config NAME | constant NAME N | limit-cycles N | limit-instructions N | repeat-below N | profile PATH | timeline PATH
//   case NAME timed|functional
//   buffer NAME ADDRESS BYTES input|output FILE      arguments of the call, in order
//   calls N                                          each on the same data, or on its own where a file has N times the bytes
#include "job.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FIELDS = 6, LINE_BYTES = 2 * JOB_PATH_BYTES };

typedef struct Parser {
    Job *job;
    JobCase *open; // the case between its `case` and its `calls` line
    char *field[MAX_FIELDS];
    int fields;
    char *error; // 300 bytes
} Parser;

static int fail(Parser *p, const char *what, const char *value) {
    snprintf(p->error, 280, "%.60s: %.200s", what, value);
    return 0;
}

static int number(Parser *p, const char *text, uint64_t *value) {
    char *end;
    int hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *digits = hex ? text + 2 : text;
    if (strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789") != strlen(digits) || !*digits || strlen(digits) > (hex ? 16u : 19u))
        return fail(p, "not a number", text);
    *value = strtoull(digits, &end, hex ? 16 : 10);
    return 1;
}

static int copy(Parser *p, char *to, size_t room, const char *text) {
    if (!*text) return fail(p, "empty field in", p->field[0]);
    if (strlen(text) >= room) return fail(p, "too long", text);
    memcpy(to, text, strlen(text) + 1);
    return 1;
}

static int start_case(Parser *p) {
    Job *j = p->job;
    if (p->open) return fail(p, "no `calls` line in case", p->open->name);
    if (j->cases == JOB_MAX_CASES) return fail(p, "too many cases at", p->field[1]);
    JobCase *grown = realloc(j->case_list, (size_t)(j->cases + 1) * sizeof *grown);
    if (!grown) return fail(p, "out of memory at case", p->field[1]);
    j->case_list = grown;
    p->open = &grown[j->cases++];
    memset(p->open, 0, sizeof *p->open);
    p->open->timed = strcmp(p->field[2], "timed") == 0;
    if (!p->open->timed && strcmp(p->field[2], "functional") != 0) return fail(p, "neither timed nor functional", p->field[2]);
    return copy(p, p->open->name, sizeof p->open->name, p->field[1]);
}

static int add_buffer(Parser *p) {
    JobCase *c = p->open;
    if (!c) return fail(p, "buffer outside a case", p->field[1]);
    if (c->buffers == JOB_MAX_BUFFERS) return fail(p, "more than 8 buffers in case", c->name);
    JobBuffer *b = &c->buffer[c->buffers++];
    b->is_output = strcmp(p->field[4], "output") == 0;
    if (!b->is_output && strcmp(p->field[4], "input") != 0) return fail(p, "neither input nor output", p->field[4]);
    return copy(p, b->name, sizeof b->name, p->field[1]) && number(p, p->field[2], &b->address) &&
           number(p, p->field[3], &b->bytes) && copy(p, b->path, sizeof b->path, p->field[5]);
}

static int set_calls(Parser *p) {
    uint64_t n;
    if (!p->open) return fail(p, "calls outside a case", p->field[1]);
    if (!number(p, p->field[1], &n)) return 0;
    if (n < 1 || n > JOB_MAX_CALLS) return fail(p, "calls must be 1 to 1000", p->field[1]);
    p->open->calls = (int)n;
    p->open = NULL;
    return 1;
}

static int set_config(Parser *p) {
    p->job->config = config_named(p->field[1]);
    return p->job->config ? 1 : fail(p, "not a configuration", p->field[1]);
}

static int set_constant(Parser *p) {
    uint64_t value;
    if (!number(p, p->field[2], &value)) return 0;
    if (p->job->config != &p->job->tuned) p->job->tuned = *p->job->config;
    p->job->config = &p->job->tuned;
    return config_set(&p->job->tuned, p->field[1], value) ? 1 : fail(p, "no such constant, or not with this value", p->field[1]);
}

static int directive(Parser *p) {
    Job *j = p->job;
    static const struct { const char *name; int fields; } known[] = {
        {"elf", 2}, {"entry", 2}, {"limit-cycles", 2}, {"limit-instructions", 2}, {"profile", 2}, {"timeline", 2},
        {"case", 3}, {"buffer", 6}, {"calls", 2}, {"config", 2}, {"constant", 3}, {"repeat-below", 2}};
    size_t which = 0;
    while (which < sizeof known / sizeof known[0] && strcmp(known[which].name, p->field[0]) != 0) which++;
    if (which == sizeof known / sizeof known[0]) return fail(p, "unknown directive", p->field[0]);
    if (p->fields != known[which].fields) return fail(p, "wrong number of fields", p->field[0]);
    switch (which) {
    case 0: return copy(p, j->elf, sizeof j->elf, p->field[1]);
    case 1: return copy(p, j->entry, sizeof j->entry, p->field[1]);
    case 2: return number(p, p->field[1], &j->limit_cycles);
    case 3: return number(p, p->field[1], &j->limit_instructions);
    case 4: return copy(p, j->profile, sizeof j->profile, p->field[1]);
    case 5: return copy(p, j->timeline, sizeof j->timeline, p->field[1]);
    case 6: return start_case(p);
    case 7: return add_buffer(p);
    case 8: return set_calls(p);
    case 9: return set_config(p);
    case 10: return set_constant(p);
    default: return number(p, p->field[1], &j->repeat_below);
    }
}

static int split(Parser *p, char *line) {
    p->fields = 0;
    for (char *at = line;; at++) {
        if (p->fields == MAX_FIELDS) return fail(p, "too many fields", line);
        p->field[p->fields++] = at;
        at = strchr(at, ' ');
        if (!at) return 1;
        *at = 0;
    }
}

static int parse(Parser *p, FILE *f, int *line_number) {
    char line[LINE_BYTES];
    while (fgets(line, sizeof line, f)) {
        ++*line_number;
        size_t n = strlen(line);
        if (n == sizeof line - 1 && line[n - 1] != '\n') return fail(p, "line too long", "");
        if (n && line[n - 1] == '\n') line[--n] = 0;
        if (n == 0) continue;
        if (!split(p, line) || !directive(p)) return 0;
    }
    if (p->open) return fail(p, "no `calls` line in case", p->open->name);
    if (!*p->job->elf) return fail(p, "missing directive", "elf");
    if (!*p->job->entry) return fail(p, "missing directive", "entry");
    if (p->job->cases == 0) return fail(p, "missing directive", "case");
    return 1;
}

Job *job_read(const char *path, char error[300]) {
    FILE *f = fopen(path, "r");
    if (!f) return snprintf(error, 300, "cannot open %.200s", path), NULL;
    Job *j = calloc(1, sizeof *j);
    char what[300] = "out of memory";
    int line = 0;
    Parser p = {.job = j, .error = what};
    if (j) j->config = &config_gemmini16;
    if (j) j->limit_cycles = j->limit_instructions = 2000000000;
    if (j) j->repeat_below = UINT64_MAX;
    int ok = j && parse(&p, f, &line);
    fclose(f);
    if (ok) return j;
    snprintf(error, 300, "line %d: %.270s", line, what);
    job_free(j);
    return NULL;
}

void job_free(Job *j) {
    if (!j) return;
    free(j->case_list);
    free(j);
}
