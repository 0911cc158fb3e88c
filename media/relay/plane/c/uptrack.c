/* Packets of a published track, on their way to subscribers and taps. */
#include "uptrack.h"

#include "session.h"

static bool is_codec(const struct layer *layer, const struct codec *codec)
{
    return layer->has_codec && layer->codec.serial == codec->serial;
}

void uptrack_introduce(struct uptrack *track, const struct tap *tap, struct layer *layer)
{
    if (!layer->has_codec || !layer->ssrc || layer->index > tap->max_layer)
        return;
    struct event event = {
        .kind = EVENT_LAYER,
        .tap = tap->handle,
        .ssrc = layer->ssrc,
        .bytes = chunk_hold(layer->rid),
        .video = track->spec.video,
        .payload_type = layer->codec.payload_type,
        .clock_rate = layer->codec.clock_rate,
    };
    memcpy(event.codec, layer->codec.name, sizeof event.codec);
    outbox_tell(&track->shared->outbox, event);
    if (layer->has_report)
        outbox_tell(&track->shared->outbox, (struct event){.kind = EVENT_REPORT,
                                                           .tap = tap->handle,
                                                           .ssrc = layer->ssrc,
                                                           .ntp = layer->report_ntp,
                                                           .rtp = layer->report_rtp,
                                                           .arrival = layer->report_arrival});
    layer->key_frame_wanted = track->spec.video;
}

/* The packet that an RTX packet repeats (RFC 4588 section 4). */
static struct chunk *restore_original(const struct arrival_of *arrival)
{
    const struct rtp_header *header = &arrival->header;
    const uint8_t *bytes = arrival->packet->bytes;
    struct chunk *original = chunk_make(header->end - 2);
    rtp_write_header(original->bytes, bytes[0] & ~RTP_PADDING, header->second, header->sequence, header->timestamp,
                     arrival->layer->ssrc);
    uint8_t *at = put(original->bytes + RTP_HEADER_SIZE, bytes + RTP_HEADER_SIZE,
                      (size_t)(header->start - 2 - RTP_HEADER_SIZE));
    put(at, bytes + header->start, (size_t)(header->end - header->start));
    return original;
}

static void read_along(struct uptrack *track, const struct arrival_of *arrival, double now)
{
    if (track->tap_count == 0)
        return;
    bool repeated = (arrival->packet->bytes[1] & 0x7F) != arrival->codec->payload_type;
    struct chunk *packet = repeated ? restore_original(arrival) : chunk_hold(arrival->packet);
    for (int i = 0; i < track->tap_count; i++)
        if (arrival->layer->index <= track->taps[i].max_layer)
            outbox_tell(&track->shared->outbox, (struct event){.kind = EVENT_RTP,
                                                               .tap = track->taps[i].handle,
                                                               .ssrc = arrival->layer->ssrc,
                                                               .bytes = chunk_hold(packet),
                                                               .arrival = now});
    chunk_release(packet);
}

/* First packet of a layer, after a silence or with another codec. */
static void started(struct uptrack *track, struct layer *layer, const struct codec *codec, double now)
{
    layer->flowing = true;
    layer->last_at = now;
    if (!is_codec(layer, codec)) {
        layer->codec = *codec;
        layer->has_codec = true;
        for (int i = 0; i < track->tap_count; i++)
            uptrack_introduce(track, &track->taps[i], layer);
    }
    for (int i = 0; i < track->downs.count; i++) {
        /* After a pause of everything, the layers come back one by one: who has one already waits a tick for it. */
        struct downtrack *down = track->downs.items[i];
        if (down->layer == NULL || down->layer == layer || down->layer->flowing)
            uptrack_route(track, down);
        else
            track->unsettled = true;
    }
}

/* A key frame begins: whoever waited for one of this layer gets it from here on. */
static void switch_over(struct uptrack *track, struct layer *layer, struct media *media, double now)
{
    struct list *waiting = &track->waiting[layer->index];
    while (waiting->count) {
        struct downtrack *down = waiting->items[0];
        uptrack_detach(track, down);
        down->target = layer;
        list_add(&track->forwarding[layer->index], down);
        downtrack_start(down, layer, media, now);
    }
}

