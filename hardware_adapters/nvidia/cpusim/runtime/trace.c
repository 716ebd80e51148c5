/* Counts what a warp's requests cost. The lanes of a warp run one after the other, so what they do together is put
   together afterwards: the n-th execution of an instruction by one lane belongs to the n-th by the others, counted from
   the last barrier. Global memory: 32-byte sectors touched per request. Shared memory: passes over 32 banks of 4 bytes;
   lanes that want the same word share a pass, and 8- and 16-byte accesses go by halves and quarters of the warp; loads by
   half as many parts where every lane wants what its neighbour, or its neighbour but one, wants. */
#include "cpusim.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MAX_SITES 8192
#define MAX_KINDS 64 /* of accesses whose place is not told: of each space, operation and width */
#define TABLE 32768
#define MAX_REQUESTS (1u << 21) /* kept at once, of all sites: 550 MB */
typedef struct { uint32_t mask; uint64_t address[WARP]; } Request;
typedef struct {
    uintptr_t pc;
    int line;
    enum Space space;
    enum Op op;
    unsigned bytes;
    uint32_t lane_count[WARP], used, room;
    Request *requests;
    uint64_t counts[7]; /* requests, sectors, ideal sectors, wavefronts, ideal wavefronts, threads, requests of full warps */
} Site;
static Site sites[MAX_SITES + MAX_KINDS];
static uint16_t table[TABLE], touched[MAX_SITES];
static unsigned site_count, touched_count;
static uint32_t kept; /* room of all sites */
extern uint32_t block_number;
static const char *kernel_traced;

static Site *site_of(uintptr_t pc, int line, enum Space space, enum Op op, unsigned bytes) {
    uintptr_t key = line ? (uintptr_t)line * 2654435761u : pc;
    unsigned at = (unsigned)((key >> 2) ^ (key >> 13) ^ bytes * 7 ^ space * 31 ^ op * 61) % TABLE;
    for (;; at = (at + 1) % TABLE) {
        if (!table[at]) break;
        Site *site = &sites[table[at] - 1];
        if (site->pc == (line ? 0 : pc) && site->line == line && site->bytes == bytes && site->space == space && site->op == op) return site;
    }
    if (site_count >= MAX_SITES && (pc != 1 || line)) return NULL;
    if (site_count == MAX_SITES + MAX_KINDS) broken("too many kinds of access");
    Site *site = &sites[site_count++];
    table[at] = (uint16_t)site_count;
    *site = (Site){.pc = line ? 0 : pc, .line = line, .space = space, .op = op, .bytes = bytes};
    return site;
}

/* Variables of the program lie in global memory as buffers do. */
static uint32_t *variables_read, *variables_written;
void trace_variables(void) {
    uint64_t bytes = (image_high / 32 - image_low / 32 + 1) * sizeof *variables_read;
    for (int i = 0; i < 2; i++) {
        void *area = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (area == MAP_FAILED) broken("no memory to count accesses of variables");
        *(i ? &variables_written : &variables_read) = area;
    }
}

/* Which block touched the sector last; NULL for a thread's local memory, which its block alone uses. */
static uint32_t *stamp_of(uint64_t sector, enum Op op) {
    if (sector - device_base / 32 < device_span / 32) return (op == LOAD ? sectors_read : sectors_written) + (sector - device_base / 32);
    if (sector - image_low / 32 <= image_high / 32 - image_low / 32) return (op == LOAD ? variables_read : variables_written) + (sector - image_low / 32);
    return NULL;
}

static int is_operand(uint64_t sector) {
    const Buffer *buffer = memory_buffer(sector * 32);
    return buffer && buffer->role != 2;
}

typedef struct { uint64_t values[2 * WARP], most; unsigned count, next; } Set;

/* Whether the value is new to the set, which then has it. Lanes mostly go upwards, or repeat what lanes before them did:
   so the value behind the one that was met last is looked at first. */
