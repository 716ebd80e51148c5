// The job file's parser. The job is not run: it may name any file of this machine.
#include "job.h"
#include "target.h"

void fuzz_job(const uint8_t *data, size_t size) {
    char error[300];
    job_free(job_read(file_of(data, size), error));
}
