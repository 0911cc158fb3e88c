/* Sessions: RTCP that arrives, feedback and reports that are due. */
#include "session.h"

#define FEEDBACK_INTERVAL 0.1 /* seconds: what libwebrtc's receivers do between 50 and 250 ms */
#define REPORT_INTERVAL 1.0   /* seconds between receiver reports; libwebrtc's own interval for video */
#define RESEND_BURST 0.25 /* seconds of the limit on what is sent again that may come at once: a burst of losses */
#define EARLY 0.01            /* seconds: ticks of 50 ms come a little early as often as late */

enum { REPORTS_PER_PACKET = 30 }; /* of at most 31: with the header 728 bytes */

static struct downtrack *down_of(const struct session *session, uint32_t ssrc)
{
    return table_pointer(&session->by_ssrc, ssrc);
}

static void take_reports(struct session *session, const uint8_t *at, int count, double now)
{
    for (int i = 0; i < count; i++, at += REPORT_BLOCK_SIZE) {
        struct report_block block = rtcp_read_report(at);
        struct downtrack *down = down_of(session, block.ssrc);
        if (down != NULL)
            downtrack_receiver_report(down, &block, now);
    }
}

static void take_sender_report(struct session *session, const struct rtcp_packet *packet, double now)
{
    struct route *route = table_pointer(&session->routes, read32(packet->body));
    if (route != NULL) {
        uint64_t ntp = read64(packet->body + 4);
        receiver_sender_report(route->receiver, ntp, now);
        if (!route->rtx)
            uptrack_sender_report(route->track, route->layer, ntp, read32(packet->body + 12), now);
    }
    take_reports(session, packet->body + 24, packet->count, now);
}

static void take_key_frame_request(struct session *session, uint32_t ssrc, double now)
{
    struct downtrack *down = down_of(session, ssrc);
    if (down != NULL && down->target != NULL)
        uptrack_want_key_frame(down->track, down->target, now);
}

static void take_bye(struct session *session, const struct rtcp_packet *packet)
{
    for (int i = 0; i < packet->count; i++) {
        struct route *route = table_pointer(&session->routes, read32(packet->body + 4 * i));
        if (route != NULL && !route->rtx)
            uptrack_ended(route->track, route->layer);
    }
}

static void take_nack(struct session *session, const struct rtcp_packet *packet, double now)
{
    uint16_t sequences[MAX_NACKED];
    struct downtrack *down = down_of(session, read32(packet->body + 4));
    if (down != NULL)
        downtrack_resend(down, sequences, rtcp_read_nack(packet, sequences), now);
}

static void take_payload_feedback(struct session *session, const struct rtcp_packet *packet, double now)
{
    if (packet->count == RTCP_PLI)
        take_key_frame_request(session, read32(packet->body + 4), now);
    else if (packet->count == RTCP_FIR)
        for (int position = 8; position + 8 <= packet->length; position += 8)
            take_key_frame_request(session, read32(packet->body + position), now);
    else if (rtcp_is_remb(packet))
        session->bandwidth = rtcp_read_remb(packet);
}

static void take_packet(struct session *session, const struct rtcp_packet *packet, double now)
{
    switch (packet->kind) {
    case RTCP_SR: take_sender_report(session, packet, now); break;
    case RTCP_RR: take_reports(session, packet->body + 4, packet->count, now); break;
    case RTCP_BYE: take_bye(session, packet); break;
    case RTCP_PSFB: take_payload_feedback(session, packet, now); break;
    case RTCP_RTPFB:
        if (packet->count == RTCP_NACK)
            take_nack(session, packet, now);
        else if (packet->count == RTCP_TRANSPORT_CC)
            delivery_hear(&session->sent_packets, packet);
        break;
    default: break;
    }
}

void session_receive_rtcp(struct session *session, const uint8_t *datagram, int length, double now)
{
    if (session->receiving == NULL) {
        drop(session->shared, DROP_NO_KEYS);
        return;
    }
    if (length > MAX_DATAGRAM) {
        drop(session->shared, DROP_TOO_LONG);
        return;
    }
    _Alignas(8) uint8_t clear[MAX_DATAGRAM + SRTP_TRAILER];
    put(clear, datagram, (size_t)length);
    int status = session->shared->srtp.unprotect_rtcp(session->receiving, clear, &length);
    if (status != 0) {
        drop(session->shared, srtp_reason(status));
        return;
    }
    if (!rtcp_check(clear, length)) {
        drop(session->shared, DROP_RTCP_MALFORMED);
        return;
    }
    struct rtcp_packet packet;
    for (int position = 0; rtcp_next(clear, length, &position, &packet);)
        take_packet(session, &packet, now);
}

