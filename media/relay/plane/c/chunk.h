/* Bytes that several hold: a packet's plain text lies once in memory, however many subscribers may ask for it again. */
#ifndef PALABRE_CHUNK_H
#define PALABRE_CHUNK_H

#include "bytes.h"

struct chunk {
    int32_t holders;
    int32_t length;
    uint8_t bytes[]; /* starts at a multiple of eight, as libsrtp wants of packets */
};

/* Held once, by the caller; its bytes are not set. `room` may exceed what `length` becomes. */
static inline struct chunk *chunk_make(int room)
{
    struct chunk *chunk = must_resize(NULL, 1, sizeof *chunk + (size_t)room);
    chunk->holders = 1;
    chunk->length = room;
    return chunk;
}

static inline struct chunk *chunk_of(const void *bytes, int length)
{
    struct chunk *chunk = chunk_make(length);
    put(chunk->bytes, bytes, (size_t)length);
    return chunk;
}

static inline struct chunk *chunk_hold(struct chunk *chunk)
{
    if (chunk != NULL)
        chunk->holders++;
    return chunk;
}

static inline void chunk_release(struct chunk *chunk)
{
    if (chunk != NULL && --chunk->holders == 0)
        free(chunk);
}

static inline bool chunk_is(const struct chunk *chunk, const uint8_t *bytes, int length)
{
    return chunk->length == length && (length == 0 || memcmp(chunk->bytes, bytes, (size_t)length) == 0);
}

#endif
