/* What arrives on one SSRC: extended sequence numbers, duplicates, losses to ask for again, reception statistics.
 *
 * Sequence numbers leave here unwrapped (numbers that only grow), so that nobody behind has to think of 65,535.
 * Statistics are RFC 3550's (https://www.rfc-editor.org/rfc/rfc3550#appendix-A.1, A.3, A.8). */
#ifndef PALABRE_RECEIVER_H
#define PALABRE_RECEIVER_H

#include "bytes.h"
#include "rtcp.h"

enum {
    MAX_GAP = 512,              /* packets: a longer jump is an outage, which a key frame heals sooner */
    MAX_GAP_AFTER_SILENCE = 20, /* packets: after a long silence more is an outage too */
    MAX_MISSING = 1000,         /* remembered lost packets per stream; libwebrtc's NACK list has the same limit */
};

enum verdict { IN_ORDER, AFTER_GAP, LATE, UNWANTED, OUTAGE }; /* what `receiver_add` makes of a packet */

struct missing {
    int64_t sequence; /* extended */
    double lost_at, next_at; /* when it will be asked for next */
    int requests;
};

struct receiver {
    int holders; /* a route and the layer that it carries */
    int clock_rate;
    bool nack;
    int64_t highest; /* extended; -1: nothing yet */
    int64_t received, recovered; /* the latter through RTX */
    enum verdict verdict; /* of the last packet added */
    bool gave_up; /* packets were lost for good; who looks resets it */
    struct missing *missing; /* in order of their numbers */
    int missing_count, missing_room;
    int64_t base, timestamp; /* -1: none yet */
    double jitter, arrival;
    int64_t expected_before, received_before;
    uint32_t sr_middle;
    double sr_arrival;
};

struct receiver *receiver_make(int clock_rate, bool nack);
void receiver_release(struct receiver *receiver);

/* Take note of a packet; returns its extended number and leaves what it is in `verdict`. */
int64_t receiver_add(struct receiver *receiver, uint16_t sequence, uint32_t timestamp, double now);

/* The extended number of a packet that came by RTX, or -1 where it was not missing. */
int64_t receiver_recover(struct receiver *receiver, uint16_t sequence);

/* Nothing of use is missing from `first` to before `end`. */
void receiver_forgive(struct receiver *receiver, int64_t first, int64_t end);

/* Numbers to ask for now, in order, at most MAX_MISSING; forgets those that came too late to be of use. */
int receiver_due(struct receiver *receiver, double now, uint16_t *wanted);

int64_t receiver_lost(const struct receiver *receiver); /* never came, also not by RTX */
void receiver_sender_report(struct receiver *receiver, uint64_t ntp, double now);
struct report_block receiver_report(struct receiver *receiver, uint32_t ssrc, double now);

#endif
