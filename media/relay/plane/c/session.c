/* Sessions: SRTP, routes from SSRCs to layers, RTP that arrives. */
#include "session.h"

#include <arpa/inet.h>

struct session *session_make(int64_t name, struct shared *shared)
{
    struct session *session = must_make(1, sizeof *session);
    session->name = name;
    session->shared = shared;
    session->feedback.highest = session->feedback.next = -1;
    delivery_init(&session->sent_packets);
    session->ids = (struct extension_ids){-1, -1, -1, -1};
    return session;
}

static void free_route(struct route *route)
{
    layer_release(route->layer);
    receiver_release(route->receiver);
    free(route);
}

void session_free(struct session *session)
{
    for (int i = 0; i < session->routes.count; i++)
        free_route(session->routes.entries[i].value.pointer);
    table_free(&session->routes);
    table_free(&session->streams);
    table_free(&session->by_ssrc);
    table_free(&session->sent);
    list_free(&session->ups);
    list_free(&session->downs);
    free(session->feedback.arrivals);
    delivery_free(&session->sent_packets);
    free(session);
}

void session_set_keys(struct session *session, srtp_context receiving, srtp_context sending)
{
    session->receiving = receiving;
    session->sending = sending;
    table_free(&session->streams);
    for (int i = 0; i < session->routes.count; i++)
        table_put(&session->streams, session->routes.entries[i].key, (union value){0});
}

/* -- tracks */

static void remove_route(struct session *session, int64_t ssrc)
{
    struct route *route = table_pointer(&session->routes, ssrc);
    if (route == NULL)
        return;
    table_remove(&session->routes, ssrc);
    free_route(route);
}

/* Libsrtp keeps replay state for each SSRC that authenticated, so those are counted, whatever they carry. */
static void note_stream(struct session *session, uint32_t ssrc)
{
    table_put(&session->streams, ssrc, (union value){0});
    if (session->streams.count <= MAX_STREAMS || session->receiving == NULL)
        return;
    for (int i = 0; i < session->streams.count; i++) {
        int64_t oldest = session->streams.entries[i].key;
        if (table_find(&session->routes, oldest) != NULL)
            continue;
        table_remove(&session->streams, oldest);
        session->shared->srtp.remove_stream(session->receiving, htonl((uint32_t)oldest));
        return;
    }
}

/* Route `ssrc` to a layer, which it then is the only one to carry. The first owner keeps an SSRC. */
static struct route *bind_ssrc(struct session *session, struct uptrack *track, struct layer *layer, uint32_t ssrc,
                               bool rtx)
{
    struct route *route = table_pointer(&session->routes, ssrc);
    if (route != NULL)
        return route->track == track && route->layer == layer && route->rtx == rtx ? route : NULL;
    const struct codec *codec = &track->spec.codecs[0];
    remove_route(session, rtx ? layer->rtx_ssrc : layer->ssrc);
    route = must_make(1, sizeof *route);
    layer->holders++;
    *route = (struct route){track, layer, receiver_make(codec->clock_rate, codec->nack && !rtx), rtx};
    if (rtx)
        layer->rtx_ssrc = ssrc;
    else
        uptrack_carry(track, layer, ssrc, route->receiver);
    note_stream(session, ssrc);
    table_put(&session->routes, ssrc, (union value){.pointer = route});
    return route;
}

struct uptrack *session_add_up(struct session *session, struct up_spec *spec, const struct extension_ids *ids)
{
    struct uptrack *track = NULL;
    for (int i = 0; i < session->ups.count && track == NULL; i++)
        if (((struct uptrack *)session->ups.items[i])->spec.track == spec->track)
            track = session->ups.items[i];
    if (track == NULL) {
        track = uptrack_make(spec, session, session->shared);
        list_add(&session->ups, track);
    } else {
        uptrack_update(track, spec);
        for (int i = session->routes.count - 1; i >= 0; i--) {
            struct route *route = session->routes.entries[i].value.pointer;
            if (route->layer->index < 0)
                remove_route(session, session->routes.entries[i].key);
        }
    }
    if (ids->transport_cc >= 0)
        session->ids.transport_cc = ids->transport_cc;
    if (ids->mid >= 0)
        session->ids.mid = ids->mid;
    if (ids->rid >= 0)
        session->ids.rid = ids->rid;
    if (ids->repaired_rid >= 0)
        session->ids.repaired_rid = ids->repaired_rid;
    if (track->spec.announced && !track->spec.rid_count && track->spec.codec_count) {
        bind_ssrc(session, track, track->layers[0], track->spec.ssrc, false);
        if (track->spec.rtx_ssrc)
            bind_ssrc(session, track, track->layers[0], track->spec.rtx_ssrc, true);
    }
    return track;
}

