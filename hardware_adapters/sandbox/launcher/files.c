/* The program's own view of the file system: nothing but the places of the plan, or everything, read-only. */
#include "launcher.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STAGE "/tmp" /* is everywhere; the old root is below it while the new one is made */
#define OLD "/old"
#define NEW "/new"
#define SMALL "mode=755,size=1m"
#define ROOM "mode=1777,size=64m"
enum { LONG = 4096 };

static void joined(char *to, const char *base, const char *path) {
    if (snprintf(to, LONG, "%s%s", base, path) >= LONG) {
        errno = ENAMETOOLONG;
        fail("path", path);
    }
}

/* All folders above `path`, and the last part too as `mode` says: a folder, or an empty file to mount on. */
static void make_way(const char *path, int folder) {
    char part[LONG];
    joined(part, "", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(part, 0755) && errno != EEXIST && errno != EROFS) fail("folder", part);
        *slash = '/';
    }
    struct stat found;
    if (lstat(path, &found) == 0) return;
    if (folder) {
        if (mkdir(path, 0755) && errno != EEXIST) fail("folder", path);
    } else {
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0) fail("file", path);
        close(fd);
    }
}

/* A container's /tmp may be mounted noexec, say: who is in a name space within may add to such flags, not drop one. */
static unsigned long flags_of(const char *path) {
    static const struct {
        unsigned long has, keep;
    } known[] = {{ST_RDONLY, MS_RDONLY},   {ST_NOSUID, MS_NOSUID},         {ST_NODEV, MS_NODEV},      {ST_NOEXEC, MS_NOEXEC},
                 {ST_NOATIME, MS_NOATIME}, {ST_NODIRATIME, MS_NODIRATIME}, {ST_RELATIME, MS_RELATIME}};
    struct statvfs found;
    unsigned long flags = 0;
    if (statvfs(path, &found)) return 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (found.f_flag & known[i].has) flags |= known[i].keep;
    return flags;
}

/* With all that is mounted below it. Before Linux 5.12 only the place itself is made read-only. */
static void read_only(const char *path, int devices) {
    struct mount_attr wanted = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | (devices ? 0 : MOUNT_ATTR_NODEV)};
    if (syscall(SYS_mount_setattr, AT_FDCWD, path, AT_RECURSIVE, &wanted, sizeof wanted) == 0) return;
    unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | (devices ? 0 : MS_NODEV) | flags_of(path);
    if (mount(NULL, path, NULL, flags, NULL)) fail("read-only", path);
}

static void writable(const char *path, const char *name) {
    unsigned long flags = MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | flags_of(path);
    if (mount(NULL, path, NULL, flags, NULL)) fail("place", name);
}

static void bind_place(const char *old, const char *new, const struct place *place) {
    char from[LONG], to[LONG];
    joined(from, old, place->path);
    joined(to, new, place->path);
    struct stat found;
    if (lstat(from, &found)) {
        if (place->kind == WRITE) fail("place", place->path);
        return; /* what this machine does not have is not missed */
    }
    make_way(to, S_ISDIR(found.st_mode));
    if (mount(from, to, NULL, MS_BIND | MS_REC, NULL)) fail("place", place->path);
    if (place->kind != WRITE) read_only(to, place->kind == DEVICE);
    else writable(to, place->path);
}

static void put(const char *old, const char *new, const struct place *place) {
    char to[LONG], from[LONG];
    joined(to, new, place->path);
    struct stat found;
    switch (place->kind) {
    case LINK:
        if (lstat(to, &found) == 0) return;
        make_way(to, 1);
        (void)rmdir(to);
        if (symlink(place->target, to) && errno != EEXIST) fail("link", place->path);
        return;
    case EMPTY:
        if (lstat(to, &found)) make_way(to, 1);
        if (mount("tmpfs", to, "tmpfs", MS_NOSUID | MS_NODEV, ROOM)) fail("empty", place->path);
        return;
    case BLANK: /* a file that must not be read looks empty */
        if (lstat(to, &found) || S_ISLNK(found.st_mode)) return;
        joined(from, old, "/dev/null");
        if (mount(from, to, NULL, MS_BIND, NULL)) fail("blank", place->path);
        return;
    default:
        bind_place(old, new, place);
    }
}

static void pivot(const char *new, const char *old) {
    if (syscall(SYS_pivot_root, new, old)) fail("root", new);
}

/* In a mount name space of our own. Places are put in their order: what hides others comes before what it hides. */
void arrange_files(const struct plan *plan) {
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) fail("mounts", "private");
    if (mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, SMALL)) fail("mount", STAGE);
    if (chdir(STAGE) || mkdir("old", 0755) || mkdir("new", 0755)) fail("mount", STAGE);
    pivot(".", "old");
    if (chdir("/")) fail("root", "/");
    if (plan->wide) {
        if (mount(OLD, NEW, NULL, MS_BIND | MS_REC, NULL)) fail("root", "as it is");
        read_only(NEW, 0); /* devices are places of their own: root could read a disk by its device */
    } else if (mount("tmpfs", NEW, "tmpfs", MS_NOSUID | MS_NODEV, SMALL)) {
        fail("root", "empty");
    }
    for (int i = 0; i < plan->count; i++) put(OLD, NEW, &plan->places[i]);
    if (plan->proc) {
        if (mkdir(NEW "/proc", 0755) && errno != EEXIST && errno != EROFS) fail("folder", "/proc");
        if (mount("proc", NEW "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) fail("mount", "/proc");
    }
    if (chdir(NEW)) fail("root", "new");
    pivot(".", ".");
    if (umount2(".", MNT_DETACH)) fail("root", "old");
    if (chdir("/")) fail("root", "/");
    if (!plan->wide && mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL))
        fail("read-only", "/");
}
