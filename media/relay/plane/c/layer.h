/* One layer of an up track: the stream that carries it, whether it flows, what was last said of its clock and size.
 *
 * Holds the throttle of key frame requests, but does not send them, and knows no subscriber. */
#ifndef PALABRE_LAYER_H
#define PALABRE_LAYER_H

#include "chunk.h"
#include "codecs.h"
#include "receiver.h"

/* A packet of a layer, taken apart once for all of its subscribers. The payload is head + middle + rest, which lie in
 * `packet` at `start`, `at`, `rest` and end at `end`; only the middle (picture id and TL0PICIDX with what lies between
 * them) differs between subscribers. */
struct media {
    int64_t sequence; /* extended */
    uint32_t timestamp;
    int marker; /* 0x80 or 0 */
    struct chunk *packet;
    int start, at, rest, end;
    int picture, picture_size; /* picture id, -1: none, and its bytes */
    int base_layer; /* TL0PICIDX, -1: none */
    bool starts; /* a frame begins here */
    int span; /* what an Opus packet plays, in ticks of its timestamp; 0: not known */
};

struct media take_apart(struct chunk *packet, int start, int end, int64_t sequence, uint32_t timestamp, int marker,
                        struct description description);

/* Whether `media` begins the frame right after the one that `last` ended: what lay between was padding. */
bool follows(const struct media *last, const struct media *media);

struct layer {
    int holders; /* the track, routes to it, and down tracks that remember its clock */
    int index; /* among the track's rids, in order of rising quality */
    struct chunk *rid;
    uint32_t ssrc, rtx_ssrc; /* 0: not seen yet */
    struct receiver *receiver; /* NULL: not seen yet */
    bool has_codec;
    struct codec codec; /* of the last packet */
    bool has_report;
    uint64_t report_ntp; /* the publisher's last sender report, and when it came */
    uint32_t report_rtp;
    double report_arrival;
    bool flowing;
    bool has_last;
    struct media last; /* the newest packet; its bytes are not held */
    double last_at;
    double repaired_at; /* when a key frame was last wanted for those who read along */
    int64_t octets, octets_before; /* of payload */
    int64_t bitrate;
    struct size size;
    bool key_frame_wanted;
    double asked_at;
    int requests;
    double frame_at, frame_gap;
};

struct layer *layer_make(struct chunk *rid);
void layer_release(struct layer *layer);

/* The layer is carried by `ssrc` from now on. */
void layer_bind(struct layer *layer, uint32_t ssrc, struct receiver *receiver);

/* A packet newer than all before it. Keeps the usual time between frames, and an eye on lost padding. */
void layer_passed(struct layer *layer, const struct media *media, double now);

/* Whether it stopped: more frames are overdue than its own rhythm explains. */
bool layer_silent(const struct layer *layer, double now);

/* Whether to ask now for a key frame that is wanted; the caller then does. */
bool layer_key_frame_due(struct layer *layer, double now);
void layer_key_frame_came(struct layer *layer, struct size size);
void layer_measure(struct layer *layer, double elapsed);

#endif
