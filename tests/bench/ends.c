/* The ends of a relay that is measured, in one thread: some publish by a schedule, and all read.
 *
 * Readers don't wait for their sockets: they look at all of them once a millisecond, as a wake-up of theirs would be
 * charged to the relay's sendto. They answer with receiver reports and, where packets are numbered for it, with
 * transport-cc feedback, as browsers do. What is not RTP is left for Python. See ends.py. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

enum {
    BATCH = 64,
    SIZE = 1500,
    SAMPLES = 64,          /* datagrams of the first subscriber that are kept, for Python to unprotect */
    LEFT = 256,            /* datagrams for Python in one run */
    TOLD = 1024,           /* packets in one feedback */
    SWEEP = 1000000,       /* ns between two looks at the sockets */
    FEEDBACK = 100000000,  /* ns between two feedbacks of a subscriber: Chromium's usual interval */
    DELTA = 250000,        /* ns, the unit of feedback's times */
    REFERENCE = 64000000,  /* ns, the unit of its reference time */
};

typedef int (*transformation)(void *context, void *packet, int *length);

struct datagram {
    int end, length;
    uint8_t bytes[SIZE];
};

/* Somebody's socket, connected to the relay. */
struct end {
    int socket;
    int numbers_id; /* of the header extension with transport-cc's numbers, 0: none */
    void *srtcp;    /* libsrtp's context for what it sends */
    uint32_t ssrc;  /* of a stream that it gets, for its feedback */
    int64_t received;
    int64_t feedback_at;
    int count; /* packets to tell of */
    uint8_t feedbacks;
    uint16_t numbers[TOLD];
    int64_t arrivals[TOLD];
};

/* A datagram to send. */
struct item {
    int64_t due; /* ns after the schedule's begin */
    int end, length;
};

struct ends {
    struct end *ends;
    int count;
    transformation protect_rtcp;
    const uint8_t *bytes; /* of the schedule's datagrams, one after the other */
    const struct item *items;
    int next, total;
    size_t at;
    int64_t begun, sweep_at;
    int left_count, sample_count;
    struct datagram left[LEFT], samples[SAMPLES];
};

size_t ends_size(void) { return sizeof(struct ends); }

size_t end_size(void) { return sizeof(struct end); }

