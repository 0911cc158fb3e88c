/* The outbox and the names of the drop counters, which are those of the Python packet path. */
#include "shared.h"

enum { KEPT = 1 << 20 }; /* bytes of memory that stay with an outbox after a burst */

const char *const DROP_NAMES[DROPS] = {
    [DROP_TOO_LONG] = "too_long",
    [DROP_SRTP_MALFORMED] = "srtp_malformed",
    [DROP_SRTP_AUTHENTICATION] = "srtp_authentication",
    [DROP_SRTP_REPLAY] = "srtp_replay",
    [DROP_SRTP_ERROR] = "srtp_error",
    [DROP_SEND_TOO_LONG] = "send_too_long",
    [DROP_SEND_SRTP_MALFORMED] = "send_srtp_malformed",
    [DROP_SEND_SRTP_AUTHENTICATION] = "send_srtp_authentication",
    [DROP_SEND_SRTP_REPLAY] = "send_srtp_replay",
    [DROP_SEND_SRTP_ERROR] = "send_srtp_error",
    [DROP_TOO_SHORT] = "too_short",
    [DROP_NO_KEYS] = "no_keys",
    [DROP_RTP_MALFORMED] = "rtp_malformed",
    [DROP_RTCP_MALFORMED] = "rtcp_malformed",
    [DROP_UNKNOWN_SSRC] = "unknown_ssrc",
    [DROP_UNKNOWN_PAYLOAD_TYPE] = "unknown_payload_type",
    [DROP_UNKNOWN_RID] = "unknown_rid",
    [DROP_DUPLICATE_OR_TOO_LATE] = "duplicate_or_too_late",
    [DROP_PROBE] = "probe",
    [DROP_UDP_SEND] = "udp_send",
    [DROP_STRANGERS] = "strangers",
    [DROP_SLOW_READER] = "slow_reader",
};

enum drop srtp_reason(int status)
{
    switch (status) {
    case 2: /* bad_param */
    case 8: return DROP_SRTP_MALFORMED; /* cipher_fail: too short for what it says it is */
    case 7: return DROP_SRTP_AUTHENTICATION;
    case 9:
    case 10: return DROP_SRTP_REPLAY;
    default: return DROP_SRTP_ERROR;
    }
}

uint8_t *outbox_reserve(struct outbox *outbox, size_t size)
{
    if (outbox->used + size > outbox->capacity) {
        outbox->capacity = 2 * (outbox->used + size);
        outbox->bytes = must_resize(outbox->bytes, outbox->capacity, 1);
    }
    return outbox->bytes + outbox->used;
}

void outbox_commit(struct outbox *outbox, int64_t session, int length)
{
    if (outbox->count == outbox->room) {
        outbox->room = outbox->room ? 2 * outbox->room : 64;
        outbox->datagrams = must_resize(outbox->datagrams, (size_t)outbox->room, sizeof *outbox->datagrams);
    }
    outbox->datagrams[outbox->count++] = (struct datagram){session, outbox->used, length, -1};
    outbox->used += ((size_t)length + 7) & ~(size_t)7; /* libsrtp reads and writes whole words */
}

void outbox_tell(struct outbox *outbox, struct event event)
{
    if (outbox->event_count == outbox->event_room) {
        outbox->event_room = outbox->event_room ? 2 * outbox->event_room : 16;
        outbox->events = must_resize(outbox->events, (size_t)outbox->event_room, sizeof *outbox->events);
    }
    outbox->events[outbox->event_count++] = event;
}

void outbox_clear(struct outbox *outbox)
{
    for (int i = 0; i < outbox->event_count; i++)
        chunk_release(outbox->events[i].bytes);
    outbox->event_count = outbox->count = 0;
    outbox->used = 0;
    if (outbox->capacity > KEPT) {
        outbox->capacity = KEPT;
        outbox->bytes = must_resize(outbox->bytes, outbox->capacity, 1);
    }
}

void outbox_free(struct outbox *outbox)
{
    outbox_clear(outbox);
    free(outbox->bytes);
    free(outbox->datagrams);
    free(outbox->events);
    *outbox = (struct outbox){0};
}
