/* The block of header extensions that a subscriber gets. A plan says how to translate a publisher's elements to a
 * subscriber's ids; subscribers whose plan is the same share one, and with it one block per packet.
 *
 * Which extensions travel is decided in Python (media/relay/plane/extensions.py). */
#ifndef PALABRE_PLAN_H
#define PALABRE_PLAN_H

#include "chunk.h"
#include "rtp.h"

enum { MAX_COPIED = 16 }; /* extensions of one section that travel on; six are known */

struct plan_key {
    int send_time_id; /* 0: no abs-send-time */
    int count;
    struct {
        int theirs, ours;
    } copied[MAX_COPIED];
};

struct plan {
    struct plan_key key;
    int holders; /* down tracks */
    struct chunk *current; /* the block of the packet that is being forwarded, NULL: none */
};

struct plan *plan_make(const struct plan_key *key);
bool plan_has_key(const struct plan *plan, const struct plan_key *key);
void plan_free(struct plan *plan);

/* abs-send-time of a packet sent at `now` (any clock: only differences count): 6.18 fixed point. */
static inline uint32_t absolute_send_time(double now)
{
    return (uint32_t)((uint64_t)(now * (1 << 18)) & 0xFFFFFF);
}

/* Make the block of a packet whose publisher's elements are these. */
void plan_prepare(struct plan *plan, const uint8_t *packet, const struct elements *elements, uint32_t send_time);

/* The same block for a packet sent later, into `to`: old send times would look like a queue to the subscriber.
 * Returns its length. */
int plan_refresh(const struct plan *plan, const struct chunk *block, uint32_t send_time, uint8_t *to);

#endif
