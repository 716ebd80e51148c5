/* The report: JSON in a file that was opened before any of the candidate's code was there. It is written once, at the
   end, by system calls only, so that it can be written from a signal handler too. */
#include "cpusim.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROOM (1u << 22)
typedef struct { char text[ROOM]; unsigned used, entries, dropped; } Part;
static Part launches, sites_part, notes;
static int descriptor = -1, returned, has_returned;

void report_open(void) {
    descriptor = open("report.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0) broken("report.json cannot be made: %s", strerror(errno));
}

static const char *quoted(const char *text) { /* as a JSON string; two may be in use at once */
    static char kept[2][1536];
    static int turn;
    char *out = kept[turn ^= 1], *end = out + sizeof kept[0] - 8;
    *out++ = '"';
    for (; *text && out < end; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') *out++ = '\\', *out++ = (char)c;
        else *out++ = c < 32 || c > 126 ? ' ' : (char)c;
    }
    *out++ = '"';
    *out = 0;
    return kept[turn];
}

__attribute__((format(printf, 2, 3))) static void add(Part *part, const char *format, ...) {
    va_list arguments;
    unsigned room = ROOM - part->used;
    va_start(arguments, format);
    int put = vsnprintf(part->text + part->used, room, format, arguments);
    va_end(arguments);
    if (put < 0 || (unsigned)put >= room) part->dropped++;
    else part->used += (unsigned)put, part->entries++;
}

static const char *comma(const Part *part) { return part->entries ? "," : ""; }
static unsigned long long place(uintptr_t pc) { return pc >= image_low && pc < image_high ? pc - image_low : 0; }
#define U(value) ((unsigned long long)(value))

/* Empty where all blocks that ran did the same. */
static const char *uneven(const Launch *l) {
    static char text[1200];
    unsigned used = 0, differs = 0, pairs = sizeof l->differences / sizeof *l->differences;
    for (unsigned i = 0; i < pairs; i++) differs |= l->differences[i] != 0;
    text[0] = 0;
    for (unsigned i = 0; differs && i < WORKS + pairs; i++)
        used += (unsigned)snprintf(text + used, sizeof text - used, "%s%.9g%s", i == 0 ? ",\"work\":[" : i == WORKS ? ",\"differences\":[" : ",",
                                   i < WORKS ? l->work[i] : l->differences[i - WORKS], i + 1 == WORKS || i + 1 == WORKS + pairs ? "]" : "");
    return text;
}

void report_launch(const Launch *l) {
    add(&launches,
        "%s{\"kernel\":%s,\"line\":%d,\"grid\":[%u,%u,%u],\"block\":[%u,%u,%u],\"static_bytes\":%llu,\"dynamic_bytes\":%llu,"
        "\"blocks\":%llu,\"blocks_run\":%llu,\"barriers\":%llu,\"unique_read_sectors\":%llu,\"unique_write_sectors\":%llu,"
        "\"block_read_sectors\":%llu,\"block_write_sectors\":%llu,\"operand_sectors\":%llu%s}",
        comma(&launches), quoted(l->kernel), l->line, l->grid.x, l->grid.y, l->grid.z, l->block.x, l->block.y, l->block.z,
        U(l->static_bytes), U(l->dynamic_bytes), U(l->blocks_total), U(l->blocks_run), U(l->barriers), U(l->unique_read_sectors),
        U(l->unique_write_sectors), U(l->block_read_sectors), U(l->block_write_sectors), U(l->operand_sectors), uneven(l));
}

static uint64_t fills, filled_bytes;
void report_fill(uint64_t bytes) {
    fills++;
    filled_bytes += bytes;
}

void report_site(const char *kernel, uintptr_t pc, int line, enum Space space, enum Op op, unsigned bytes, const uint64_t c[7]) {
    static const char *const ops[] = {"load", "store", "atomic"};
    add(&sites_part,
        "%s{\"kernel\":%s,\"pc\":%llu,\"line\":%d,\"space\":\"%s\",\"op\":\"%s\",\"bytes\":%u,\"requests\":%llu,\"sectors\":%llu,"
        "\"ideal_sectors\":%llu,\"wavefronts\":%llu,\"ideal_wavefronts\":%llu,\"threads\":%llu}",
        comma(&sites_part), quoted(kernel), place(pc), line, space == SHARED ? "shared" : "global", ops[op], bytes, U(c[0]), U(c[1]),
        U(c[2]), U(c[3]), U(c[4]), U(c[5]));
}

void report_note(const char *kind, const char *message, uintptr_t pc, int line) {
    if (notes.entries >= 16) return;
    add(&notes, "%s{\"kind\":%s,\"message\":%s,\"pc\":%llu,\"line\":%d}", comma(&notes), quoted(kind), quoted(message), place(pc), line);
}

void report_return(int value) {
    returned = value;
    has_returned = 1;
}

static void put(const char *text, size_t length) {
    while (length) {
        ssize_t done = write(descriptor, text, length);
        if (done <= 0) _exit(3);
        text += done;
        length -= (size_t)done;
    }
}
static void say(const char *text) { put(text, strlen(text)); }

static _Noreturn void end(const char *fault_text) {
    char text[256];
    snprintf(text, sizeof text, "{\"nonce\":\"%s\",\"launches\":[", job.nonce);
    say(text);
    put(launches.text, launches.used);
    say("],\"sites\":[");
    put(sites_part.text, sites_part.used);
    say("],\"notes\":[");
    put(notes.text, notes.used);
    snprintf(text, sizeof text, "],\"fills\":%llu,\"filled_bytes\":%llu", U(fills), U(filled_bytes));
    say(text);
    say(",\"fault\":");
    say(fault_text);
    if (has_returned) snprintf(text, sizeof text, ",\"returned\":%d,\"dropped\":%u}\n", returned, launches.dropped + sites_part.dropped);
    else snprintf(text, sizeof text, ",\"returned\":null,\"dropped\":%u}\n", launches.dropped + sites_part.dropped);
    say(text);
    _exit(0);
}

void report_finish(void) { end("null"); }

void report_fault(const char *kind, const char *message, uintptr_t pc, int line, const Fiber *who) {
    static char text[4096];
    char thread[96] = "\"block\":null,\"thread\":null";
    if (who)
        snprintf(thread, sizeof thread, "\"block\":[%u,%u,%u],\"thread\":[%u,%u,%u]", current_block.x, current_block.y, current_block.z,
                 who->index.x, who->index.y, who->index.z);
    snprintf(text, sizeof text, "{\"kind\":%s,\"message\":%s,\"pc\":%llu,\"line\":%d,\"kernel\":", quoted(kind), quoted(message), place(pc), line);
    size_t used = strlen(text);
    snprintf(text + used, sizeof text - used, "%s,%s}", running ? quoted(running->kernel) : "null", thread);
    if (running) report_launch(running);
    end(text);
}
