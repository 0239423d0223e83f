/*
 * An LD_PRELOAD shim between the server and the kernel, for the files of one directory.
 *
 *   RECORDER_DIRECTORY  the directory, absolute, without links or a trailing '/'. Unset: nothing is done.
 *   RECORDER_LOG        a file to which every operation is appended (recording.rs reads it).
 *   RECORDER_FAULTS     a file of eight 64-bit words that says what must fail (harm.rs writes it).
 *
 * Why the log proves what it proves
 * ---------------------------------
 * Every operation has two records: BEGIN, with all its data, appended before the kernel is asked, and END, with
 * the result, appended after the kernel answered and before the caller learns of it. Each record is one
 * write(2) to a file opened with O_APPEND, so the order of the records is one order for all threads and all
 * processes, the test's own among them. From that follows:
 *
 *  - A write can have no effect before its BEGIN; whether it has one before its END is open. A cut that falls
 *    between them may therefore show it or not.
 *  - A sync promises only what had been written when it was called, and only once it has returned. So it
 *    counts for exactly those operations whose END precedes its BEGIN, and only at cuts after its own END.
 *  - The server can reply only after the sync on which the reply rests returned, that is after that sync's END.
 *    The test appends its note of a reply after it received it. So at any cut behind the note a correct
 *    server's sync is complete, and to demand what the note says is fair. A server that replies sooner has cuts
 *    between the note and the END, and is found out there.
 *
 * What is not wrapped (mapped writes, pwritev2, copy_file_range, stdio ...) is not silently missed: the test
 * replays the log and compares the outcome with the files themselves, byte for byte. The -shm of SQLite is
 * the one file left out; it is written through a mapping, and rebuilt whenever the store is opened.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* The numbers are recording.rs's too. */
enum kind { END = 0, OPEN = 1, WRITE = 2, RESIZE = 3, EXTEND = 4, SYNC = 5, UNLINK = 6, RENAME = 7, CLOSE = 8 };

struct header {
    unsigned char magic[16];
    uint32_t length; /* of the whole record, this header included */
    uint32_t pid;
    uint64_t number; /* of the operation within its process; BEGIN and END share it */
    uint32_t kind;
    int32_t fd;
    int64_t offset;
    int64_t value;        /* OPEN: flags; RESIZE, EXTEND: the size; END: the result */
    uint32_t name_length; /* the name precedes the data */
    uint32_t spare;
};

/* Words of the control file. The test sets all but SEEN and FAILED, and NTH last: 0 means that all is well. */
enum word { NTH = 0, KINDS = 1, FOR_GOOD = 2, ERRNO = 3, ACTION = 4, SEEN = 5, FAILED = 6, WORDS = 8 };
/*
 * What happens at the Nth operation of KINDS. The later ones, FOR_GOOD, fail with ERRNO in any case, but for
 * DELAY, which keeps all of them waiting for ERRNO microseconds.
 */
enum action { RETURN_ERROR = 0, CUT_SHORT = 1, KILL = 2, DELAY = 3 };

#define DESCRIPTORS 65536

static const char *directory;
static size_t directory_length;
static int log_fd = -1;
static _Atomic uint64_t *faults;
static _Atomic uint64_t operations;
static _Atomic unsigned char tracked[DESCRIPTORS];

__attribute__((noreturn)) static void give_up(const char *why) {
    /* Without its log the test would prove nothing: better no server than an unrecorded one. */
    syscall(SYS_write, 2, why, strlen(why));
    abort();
}

__attribute__((constructor)) static void start(void) {
    const char *log = getenv("RECORDER_LOG"), *control = getenv("RECORDER_FAULTS");
    directory = getenv("RECORDER_DIRECTORY");
    if (directory == NULL)
        return;
    directory_length = strlen(directory);
    if (log != NULL) {
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
        if (log_fd < 0)
            give_up("recorder: cannot open RECORDER_LOG\n");
    }
    if (control != NULL) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, control, O_RDWR | O_CLOEXEC, 0);
        void *map = fd < 0 ? MAP_FAILED : mmap(NULL, WORDS * 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
            give_up("recorder: cannot map RECORDER_FAULTS\n");
        syscall(SYS_close, fd);
        faults = map;
    }
}

