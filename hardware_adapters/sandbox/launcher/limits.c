/* Limits, descriptors and privileges: what every Linux has. */
#include "launcher.h"
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

static void at_most_with_grace(int what, long value, long grace, const char *name) {
    struct rlimit now, wanted = {(rlim_t)value, (rlim_t)(value + grace)};
    if (getrlimit(what, &now) == 0 && now.rlim_max != RLIM_INFINITY && now.rlim_max < wanted.rlim_max)
        wanted = (struct rlimit){now.rlim_max < wanted.rlim_cur ? now.rlim_max : wanted.rlim_cur, now.rlim_max};
    if (setrlimit(what, &wanted)) fail("limit", name);
}

static void at_most(int what, long value, const char *name) { at_most_with_grace(what, value, 0, name); }

void limit(const struct plan *plan) {
    at_most(RLIMIT_CORE, 0, "core");
    at_most(RLIMIT_NOFILE, 1024, "descriptors");
    at_most(RLIMIT_MEMLOCK, plan->wide ? 1 << 30 : 64 << 10, "locked memory"); /* devices pin memory */
    at_most(RLIMIT_MSGQUEUE, 0, "message queues");
    if (plan->file_bytes) at_most(RLIMIT_FSIZE, plan->file_bytes, "file");
    /* At its time a program gets SIGXCPU, so that SIGKILL is nobody's but the judge's, or of somebody outside. */
    if (plan->cpu_s) at_most_with_grace(RLIMIT_CPU, plan->cpu_s, 2, "processor time");
    if (plan->memory_bytes) at_most(RLIMIT_AS, plan->memory_bytes, "memory");
    /* The kernel counts per user and name space; outside of one the user's other processes would count, and the caller
     * sets no such limit. */
    if (plan->tasks) at_most(RLIMIT_NPROC, plan->tasks, "processes");
    if (syscall(SYS_close_range, 3, ~0u, 0))
        for (int fd = 3; fd < 1024; fd++) close(fd);
}

/* A user who is root outside is not bound by RLIMIT_NPROC. Since Linux 6.14 each process name space has a limit of its
 * own, which is this file of its own /proc; before, the file is the whole machine's and must not be touched. */
void limit_tasks(const struct plan *plan) {
    struct utsname name;
    if (!plan->tasks || uname(&name)) return;
    char *end;
    long major = strtol(name.release, &end, 10), minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
    if (major < 6 || (major == 6 && minor < 14)) return;
    FILE *file = fopen("/proc/sys/kernel/pid_max", "we");
    if (!file) return;
    fprintf(file, "%ld\n", plan->tasks < 301 ? 301 : plan->tasks); /* the kernel takes no less */
    fclose(file);
}

/* Whoever runs as root inside a user name space would get its capabilities back when a program starts. */
void drop_privileges(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2];
    memset(none, 0, sizeof none);
    for (int capability = 0; capability <= 63; capability++) (void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    (void)prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                       SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                                       SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    (void)syscall(SYS_capset, &header, none);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("privileges", "no_new_privs");
}
