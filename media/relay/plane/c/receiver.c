/* Reception of one SSRC. Sends nothing itself: the session does. */
#include "receiver.h"

#include <math.h>

#define LONG_SILENCE 1.0     /* seconds without a packet before a gap */
#define MISSING_LIFETIME 2.0 /* seconds in which a lost packet that comes is of use to a jitter buffer */
#define MAX_JITTER_STEP 5.0  /* seconds: a larger difference is a pause of the source or a clock that was set */

/* Seconds between the requests for one packet, then none: at 500 ms of round trip the answer to the first ones comes
 * while the last ones leave. */
static const double RETRY_INTERVALS[] = {0.06, 0.1, 0.15, 0.2, 0.25, 0.3};
enum { RETRIES = sizeof RETRY_INTERVALS / sizeof *RETRY_INTERVALS };

struct receiver *receiver_make(int clock_rate, bool nack)
{
    struct receiver *receiver = must_make(1, sizeof *receiver);
    receiver->holders = 1;
    receiver->clock_rate = clock_rate;
    receiver->nack = nack;
    receiver->highest = receiver->timestamp = -1;
    return receiver;
}

void receiver_release(struct receiver *receiver)
{
    if (receiver == NULL || --receiver->holders > 0)
        return;
    free(receiver->missing);
    free(receiver);
}

