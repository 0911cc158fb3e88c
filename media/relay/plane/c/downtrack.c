/* Down tracks: one packet of a layer, rewritten for one subscriber. */
#include "downtrack.h"

#include "session.h"
#include "uptrack.h"

#define MAX_TIMESTAMP_ERROR 1.0 /* seconds by which a publisher's reports may contradict the time that really passed */
#define MAX_RTT 10.0            /* seconds: a longer "round trip" answers some other report */

struct downtrack *downtrack_make(const struct down_spec *spec, struct session *peer, struct uptrack *track)
{
    struct downtrack *down = must_make(1, sizeof *down);
    down->spec = *spec;
    down->peer = peer;
    down->track = track;
    down->max_layer = -1;
    down->next = session_first_sequence(peer, spec->ssrc);
    down->rtx_sequence = session_first_sequence(peer, spec->rtx_ssrc);
    return down;
}

void downtrack_free(struct downtrack *down)
{
    for (int i = 0; down->cache != NULL && i < CACHE_SIZE; i++) {
        chunk_release(down->cache[i].packet);
        chunk_release(down->cache[i].block);
    }
    free(down->cache);
    free(down->holes);
    layer_release(down->sent_layer);
    free(down);
}

void downtrack_forget(struct downtrack *down, const struct layer *layer)
{
    if (down->sent_layer == layer) {
        layer_release(down->sent_layer);
        down->sent_layer = NULL;
    }
}

/* The timestamp for a packet of a layer that is taken up; later than the last one.
 *
 * Layers run on clocks of their own, which sender reports tie together; the time that passed here is the check, and the
 * answer where reports are missing. */
static int64_t next_timestamp(const struct downtrack *down, const struct layer *layer, int64_t timestamp, double now)
{
    int clock_rate = down->spec.codec.clock_rate;
    int64_t before = down->last.timestamp + down->timestamp_shift;
    int64_t passed = before + (int64_t)((now - down->last_at) * clock_rate), mapped = passed;
    const struct layer *old = down->sent_layer;
    if (old == layer) {
        mapped = timestamp + down->timestamp_shift;
    } else if (old != NULL && old->has_report && layer->has_report) {
        /* NTP times are 32.32 fixed point; their product with the rate needs more than 64 bits */
        __int128 between = ((__int128)layer->report_ntp - (__int128)old->report_ntp) * clock_rate >> 32;
        mapped = old->report_rtp + (int64_t)between + timestamp - layer->report_rtp + down->timestamp_shift;
    }
    int64_t error = signed32(mapped - passed);
    if ((double)(error < 0 ? -error : error) > MAX_TIMESTAMP_ERROR * clock_rate)
        mapped = passed;
    int64_t step = signed32(mapped - before);
    return before + (step > 1 ? step : 1);
}

void downtrack_start(struct downtrack *down, struct layer *layer, struct media *media, double now)
{
    down->offset = down->next - media->sequence;
    down->begun = down->next;
    if (down->has_last) {
        down->timestamp_shift = next_timestamp(down, layer, media->timestamp, now) - media->timestamp;
        if (media->picture >= 0 && down->last.picture >= 0)
            down->picture_shift += down->last.picture + 1 - media->picture;
        if (media->base_layer >= 0 && down->last.base_layer >= 0)
            down->base_shift += down->last.base_layer + 1 - media->base_layer;
        down->shifted = (down->picture_shift & 0x7FFF) || (down->base_shift & 0xFF);
    }
    down->hole_count = 0;
    down->first = down->expected = media->sequence;
    layer->holders++;
    layer_release(down->sent_layer);
    down->layer = down->sent_layer = layer;
    downtrack_forward(down, media, now);
    downtrack_report(down, now);
}

/* The middle with the picture id and TL0PICIDX that continue what went out before the layer was switched. */
static void shift(const struct downtrack *down, const struct media *media, uint8_t *middle, int length)
{
    int64_t picture = media->picture + down->picture_shift;
    if (media->picture_size == 2)
        write16(middle, (uint32_t)(0x8000 | (picture & 0x7FFF)));
    else
        middle[0] = (uint8_t)(picture & 0x7F);
    if (media->base_layer >= 0)
        middle[length - 1] = (uint8_t)(media->base_layer + down->base_shift);
}

