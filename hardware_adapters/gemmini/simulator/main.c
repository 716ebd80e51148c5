// gemsim: an RV64GC machine with a Gemmini accelerator.
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bare.h"
#include "job.h"
#include "session.h"

#define VERSION "0.1.0"

static const char usage[] =
    "usage: gemsim job FILE                  run the job, print one JSON object\n"
    "       gemsim run [OPTION...] PROGRAM   run a bare-metal ELF program until it exits through HTIF\n"
    "           --timed                      count cycles (otherwise mcycle counts instructions)\n"
    "           --config NAME                accelerator: gemmini16-int8 (default), gemmini4-fp32, gemmini32-int8\n"
    "           --strict                     reading scratchpad or accumulator rows never written is an error\n"
    "           --misaligned                 allow misaligned loads and stores\n"
    "           --limit-instructions N       give up after N instructions (default 2000000000)\n"
    "       gemsim --version\n";

// The answer is collected first: a job that turns out to be unrunnable prints nothing on stdout.
static int run_job(const char *path) {
    char error[300] = "";
    Job *job = job_read(path, error);
    char *answer = NULL;
    size_t bytes = 0;
    FILE *out = job ? open_memstream(&answer, &bytes) : NULL;
    int ok = out && session_run(job, "gemsim " VERSION, out, error);
    if (out) fclose(out);
    if (ok) fwrite(answer, 1, bytes, stdout);
    else fprintf(stderr, "gemsim: %s\n", *error ? error : "out of memory");
    free(answer);
    job_free(job);
    return ok && fflush(stdout) == 0 ? 0 : 2;
}

static int run_program(int argc, char **argv) {
    BareOptions options = {.config = &config_gemmini16, .limit_instructions = 2000000000};
    const char *program = NULL;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--timed") == 0) options.timed = 1;
        else if (strcmp(argv[i], "--strict") == 0) options.strict = 1;
        else if (strcmp(argv[i], "--misaligned") == 0) options.allow_misaligned = 1;
        else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) {
            options.config = config_named(argv[++i]);
            if (!options.config) {
                fprintf(stderr, "gemsim: no configuration %s: there are %s\n", argv[i], config_names);
                return 2;
            }
        } else if (strcmp(argv[i], "--limit-instructions") == 0 && i + 1 < argc) options.limit_instructions = strtoull(argv[++i], NULL, 0);
        else if (argv[i][0] != '-' && !program) program = argv[i];
        else program = NULL, argc = 0;
    }
    if (program) return bare_run(program, &options);
    fputs(usage, stderr);
    return 2;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("gemsim " VERSION);
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "job") == 0) return run_job(argv[2]);
    if (argc >= 3 && strcmp(argv[1], "run") == 0) return run_program(argc - 2, argv + 2);
    fputs(usage, stderr);
    return 2;
}
