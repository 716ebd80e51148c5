/* The program between the judge and what it runs: it gives up all that the program has no use for, then becomes it. */
#ifndef LAUNCHER_H
#define LAUNCHER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { MAX_PLACES = 256, FAILED = 125 };

/* What a place is in the program's view of the file system. */
enum kind { READ, WRITE, DEVICE, LINK, EMPTY, BLANK };

struct place {
    enum kind kind;
    const char *path;
    const char *target; /* of a LINK */
};

struct plan {
    int spaces;         /* CLONE_NEW... flags */
    int wide;           /* the whole file system is there, read-only, but for what is EMPTY or BLANK */
    int proc;           /* a /proc of its own can be mounted */
    int filter;         /* system calls are filtered */
    int landlock;       /* access to files is restricted without name spaces */
    int no_processes;   /* threads only */
    int no_network;     /* by the filter, where there is no name space for it */
    int debugging;      /* the program is a debugger or profiler */
    long tasks;         /* processes and threads, 0: not limited */
    long file_bytes, cpu_s, memory_bytes;
    const char *folder; /* to start in */
    int count;
    struct place places[MAX_PLACES];
    char **command;
};

_Noreturn void fail(const char *what, const char *which);

void limit(const struct plan *plan);
void limit_tasks(const struct plan *plan);
void drop_privileges(void);
void filter_calls(const struct plan *plan);
int can_filter(void);
void restrict_files(const struct plan *plan);
int landlock_version(void);
void arrange_files(const struct plan *plan);
int run_in_spaces(const struct plan *plan);
int probe(void);
void become(const struct plan *plan);

#endif
