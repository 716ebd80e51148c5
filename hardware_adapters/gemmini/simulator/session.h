// Runs a job and prints its answer.
#ifndef GEMSIM_SESSION_H
#define GEMSIM_SESSION_H

#include <stdio.h>

#include "job.h"

// 1 with one JSON object written to `out`; 0 with a text in error[] when the job cannot be run (a missing file, overlapping
// buffers): that is the caller's mistake, unlike a fault of the kernel.
int session_run(const Job *, const char *version, FILE *out, char error[300]);

#endif
