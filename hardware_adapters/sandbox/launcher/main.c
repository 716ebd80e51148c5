/* launcher OPTIONS -- COMMAND: reads the plan, carries it out. launcher probe: which layers this machine has. */
#include "launcher.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

_Noreturn void fail(const char *what, const char *which) {
    dprintf(2, "autocomp-sandbox: %s %s: %s\n", what, which, strerror(errno));
    _exit(FAILED);
}

static void add(struct plan *plan, enum kind kind, const char *path, const char *target) {
    if (plan->count == MAX_PLACES) {
        errno = E2BIG;
        fail("places", path);
    }
    plan->places[plan->count++] = (struct place){kind, path, target};
}

static long number(const char *text) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || *end || end == text || value < 0) {
        errno = EINVAL;
        fail("number", text);
    }
    return value;
}

static int spaces(const char *text) {
    static const struct {
        const char *name;
        int flag;
    } known[] = {{"user", CLONE_NEWUSER}, {"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID},
                 {"net", CLONE_NEWNET},   {"ipc", CLONE_NEWIPC},  {"uts", CLONE_NEWUTS}};
    int flags = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strstr(text, known[i].name)) flags |= known[i].flag;
    return flags;
}

static void read_plan(struct plan *plan, char **words) {
    while (*words && strcmp(*words, "--")) {
        const char *name = *words++;
#define IS(option) (!strcmp(name, "--" option))
#define NEXT (*words ? *words++ : (errno = EINVAL, fail("no value for", name), (char *)0))
        if (IS("read")) add(plan, READ, NEXT, NULL);
        else if (IS("write")) add(plan, WRITE, NEXT, NULL);
        else if (IS("device")) add(plan, DEVICE, NEXT, NULL);
        else if (IS("empty")) add(plan, EMPTY, NEXT, NULL);
        else if (IS("blank")) add(plan, BLANK, NEXT, NULL);
        else if (IS("link")) {
            const char *target = NEXT;
            add(plan, LINK, NEXT, target);
        } else if (IS("spaces")) plan->spaces = spaces(NEXT);
        else if (IS("folder")) plan->folder = NEXT;
        else if (IS("file-bytes")) plan->file_bytes = number(NEXT);
        else if (IS("cpu")) plan->cpu_s = number(NEXT);
        else if (IS("memory")) plan->memory_bytes = number(NEXT);
        else if (IS("tasks")) plan->tasks = number(NEXT);
        else if (IS("wide")) plan->wide = 1;
        else if (IS("proc")) plan->proc = 1;
        else if (IS("filter")) plan->filter = 1;
        else if (IS("landlock")) plan->landlock = 1;
        else if (IS("no-processes")) plan->no_processes = 1;
        else if (IS("no-network")) plan->no_network = 1;
        else if (IS("debugging")) plan->debugging = 1;
        else {
            errno = EINVAL;
            fail("option", name);
        }
    }
    if (!*words || !words[1]) {
        errno = EINVAL;
        fail("command", "is missing");
    }
    plan->command = words + 1;
}

/* The last steps, in the process that becomes the program. */
void become(const struct plan *plan) {
    limit(plan);
    if (plan->folder && chdir(plan->folder)) fail("folder", plan->folder);
    if (plan->landlock) restrict_files(plan);
    drop_privileges();
    if (plan->filter) filter_calls(plan);
    execvp(plan->command[0], plan->command);
    dprintf(2, "%s: %s\n", plan->command[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126); /* as a shell would say it */
}

int main(int count, char **words) {
    if (count == 2 && !strcmp(words[1], "probe")) return probe();
    static struct plan plan;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a judge that was killed leaves nothing behind */
    read_plan(&plan, words + 1);
    if (plan.spaces) return run_in_spaces(&plan);
    become(&plan);
}