void session_remove_up(struct session *session, struct uptrack *track)
{
    list_remove(&session->ups, track);
    for (int i = session->routes.count - 1; i >= 0; i--) {
        struct route *route = session->routes.entries[i].value.pointer;
        if (route->track == track)
            remove_route(session, session->routes.entries[i].key);
    }
    uptrack_free(track);
}

bool session_sends_on(const struct session *session, uint32_t ssrc)
{
    for (int i = 0; ssrc && i < session->downs.count; i++) {
        const struct downtrack *down = session->downs.items[i];
        if (down->spec.ssrc == ssrc || down->spec.rtx_ssrc == ssrc)
            return true;
    }
    return false;
}

void session_add_down(struct session *session, struct downtrack *down)
{
    list_add(&session->downs, down);
    table_put(&session->by_ssrc, down->spec.ssrc, (union value){.pointer = down});
}

/* The stream ends. Its SSRCs go on where they ended should they be used again: keys are never used twice. */
void session_remove_down(struct session *session, struct downtrack *down)
{
    list_remove(&session->downs, down);
    table_remove(&session->by_ssrc, down->spec.ssrc);
    table_put(&session->sent, down->spec.ssrc, (union value){.number = down->next});
    if (down->spec.rtx_ssrc)
        table_put(&session->sent, down->spec.rtx_ssrc, (union value){.number = down->rtx_sequence});
    while (session->sent.count > MAX_SENT_STREAMS)
        table_remove(&session->sent, session->sent.entries[0].key);
}

/* Below 32,768 for a new one: a receiver that misses the first packets must not guess one wrap too few. */
int64_t session_first_sequence(const struct session *session, uint32_t ssrc)
{
    const struct entry *entry = table_find(&session->sent, ssrc);
    return entry != NULL ? entry->value.number : 1;
}

/* -- sending */

uint8_t *session_reserve(struct session *session, int size)
{
    return outbox_reserve(&session->shared->outbox, (size_t)size + SRTP_TRAILER);
}

static void protect_and_send(struct session *session, srtp_transformation protect, uint8_t *packet, int length)
{
    if (session->sending == NULL)
        return;
    enum drop reason = DROP_TOO_LONG;
    int status = -1;
    if (length <= MAX_DATAGRAM) {
        status = protect(session->sending, packet, &length);
        reason = srtp_reason(status);
    }
    if (status == 0)
        outbox_commit(&session->shared->outbox, session->name, length);
    else
        drop(session->shared, reason + DROP_SEND_TOO_LONG - DROP_TOO_LONG);
}

void session_send_rtp(struct session *session, uint8_t *packet, int length)
{
    protect_and_send(session, session->shared->srtp.protect, packet, length);
}

void session_send_rtcp(struct session *session, uint8_t *packet, int length)
{
    protect_and_send(session, session->shared->srtp.protect_rtcp, packet, length);
}

/* -- RTP */

/* Mid says which track it is, or there is only one with that payload type. */
static struct uptrack *track_of(const struct session *session, int payload_type, const struct chunk *packet,
                                const struct elements *elements)
{
    struct uptrack *only = NULL;
    int count = 0, id = session->ids.mid;
    bool named = elements_have(elements, id);
    for (int i = 0; i < session->ups.count; i++) {
        struct uptrack *track = session->ups.items[i];
        if (named ? chunk_is(track->spec.mid, packet->bytes + elements->at[id], elements->length[id])
                  : uptrack_codec(track, payload_type) || uptrack_rtx_codec(track, payload_type)) {
            if (named)
                return track;
            only = track;
            count++;
        }
    }
    return count == 1 ? only : NULL;
}

static struct layer *layer_of(const struct session *session, const struct uptrack *track, bool rtx,
                              const struct chunk *packet, const struct elements *elements)
{
    int id = -1;
    if (rtx && elements_have(elements, session->ids.repaired_rid) && elements->length[session->ids.repaired_rid])
        id = session->ids.repaired_rid;
    else if (elements_have(elements, session->ids.rid))
        id = session->ids.rid;
    const uint8_t *rid = id >= 0 ? packet->bytes + elements->at[id] : NULL;
    int length = id >= 0 ? elements->length[id] : 0;
    for (int i = 0; i < track->layer_count; i++)
        if (chunk_is(track->layers[i]->rid, rid, length))
            return track->layers[i];
    return track->layer_count > 1 || track->layers[0]->rid->length ? NULL : track->layers[0];
}