static void hear(struct uptrack *track, const struct arrival_of *arrival)
{
    int id = track->spec.level_id;
    if (!elements_have(arrival->elements, id) || !arrival->elements->length[id])
        return;
    int level = arrival->packet->bytes[arrival->elements->at[id]] & 0x7F;
    if (level < track->level)
        track->level = level;
}

void uptrack_receive(struct uptrack *track, const struct arrival_of *arrival, double now)
{
    struct layer *layer = arrival->layer;
    const struct rtp_header *header = &arrival->header;
    const struct codec *codec = arrival->codec;
    struct list *forwarding = &track->forwarding[layer->index], *waiting = &track->waiting[layer->index];
    int start = header->start, end = header->end;
    if (start == end) {
        for (int i = 0; i < forwarding->count; i++)
            downtrack_padding(forwarding->items[i], arrival->sequence);
        if (is_codec(layer, codec))
            read_along(track, arrival, now);
        return;
    }
    if (!is_codec(layer, codec) || !layer->flowing)
        started(track, layer, codec, now);
    read_along(track, arrival, now);
    layer->octets += end - start;
    uint8_t *packet = arrival->packet->bytes;
    struct description description = describe(codec->format, packet, start, end);
    struct media media = take_apart(arrival->packet, start, end, arrival->sequence, header->timestamp,
                                    header->second & RTP_MARKER, description);
    if (codec->format == FORMAT_OPUS)
        media.span = opus_span(packet, start);
    bool key = description.key && arrival->newest;
    if (arrival->newest)
        layer_passed(layer, &media, now);
    if (!track->spec.video)
        hear(track, arrival);
    else if (key)
        layer_key_frame_came(layer, frame_size(codec->format, packet + start, end - start));
    else if (layer->key_frame_wanted)
        uptrack_ask_for(track, layer, now);
    if (!forwarding->count && !waiting->count)
        return;
    uint32_t send_time = absolute_send_time(now);
    for (int i = 0; i < track->plans.count; i++)
        plan_prepare(track->plans.items[i], packet, arrival->elements, send_time);
    for (int i = 0; i < forwarding->count; i++)
        downtrack_forward(forwarding->items[i], &media, now);
    if (waiting->count && key)
        switch_over(track, layer, &media, now);
}

/* The publisher's clock, passed on at once: a late report would be a wrong one. */
void uptrack_sender_report(struct uptrack *track, struct layer *layer, uint64_t ntp, uint32_t rtp, double now)
{
    layer->has_report = true;
    layer->report_ntp = ntp;
    layer->report_rtp = rtp;
    layer->report_arrival = now;
    for (int i = 0; i < track->forwarding[layer->index].count; i++)
        downtrack_report(track->forwarding[layer->index].items[i], now);
    for (int i = 0; i < track->tap_count; i++)
        if (layer->index <= track->taps[i].max_layer)
            outbox_tell(&track->shared->outbox, (struct event){.kind = EVENT_REPORT,
                                                               .tap = track->taps[i].handle,
                                                               .ssrc = layer->ssrc,
                                                               .ntp = ntp,
                                                               .rtp = rtp,
                                                               .arrival = now});
}

/* Notice layers that stopped, repeat requests that went unanswered. */
void uptrack_tick(struct uptrack *track, double now)
{
    for (int i = 0; i < track->layer_count; i++) {
        struct layer *layer = track->layers[i];
        if (layer->flowing && track->spec.video && layer_silent(layer, now)) {
            layer->flowing = false;
            track->unsettled = true;
        }
    }
    if (track->unsettled)
        uptrack_route_all(track);
    uptrack_ask(track, now);
    for (int i = 0; i < track->downs.count; i++)
        downtrack_tick(track->downs.items[i]);
}
