/* What a relay reads of payloads without decoding them: key frames, picture ids, picture sizes, what a packet plays.
 *
 * Only descriptors and the first clear bytes of a frame are read, so everything here works on end-to-end encrypted
 * media too. Truncated payloads are described as plain ones. */
#ifndef PALABRE_CODECS_H
#define PALABRE_CODECS_H

#include "bytes.h"

enum payload_format { FORMAT_OTHER, FORMAT_VP8, FORMAT_VP9, FORMAT_H264, FORMAT_AV1, FORMAT_OPUS };

enum { CODEC_NAME_SIZE = 16 };

/* One payload type as negotiated. Equal ones of a track have the same `serial` as long as they are negotiated. */
struct codec {
    int payload_type;
    char name[CODEC_NAME_SIZE];
    enum payload_format format;
    int clock_rate;
    int rtx_payload_type; /* -1: retransmissions come on the media SSRC */
    bool nack;
    int64_t serial;
};

struct description {
    bool key, starts; /* a key frame, any frame begins here */
    int picture_at, picture_size; /* the picture id, 0: none */
    int base_at; /* TL0PICIDX, 0: none */
};

struct size {
    int width, height;
};

enum payload_format format_of(const char *name);
struct description describe(enum payload_format format, const uint8_t *packet, int start, int end);

/* What an Opus packet plays, in ticks of 48 kHz; 0: not known. */
int opus_span(const uint8_t *packet, int start);

int picture_id(const uint8_t *packet, int at, int size);

/* From the packet that begins a key frame; zeros where it doesn't tell. */
struct size frame_size(enum payload_format format, const uint8_t *payload, int length);

/* Units of an H.264 STAP-A packet, RFC 6184 section 5.7.1: finds the next one from `*position` on, which it moves.
 * `length` of the payload may be larger than `real`, what is behind being zeros. */
bool next_unit(const uint8_t *payload, int real, int length, int *position, int *first, int *last);

#endif
