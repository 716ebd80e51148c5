#include "json.h"

#include <inttypes.h>

Json json_to(FILE *out) { return (Json){.out = out}; }

// Bytes outside printable ASCII are written as \u00XX: the result is valid JSON whatever the text holds.
static void quote(Json *j, const char *text) {
    fputc('"', j->out);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\') fprintf(j->out, "\\%c", *p);
        else if (*p < 0x20 || *p >= 0x7f) fprintf(j->out, "\\u%04x", *p);
        else fputc(*p, j->out);
    }
    fputc('"', j->out);
}

static void item(Json *j, const char *key) {
    if (j->used[j->depth]) fputc(',', j->out);
    j->used[j->depth] = 1;
    if (key) {
        quote(j, key);
        fputc(':', j->out);
    }
}

static void open(Json *j, const char *key, char bracket) {
    item(j, key);
    fputc(bracket, j->out);
    if (j->depth < JSON_MAX_DEPTH - 1) j->depth++;
    j->used[j->depth] = 0;
}

static void close(Json *j, char bracket) {
    fputc(bracket, j->out);
    if (j->depth > 0) j->depth--;
}

void json_object(Json *j, const char *key) { open(j, key, '{'); }
void json_array(Json *j, const char *key) { open(j, key, '['); }
void json_end_object(Json *j) { close(j, '}'); }
void json_end_array(Json *j) { close(j, ']'); }

void json_string(Json *j, const char *key, const char *value) {
    item(j, key);
    quote(j, value);
}

void json_int(Json *j, const char *key, int64_t value) {
    item(j, key);
    fprintf(j->out, "%" PRId64, value);
}

void json_uint(Json *j, const char *key, uint64_t value) {
    item(j, key);
    fprintf(j->out, "%" PRIu64, value);
}

void json_null(Json *j, const char *key) {
    item(j, key);
    fputs("null", j->out);
}
