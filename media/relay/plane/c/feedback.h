/* Transport-wide congestion control, receiver's side: which packets of a peer arrived and when.
 *
 * Builds the feedback of https://datatracker.ietf.org/doc/html/draft-holmer-rmcat-transport-wide-cc-extensions-01;
 * estimating a bandwidth from it is the publisher's work. Without this feedback Chromium's send rate crawls. */
#ifndef PALABRE_FEEDBACK_H
#define PALABRE_FEEDBACK_H

#include "bytes.h"

enum {
    MAX_TOLD = 400,     /* packets in one feedback: 400 * (2 bytes delta + 2/7 byte symbol) stays below 1,000 bytes */
    MAX_PENDING = 4000, /* packets between two feedbacks: 30 Mbit/s; what is over isn't told */
    /* a run of lost packets before each one, each leaving a vector and a run length chunk; and two bytes of delta */
    FEEDBACK_BODY_MAX = 8 + MAX_TOLD * (2 * 3 * 2 + 2),
};

struct arrival {
    int64_t sequence; /* unwrapped transport sequence number */
    int64_t at; /* in delta units */
};

struct feedback {
    struct arrival *arrivals; /* in order of their numbers */
    int count, room;
    int64_t highest, next; /* the highest seen; the one after the last that was told; -1: none */
    int number; /* of the next feedback */
};

void feedback_add(struct feedback *feedback, const uint8_t *element, int length, double now);

/* The body of the next feedback of what arrived, into `to`; its length, 0: all is told. Call until it is. */
int feedback_build(struct feedback *feedback, int *done, uint8_t *to);
void feedback_done(struct feedback *feedback);

#endif
