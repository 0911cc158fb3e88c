/* What one subscriber gets of one up track: packets rewritten so that they look like a single unbroken stream.
 *
 * Chooses nothing (the up track routes layers to it) and asks the publisher for nothing. Numbers that go out are
 * extended here, and one of them never carries two different packets: under AES-GCM that would give both away. */
#ifndef PALABRE_DOWNTRACK_H
#define PALABRE_DOWNTRACK_H

#include "layer.h"
#include "plan.h"
#include "rtcp.h"

struct session;
struct uptrack;

enum {
    CACHE_SIZE = 512,  /* packets to retransmit, a power of two: three seconds of a 1.5 Mbit/s layer */
    MAX_HOLES = 256,   /* remembered places of swallowed packets; what comes from before the oldest is dropped */
    MAX_RESENDS = 200, /* packets between two ticks, 4,000 per second: who asks for more has no use for the answer */
    MAX_PADDING = 64,  /* packets of padding between two ticks: 11 Mbit/s of them */
    MAX_MIDDLE = 4,    /* bytes: a VP9 picture id, the byte of layers, TL0PICIDX */
};

#define NEVER (-1e9) /* seconds: before any time */

struct down_spec {
    int64_t down, track; /* the latter only names the up track when the down track is made */
    uint32_t ssrc, rtx_ssrc;
    struct codec codec;
    struct plan_key plan;
};

/* Incoming numbers [first, end) that have no place in what goes out, and the offset for what is before them. */
struct hole {
    int64_t first, end, offset;
};

/* A packet that was sent, ready to be sent again. Empty slots have number -1. */
struct sent {
    int64_t number; /* outgoing, extended */
    struct chunk *packet, *block;
    int16_t start, at, rest, end; /* in `packet`, as in `struct media` */
    uint8_t header[RTP_HEADER_SIZE], middle[MAX_MIDDLE], middle_length;
    double resent_at; /* when it last was, NEVER: not yet */
};

struct downtrack {
    struct down_spec spec;
    struct session *peer; /* whom it is sent to */
    struct uptrack *track;
    struct plan *plan;
    struct layer *layer, *target; /* forwarded, and wanted: equal, unless a key frame of the latter is awaited */
    int max_layer;
    bool ready; /* the subscriber's keys are there */
    int64_t packets, octets, retransmitted;
    double loss, rtt;
    struct layer *sent_layer; /* the layer of `last`; held */
    bool has_last;
    struct media last; /* the newest packet that went out; its bytes are not held */
    double last_at;
    int64_t first, expected; /* numbers of the layer: the first one forwarded, the next one */
    int64_t begun; /* outgoing number with which the present layer began; nobody needs what was before */
    int64_t offset; /* outgoing number - incoming number, for what comes next */
    int64_t next, rtx_sequence; /* outgoing numbers after the newest ones */
    int64_t timestamp_shift, picture_shift, base_shift;
    bool shifted; /* payloads have to be rewritten */
    struct hole *holes; /* NULL: none so far */
    int hole_count;
    struct sent *cache; /* NULL: nothing was sent, or what is lost is not asked for */
    int resent; /* packets since the last tick */
    uint32_t report_middle;
    double report_at;
};

struct downtrack *downtrack_make(const struct down_spec *spec, struct session *peer, struct uptrack *track);
void downtrack_free(struct downtrack *down);

/* Forward `layer` from this packet on (a key frame's first, or any of audio), right after what went out. */
void downtrack_start(struct downtrack *down, struct layer *layer, struct media *media, double now);

/* `layer` is carried by another stream now: its clock says nothing any more about what went out. */
void downtrack_forget(struct downtrack *down, const struct layer *layer);

/* Send a packet of `layer`. The hot path: once per packet and subscriber. */
void downtrack_forward(struct downtrack *down, const struct media *media, double now);

/* A packet of `layer` without payload: swallowed, unless what came later left a place for it. */
void downtrack_padding(struct downtrack *down, int64_t sequence);

/* Tell the subscriber what the publisher said of its clock, in the numbers of this stream. */
void downtrack_report(struct downtrack *down, double now);

/* Answer a NACK as far as the cache goes: by RTX, or by the very same packet where none was negotiated. */
void downtrack_resend(struct downtrack *down, const uint16_t *sequences, int count, double now);

/* Send about `octets` again of what went out last, newest first. Not counted as retransmitted. */
void downtrack_pad(struct downtrack *down, int64_t octets, double now);

/* The block of a packet of `size` bytes with its transport-cc number, into `to`; returns its length. */
int downtrack_number(struct downtrack *down, const struct chunk *block, int size, double now, uint8_t *to);

void downtrack_receiver_report(struct downtrack *down, const struct report_block *block, double now);
void downtrack_tick(struct downtrack *down); /* packets may be sent again from now on */

/* Places of numbers (holes.c): where a packet goes that is not simply the next one; negative: nowhere (any more). */
int64_t downtrack_place(struct downtrack *down, const struct media *media);
int64_t downtrack_late_place(const struct downtrack *down, int64_t sequence);
void downtrack_swallow(struct downtrack *down, int64_t sequence);

/* What was sent (resend.c): note it in the cache. `media` tells its bytes. */
void downtrack_keep(struct downtrack *down, int64_t number, const uint8_t *header, struct chunk *block,
                    const struct media *media, const uint8_t *middle, int middle_length);

#endif