/* ---- the log ------------------------------------------------------------------------------------------ */

static void append(struct header *header, const char *name, const struct iovec *data, int count) {
    struct iovec parts[count + 2];
    int saved = errno;
    if (log_fd < 0)
        return;
    memcpy(header->magic, "registry-record\n", sizeof header->magic);
    header->pid = (uint32_t)getpid();
    header->name_length = name == NULL ? 0 : (uint32_t)strlen(name);
    header->spare = 0;
    header->length = (uint32_t)sizeof *header + header->name_length;
    parts[0] = (struct iovec){header, sizeof *header};
    parts[1] = (struct iovec){(void *)name, header->name_length};
    for (int i = 0; i < count; i++) {
        parts[i + 2] = data[i];
        header->length += (uint32_t)data[i].iov_len;
    }
    if (syscall(SYS_writev, log_fd, parts, count + 2) != (long)header->length)
        give_up("recorder: a record could not be appended whole\n");
    errno = saved;
}

static uint64_t begin(enum kind kind, int fd, int64_t offset, int64_t value, const char *name,
                      const struct iovec *data, int count) {
    struct header header = {.kind = kind, .fd = fd, .offset = offset, .value = value};
    header.number = atomic_fetch_add(&operations, 1);
    append(&header, name, data, count);
    return header.number;
}

static void end(uint64_t number, int64_t result) {
    struct header header = {.kind = END, .number = number, .value = result};
    append(&header, NULL, NULL, 0);
}

/* ---- which files, and which of their operations fail --------------------------------------------------- */

static int is_tracked(int fd) { return fd >= 0 && fd < DESCRIPTORS && tracked[fd]; }

/* The name within the directory ("." for itself), or NULL for what is none of ours. */
static const char *name_of(int at, const char *path) {
    size_t length;
    if (directory == NULL || path == NULL || (path[0] != '/' && at != AT_FDCWD))
        return NULL;
    if (strncmp(path, directory, directory_length) != 0)
        return NULL;
    path += directory_length;
    if (path[0] == '\0')
        return ".";
    length = strlen(path);
    if (path[0] != '/' || (length > 4 && strcmp(path + length - 4, "-shm") == 0))
        return NULL;
    return path[1] == '\0' ? "." : path + 1;
}

enum verdict { FINE, SHORT, FAIL };

static enum verdict judge(enum kind kind) {
    uint64_t nth, seen;
    if (faults == NULL || (nth = faults[NTH]) == 0 || !(faults[KINDS] & (UINT64_C(1) << kind)))
        return FINE;
    seen = atomic_fetch_add(&faults[SEEN], 1) + 1;
    if (seen < nth || (seen > nth && !faults[FOR_GOOD]))
        return FINE;
    atomic_fetch_add(&faults[FAILED], 1);
    if (faults[ACTION] == DELAY) {
        usleep((useconds_t)faults[ERRNO]);
        return FINE;
    }
    if (seen == nth && faults[ACTION] == KILL) {
        syscall(SYS_kill, getpid(), SIGKILL);
        for (;;)
            pause();
    }
    errno = (int)faults[ERRNO];
    return seen == nth && faults[ACTION] == CUT_SHORT ? SHORT : FAIL;
}

/* ---- open and close ------------------------------------------------------------------------------------- */

static int open_recorded(int at, const char *path, int flags, mode_t mode) {
    const char *name = name_of(at, path);
    uint64_t number;
    int fd;
    if (name == NULL)
        return (int)syscall(SYS_openat, at, path, flags, mode);
    number = begin(OPEN, -1, 0, flags, name, NULL, 0);
    fd = (int)syscall(SYS_openat, at, path, flags, mode);
    if (fd >= DESCRIPTORS)
        give_up("recorder: too many descriptors\n");
    if (fd >= 0)
        tracked[fd] = 1;
    end(number, fd);
    return fd;
}

