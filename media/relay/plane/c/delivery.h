/* Transport-wide congestion control, sender's side: what was sent to a peer, and what its feedback says became of that.
 *
 * The counterpart of feedback.h. Packets that were sent at once are told together, as delays are only measured between
 * such groups: https://datatracker.ietf.org/doc/html/draft-ietf-rmcat-gcc-02#section-5.2. Estimating a bandwidth is not
 * done here. */
#ifndef PALABRE_DELIVERY_H
#define PALABRE_DELIVERY_H

#include "rtcp.h"

enum {
    HISTORY = 4096,  /* packets, a power of two: 0.8 s at 50 Mbit/s; feedback comes within 0.25 s and a round trip */
    MAX_GROUPS = 1024, /* between two times that they are taken; what is over isn't told */
};

struct sent_packet {
    double at;
    uint32_t number; /* the low bits; 0 octets: an empty slot */
    int32_t octets;  /* negative: told as lost */
};

/* Packets that were sent at once: see `Delivery` in media/relay/plane/api.py. */
struct group {
    double sent, arrived;
    int64_t octets;
    int packets, lost;
};

struct delivery {
    struct sent_packet *slots; /* NULL: nothing was numbered yet */
    int64_t next;              /* unwrapped number of the next packet */
    int64_t reference;         /* of the last feedback, unwrapped; negative: none came yet */
    struct group *groups;
    int count, room;
};

void delivery_init(struct delivery *delivery);
void delivery_free(struct delivery *delivery);

/* The number of the next packet, which has `octets` as RTP. */
uint32_t delivery_number(struct delivery *delivery, int octets, double now);

/* Feedback came; it was checked. */
void delivery_hear(struct delivery *delivery, const struct rtcp_packet *packet);

#endif
