// Minimal JSON output: escaping, separators by nesting level, integers only (no float formatting surprises).
#ifndef GEMSIM_JSON_H
#define GEMSIM_JSON_H

#include <stdint.h>
#include <stdio.h>

enum { JSON_MAX_DEPTH = 16 };

typedef struct Json {
    FILE *out;
    int depth;
    int used[JSON_MAX_DEPTH]; // whether this level already holds an item
} Json;

Json json_to(FILE *out);
// Key NULL: an item of an array (or the document itself).
void json_object(Json *, const char *key);
void json_array(Json *, const char *key);
void json_end_object(Json *);
void json_end_array(Json *);
void json_string(Json *, const char *key, const char *value);
void json_int(Json *, const char *key, int64_t value);
void json_uint(Json *, const char *key, uint64_t value);
void json_null(Json *, const char *key);

#endif
