/* Big-endian numbers in packets, and memory that is there or the process is not. */
#ifndef PALABRE_BYTES_H
#define PALABRE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline uint16_t read16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }

static inline uint32_t read32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint64_t read64(const uint8_t *at) { return (uint64_t)read32(at) << 32 | read32(at + 4); }

static inline void write16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void write24(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 16);
    write16(at + 1, value);
}

static inline void write32(uint8_t *at, uint32_t value)
{
    write16(at, value >> 16);
    write16(at + 2, value);
}

static inline void write64(uint8_t *at, uint64_t value)
{
    write32(at, (uint32_t)(value >> 32));
    write32(at + 4, (uint32_t)value);
}

/* A copy that may be empty, from nowhere: memcpy must not be given NULL even for nothing. */
static inline uint8_t *put(uint8_t *to, const void *from, size_t length)
{
    if (length > 0)
        memcpy(to, from, length);
    return to + length;
}

/* The difference of two 32-bit timestamps, between -2**31 and 2**31. */
static inline int64_t signed32(int64_t difference) { return (int64_t)(int32_t)(uint32_t)(uint64_t)difference; }

/* Every queue and cache here is bounded, so memory that can't be had means that the machine is lost anyway: half a
 * packet path would be worse than none. */
static inline void *must_resize(void *memory, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        abort();
    size_t bytes = count * size;
    memory = realloc(memory, bytes > 0 ? bytes : 1);
    if (memory == NULL)
        abort();
    return memory;
}

static inline void *must_make(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (memory == NULL)
        abort();
    return memory;
}

#endif
