/* The scheduler that keeps the lanes full, and its two sources in memory. */
#include "sha256_core.h"

#include <stdlib.h>
#include <string.h>

void pl_initial(uint32_t h[8]) { /* FIPS 180-4, section 5.3.3 */
    static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(h, initial, sizeof initial);
}

void pl_write_digest(const uint32_t h[8], uint8_t out[PL_DIGEST]) {
    for (unsigned i = 0; i < PL_DIGEST; i++) out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

/* FIPS 180-4, section 5.1.1. Returns the blocks written: 1, or 2 where the length no longer fits. */
size_t pl_pad(uint8_t tail[2 * PL_BLOCK], const uint8_t *rest, size_t rest_len, uint64_t total) {
    const size_t blocks = rest_len + 9 <= PL_BLOCK ? 1 : 2;
    memset(tail, 0, 2 * PL_BLOCK);
    if (rest_len) memcpy(tail, rest, rest_len);
    tail[rest_len] = 0x80;
    for (unsigned i = 0; i < 8; i++) tail[blocks * PL_BLOCK - 1 - i] = (uint8_t)(total * 8 >> (8 * i));
    return blocks;
}

static int advance(pl_source *source, pl_lane *lane) {
    while (lane->blocks == 0)
        if (!source->next(source, lane)) return 0;
    return 1;
}

/* A lane whose job ends takes the next job; when none is left a narrower kernel goes on with the rest. */
void pl_run(const pl_engine *engine, pl_source *source) {
    pl_lane lanes[PL_MAX_LANES], *order[PL_MAX_LANES];
    uint32_t *states[PL_MAX_LANES];
    const uint8_t *in[PL_MAX_LANES];
    unsigned active = 0;
    for (unsigned i = 0; i < PL_MAX_LANES; i++) {
        lanes[i].slot = i;
        order[i] = &lanes[i];
    }
    for (;;) {
        while (active < engine->lanes) {
            pl_lane *const lane = order[active];
            lane->blocks = 0;
            lane->stage = 0;
            if (!source->open(source, lane)) break;
            if (advance(source, lane)) active++;
        }
        if (active == 0) return;
        size_t run = order[0]->blocks;
        for (unsigned i = 0; i < active; i++) {
            states[i] = order[i]->h;
            in[i] = order[i]->in;
            if (order[i]->blocks < run) run = order[i]->blocks;
        }
        engine->compress[active - 1](states, in, run);
        for (unsigned i = active; i-- > 0;) {
            pl_lane *const lane = order[i];
            lane->in += run * PL_BLOCK;
            lane->blocks -= run;
            if (!advance(source, lane)) {
                order[i] = order[--active];
                order[active] = lane;
            }
        }
    }
}

/* ---- whole buffers ------------------------------------------------------------------------------------------- */

typedef struct {
    pl_source base;
    const pl_span *spans;
    size_t count, taken;
    uint8_t *digests;
} buffers_source;

static int buffers_open(pl_source *base, pl_lane *lane) {
    buffers_source *const source = (buffers_source *)base;
    if (source->taken == source->count) return 0;
    lane->job = source->taken++;
    pl_initial(lane->h);
    return 1;
}

static int buffers_next(pl_source *base, pl_lane *lane) {
    buffers_source *const source = (buffers_source *)base;
    const pl_span *const span = &source->spans[lane->job];
    const size_t rest = span->len % PL_BLOCK;
    switch (lane->stage++) {
    case 0:
        lane->in = span->data;
        lane->blocks = span->len / PL_BLOCK;
        return 1;
    case 1:
        lane->blocks = pl_pad(lane->tail, rest ? span->data + span->len - rest : NULL, rest, span->len);
        lane->in = lane->tail;
        return 1;
    default:
        pl_write_digest(lane->h, source->digests + span->position * PL_DIGEST);
        return 0;
    }
}

static int longest_first(const void *left, const void *right) {
    const size_t a = ((const pl_span *)left)->len, b = ((const pl_span *)right)->len;
    return (a < b) - (a > b);
}

/* Longest first: a long buffer that starts last would run alone in one lane. */
void pl_hash_buffers(const pl_engine *engine, pl_span *spans, size_t count, uint8_t *digests) {
    buffers_source source = {{buffers_open, buffers_next}, spans, count, 0, digests};
    if (count > engine->lanes && engine->lanes > 1) qsort(spans, count, sizeof *spans, longest_first);
    pl_run(engine, &source.base);
}

/* ---- streams that go on --------------------------------------------------------------------------------------- */

typedef struct {
    pl_source base;
    pl_update *updates;
    size_t count, taken;
} updates_source;

static int updates_open(pl_source *base, pl_lane *lane) {
    updates_source *const source = (updates_source *)base;
    if (source->taken == source->count) return 0;
    lane->job = source->taken++;
    memcpy(lane->h, source->updates[lane->job].stream->h, sizeof lane->h);
    return 1;
}

static void take(pl_update *update, size_t len) {
    update->data += len;
    update->len -= len;
    update->stream->total += len;
}

static int updates_next(pl_source *base, pl_lane *lane) {
    pl_update *const update = &((updates_source *)base)->updates[lane->job];
    pl_sha256 *const stream = update->stream;
    const size_t pending = stream->total % PL_BLOCK;
    size_t len = update->len;
    switch (lane->stage++) {
    case 0: /* complete the block that waits */
        if (pending == 0 || len == 0) return 1;
        if (len > PL_BLOCK - pending) len = PL_BLOCK - pending;
        memcpy(stream->pending + pending, update->data, len);
        take(update, len);
        lane->in = stream->pending;
        lane->blocks = (pending + len) / PL_BLOCK;
        return 1;
    case 1: /* whole blocks, in place; none while the waiting block is still short */
        if (pending != 0) return 1;
        lane->in = update->data;
        lane->blocks = len / PL_BLOCK;
        take(update, len - len % PL_BLOCK);
        return 1;
    default:
        memcpy(stream->h, lane->h, sizeof lane->h);
        if (len) {
            memcpy(stream->pending, update->data, len);
            take(update, len);
        }
        return 0;
    }
}

void pl_hash_updates(const pl_engine *engine, pl_update *updates, size_t count) {
    updates_source source = {{updates_open, updates_next}, updates, count, 0};
    pl_run(engine, &source.base);
}

void pl_hash_final(const pl_engine *engine, const pl_sha256 *stream, uint8_t out[PL_DIGEST]) {
    uint8_t tail[2 * PL_BLOCK];
    uint32_t h[8], *const states[1] = {h};
    const uint8_t *const in[1] = {tail};
    memcpy(h, stream->h, sizeof h);
    engine->compress[0](states, in, pl_pad(tail, stream->pending, stream->total % PL_BLOCK, stream->total));
    pl_write_digest(h, out);
}
