/* RTP packets: the fixed header (https://www.rfc-editor.org/rfc/rfc3550#section-5.1) and header extensions
 * (https://www.rfc-editor.org/rfc/rfc8285). Not the meaning of any extension or payload. */
#ifndef PALABRE_RTP_H
#define PALABRE_RTP_H

#include "bytes.h"

enum {
    RTP_HEADER_SIZE = 12,
    RTP_VERSION = 0x80,
    RTP_PADDING = 0x20,
    RTP_EXTENSION = 0x10,
    RTP_MARKER = 0x80,
    ONE_BYTE_PROFILE = 0xBEDE,
    TWO_BYTE_PROFILE = 0x1000, /* the low four bits are "appbits", RFC 8285 section 4.3 */
    ONE_BYTE_MAX_LENGTH = 16,  /* the length field has four bits and counts from one */
    ONE_BYTE_MAX_ID = 14,      /* 15 means stop, RFC 8285 section 4.2 */
    MAX_DATAGRAM = 2048,       /* bytes: above any path MTU that WebRTC uses; also the Python packet path's limit */
};

struct rtp_header {
    uint8_t second; /* M and PT */
    uint16_t sequence;
    uint32_t timestamp, ssrc;
    uint16_t profile; /* 0: no extension */
    int extension, start, end; /* where the extension's elements, the payload begin, and where that ends */
};

/* Elements of one packet by id; they point into it. */
struct elements {
    uint64_t present[4];
    uint16_t at[256];
    uint8_t length[256];
};

struct element {
    const uint8_t *bytes;
    int length;
};

bool rtp_parse_header(const uint8_t *packet, int size, struct rtp_header *header);
void rtp_parse_extensions(const uint8_t *packet, const struct rtp_header *header, struct elements *elements);
void rtp_write_header(uint8_t *to, int first, int second, uint32_t sequence, uint32_t timestamp, uint32_t ssrc);

static inline bool elements_have(const struct elements *elements, int id)
{
    return id >= 0 && id < 256 && (elements->present[id >> 6] >> (id & 63) & 1) != 0;
}

/* Bytes that an extension block of these lengths needs at most. */
enum { EXTENSION_BLOCK_MAX = 4 + 17 * (2 + 255) + 3 };

struct packed_element {
    int id;
    struct element value;
};

/* The whole block with its profile and length into `to`; returns its length, 0 for no elements. */
int rtp_pack_extensions(uint8_t *to, const struct packed_element *items, int count);

#endif