static int is_new(Set *set, uint64_t value) {
    if (set->next < set->count && set->values[set->next] == value) return set->next++, 0;
    if (set->count && value <= set->most) {
        for (unsigned i = set->count; i--;)
            if (set->values[i] == value) return set->next = i + 1, 0;
    } else set->most = value;
    set->values[set->count++] = value;
    set->next = set->count;
    return 1;
}

static unsigned sectors_of(const Request *request, unsigned bytes, enum Op op) {
    Set seen;
    seen.count = seen.next = 0;
    for (uint32_t left = request->mask; left; left &= left - 1) {
        uint64_t address = request->address[__builtin_ctz(left)];
        for (uint64_t sector = address / 32; sector <= (address + bytes - 1) / 32; sector++) {
            if (!is_new(&seen, sector)) continue;
            uint32_t *stamp = stamp_of(sector, op);
            if (!stamp || *stamp == block_number) continue;
            uint64_t *block = op == LOAD ? &running->block_read_sectors : &running->block_write_sectors;
            uint64_t *launch = op == LOAD ? &running->unique_read_sectors : &running->unique_write_sectors;
            ++*block;
            running->operand_sectors += is_operand(sector);
            *launch += *stamp <= block_number - (uint32_t)running->blocks_run - 1;
            *stamp = block_number;
        }
    }
    return seen.count;
}

/* Passes for lanes first..last: the fullest bank's number of different words. */
static unsigned passes(const Request *request, unsigned first, unsigned last, unsigned bytes, int atomic) {
    uint64_t words[WARP][WARP * 2];
    unsigned filled[WARP] = {0}, most = 0;
    for (unsigned lane = first; lane < last; lane++) {
        if (!(request->mask >> lane & 1)) continue;
        for (uint64_t word = request->address[lane] / 4; word <= (request->address[lane] + bytes - 1) / 4; word++) {
            unsigned bank = word % WARP, known = atomic ? 0 : filled[bank];
            while (known && words[bank][known - 1] != word) known--;
            if (!known && filled[bank] < WARP * 2) words[bank][filled[bank]++] = word;
            if (filled[bank] > most) most = filled[bank];
        }
    }
    return most;
}

/* Whether all lanes l and l ^ step want the same: what returns to two lanes is then packed, and takes half the time. */
static int paired(const Request *request, unsigned step) {
    for (uint32_t left = request->mask; left; left &= left - 1) {
        unsigned lane = (unsigned)__builtin_ctz(left), other = lane ^ step;
        if (request->mask >> other & 1 && request->address[other] != request->address[lane]) return 0;
    }
    return 1;
}

static void count_shared(Site *site, const Request *request) {
    unsigned parts = site->bytes > 8 ? 4 : site->bytes > 4 ? 2 : 1;
    if (parts > 1 && site->op == LOAD && (paired(request, 1) || paired(request, 2))) parts /= 2;
    unsigned per = WARP / parts;
    for (unsigned part = 0; part < parts; part++) {
        unsigned taken = passes(request, part * per, (part + 1) * per, site->bytes, site->op == ATOMIC);
        site->counts[3] += taken;
        site->counts[4] += taken != 0;
    }
}

/* Sectors that the request's bytes would fill if they lay side by side; lanes that want the same bytes need them once. */
static unsigned ideal_sectors(const Request *request, unsigned bytes) {
    Set seen;
    seen.count = seen.next = 0;
    for (uint32_t left = request->mask; left; left &= left - 1) is_new(&seen, request->address[__builtin_ctz(left)]);
    return (seen.count * bytes + 31) / 32;
}

/* What all blocks of the launch did so far: requests and sectors, requests and wavefronts of shared memory, threads;
   of the last block, and of the one drawn of each part of the grid. */
enum { REQUESTS, SECTORS, SHARED_REQUESTS, WAVEFRONTS, THREADS, READ, WRITTEN, BARRIERS };
static double done[WORKS], before[WORKS], drawn[MAX_DRAWN][WORKS];
static uint8_t ran[MAX_DRAWN];

