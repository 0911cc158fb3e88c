/* The retransmission cache of a down track, and RTX (https://www.rfc-editor.org/rfc/rfc4588#section-4). */
#include "downtrack.h"

#include "session.h"

/* Seconds: what was sent again is not asked for anew with reason before a round trip at least. */
#define RESEND_INTERVAL 0.04

/* With the first packet: in a call of many most cameras are not shown, and never will be. */
static void open_cache(struct downtrack *down)
{
    down->cache = must_make(CACHE_SIZE, sizeof *down->cache);
    for (int i = 0; i < CACHE_SIZE; i++)
        down->cache[i].number = -1;
}

void downtrack_keep(struct downtrack *down, int64_t number, const uint8_t *header, struct chunk *block,
                    const struct media *media, const uint8_t *middle, int middle_length)
{
    if (down->cache == NULL)
        open_cache(down);
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
    sent->resent_at = NEVER;
    put(sent->header, header, RTP_HEADER_SIZE);
    put(sent->middle, middle, (size_t)middle_length);
}

int downtrack_number(struct downtrack *down, const struct chunk *block, int size, double now, uint8_t *to)
{
    uint8_t number[NUMBER_SIZE];
    write16(number, delivery_number(&down->peer->sent_packets, size, now));
    return plan_stamp(block, number, NUMBER_SIZE, to);
}

/* The block of a packet that is sent by RTX, where there is one. */
static int renew_block(struct downtrack *down, const struct chunk *block, int size, double now, uint8_t *to)
{
    uint8_t time[SEND_TIME_SIZE];
    if (block == NULL)
        return 0;
    if (down->plan->key.number_id)
        return downtrack_number(down, block, size, now, to);
    write24(time, absolute_send_time(now));
    return plan_stamp(block, time, down->plan->key.send_time_id ? SEND_TIME_SIZE : 0, to);
}

/* Header, extensions and payload as they were sent; for RTX with the header and the number of that stream. Returns the
 * length. */
static int send_again(struct downtrack *down, const struct sent *sent, double now)
{
    bool rtx = down->spec.codec.rtx_payload_type >= 0;
    int block_length = sent->block != NULL ? sent->block->length : 0;
    int payload = (sent->at - sent->start) + sent->middle_length + (sent->end - sent->rest);
    int most = RTP_HEADER_SIZE + block_length + 3 + 2 + payload;
    uint8_t *packet = session_reserve(down->peer, most), *at = packet + RTP_HEADER_SIZE;
    put(packet, sent->header, RTP_HEADER_SIZE);
    if (rtx) {
        packet[1] = (uint8_t)((packet[1] & RTP_MARKER) | down->spec.codec.rtx_payload_type);
        write16(packet + 2, (uint32_t)down->rtx_sequence++);
        write32(packet + 8, down->spec.rtx_ssrc);
        at += renew_block(down, sent->block, RTP_HEADER_SIZE + block_length + 2 + payload, now, at);
        write16(at, (uint32_t)sent->number);
        at += 2;
    } else if (sent->block != NULL) {
        at = put(at, sent->block->bytes, (size_t)sent->block->length);
    }
    at = put(at, sent->packet->bytes + sent->start, (size_t)(sent->at - sent->start));
    at = put(at, sent->middle, sent->middle_length);
    at = put(at, sent->packet->bytes + sent->rest, (size_t)(sent->end - sent->rest));
    session_send_rtp(down->peer, packet, (int)(at - packet));
    return (int)(at - packet);
}

static int size_of(const struct sent *sent)
{
    return RTP_HEADER_SIZE + (sent->block != NULL ? sent->block->length : 0) + (sent->at - sent->start) +
           sent->middle_length + (sent->end - sent->rest);
}

void downtrack_resend(struct downtrack *down, const uint16_t *sequences, int count, double now)
{
    if (down->cache == NULL)
        return;
    double patience = down->rtt > RESEND_INTERVAL ? down->rtt : RESEND_INTERVAL;
    for (int i = 0; i < count; i++) {
        struct sent *sent = &down->cache[sequences[i] & (CACHE_SIZE - 1)];
        if (sent->number < 0 || (sent->number & 0xFFFF) != sequences[i] ||
            sent->number < down->begun || now - sent->resent_at < patience)
            continue;
        if (down->resent >= MAX_RESENDS || !session_may_resend(down->peer, size_of(sent)))
            return;
        down->resent++;
        sent->resent_at = now;
        down->retransmitted++;
        send_again(down, sent, now);
    }
}

void downtrack_pad(struct downtrack *down, int64_t octets, double now)
{
    if (down->cache == NULL || !down->plan->key.number_id)
        return;
    int64_t number = down->next;
    for (int i = 0; i < MAX_PADDING && octets > 0; i++) {
        number--;
        const struct sent *sent = &down->cache[number & (CACHE_SIZE - 1)];
        if (sent->number == number)
            octets -= send_again(down, sent, now);
        else if (number == down->next - 1)
            return; /* nothing was sent yet */
        else
            number = down->next;
    }
}