void downtrack_forward(struct downtrack *down, const struct media *media, double now)
{
    int64_t outgoing = media->sequence + down->offset;
    if (media->sequence != down->expected || outgoing != down->next) {
        outgoing = downtrack_place(down, media);
        if (outgoing < 0)
            return;
    }
    if (media->sequence >= down->expected)
        down->expected = media->sequence + 1;
    if (outgoing >= down->next) {
        down->next = outgoing + 1;
        down->last = *media;
        down->last.packet = NULL;
        down->has_last = true;
        down->last_at = now;
    }
    struct chunk *block = down->plan->current;
    int block_length = block != NULL ? block->length : 0, payload = media->end - media->start;
    uint8_t *packet = session_reserve(down->peer, RTP_HEADER_SIZE + block_length + payload);
    rtp_write_header(packet, block_length ? RTP_VERSION | RTP_EXTENSION : RTP_VERSION,
                     media->marker | down->spec.codec.payload_type, (uint32_t)outgoing,
                     (uint32_t)(media->timestamp + down->timestamp_shift), down->spec.ssrc);
    uint8_t *at = packet + RTP_HEADER_SIZE;
    if (down->plan->key.number_id)
        at += downtrack_number(down, block, RTP_HEADER_SIZE + block_length + payload, now, at);
    else if (block_length)
        at = put(at, block->bytes, (size_t)block_length);
    uint8_t *middle = at + (media->at - media->start);
    int middle_length = media->rest - media->at;
    put(at, media->packet->bytes + media->start, (size_t)payload);
    if (down->shifted && media->picture >= 0)
        shift(down, media, middle, middle_length);
    if (down->spec.codec.nack)
        downtrack_keep(down, outgoing, packet, block, media, middle, middle_length);
    down->packets++;
    down->octets += payload;
    session_send_rtp(down->peer, packet, RTP_HEADER_SIZE + block_length + payload);
}

/* Padding that came late: its place was kept free, as nobody could know that it was padding. */
static void fill(struct downtrack *down, int64_t sequence)
{
    static const uint8_t ONE_BYTE_OF_PADDING[] = {1};
    int64_t outgoing = downtrack_late_place(down, sequence);
    if (outgoing < 0)
        return;
    uint8_t *packet = session_reserve(down->peer, RTP_HEADER_SIZE + 1);
    rtp_write_header(packet, RTP_VERSION | RTP_PADDING, down->spec.codec.payload_type, (uint32_t)outgoing,
                     (uint32_t)(down->last.timestamp + down->timestamp_shift), down->spec.ssrc);
    packet[RTP_HEADER_SIZE] = 1;
    if (down->spec.codec.nack) {
        struct media padding = {.packet = chunk_of(ONE_BYTE_OF_PADDING, 1), .end = 1};
        downtrack_keep(down, outgoing, packet, NULL, &padding, NULL, 0);
        chunk_release(padding.packet);
    }
    session_send_rtp(down->peer, packet, RTP_HEADER_SIZE + 1);
}

void downtrack_padding(struct downtrack *down, int64_t sequence)
{
    if (!down->has_last)
        return;
    if (sequence < down->last.sequence)
        fill(down, sequence);
    else
        downtrack_swallow(down, sequence);
}

void downtrack_report(struct downtrack *down, double now)
{
    const struct layer *layer = down->layer;
    if (layer == NULL || !layer->has_report)
        return;
    double passed = now - layer->report_arrival;
    uint64_t ntp = layer->report_ntp + (uint64_t)(int64_t)(passed * 4294967296.0);
    int64_t rtp = layer->report_rtp + (int64_t)(passed * down->spec.codec.clock_rate) + down->timestamp_shift;
    down->report_middle = (uint32_t)(ntp >> 16);
    down->report_at = now;
    uint8_t *packet = session_reserve(down->peer, SENDER_REPORT_SIZE);
    rtcp_pack_sender_report(packet, down->spec.ssrc, ntp, (uint32_t)rtp, (uint32_t)down->packets,
                            (uint32_t)down->octets);
    session_send_rtcp(down->peer, packet, SENDER_REPORT_SIZE);
}

void downtrack_receiver_report(struct downtrack *down, const struct report_block *block, double now)
{
    down->loss = block->fraction_lost / 256.0;
    if (!block->last_sr || block->last_sr != down->report_middle)
        return;
    double rtt = now - down->report_at - block->delay / 65536.0;
    if (rtt >= 0 && rtt <= MAX_RTT)
        down->rtt = rtt;
}

void downtrack_tick(struct downtrack *down) { down->resent = 0; }
