/* One published track: its layers, who gets which of them, and who reads along.
 *
 * Decides which layer flows to whom (the best flowing one up to what each may have) and hands packets on. Which SSRC
 * is which layer, and everything about sequence numbers and losses, was settled before. */
#ifndef PALABRE_UPTRACK_H
#define PALABRE_UPTRACK_H

#include "downtrack.h"
#include "layer.h"
#include "shared.h"
#include "table.h"

enum { SILENT = 127 }; /* -dBov, RFC 6464: the lowest level there is */

struct up_spec {
    int64_t track;
    bool video;
    struct chunk *mid;
    int level_id; /* of the audio level, -1: not negotiated */
    struct codec *codecs;
    int codec_count;
    struct chunk **rids; /* in order of rising quality, empty without simulcast */
    int rid_count;
    bool announced; /* SSRCs are in the SDP */
    uint32_t ssrc, rtx_ssrc; /* the first ones announced; the latter 0: none */
};

void up_spec_free(struct up_spec *spec); /* what it owns */

struct tap {
    void *handle;
    int max_layer; /* the highest layer it reads */
};

/* A packet on its way through a track. For one that came by RTX, `header` tells of the original one, though the bytes
 * are as they came. */
struct arrival_of {
    struct layer *layer;
    const struct codec *codec;
    struct chunk *packet;
    struct rtp_header header;
    int64_t sequence; /* extended */
    const struct elements *elements;
    bool newest; /* none after it came */
};

/* Every down track is in at most one list of `forwarding` (its `layer`) and in at most one of `waiting` (its `target`,
 * while that is another): packets of layers that nobody gets cost nothing here. */
struct uptrack {
    struct session *peer; /* who publishes */
    struct shared *shared;
    struct up_spec spec; /* owned */
    int by_payload_type[128], by_rtx_payload_type[128]; /* position among the codecs, -1: none */
    struct layer **layers;
    int layer_count;
    struct list *forwarding, *waiting; /* of down tracks, by layer; the latter for its next key frame */
    struct list downs;
    struct tap *taps;
    int tap_count, tap_room;
    struct list plans;
    int level; /* the loudest since it was last read */
    bool unsettled; /* layers stopped or came back: somebody may have to change */
};

/* Takes over `spec` with all it owns. */
struct uptrack *uptrack_make(struct up_spec *spec, struct session *peer, struct shared *shared);
void uptrack_free(struct uptrack *track);

/* Take over what was renegotiated; layers whose rid is still there live on. */
void uptrack_update(struct uptrack *track, struct up_spec *spec);

/* packets: uptrack.c */
void uptrack_receive(struct uptrack *track, const struct arrival_of *packet, double now);
void uptrack_sender_report(struct uptrack *track, struct layer *layer, uint64_t ntp, uint32_t rtp, double now);
void uptrack_introduce(struct uptrack *track, const struct tap *tap, struct layer *layer);
void uptrack_tick(struct uptrack *track, double now);

/* who gets what: routing.c */
void uptrack_set_plan(struct uptrack *track, struct downtrack *down, const struct plan_key *key);
void uptrack_add(struct uptrack *track, struct downtrack *down);
void uptrack_remove(struct uptrack *track, struct downtrack *down);
void uptrack_carry(struct uptrack *track, struct layer *layer, uint32_t ssrc, struct receiver *receiver);
void uptrack_interrupted(struct uptrack *track, struct layer *layer);
void uptrack_ended(struct uptrack *track, struct layer *layer);
void uptrack_route(struct uptrack *track, struct downtrack *down);
void uptrack_route_all(struct uptrack *track);
void uptrack_detach(struct uptrack *track, struct downtrack *down);
int uptrack_wanted_layer(const struct uptrack *track);
bool uptrack_needed(const struct uptrack *track, const struct layer *layer);
void uptrack_add_tap(struct uptrack *track, void *handle, int max_layer);
void uptrack_remove_tap(struct uptrack *track, const void *handle);
bool uptrack_is_read(const struct uptrack *track, const struct layer *layer);

/* key frames: routing.c */
void uptrack_want_key_frame(struct uptrack *track, struct layer *layer, double now);
void uptrack_ask(struct uptrack *track, double now);
void uptrack_ask_for(struct uptrack *track, struct layer *layer, double now);
void uptrack_request_key_frame(struct uptrack *track, double now);
void uptrack_incomplete(struct uptrack *track, struct layer *layer, double now);

static inline const struct codec *uptrack_codec(const struct uptrack *track, int payload_type)
{
    int at = track->by_payload_type[payload_type & 0x7F];
    return at < 0 ? NULL : &track->spec.codecs[at];
}

/* The codec whose retransmissions have this payload type. */
static inline const struct codec *uptrack_rtx_codec(const struct uptrack *track, int payload_type)
{
    int at = track->by_rtx_payload_type[payload_type & 0x7F];
    return at < 0 ? NULL : &track->spec.codecs[at];
}

#endif
