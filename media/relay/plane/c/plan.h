/* The block of header extensions that a subscriber gets. A plan says how to translate a publisher's elements to a
 * subscriber's ids; subscribers whose plan is the same share one, and with it one block per packet.
 *
 * Which extensions travel is decided in Python (media/relay/plane/extensions.py). */
#ifndef PALABRE_PLAN_H
#define PALABRE_PLAN_H

#include "chunk.h"
#include "rtp.h"

enum { MAX_COPIED = 16 }; /* extensions of one section that travel on; six are known */

/* The element of the hop comes first: a number of transport-cc, or the time of sending. At most one of the two is there:
 * which, is decided in Python. */
struct plan_key {
    int send_time_id; /* 0: no abs-send-time */
    int number_id;    /* 0: no transport-cc */
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

/* Make the block of a packet whose publisher's elements are these. It bears no number yet. */
void plan_prepare(struct plan *plan, const uint8_t *packet, const struct elements *elements, uint32_t send_time);

enum { NUMBER_SIZE = 2, SEND_TIME_SIZE = 3 };

/* The same block with another number, or for a packet sent later, into `to`: old send times would look like a queue to
 * the subscriber. `block` has an element of the hop. Returns its length, at most three bytes more. */
int plan_stamp(const struct chunk *block, const uint8_t *element, int length, uint8_t *to);

#endif
