/* Payload descriptors: VP8 (https://www.rfc-editor.org/rfc/rfc7741), VP9 (https://www.rfc-editor.org/rfc/rfc9628),
 * H.264 (https://www.rfc-editor.org/rfc/rfc6184), AV1 (https://aomediacodec.github.io/av1-rtp-spec/). */
#include "codecs.h"

enum { H264_SPS = 7, H264_STAP_A = 24, H264_FU_A = 28 };

static const struct description PLAIN = {0};
static const struct description KEY = {.key = true, .starts = true};

enum payload_format format_of(const char *name)
{
    static const char *const NAMES[] = {[FORMAT_VP8] = "VP8", [FORMAT_VP9] = "VP9", [FORMAT_H264] = "H264",
                                        [FORMAT_AV1] = "AV1", [FORMAT_OPUS] = "OPUS"};
    for (int format = FORMAT_VP8; format <= FORMAT_OPUS; format++)
        if (strcmp(name, NAMES[format]) == 0)
            return (enum payload_format)format;
    return FORMAT_OTHER;
}

/* RFC 7741 section 4.2. */
static struct description describe_vp8(const uint8_t *packet, int start, int end)
{
    struct description found = {0};
    int position = start + 1;
    if (position >= end)
        return PLAIN;
    int first = packet[start];
    if (first & 0x80) {
        int flags = packet[position++];
        if (flags & 0x80) {
            if (position >= end)
                return PLAIN;
            found.picture_at = position;
            found.picture_size = packet[position] & 0x80 ? 2 : 1;
            position += found.picture_size;
        }
        if (flags & 0x40)
            found.base_at = position++;
        if (flags & 0x30)
            position++;
        if (position >= end)
            return PLAIN;
    }
    found.starts = (first & 0x17) == 0x10; /* S set, partition 0 */
    found.key = found.starts && !(packet[position] & 1);
    return found;
}

/* RFC 9628 section 4.2. A key frame begins with the first packet of spatial layer 0 of an intra picture. */
static struct description describe_vp9(const uint8_t *packet, int start, int end)
{
    struct description found = {0};
    if (start + 1 >= end)
        return PLAIN;
    int first = packet[start], position = start + 1, spatial = 0;
    if (first & 0x80) {
        found.picture_at = position;
        found.picture_size = packet[position] & 0x80 ? 2 : 1;
        position += found.picture_size;
        if (position >= end)
            return PLAIN;
    }
    if (first & 0x20) {
        if (position + 1 >= end)
            return PLAIN;
        spatial = packet[position++] >> 1 & 7;
        if (!(first & 0x10))
            found.base_at = position;
    }
    found.starts = (first & 0x08) != 0 && spatial == 0;
    found.key = found.starts && !(first & 0x40);
    return found;
}

bool next_unit(const uint8_t *payload, int real, int length, int *position, int *first, int *last)
{
    while (*position + 2 < length) {
        int unit = *position + 2;
        int high = *position < real ? payload[*position] : 0, low = *position + 1 < real ? payload[*position + 1] : 0;
        *position = unit + (high << 8 | low);
        if (unit < *position && *position <= length) {
            *first = unit;
            *last = *position;
            return true;
        }
    }
    return false;
}

/* A key frame begins with its parameter sets, which WebRTC senders repeat before every IDR picture. */
static struct description describe_h264(const uint8_t *packet, int start, int end)
{
    if (start >= end)
        return PLAIN;
    int kind = packet[start] & 0x1F;
    if (kind == H264_STAP_A) {
        int length = end - start, position = 1, first, last;
        while (next_unit(packet + start, length, length, &position, &first, &last))
            if ((packet[start + first] & 0x1F) == H264_SPS)
                return KEY;
        return PLAIN;
    }
    if (kind == H264_FU_A)
        return start + 1 < end && (packet[start + 1] & 0x9F) == (0x80 | H264_SPS) ? KEY : PLAIN;
    return kind == H264_SPS ? KEY : PLAIN;
}

/* The N bit of the aggregation header: first packet of a coded video sequence. */
static struct description describe_av1(const uint8_t *packet, int start, int end)
{
    return start < end && (packet[start] & 0x88) == 0x08 ? KEY : PLAIN;
}

struct description describe(enum payload_format format, const uint8_t *packet, int start, int end)
{
    switch (format) {
    case FORMAT_VP8: return describe_vp8(packet, start, end);
    case FORMAT_VP9: return describe_vp9(packet, start, end);
    case FORMAT_H264: return describe_h264(packet, start, end);
    case FORMAT_AV1: return describe_av1(packet, start, end);
    case FORMAT_OPUS:
    case FORMAT_OTHER: break;
    }
    return KEY; /* audio, and video that is not read: a stream may begin with any packet */
}

/* RFC 6716 section 3.1. Packets of three frames and more count them in their second byte, which end-to-end encryption
 * covers. */
int opus_span(const uint8_t *packet, int start)
{
    static const int SILK[] = {480, 960, 1920, 2880}, CELT[] = {120, 240, 480, 960}, FRAMES[] = {1, 2, 2, 0};
    int configuration = packet[start] >> 3, frame;
    if (configuration < 12)
        frame = SILK[configuration & 3];
    else if (configuration < 16)
        frame = SILK[configuration & 1];
    else
        frame = CELT[configuration & 3];
    return frame * FRAMES[packet[start] & 3];
}

int picture_id(const uint8_t *packet, int at, int size)
{
    return size == 2 ? (packet[at] & 0x7F) << 8 | packet[at + 1] : packet[at] & 0x7F;
}