/* -- feedback. What opens with an empty receiver report is a compound packet, RFC 3550 section 6.1. */

static uint8_t *begin_feedback(struct session *session, int size, uint8_t **at)
{
    uint8_t *packet = session_reserve(session, RECEIVER_REPORT_SIZE + size);
    *at = rtcp_pack_receiver_report(packet, LOCAL_SSRC, NULL, 0);
    return packet;
}

void session_ask_key_frame(struct session *session, uint32_t ssrc)
{
    uint8_t *at, *packet = begin_feedback(session, PLI_SIZE, &at);
    at = rtcp_pack_pli(at, LOCAL_SSRC, ssrc);
    session_send_rtcp(session, packet, (int)(at - packet));
}

void session_ask_again(struct session *session, uint32_t ssrc, struct route *route, double now)
{
    uint16_t wanted[MAX_MISSING];
    int count = receiver_due(route->receiver, now, wanted);
    if (route->receiver->gave_up) {
        route->receiver->gave_up = false;
        if (!route->rtx)
            uptrack_incomplete(route->track, route->layer, now);
    }
    if (!count || !uptrack_needed(route->track, route->layer))
        return;
    uint8_t *at, *packet = begin_feedback(session, FEEDBACK_HEAD_SIZE + 4 * count, &at);
    at = rtcp_pack_nack(at, LOCAL_SSRC, ssrc, wanted, count);
    session_send_rtcp(session, packet, (int)(at - packet));
}

static void send_transport_feedback(struct session *session)
{
    uint32_t ssrc = session->routes.count ? (uint32_t)session->routes.entries[0].key : 0; /* any of the peer's */
    for (int done = 0;;) {
        uint8_t *at, *packet = begin_feedback(session, FEEDBACK_HEAD_SIZE + FEEDBACK_BODY_MAX + 3, &at);
        int length = feedback_build(&session->feedback, &done, at + FEEDBACK_HEAD_SIZE);
        if (!length)
            break;
        at = rtcp_pack_transport_feedback(at, LOCAL_SSRC, ssrc, length);
        session_send_rtcp(session, packet, (int)(at - packet));
    }
    feedback_done(&session->feedback);
}

static void send_reports(struct session *session, double now)
{
    for (int i = 0; i < session->routes.count;) {
        struct report_block reports[REPORTS_PER_PACKET];
        int count = 0;
        for (; i < session->routes.count && count < REPORTS_PER_PACKET; i++) {
            struct route *route = session->routes.entries[i].value.pointer;
            if (route->receiver->highest >= 0)
                reports[count++] =
                    receiver_report(route->receiver, (uint32_t)session->routes.entries[i].key, now);
        }
        if (!count)
            return;
        uint8_t *packet = session_reserve(session, RECEIVER_REPORT_SIZE + REPORT_BLOCK_SIZE * count);
        uint8_t *end = rtcp_pack_receiver_report(packet, LOCAL_SSRC, reports, count);
        session_send_rtcp(session, packet, (int)(end - packet));
    }
}

static void cap_resend_budget(struct session *session)
{
    double most = (double)session->resend_rate * RESEND_BURST / 8;
    if (session->resend_budget > most)
        session->resend_budget = most;
}

void session_limit_resends(struct session *session, int64_t rate)
{
    session->resend_rate = rate;
    cap_resend_budget(session);
}

bool session_may_resend(struct session *session, int octets)
{
    if (!session->resend_rate)
        return true;
    if (session->resend_budget <= 0)
        return false;
    session->resend_budget -= octets;
    return true;
}

/* Repeat requests, send feedback and reports that are due. */
void session_tick(struct session *session, double now)
{
    session->resend_budget += (double)session->resend_rate * (now - session->ticked_at) / 8;
    cap_resend_budget(session);
    session->ticked_at = now;
    for (int i = 0; i < session->routes.count; i++) {
        struct route *route = session->routes.entries[i].value.pointer;
        if (route->receiver->missing_count)
            session_ask_again(session, (uint32_t)session->routes.entries[i].key, route, now);
    }
    if (now - session->feedback_at > FEEDBACK_INTERVAL - EARLY) {
        session->feedback_at = now;
        send_transport_feedback(session);
    }
    if (now - session->report_at > REPORT_INTERVAL - EARLY) {
        session->report_at = now;
        send_reports(session, now);
    }
    for (int i = 0; i < session->ups.count; i++)
        uptrack_tick(session->ups.items[i], now);
}
