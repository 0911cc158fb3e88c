/* The retransmission cache of a down track, and RTX (https://www.rfc-editor.org/rfc/rfc4588#section-4). */
#include "downtrack.h"

#include "session.h"

void downtrack_keep(struct downtrack *down, int64_t number, const uint8_t *header, struct chunk *block,
                    const struct media *media, const uint8_t *middle, int middle_length)
{
    struct sent *sent = &down->cache[number & (CACHE_SIZE - 1)];
    chunk_release(sent->packet);
    chunk_release(sent->block);
    sent->number = number;
    sent->packet = chunk_hold(media->packet);
    sent->block = chunk_hold(block);
    sent->start = (int16_t)media->start;
    sent->at = (int16_t)media->at;
    sent->rest = (int16_t)media->rest;
    sent->end = (int16_t)media->end;
    sent->middle_length = (uint8_t)middle_length;
    sent->resent_in = 0;
    put(sent->header, header, RTP_HEADER_SIZE);
    put(sent->middle, middle, (size_t)middle_length);
}

/* Header, extensions and payload as they were sent; for RTX with the header and the number of that stream. */
static void send_again(struct downtrack *down, const struct sent *sent, uint32_t send_time)
{
    bool rtx = down->spec.codec.rtx_payload_type >= 0;
    int most = RTP_HEADER_SIZE + (sent->block ? sent->block->length + 3 : 0) + 2 + sent->end - sent->start;
    uint8_t *packet = session_reserve(down->peer, most), *at = packet + RTP_HEADER_SIZE;
    put(packet, sent->header, RTP_HEADER_SIZE);
    if (rtx) {
        packet[1] = (uint8_t)((packet[1] & RTP_MARKER) | down->spec.codec.rtx_payload_type);
        write16(packet + 2, (uint32_t)down->rtx_sequence++);
        write32(packet + 8, down->spec.rtx_ssrc);
        at += plan_refresh(down->plan, sent->block, send_time, at);
        write16(at, (uint32_t)sent->number);
        at += 2;
    } else if (sent->block != NULL) {
        at = put(at, sent->block->bytes, (size_t)sent->block->length);
    }
    at = put(at, sent->packet->bytes + sent->start, (size_t)(sent->at - sent->start));
    at = put(at, sent->middle, sent->middle_length);
    at = put(at, sent->packet->bytes + sent->rest, (size_t)(sent->end - sent->rest));
    session_send_rtp(down->peer, packet, (int)(at - packet));
}

void downtrack_resend(struct downtrack *down, const uint16_t *sequences, int count, double now)
{
    if (down->cache == NULL)
        return;
    uint32_t send_time = absolute_send_time(now);
    for (int i = 0; i < count; i++) {
        struct sent *sent = &down->cache[sequences[i] & (CACHE_SIZE - 1)];
        if (sent->number < 0 || (sent->number & 0xFFFF) != sequences[i] || sent->resent_in == down->period)
            continue;
        if (down->resent >= MAX_RESENDS)
            return;
        down->resent++;
        sent->resent_in = down->period;
        down->retransmitted++;
        send_again(down, sent, send_time);
    }
}