static mode_t mode_of(int flags, va_list arguments) {
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

#define DEFINE_OPEN(function)                           \
    int function(const char *path, int flags, ...) {    \
        va_list arguments;                              \
        mode_t mode;                                    \
        va_start(arguments, flags);                     \
        mode = mode_of(flags, arguments);               \
        va_end(arguments);                              \
        return open_recorded(AT_FDCWD, path, flags, mode); \
    }
#define DEFINE_OPENAT(function)                                \
    int function(int at, const char *path, int flags, ...) {   \
        va_list arguments;                                     \
        mode_t mode;                                           \
        va_start(arguments, flags);                            \
        mode = mode_of(flags, arguments);                      \
        va_end(arguments);                                     \
        return open_recorded(at, path, flags, mode);           \
    }
DEFINE_OPEN(open)
DEFINE_OPEN(open64)
DEFINE_OPENAT(openat)
DEFINE_OPENAT(openat64)

static int create(const char *path, mode_t mode) {
    return open_recorded(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat(const char *path, mode_t mode) { return create(path, mode); }
int creat64(const char *path, mode_t mode) { return create(path, mode); }

int close(int fd) {
    /* Said before it is done: the number may be another file's as soon as the kernel has it back. No END. */
    if (is_tracked(fd)) {
        begin(CLOSE, fd, 0, 0, NULL, NULL, 0);
        tracked[fd] = 0;
    }
    return (int)syscall(SYS_close, fd);
}

/* ---- writes --------------------------------------------------------------------------------------------- */

/* Half of what was asked for, as a disk does that fills up in the middle. */
static ssize_t write_half(int fd, const struct iovec *data, int count, off_t offset) {
    size_t wanted = 0;
    unsigned char *whole;
    ssize_t done;
    for (int i = 0; i < count; i++)
        wanted += data[i].iov_len;
    whole = malloc(wanted + 1);
    wanted = 0;
    for (int i = 0; i < count; i++) {
        memcpy(whole + wanted, data[i].iov_base, data[i].iov_len);
        wanted += data[i].iov_len;
    }
    done = syscall(SYS_pwrite64, fd, whole, (wanted + 1) / 2, offset);
    free(whole);
    return done;
}

static ssize_t writev_at(int fd, const struct iovec *data, int count, off_t offset) {
    ssize_t done = -1;
    uint64_t number;
    if (!is_tracked(fd))
        return syscall(SYS_pwritev, fd, data, count, (long)offset, 0L);
    number = begin(WRITE, fd, offset, 0, NULL, data, count);
    switch (judge(WRITE)) {
    case FINE:
        done = syscall(SYS_pwritev, fd, data, count, (long)offset, 0L);
        break;
    case SHORT:
        done = write_half(fd, data, count, offset);
        break;
    case FAIL:
        break;
    }
    end(number, done);
    return done;
}

static off_t own_offset(int fd) {
    int whence = syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR;
    return (off_t)syscall(SYS_lseek, fd, 0L, whence);
}

/* At the descriptor's own offset, which moves along: SQLite seeks and writes where it was not built with pwrite. */
static ssize_t writev_here(int fd, const struct iovec *data, int count) {
    off_t offset = own_offset(fd);
    ssize_t done = writev_at(fd, data, count, offset);
    if (done > 0)
        syscall(SYS_lseek, fd, offset + done, SEEK_SET);
    return done;
}

ssize_t writev(int fd, const struct iovec *data, int count) {
    return is_tracked(fd) ? writev_here(fd, data, count) : syscall(SYS_writev, fd, data, count);
}
ssize_t write(int fd, const void *buffer, size_t length) {
    struct iovec data = {(void *)buffer, length};
    return is_tracked(fd) ? writev_here(fd, &data, 1) : syscall(SYS_write, fd, buffer, length);
}

static ssize_t write_at(int fd, const void *buffer, size_t length, off_t offset) {
    struct iovec data = {(void *)buffer, length};
    return writev_at(fd, &data, 1, offset);
}
ssize_t pwrite(int fd, const void *b, size_t n, off_t offset) { return write_at(fd, b, n, offset); }
ssize_t pwrite64(int fd, const void *b, size_t n, off_t offset) { return write_at(fd, b, n, offset); }
ssize_t pwritev(int fd, const struct iovec *v, int n, off_t offset) { return writev_at(fd, v, n, offset); }
ssize_t pwritev64(int fd, const struct iovec *v, int n, off_t offset) { return writev_at(fd, v, n, offset); }

/* ---- sizes: they change metadata on the disk, so they fail when writes fail ------------------------------ */

static int resize(int fd, off_t size) {
    int result = -1;
    uint64_t number;
    if (!is_tracked(fd))
        return (int)syscall(SYS_ftruncate, fd, size);
    number = begin(RESIZE, fd, 0, size, NULL, NULL, 0);
    if (judge(WRITE) == FINE)
        result = (int)syscall(SYS_ftruncate, fd, size);
    end(number, result);
    return result;
}
int ftruncate(int fd, off_t size) { return resize(fd, size); }
int ftruncate64(int fd, off_t size) { return resize(fd, size); }

static int extend(int fd, int mode, off_t offset, off_t length) {
    int result = -1;
    uint64_t number;
    if (!is_tracked(fd))
        return (int)syscall(SYS_fallocate, fd, mode, offset, length);
    if (mode != 0)
        give_up("recorder: fallocate with a mode has no model\n");
    number = begin(EXTEND, fd, 0, offset + length, NULL, NULL, 0);
    if (judge(WRITE) == FINE)
        result = (int)syscall(SYS_fallocate, fd, mode, offset, length);
    end(number, result);
    return result;
}
int fallocate(int fd, int mode, off_t offset, off_t length) { return extend(fd, mode, offset, length); }
int fallocate64(int fd, int mode, off_t offset, off_t length) { return extend(fd, mode, offset, length); }
int posix_fallocate(int fd, off_t offset, off_t n) { return extend(fd, 0, offset, n) == 0 ? 0 : errno; }
int posix_fallocate64(int fd, off_t offset, off_t n) { return extend(fd, 0, offset, n) == 0 ? 0 : errno; }

/* ---- syncs ---------------------------------------------------------------------------------------------- */

static int sync_recorded(int fd, long call) {
    int result = -1;
    uint64_t number;
    if (!is_tracked(fd))
        return (int)syscall(call, fd);
    number = begin(SYNC, fd, 0, 0, NULL, NULL, 0);
    if (judge(SYNC) == FINE)
        result = (int)syscall(call, fd);
    end(number, result);
    return result;
}
int fsync(int fd) { return sync_recorded(fd, SYS_fsync); }
/* It leaves out only times and the like: data, and the size needed to read them, are on the disk after it. */
int fdatasync(int fd) { return sync_recorded(fd, SYS_fdatasync); }

/* ---- names ---------------------------------------------------------------------------------------------- */

static int unlink_recorded(int at, const char *path, int flags) {
    const char *name = name_of(at, path);
    uint64_t number;
    int result;
    if (name == NULL)
        return (int)syscall(SYS_unlinkat, at, path, flags);
    number = begin(UNLINK, -1, 0, 0, name, NULL, 0);
    result = (int)syscall(SYS_unlinkat, at, path, flags);
    end(number, result);
    return result;
}
int unlink(const char *path) { return unlink_recorded(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return unlink_recorded(at, path, flags); }

static int rename_recorded(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    const char *source = name_of(from_at, from), *target = name_of(to_at, to);
    struct iovec data = {(void *)target, target == NULL ? 0 : strlen(target)};
    uint64_t number;
    int result;
    if (source == NULL && target == NULL)
        return (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    if (source == NULL || target == NULL || flags != 0)
        give_up("recorder: a rename across the directory's border has no model\n");
    number = begin(RENAME, -1, 0, 0, source, &data, 1);
    result = (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    end(number, result);
    return result;
}
int rename(const char *from, const char *to) { return rename_recorded(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return rename_recorded(a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned f) { return rename_recorded(a, from, b, to, f); }
