/* SHA-256 (FIPS 180-4) in lanes: several independent streams advance together, so that one stream's
 * dependency chain does not leave the core's SHA unit idle.
 *
 * engine  one way to compress blocks (sha256_engines.c)
 * source  where lanes get their bytes: buffers and hash states (sha256_lanes.c), files (sha256_files.c)
 *
 * Nothing here knows Python; nothing here allocates except a lane's read buffer in sha256_files.c.
 */
#ifndef PLIMSOLL_SHA256_CORE_H
#define PLIMSOLL_SHA256_CORE_H

#include <stddef.h>
#include <stdint.h>

enum { PL_MAX_LANES = 4, PL_BLOCK = 64, PL_DIGEST = 32 };

/* Advances compress[n - 1]'s n states over `blocks` 64-byte blocks each. */
typedef void (*pl_compress)(uint32_t *const states[], const uint8_t *const in[], size_t blocks);

typedef struct {
    const char *name;
    unsigned lanes;
    int (*usable)(void);
    pl_compress compress[PL_MAX_LANES];
} pl_engine;

const pl_engine *pl_engine_at(size_t position); /* NULL past the last; the first usable one is the best */

/* A stream between two updates; `total & 63` bytes wait in `pending`. */
typedef struct {
    uint32_t h[8];
    uint64_t total;
    uint8_t pending[PL_BLOCK];
} pl_sha256;

typedef struct {
    uint32_t h[8];
    const uint8_t *in;
    size_t blocks;
    size_t job;
    unsigned slot;
    int stage;
    uint8_t tail[2 * PL_BLOCK];
} pl_lane;

/* open: puts the next job on the lane, 0 when none is left.
 * next: called when lane->blocks is 0; sets in and blocks (which may be 0), or ends the job and returns 0. */
typedef struct pl_source {
    int (*open)(struct pl_source *source, pl_lane *lane);
    int (*next)(struct pl_source *source, pl_lane *lane);
} pl_source;

void pl_run(const pl_engine *engine, pl_source *source);

void pl_initial(uint32_t h[8]);
void pl_write_digest(const uint32_t h[8], uint8_t out[PL_DIGEST]);
size_t pl_pad(uint8_t tail[2 * PL_BLOCK], const uint8_t *rest, size_t rest_len, uint64_t total);

typedef struct {
    const uint8_t *data;
    size_t len;
    size_t position; /* where the digest goes: spans may be in any order */
} pl_span;

typedef struct {
    pl_sha256 *stream;
    const uint8_t *data;
    size_t len;
} pl_update;

void pl_hash_buffers(const pl_engine *engine, pl_span *spans, size_t count, uint8_t *digests);
void pl_hash_updates(const pl_engine *engine, pl_update *updates, size_t count);
void pl_hash_final(const pl_engine *engine, const pl_sha256 *stream, uint8_t out[PL_DIGEST]);

/* What pl_hash_files met: error is an errno; PL_CHANGED says that the file's size changed under the hash. */
enum { PL_CHANGED = -1, PL_INTERRUPTED = -2 };
typedef struct {
    int error;
    size_t position;
} pl_failure;

/* interrupted() is asked now and then and after EINTR; not 0 ends the work with PL_INTERRUPTED. */
pl_failure pl_hash_files(const pl_engine *engine, const int *descriptors, size_t count, uint8_t *digests,
                         int (*interrupted)(void));

#endif
