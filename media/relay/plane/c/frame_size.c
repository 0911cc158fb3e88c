/* Picture sizes, read once per key frame. Behind a cut payload everything reads as zero, and zero means no size. */
#include "codecs.h"

enum {
    MAX_SIDE = 16384, /* pixels: a larger picture is a misread one */
    BEYOND = 16,      /* zeros behind a payload that units may reach into, as in the Python packet path */
    H264_SPS = 7,
    H264_STAP_A = 24,
};

struct text {
    const uint8_t *bytes;
    int length;
};

static int byte_at(struct text text, int position)
{
    return position < text.length ? text.bytes[position] : 0;
}

/* RFC 6386 section 9.1: three bytes of frame tag, start code, 14 bits each of width and height. */
static struct size vp8_size(struct text payload)
{
    int position = 1;
    if (byte_at(payload, 0) & 0x80) {
        int flags = byte_at(payload, 1);
        position = 2;
        if (flags & 0x80)
            position += byte_at(payload, 2) & 0x80 ? 2 : 1;
        position += ((flags & 0x40) != 0) + ((flags & 0x30) != 0);
    }
    if (byte_at(payload, position + 3) != 0x9D || byte_at(payload, position + 4) != 0x01 ||
        byte_at(payload, position + 5) != 0x2A)
        return (struct size){0, 0};
    return (struct size){
        (byte_at(payload, position + 6) | byte_at(payload, position + 7) << 8) & 0x3FFF,
        (byte_at(payload, position + 8) | byte_at(payload, position + 9) << 8) & 0x3FFF,
    };
}

/* The largest size of the scalability structure, RFC 9628 section 4.2.1. */
static struct size vp9_size(struct text payload)
{
    int first = byte_at(payload, 0), position = 1;
    if (!(first & 0x02))
        return (struct size){0, 0};
    if (first & 0x80)
        position += byte_at(payload, 1) & 0x80 ? 2 : 1;
    if (first & 0x20)
        position += first & 0x10 ? 1 : 2;
    if (!(byte_at(payload, position) & 0x10))
        return (struct size){0, 0};
    int largest = position + 1 + 4 * (byte_at(payload, position) >> 5);
    return (struct size){
        byte_at(payload, largest) << 8 | byte_at(payload, largest + 1),
        byte_at(payload, largest + 2) << 8 | byte_at(payload, largest + 3),
    };
}

/* Exp-Golomb codes, H.264 section 9.1. */
struct bits {
    const uint8_t *bytes;
    int64_t at, end; /* in bits */
};

static uint64_t take(struct bits *bits, int count)
{
    bits->at += count;
    if (bits->at > bits->end)
        return 0;
    uint64_t value = 0;
    for (int64_t bit = bits->at - count; bit < bits->at; bit++)
        value = value << 1 | (bits->bytes[bit >> 3] >> (7 - (bit & 7)) & 1);
    return value;
}

static int64_t take_unsigned(struct bits *bits)
{
    int zeros = 0;
    while (zeros < 32 && bits->at < bits->end && !take(bits, 1))
        zeros++;
    return ((int64_t)1 << zeros) - 1 + (int64_t)take(bits, zeros);
}

static void skip(struct bits *bits, int64_t codes)
{
    for (int64_t i = 0; i < codes; i++)
        take_unsigned(bits);
}

/* The unit without its first byte and its emulation prevention bytes (H.264 section 7.3.1); returns its length. */
static int unescape(struct text payload, int first, int last, uint8_t *to)
{
    int length = 0;
    for (int i = first + 1; i < last;) {
        bool escaped = i + 2 < last && !byte_at(payload, i) && !byte_at(payload, i + 1) && byte_at(payload, i + 2) == 3;
        to[length++] = (uint8_t)byte_at(payload, i);
        if (escaped)
            to[length++] = 0;
        i += escaped ? 3 : 1;
    }
    return length;
}

static bool has_scaling(int64_t profile)
{
    static const uint8_t HIGH_PROFILES[] = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135};
    return memchr(HIGH_PROFILES, (int)profile, sizeof HIGH_PROFILES) != NULL;
}

/* H.264 section 7.3.2.1.1. Sizes from streams with their own scaling matrices are not read. */
static struct size parameters_size(struct bits *bits)
{
    int64_t profile = (int64_t)take(bits, 8), chroma = 1;
    take(bits, 16);
    skip(bits, 1);
    if (has_scaling(profile)) {
        chroma = take_unsigned(bits);
        if (chroma == 3)
            take(bits, 1);
        skip(bits, 2);
        take(bits, 1);
        if (take(bits, 1))
            return (struct size){0, 0};
    }
    skip(bits, 1);
    int64_t order = take_unsigned(bits);
    if (order == 0) {
        skip(bits, 1);
    } else if (order == 1) {
        take(bits, 1);
        skip(bits, 2);
        int64_t cycles = take_unsigned(bits);
        skip(bits, cycles < 255 ? cycles : 255);
    }
    skip(bits, 1);
    take(bits, 1);
    int64_t width = 16 * (take_unsigned(bits) + 1), height = take_unsigned(bits) + 1;
    int64_t fields = 2 - (int64_t)take(bits, 1);
    height *= 16 * fields;
    if (fields == 2)
        take(bits, 1);
    take(bits, 1);
    if (take(bits, 1)) {
        int64_t left = take_unsigned(bits), right = take_unsigned(bits);
        int64_t top = take_unsigned(bits), bottom = take_unsigned(bits);
        width -= (chroma == 1 || chroma == 2 ? 2 : 1) * (left + right);
        height -= (chroma == 1 ? 2 : 1) * fields * (top + bottom);
    }
    if (width <= 0 || width > MAX_SIDE || height <= 0 || height > MAX_SIDE)
        return (struct size){0, 0};
    return (struct size){(int)width, (int)height};
}

static struct size unit_size(struct text payload, int first, int last)
{
    uint8_t *clear = must_make((size_t)(last - first) + 1, 1);
    struct bits bits = {clear, 0, 8 * (int64_t)unescape(payload, first, last, clear)};
    struct size size = parameters_size(&bits);
    free(clear);
    return size;
}

static struct size h264_size(struct text payload)
{
    int length = payload.length + BEYOND, kind = byte_at(payload, 0) & 0x1F;
    if (kind == H264_SPS)
        return unit_size(payload, 0, length);
    if (kind != H264_STAP_A)
        return (struct size){0, 0};
    int position = 1, first, last;
    while (next_unit(payload.bytes, payload.length, length, &position, &first, &last))
        if ((byte_at(payload, first) & 0x1F) == H264_SPS)
            return unit_size(payload, first, last);
    return (struct size){0, 0};
}

struct size frame_size(enum payload_format format, const uint8_t *payload, int length)
{
    struct text text = {payload, length};
    struct size size = {0, 0};
    if (format == FORMAT_VP8)
        size = vp8_size(text);
    else if (format == FORMAT_VP9)
        size = vp9_size(text);
    else if (format == FORMAT_H264)
        size = h264_size(text);
    if (size.width <= 0 || size.width > MAX_SIDE || size.height <= 0 || size.height > MAX_SIDE)
        return (struct size){0, 0};
    return size;
}
