/* Open files as a source of lanes: regular ones through mmap, a window at a time; what cannot be mapped through read().
 *
 * Reading a mapped page that the file no longer has raises SIGBUS. For the length of a call a handler is installed
 * that puts zero pages under a window of the faulting thread and notes it on the window; any other SIGBUS goes to
 * the handler that was there before. A noted window, or a size that differs at the end, fails the call: no digest
 * is ever given for bytes that were not in the file.
 */
#define _GNU_SOURCE
#include "sha256_core.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* WINDOW: measured in docs/adr/0003-native-parts.md; a lane maps no more than this at once.
 * CHUNK: read() path; within the second-level cache. CHECK_EVERY: some 50 ms of hashing between two looks for Ctrl-C. */
enum { WINDOW = 2 << 20, CHUNK = 128 << 10, CHECK_EVERY = 256 << 20 };

typedef struct {
    uint8_t *volatile start;
    volatile size_t len;
    volatile sig_atomic_t faulted;
} window;

/* ---- SIGBUS --------------------------------------------------------------------------------------------------- */

static _Thread_local window *volatile thread_windows; /* PL_MAX_LANES of them while the thread hashes, else NULL */
static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned installed; /* calls under way, guarded by install_lock */
static struct sigaction handler_before;

static void pass_on(int number, siginfo_t *info, void *context) {
    if (handler_before.sa_flags & SA_SIGINFO) {
        handler_before.sa_sigaction(number, info, context);
    } else if (handler_before.sa_handler == SIG_DFL || handler_before.sa_handler == SIG_IGN) {
        /* A fault cannot be ignored: back at the instruction it strikes again, by default. A sent signal does not. */
        const int sent = info->si_code <= 0;
        if (sent && handler_before.sa_handler == SIG_IGN) return;
        signal(number, SIG_DFL);
        if (sent) raise(number);
    } else {
        handler_before.sa_handler(number);
    }
}

static void on_sigbus(int number, siginfo_t *info, void *context) {
    const int errno_before = errno;
    window *const windows = thread_windows;
    uint8_t *const address = info->si_addr;
    for (unsigned i = 0; windows && info->si_code > 0 && i < PL_MAX_LANES; i++) {
        uint8_t *const start = windows[i].start;
        if (!start || address < start || address >= start + windows[i].len) continue;
        const uintptr_t page_mask = ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
        uint8_t *const page = (uint8_t *)((uintptr_t)address & page_mask);
        if (mmap(page, (size_t)(start + windows[i].len - page), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                 0) == MAP_FAILED)
            break;
        windows[i].faulted = 1;
        errno = errno_before;
        return;
    }
    pass_on(number, info, context);
    errno = errno_before;
}

static int is_ours(const struct sigaction *action) {
    return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == on_sigbus;
}

/* Asks each time whether ours is in force: another library may have put its own handler over it meanwhile. */
static int install_handler(void) {
    struct sigaction now, action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    int result = 0;
    action.sa_sigaction = on_sigbus;
    sigemptyset(&action.sa_mask);
    pthread_mutex_lock(&install_lock);
    if (sigaction(SIGBUS, NULL, &now) || (!is_ours(&now) && sigaction(SIGBUS, &action, &handler_before)))
        result = errno;
    else
        installed++;
    pthread_mutex_unlock(&install_lock);
    return result;
}

static void remove_handler(void) {
    struct sigaction now;
    pthread_mutex_lock(&install_lock);
    if (--installed == 0 && sigaction(SIGBUS, NULL, &now) == 0 && is_ours(&now)) sigaction(SIGBUS, &handler_before, NULL);
    pthread_mutex_unlock(&install_lock);
}

/* ---- the source ------------------------------------------------------------------------------------------------ */

enum { OPENED, MAPPED, READ, READ_LAST, PADDED };

typedef struct {
    uint64_t size, offset; /* offset: bytes handed to the lane, up to the end of the window or chunk in use */
    uint8_t *chunk;        /* read() path only; kept from file to file */
    int regular;
} file;

typedef struct {
    pl_source base;
    window windows[PL_MAX_LANES];
    file files[PL_MAX_LANES];
    const int *descriptors;
    size_t count, taken;
    uint8_t *digests;
    int (*interrupted)(void);
    size_t since_check;
    pl_failure failure; /* the first; once set no lane gets more */
} files_source;

static int fail(files_source *source, const pl_lane *lane, int error) {
    if (!source->failure.error) {
        source->failure.error = error;
        source->failure.position = lane->job;
    }
    source->taken = source->count;
    return 0;
}

static int files_open(pl_source *base, pl_lane *lane) {
    files_source *const source = (files_source *)base;
    file *const file = &source->files[lane->slot];
    struct stat status;
    if (source->taken == source->count) return 0;
    lane->job = source->taken++;
    if (fstat(source->descriptors[lane->job], &status)) return fail(source, lane, errno);
    pl_initial(lane->h);
    file->regular = S_ISREG(status.st_mode);
    file->offset = 0;
    file->size = file->regular ? (uint64_t)status.st_size : 0;
    return 1;
}

