/* The job: a text of lines "key values", written by the parent. Files are opened here, before the candidate is loaded. */
#include "cpusim.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

Job job = {.calls = 1, .shared_limit = 101376, .cpu_s = 30};

static void read_buffer(const char *line) {
    char role[16];
    unsigned long long bytes;
    if (job.buffers == MAX_BUFFERS) broken("more than %d buffers", MAX_BUFFERS);
    Buffer *buffer = &job.buffer[job.buffers++];
    buffer->descriptor = -1;
    if (sscanf(line, "buffer %63s %llu %15s %63s", buffer->name, &bytes, role, buffer->file) < 3) broken("bad line %s", line);
    buffer->bytes = bytes;
    buffer->role = !strcmp(role, "input") ? 0 : !strcmp(role, "output") ? 1 : 2;
    if (buffer->role == 0) buffer->descriptor = open(buffer->file, O_RDONLY | O_CLOEXEC);
    if (buffer->descriptor >= 0) buffer->file_bytes = (uint64_t)lseek(buffer->descriptor, 0, SEEK_END);
    if (buffer->role == 1) buffer->descriptor = open(buffer->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (buffer->role != 2 && buffer->descriptor < 0) broken("%s: %s", buffer->file, strerror(errno));
}

void job_read(const char *path) {
    char line[512], word[16] = "";
    long long number;
    FILE *file = fopen(path, "r");
    if (!file) broken("%s: %s", path, strerror(errno));
    while (fgets(line, sizeof line, file)) {
        if (!strncmp(line, "buffer ", 7)) read_buffer(line);
        else if (sscanf(line, "nonce %64s", job.nonce) == 1) continue;
        else if (sscanf(line, "order %d", &job.order) == 1) continue;
        else if (sscanf(line, "trace %d", &job.trace) == 1) continue;
        else if (sscanf(line, "calls %d", &job.calls) == 1) continue;
        else if (sscanf(line, "seed %llu", (unsigned long long *)&job.seed) == 1) continue;
        else if (sscanf(line, "blocks %llu", (unsigned long long *)&job.blocks) == 1) continue;
        else if (sscanf(line, "seconds %lf", &job.seconds) == 1) continue;
        else if (sscanf(line, "cpu %lf", &job.cpu_s) == 1) continue;
        else if (sscanf(line, "shared %llu", (unsigned long long *)&job.shared_limit) == 1) continue;
        else if (sscanf(line, "dim %lld", &number) == 1 && job.dims < MAX_DIMS) job.dim[job.dims++] = number;
        else if (sscanf(line, "%15s", word) == 1) broken("unknown line in the job: %s", line);
    }
    fclose(file);
}