/* Find out what an SSRC carries. */
static struct route *learn(struct session *session, uint32_t ssrc, int payload_type, const struct chunk *packet,
                           const struct elements *elements)
{
    note_stream(session, ssrc);
    struct uptrack *track = track_of(session, payload_type, packet, elements);
    if (track == NULL) {
        drop(session->shared, DROP_UNKNOWN_SSRC);
        return NULL;
    }
    bool rtx = uptrack_rtx_codec(track, payload_type) != NULL;
    if (!rtx && uptrack_codec(track, payload_type) == NULL) {
        drop(session->shared, DROP_UNKNOWN_PAYLOAD_TYPE);
        return NULL;
    }
    struct layer *layer = layer_of(session, track, rtx, packet, elements);
    if (layer == NULL) {
        drop(session->shared, DROP_UNKNOWN_RID);
        return NULL;
    }
    return bind_ssrc(session, track, layer, ssrc, rtx);
}

/* RFC 4588: the payload begins with the original sequence number. Packets without one are probes. */
static void receive_rtx(struct session *session, struct route *route, struct arrival_of *arrival, double now)
{
    struct rtp_header *header = &arrival->header;
    arrival->codec = uptrack_rtx_codec(route->track, header->second);
    if (arrival->codec == NULL || route->layer->receiver == NULL) {
        drop(session->shared, DROP_UNKNOWN_PAYLOAD_TYPE);
        return;
    }
    if (header->end - header->start <= 2) {
        drop(session->shared, DROP_PROBE);
        return;
    }
    header->sequence = read16(arrival->packet->bytes + header->start);
    arrival->sequence = receiver_recover(route->layer->receiver, header->sequence);
    if (arrival->sequence < 0) {
        drop(session->shared, DROP_PROBE);
        return;
    }
    header->second = (uint8_t)((header->second & RTP_MARKER) | arrival->codec->payload_type);
    header->start += 2;
    arrival->newest = false;
    uptrack_receive(route->track, arrival, now);
}

static void receive_media(struct session *session, struct route *route, struct arrival_of *arrival, double now)
{
    enum verdict verdict = route->receiver->verdict;
    arrival->codec = uptrack_codec(route->track, arrival->header.second);
    if (arrival->codec == NULL) {
        drop(session->shared, DROP_UNKNOWN_PAYLOAD_TYPE);
        return;
    }
    if (verdict == UNWANTED) {
        drop(session->shared, DROP_DUPLICATE_OR_TOO_LATE);
        return;
    }
    if (verdict == OUTAGE)
        uptrack_interrupted(route->track, route->layer);
    arrival->newest = verdict != LATE;
    uptrack_receive(route->track, arrival, now);
    if (verdict == AFTER_GAP)
        session_ask_again(session, arrival->header.ssrc, route, now);
}

static void receive_packet(struct session *session, struct chunk *packet, double now)
{
    struct elements elements;
    struct arrival_of arrival = {.packet = packet, .elements = &elements};
    struct rtp_header *header = &arrival.header;
    if (!rtp_parse_header(packet->bytes, packet->length, header)) {
        drop(session->shared, DROP_RTP_MALFORMED);
        return;
    }
    rtp_parse_extensions(packet->bytes, header, &elements);
    int id = session->ids.transport_cc;
    if (elements_have(&elements, id))
        feedback_add(&session->feedback, packet->bytes + elements.at[id], elements.length[id], now);
    struct route *route = table_pointer(&session->routes, header->ssrc);
    if (route == NULL)
        route = learn(session, header->ssrc, header->second & 0x7F, packet, &elements);
    if (route == NULL)
        return;
    arrival.layer = route->layer;
    arrival.sequence = receiver_add(route->receiver, header->sequence, header->timestamp, now);
    if (route->rtx)
        receive_rtx(session, route, &arrival, now);
    else
        receive_media(session, route, &arrival, now);
}

void session_receive_rtp(struct session *session, const uint8_t *datagram, int length, double now)
{
    if (session->receiving == NULL) {
        drop(session->shared, DROP_NO_KEYS);
        return;
    }
    if (length > MAX_DATAGRAM) {
        drop(session->shared, DROP_TOO_LONG);
        return;
    }
    struct chunk *packet = chunk_make(length + SRTP_TRAILER);
    put(packet->bytes, datagram, (size_t)length);
    packet->length = length;
    int status = session->shared->srtp.unprotect(session->receiving, packet->bytes, &packet->length);
    if (status == 0)
        receive_packet(session, packet, now);
    else
        drop(session->shared, srtp_reason(status));
    chunk_release(packet);
}