/* lane->in stands behind the whole blocks, at the file's last bytes: of a window or of a chunk. */
static int pad(const file *file, pl_lane *lane) {
    lane->blocks = pl_pad(lane->tail, lane->in, file->offset % PL_BLOCK, file->offset);
    lane->in = lane->tail;
    lane->stage = PADDED;
    return 1;
}

/* Returns whether a page of the window was missing. */
static int unmap(window *mapped) {
    uint8_t *const start = mapped->start;
    if (!start) return 0;
    mapped->start = NULL;
    munmap(start, mapped->len);
    return mapped->faulted;
}

static int ensure_unchanged(files_source *source, pl_lane *lane) {
    const file *const file = &source->files[lane->slot];
    struct stat status;
    if (!file->regular) return 1;
    if (fstat(source->descriptors[lane->job], &status)) return fail(source, lane, errno);
    return (uint64_t)status.st_size == file->size ? 1 : fail(source, lane, PL_CHANGED);
}

static int finish_mapped(files_source *source, pl_lane *lane) {
    pad(&source->files[lane->slot], lane); /* before unmap: it reads the window's last bytes */
    if (unmap(&source->windows[lane->slot])) return fail(source, lane, PL_CHANGED);
    return ensure_unchanged(source, lane);
}

/* The size of a file of /proc or /sys (0, or a page) says nothing about its content, pipes and devices have none, some
 * file systems cannot map: read until the end is met. */
static int next_chunk(files_source *source, pl_lane *lane) {
    file *const file = &source->files[lane->slot];
    const int descriptor = source->descriptors[lane->job];
    size_t filled = 0;
    ssize_t got = 1;
    if (!file->chunk && !(file->chunk = malloc(CHUNK))) return fail(source, lane, ENOMEM);
    while (filled < CHUNK && got != 0) {
        uint8_t *const to = file->chunk + filled;
        got = file->regular ? pread(descriptor, to, CHUNK - filled, (off_t)(file->offset + filled))
                            : read(descriptor, to, CHUNK - filled);
        if (got > 0) filled += (size_t)got;
        if (got < 0 && errno != EINTR) return fail(source, lane, errno);
        if (got < 0 && source->interrupted()) return fail(source, lane, PL_INTERRUPTED);
    }
    file->offset += filled;
    source->since_check += filled;
    lane->in = file->chunk;
    lane->blocks = filled / PL_BLOCK;
    lane->stage = filled == CHUNK ? READ : READ_LAST;
    return 1;
}

static int next_window(files_source *source, pl_lane *lane) {
    file *const file = &source->files[lane->slot];
    window *const mapped = &source->windows[lane->slot];
    const uint64_t left = file->size - file->offset;
    const size_t len = left < WINDOW ? (size_t)left : WINDOW;
    if (unmap(mapped)) return fail(source, lane, PL_CHANGED);
    /* Without MAP_POPULATE: faults bring 16 cached pages each, and cost the kernel a third less than populating. */
    void *const start = mmap(NULL, len, PROT_READ, MAP_SHARED, source->descriptors[lane->job], (off_t)file->offset);
    if (start == MAP_FAILED) return next_chunk(source, lane); /* where that is not to be had either, it says why */
    mapped->len = len;
    mapped->faulted = 0;
    mapped->start = start;
    file->offset += len;
    source->since_check += len;
    lane->in = start;
    lane->blocks = len / PL_BLOCK;
    lane->stage = MAPPED;
    return 1;
}

static int files_next(pl_source *base, pl_lane *lane) {
    files_source *const source = (files_source *)base;
    file *const file = &source->files[lane->slot];
    if (source->failure.error) return 0;
    if (source->since_check >= CHECK_EVERY) {
        source->since_check = 0;
        if (source->interrupted()) return fail(source, lane, PL_INTERRUPTED);
    }
    switch (lane->stage) {
    case OPENED:
        return file->size ? next_window(source, lane) : next_chunk(source, lane);
    case MAPPED:
        return file->offset < file->size ? next_window(source, lane) : finish_mapped(source, lane);
    case READ:
        return next_chunk(source, lane);
    case READ_LAST:
        return pad(file, lane) && ensure_unchanged(source, lane);
    default:
        pl_write_digest(lane->h, source->digests + lane->job * PL_DIGEST);
        return 0;
    }
}

pl_failure pl_hash_files(const pl_engine *engine, const int *descriptors, size_t count, uint8_t *digests,
                         int (*interrupted)(void)) {
    files_source source = {.base = {files_open, files_next},
                           .descriptors = descriptors,
                           .count = count,
                           .digests = digests,
                           .interrupted = interrupted};
    sigset_t bus, mask_before;
    sigemptyset(&bus);
    sigaddset(&bus, SIGBUS);
    source.failure.error = install_handler();
    if (source.failure.error) return source.failure;
    /* The kernel kills a process that faults while SIGBUS is blocked. */
    pthread_sigmask(SIG_UNBLOCK, &bus, &mask_before);
    thread_windows = source.windows;
    pl_run(engine, &source.base);
    for (unsigned i = 0; i < PL_MAX_LANES; i++) {
        unmap(&source.windows[i]);
        free(source.files[i].chunk);
    }
    thread_windows = NULL;
    pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
    remove_handler();
    return source.failure;
}