static int64_t monotonic(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void write16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void write32(uint8_t *at, uint32_t value)
{
    write16(at, value >> 16);
    write16(at + 2, value);
}

static int64_t next_due(const struct ends *ends)
{
    return ends->next < ends->total ? ends->begun + ends->items[ends->next].due : INT64_MAX;
}

/* What is due at one time. Who was kept from sending goes on at the same pace: a burst to catch up would be another
 * arrival. */
static void send_due(struct ends *ends, int64_t now)
{
    if (now < next_due(ends))
        return;
    int64_t due = ends->items[ends->next].due;
    for (; ends->next < ends->total && ends->items[ends->next].due == due; ends->next++) {
        const struct item *item = &ends->items[ends->next];
        send(ends->ends[item->end].socket, ends->bytes + ends->at, (size_t)item->length, MSG_DONTWAIT);
        ends->at += (size_t)item->length;
    }
    if (next_due(ends) < now)
        ends->begun = now - due;
}

/* -- feedback */

/* Notes the packet's number; its header is not encrypted. One-byte header extensions alone: nobody needs longer ones. */
static void note(struct end *end, const uint8_t *packet, int length, int64_t now)
{
    int at = 12 + 4 * (packet[0] & 0x0F);
    if (!end->numbers_id || !(packet[0] & 0x10) || end->count == TOLD || at + 4 > length)
        return;
    int stop = at + 4 + 4 * (packet[at + 2] << 8 | packet[at + 3]);
    for (at += 4; at < stop && stop <= length;) {
        int id = packet[at] >> 4, size = (packet[at] & 0x0F) + 1;
        if (packet[at++] == 0)
            continue;
        if (id == end->numbers_id) {
            end->numbers[end->count] = (uint16_t)(packet[at] << 8 | packet[at + 1]);
            end->arrivals[end->count++] = now;
            return;
        }
        at += size;
    }
}

/* https://datatracker.ietf.org/doc/html/draft-holmer-rmcat-transport-wide-cc-extensions-01#section-3.1, with run length
 * chunks alone: next to nothing is lost here. Reordered numbers are left out. */
static int pack_feedback(struct end *end, uint8_t *to)
{
    uint8_t deltas[TOLD], *chunk = to + 20;
    int64_t reference = end->arrivals[0] / REFERENCE, clock = reference * REFERENCE;
    int told = 0, run = 0, delta_count = 0;
    for (int i = 0; i < end->count; i++) {
        uint16_t gap = (uint16_t)(end->numbers[i] - end->numbers[0] - told);
        if (gap > 0x1FFF)
            continue;
        if (gap) {
            if (run)
                write16(chunk, 0x2000u | (uint32_t)run), chunk += 2;
            write16(chunk, gap), chunk += 2;
            run = 0;
        }
        int64_t delta = (end->arrivals[i] - clock) / DELTA;
        delta = delta > 255 ? 255 : delta;
        deltas[delta_count++] = (uint8_t)delta;
        clock += delta * DELTA;
        told += gap + 1;
        run++;
        if (chunk - to > 512)
            break;
    }
    write16(chunk, 0x2000u | (uint32_t)run), chunk += 2;
    memcpy(chunk, deltas, (size_t)delta_count);
    chunk += delta_count;
    while ((chunk - to) % 4)
        *chunk++ = 0;
    to[0] = 0x80 | 15;
    to[1] = 205;
    write16(to + 2, (uint32_t)(chunk - to) / 4 - 1);
    write32(to + 4, 1);
    write32(to + 8, end->ssrc);
    write16(to + 12, end->numbers[0]);
    write16(to + 14, (uint32_t)told);
    write32(to + 16, (uint32_t)reference << 8 | end->feedbacks++);
    return (int)(chunk - to);
}

static void send_feedback(struct ends *ends, struct end *end, int64_t now)
{
    uint8_t packet[2 * TOLD + 1024] __attribute__((aligned(8))) = {0x80, 201, 0, 1, 0, 0, 0, 1}; /* an empty report */
    int length = 8;
    end->feedback_at = now + FEEDBACK;
    if (end->count)
        length += pack_feedback(end, packet + 8);
    end->count = 0;
    if (ends->protect_rtcp(end->srtcp, packet, &length) == 0)
        send(end->socket, packet, (size_t)length, MSG_DONTWAIT);
}

/* -- reading */

static bool is_rtp(const uint8_t *datagram, int length)
{
    return length >= 12 && datagram[0] >> 6 == 2 && (datagram[1] < 192 || datagram[1] > 223);
}

static void keep(struct datagram *place, int end, const uint8_t *bytes, int length)
{
    place->end = end;
    place->length = length;
    memcpy(place->bytes, bytes, (size_t)length);
}

static void take(struct ends *ends, int index, const uint8_t *bytes, int length, int64_t now)
{
    if (!is_rtp(bytes, length)) {
        if (ends->left_count < LEFT)
            keep(&ends->left[ends->left_count++], index, bytes, length);
        return;
    }
    struct end *end = &ends->ends[index];
    end->received++;
    note(end, bytes, length, now);
    if (index == 0)
        keep(&ends->samples[ends->sample_count++ % SAMPLES], index, bytes, length);
}

static void drain(struct ends *ends, int index, int socket, int64_t now)
{
    static uint8_t bytes[BATCH][SIZE];
    static struct mmsghdr messages[BATCH];
    static struct iovec pieces[BATCH];
    int count;
    do {
        for (int i = 0; i < BATCH; i++) {
            pieces[i] = (struct iovec){bytes[i], SIZE};
            messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
        }
        count = recvmmsg(socket, messages, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < count; i++)
            take(ends, index, bytes[i], (int)messages[i].msg_len, now);
    } while (count == BATCH);
}

static void sweep(struct ends *ends, int64_t now)
{
    for (int i = 0; i < ends->count; i++) {
        struct end *end = &ends->ends[i];
        drain(ends, i, end->socket, now);
        if (now >= end->feedback_at)
            send_feedback(ends, end, now);
    }
    ends->sweep_at = now + SWEEP;
}

/* -- running */

/* From now on this schedule holds; it is in the order of its times. */
void ends_load(struct ends *ends, const uint8_t *bytes, const struct item *items, int total)
{
    ends->bytes = bytes;
    ends->items = items;
    ends->total = total;
    ends->next = 0;
    ends->at = 0;
    ends->begun = monotonic();
}

/* Send and read for so many ns. */
void ends_run(struct ends *ends, int64_t duration)
{
    prctl(PR_SET_TIMERSLACK, 1000L);
    int64_t now = monotonic(), until = now + duration;
    ends->left_count = 0;
    while (now < until) {
        send_due(ends, now);
        if (now >= ends->sweep_at)
            sweep(ends, now);
        int64_t wake = ends->sweep_at < until ? ends->sweep_at : until;
        if (next_due(ends) < wake)
            wake = next_due(ends);
        struct timespec time = {wake / 1000000000LL, wake % 1000000000LL};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
        now = monotonic();
    }
}