/* Where `sequence` is, or would be, among the missing ones. */
static int missing_place(const struct receiver *receiver, int64_t sequence)
{
    int low = 0, high = receiver->missing_count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (receiver->missing[middle].sequence < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void drop_missing(struct receiver *receiver, int first, int count)
{
    receiver->missing_count -= count;
    memmove(receiver->missing + first, receiver->missing + first + count,
            (size_t)(receiver->missing_count - first) * sizeof *receiver->missing);
}

static bool found_missing(struct receiver *receiver, int64_t sequence)
{
    int place = missing_place(receiver, sequence);
    if (place == receiver->missing_count || receiver->missing[place].sequence != sequence)
        return false;
    drop_missing(receiver, place, 1);
    return true;
}

static enum verdict note_gap(struct receiver *receiver, int64_t highest, int64_t extended, double now)
{
    int limit = now - receiver->arrival > LONG_SILENCE ? MAX_GAP_AFTER_SILENCE : MAX_GAP;
    if (extended - highest > limit) {
        receiver->missing_count = 0;
        return OUTAGE;
    }
    int count = (int)(extended - highest - 1);
    if (receiver->missing_count + count > receiver->missing_room) {
        receiver->missing_room = 2 * (receiver->missing_count + count);
        receiver->missing = must_resize(receiver->missing, (size_t)receiver->missing_room, sizeof *receiver->missing);
    }
    for (int64_t lost = highest + 1; lost < extended; lost++)
        receiver->missing[receiver->missing_count++] = (struct missing){lost, now, now, 0};
    if (receiver->missing_count > MAX_MISSING)
        drop_missing(receiver, 0, receiver->missing_count - MAX_MISSING);
    return AFTER_GAP;
}

/* RFC 3550 section 6.4.1, leaving out what is no jitter. */
static void measure_jitter(struct receiver *receiver, uint32_t timestamp, double now)
{
    if (timestamp == receiver->timestamp)
        return;
    if (receiver->timestamp >= 0) {
        double elapsed = (now - receiver->arrival) * receiver->clock_rate;
        double difference = fabs(elapsed - (double)signed32(timestamp - receiver->timestamp));
        if (difference < receiver->clock_rate * MAX_JITTER_STEP)
            receiver->jitter += (difference - receiver->jitter) / 16;
    }
    receiver->timestamp = timestamp;
    receiver->arrival = now;
}

int64_t receiver_add(struct receiver *receiver, uint16_t sequence, uint32_t timestamp, double now)
{
    int64_t highest = receiver->highest, extended;
    receiver->received++;
    if (highest < 0) {
        /* one cycle up, so that packets sent before the first to arrive have numbers above zero */
        receiver->base = receiver->highest = extended = sequence + 0x10000;
        receiver->verdict = IN_ORDER;
    } else {
        int64_t step = (sequence - highest) & 0xFFFF;
        if (step == 0 || step >= 0x8000) {
            extended = highest - ((highest - sequence) & 0xFFFF);
            receiver->verdict = found_missing(receiver, extended) ? LATE : UNWANTED;
            return extended;
        }
        receiver->highest = extended = highest + step;
        receiver->verdict = step == 1 ? IN_ORDER : note_gap(receiver, highest, extended, now);
    }
    measure_jitter(receiver, timestamp, now);
    return extended;
}

/* Chromium probes for bandwidth by repeating packets that arrived: those are the larger part of its RTX. */
int64_t receiver_recover(struct receiver *receiver, uint16_t sequence)
{
    if (receiver->highest < 0)
        return -1;
    int64_t extended = receiver->highest - ((receiver->highest - sequence) & 0xFFFF);
    if (!found_missing(receiver, extended))
        return -1;
    receiver->recovered++;
    return extended;
}

void receiver_forgive(struct receiver *receiver, int64_t first, int64_t end)
{
    int place = missing_place(receiver, first), after = missing_place(receiver, end);
    if (after > place)
        drop_missing(receiver, place, after - place);
}

int receiver_due(struct receiver *receiver, double now, uint16_t *wanted)
{
    int count = 0, kept = 0;
    for (int i = 0; i < receiver->missing_count; i++) {
        struct missing *missing = &receiver->missing[i];
        if (now - missing->lost_at > MISSING_LIFETIME) {
            receiver->gave_up = true;
            continue;
        }
        if (missing->next_at <= now && missing->requests < RETRIES) {
            missing->next_at = now + RETRY_INTERVALS[missing->requests++];
            wanted[count++] = (uint16_t)missing->sequence;
        }
        receiver->missing[kept++] = *missing;
    }
    receiver->missing_count = kept;
    return receiver->nack ? count : 0;
}

/* Packets that the sender has sent since the first one that arrived, as far as sequence numbers tell. */
static int64_t expected(const struct receiver *receiver)
{
    return receiver->highest >= 0 ? receiver->highest - receiver->base + 1 : 0;
}

int64_t receiver_lost(const struct receiver *receiver)
{
    int64_t lost = expected(receiver) - receiver->received - receiver->recovered;
    return lost > 0 ? lost : 0;
}

/* The sender's SR, which the next report answers so that the sender learns the round trip time. */
void receiver_sender_report(struct receiver *receiver, uint64_t ntp, double now)
{
    receiver->sr_middle = (uint32_t)(ntp >> 16);
    receiver->sr_arrival = now;
}

struct report_block receiver_report(struct receiver *receiver, uint32_t ssrc, double now)
{
    int64_t should = expected(receiver), lost_all = should - receiver->received;
    int64_t interval = should - receiver->expected_before;
    int64_t lost = interval - (receiver->received - receiver->received_before);
    receiver->expected_before = should;
    receiver->received_before = receiver->received;
    int64_t fraction = interval > 0 && lost > 0 ? (lost << 8) / interval : 0;
    lost_all = lost_all > 0x7FFFFF ? 0x7FFFFF : lost_all < -0x800000 ? -0x800000 : lost_all;
    return (struct report_block){
        .ssrc = ssrc,
        .fraction_lost = (int)(fraction > 255 ? 255 : fraction),
        .lost = (uint32_t)lost_all & 0xFFFFFF,
        .highest = (uint32_t)(receiver->highest - 0x10000),
        .jitter = (uint32_t)(int64_t)receiver->jitter,
        .last_sr = receiver->sr_middle,
        .delay = receiver->sr_middle ? (uint32_t)(int64_t)((now - receiver->sr_arrival) * 65536) : 0,
    };
}
