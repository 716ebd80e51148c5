// The job file: what `gemsim job FILE` is asked to do. Grammar in job.c; every error names its line.
#ifndef GEMSIM_JOB_H
#define GEMSIM_JOB_H

#include <stdint.h>

#include "config.h"

enum { JOB_MAX_BUFFERS = 8, JOB_MAX_CASES = 256, JOB_MAX_CALLS = 1000, JOB_PATH_BYTES = 1024, JOB_NAME_BYTES = 48 };

typedef struct JobBuffer {
    char name[JOB_NAME_BYTES], path[JOB_PATH_BYTES];
    uint64_t address, bytes;
    int is_output;
} JobBuffer;

typedef struct JobCase {
    char name[JOB_NAME_BYTES];
    int timed, calls, buffers;
    JobBuffer buffer[JOB_MAX_BUFFERS];
} JobCase;

typedef struct Job {
    char elf[JOB_PATH_BYTES], entry[JOB_NAME_BYTES], profile[JOB_PATH_BYTES], timeline[JOB_PATH_BYTES];
    Config tuned;         // when the job sets constants
    const Config *config; // config_gemmini16 unless the job says otherwise
    uint64_t limit_cycles, limit_instructions;
    uint64_t repeat_below; // cycles; a timed call that takes as many is its case's last
    int cases;
    JobCase *case_list;
} Job;

// NULL with a text in error[] ("line 3: ...") when the file is not a job.
Job *job_read(const char *path, char error[300]);
void job_free(Job *);

#endif