static void count(Site *site, const Request *request) {
    unsigned threads = (unsigned)__builtin_popcount(request->mask);
    site->counts[0]++;
    site->counts[5] += threads;
    done[THREADS] += threads;
    if (site->space == SHARED) {
        uint64_t earlier = site->counts[3];
        count_shared(site, request);
        done[SHARED_REQUESTS]++;
        done[WAVEFRONTS] += (double)(site->counts[3] - earlier);
    } else {
        unsigned sectors = sectors_of(request, site->bytes, site->op);
        site->counts[1] += sectors;
        site->counts[2] += ideal_sectors(request, site->bytes);
        done[REQUESTS]++;
        done[SECTORS] += sectors;
    }
}

void trace_block(uint64_t part) {
    done[READ] = (double)running->block_read_sectors;
    done[WRITTEN] = (double)running->block_write_sectors;
    done[BARRIERS] = (double)running->barriers;
    if (part < MAX_DRAWN) ran[part] = 1;
    for (unsigned k = 0; k < WORKS; k++) {
        if (part < MAX_DRAWN) drawn[part][k] = done[k] - before[k];
        before[k] = done[k];
    }
}

/* How much the blocks that were drawn differ, each from the one of the part before, in all pairs of amounts: what
   changes slowly along the grid is no uncertainty. */
void trace_spread(Launch *launch) {
    memcpy(launch->work, done, sizeof done);
    const double *last = NULL;
    for (unsigned part = 0; part < MAX_DRAWN; part++) {
        if (!ran[part]) continue;
        for (unsigned k = 0, at = 0; last && k < WORKS; k++)
            for (unsigned l = 0; l <= k; l++)
                launch->differences[at++] += (drawn[part][k] - last[k]) * (drawn[part][l] - last[l]);
        last = drawn[part];
    }
}

/* Where there is no room to wait for the other lanes each counts for itself: too much, never too little. */
static void count_alone(Site *site, uintptr_t address) {
    Request request = {.mask = 1u << current->lane};
    request.address[current->lane] = address;
    count(site, &request);
}

void trace_access(uintptr_t address, unsigned size, enum Op op, enum Space space, uintptr_t pc, int line) {
    Site *site = site_of(pc, line, space, op, size);
    if (unlikely(!site)) {
        note("trace_incomplete", pc, line, "more places of access than are told apart");
        count_alone(site_of(1, 0, space, op, size), address);
        return;
    }
    uint32_t nth = site->lane_count[current->lane]++;
    if (unlikely(nth >= site->used)) {
        if (unlikely(nth >= site->room)) {
            uint32_t room = site->room ? site->room * 2 : 16;
            Request *more = kept + room <= MAX_REQUESTS ? realloc(site->requests, room * sizeof(Request)) : NULL;
            if (!more) {
                note("trace_incomplete", pc, line, "too many accesses between two barriers to see which lanes make them together");
                count_alone(site, address);
                return;
            }
            kept += room - site->room;
            site->room = room;
            site->requests = more;
        }
        if (!site->used) touched[touched_count++] = (uint16_t)(site - sites);
        site->used = nth + 1;
        site->requests[nth].mask = 0;
    }
    site->requests[nth].mask |= 1u << current->lane;
    site->requests[nth].address[current->lane] = address;
}

void trace_flush_warp(void) {
    for (unsigned i = 0; i < touched_count; i++) {
        Site *site = &sites[touched[i]];
        for (uint32_t n = 0; n < site->used; n++) count(site, &site->requests[n]);
        site->used = 0;
        memset(site->lane_count, 0, sizeof site->lane_count);
    }
    touched_count = 0;
}

/* Sites are kept per launch: what was counted is reported when the next launch begins. */
void trace_report(void) {
    for (unsigned i = 0; i < site_count; i++) {
        report_site(kernel_traced, sites[i].pc, sites[i].line, sites[i].space, sites[i].op, sites[i].bytes, sites[i].counts);
        free(sites[i].requests);
    }
    site_count = 0;
    kept = 0;
    memset(table, 0, sizeof table);
}
void trace_launch(void) {
    trace_report();
    memset(done, 0, sizeof done);
    memset(before, 0, sizeof before);
    memset(ran, 0, sizeof ran);
    kernel_traced = running->kernel;
}
