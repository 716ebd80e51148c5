#include "activity.h"

#include <inttypes.h>
#include <string.h>

// The length of the call is known only afterwards: whenever it outgrows the intervals, pairs of them become one.

enum { FIRST_WIDTH = 16 };

void activity_start(Activity *a, uint64_t cycle) {
    memset(a, 0, sizeof *a);
    a->start = a->end = cycle;
    a->width = FIRST_WIDTH;
}

static void widen(Activity *a) {
    for (int u = 0; u < ACTIVITY_UNITS; u++) {
        uint64_t *c = a->cycles[u];
        for (int i = 0; i < ACTIVITY_INTERVALS / 2; i++) c[i] = c[2 * i] + c[2 * i + 1];
        memset(c + ACTIVITY_INTERVALS / 2, 0, ACTIVITY_INTERVALS / 2 * sizeof *c);
    }
    a->width *= 2;
}

static void cover(Activity *a, uint64_t cycle) {
    if (cycle > a->end) a->end = cycle;
    while (a->end - a->start > ACTIVITY_INTERVALS * a->width) widen(a);
}

void activity_add(Activity *a, unsigned unit, uint64_t from, uint64_t to) {
    if (to <= from || to <= a->start) return;
    cover(a, to);
    from = from > a->start ? from - a->start : 0, to -= a->start;
    for (uint64_t i = from / a->width; i * a->width < to; i++) {
        uint64_t first = i * a->width > from ? i * a->width : from, last = (i + 1) * a->width < to ? (i + 1) * a->width : to;
        a->cycles[unit][i] += last - first;
    }
}

void activity_end(Activity *a, uint64_t cycle) { cover(a, cycle); }

static unsigned intervals(const Activity *a) { return (unsigned)((a->end - a->start + a->width - 1) / a->width); }

void activity_json(const Activity *a, const char *const names[ACTIVITY_UNITS], FILE *out) {
    fprintf(out, "{\"interval_cycles\":%" PRIu64 ",\"percent\":{", a->width);
    for (unsigned u = 0; u < ACTIVITY_UNITS; u++) {
        fprintf(out, "%s\"%s\":[", u ? "," : "", names[u]);
        for (unsigned i = 0; i < intervals(a); i++) {
            uint64_t left = a->end - a->start - i * a->width, width = left < a->width ? left : a->width;
            fprintf(out, "%s%" PRIu64, i ? "," : "", (100 * a->cycles[u][i] + width / 2) / width);
        }
        fputc(']', out);
    }
    fputs("}}", out);
}
