#include "profile.h"

#include <stdlib.h>
#include <string.h>

enum { TOP_PCS = 4096 };

typedef struct PcCount {
    uint64_t pc, cycles, executions;
} PcCount;

typedef struct PcList {
    PcCount *item;
    size_t count, capacity;
} PcList;

void write_core_counters(Json *j, const Machine *m, int timed, uint64_t cycles) {
    if (!timed) return;
    json_uint(j, "cycles", cycles);
    json_uint(j, "instruction_misses", m->rocket->icache_misses);
    json_uint(j, "data_misses", m->rocket->dcache_misses);
    json_uint(j, "mispredictions", m->rocket->mispredictions);
}

static void collect(void *ctx, uint64_t pc, uint64_t cycles, uint64_t executions) {
    PcList *list = ctx;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 1024;
        PcCount *grown = realloc(list->item, capacity * sizeof *grown);
        if (!grown) return; // a shorter profile
        list->item = grown;
        list->capacity = capacity;
    }
    list->item[list->count++] = (PcCount){pc, cycles, executions};
}

static int by_cycles(const void *a, const void *b) {
    const PcCount *x = a, *y = b;
    if (x->cycles != y->cycles) return x->cycles < y->cycles ? 1 : -1;
    return x->pc < y->pc ? -1 : x->pc > y->pc;
}

static void write_pcs(Json *j, const Hart *h) {
    PcList list = {0};
    hart_profile(h, collect, &list);
    if (list.count) qsort(list.item, list.count, sizeof *list.item, by_cycles);
    json_array(j, "pc_cycles");
    for (size_t i = 0; i < list.count && i < TOP_PCS; i++) {
        json_array(j, NULL);
        json_uint(j, NULL, list.item[i].pc);
        json_uint(j, NULL, list.item[i].cycles);
        json_uint(j, NULL, list.item[i].executions);
        json_end_array(j);
    }
    json_end_array(j);
    free(list.item);
}

static void write_buffers(Json *j, Memory *m) {
    json_array(j, "buffers");
    for (int i = 0; i < memory_count(m); i++) {
        const Region *r = memory_get(m, i);
        if (!r->is_buffer) continue;
        json_object(j, NULL);
        json_string(j, "name", r->name);
        json_uint(j, "bytes", r->bytes);
        json_uint(j, "bytes_in", r->bytes_in);
        json_uint(j, "bytes_out", r->bytes_out);
        json_end_object(j);
    }
    json_end_array(j);
}

static void emit_counter(void *ctx, const char *name, int64_t value) { json_int(ctx, name, value); }

static const char TIMELINE_HEAD[] = "[\n";
static const char TIMELINE_TITLE[] = "estimated; a microsecond of this trace is a cycle"; // the format knows no other unit

// Closes the array of events: names for the rows, of which the accelerator's come from its units.
static void end_timeline(FILE *timeline) {
    static const char *const ROWS[] = {"rocket", "load", "store", "execute"};
    const char *separator = ftell(timeline) > (long)strlen(TIMELINE_HEAD) ? ",\n" : "";
    for (int row = 0; row < 4; row++, separator = ",\n")
        fprintf(timeline, "%s{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"args\":{\"name\":\"%s\"}}",
                separator, row + 1, ROWS[row]);
    fprintf(timeline, ",\n{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"args\":{\"name\":\"%s\"}}", TIMELINE_TITLE);
    fputs("\n]\n", timeline);
}

int profile_write(const Machine *m, const char *path, const char *timeline_path, uint64_t cycles, char *error) {
    FILE *timeline = *timeline_path ? fopen(timeline_path, "w") : NULL;
    FILE *out = *path ? fopen(path, "w") : tmpfile();
    int ok = out && (timeline || !*timeline_path);
    if (ok) {
        Json j = json_to(out);
        json_object(&j, NULL);
        json_uint(&j, "cycles", cycles);
        json_object(&j, "counters");
        write_core_counters(&j, m, 1, cycles);
        gemmini_counters(m->gemmini, emit_counter, &j);
        json_end_object(&j);
        write_pcs(&j, m->hart);
        write_buffers(&j, m->memory);
        fputc(',', out);
        if (timeline) fputs(TIMELINE_HEAD, timeline);
        gemmini_profile_write(m->gemmini, m->rocket->now, out, timeline); // further fields, without a comma at either end
        if (timeline) end_timeline(timeline);
        json_end_object(&j);
        fputc('\n', out);
        ok = !ferror(out);
    }
    if (out && fclose(out) != 0) ok = 0;
    if (timeline && fclose(timeline) != 0) ok = 0;
    if (!ok) snprintf(error, 300, "cannot write the profile %.120s or the timeline %.120s", path, timeline_path);
    return ok;
}
