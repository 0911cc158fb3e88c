/* Names and dispatch. */
#include "plane.h"

#define MEASURE_INTERVAL 1.0 /* seconds over which bit rates are taken */

enum {
    MIN_DATAGRAM = 8, /* bytes: an RTCP header and its sender */
    RTCP_FIRST = 192, /* second bytes that are RTCP and not a marked RTP payload type, RFC 5761 section 4 */
    RTCP_LAST = 223,
};

static struct downtrack *down_named(const struct plane *plane, int64_t name)
{
    return table_pointer(&plane->downs, name);
}

void plane_init(struct plane *plane, const struct srtp_functions *srtp)
{
    *plane = (struct plane){.measured_at = -1};
    plane->shared.srtp = *srtp;
}

void plane_close(struct plane *plane)
{
    while (plane->sessions.count)
        plane_remove_session(plane, plane->sessions.entries[0].key);
    table_free(&plane->sessions);
    table_free(&plane->ups);
    table_free(&plane->downs);
    outbox_free(&plane->shared.outbox);
}

/* -- sessions */

enum outcome plane_add_session(struct plane *plane, int64_t session)
{
    if (plane_session(plane, session) != NULL)
        return IN_USE;
    table_put(&plane->sessions, session, (union value){.pointer = session_make(session, &plane->shared)});
    return DONE;
}

/* DTLS is done: what waited for the keys starts. */
enum outcome plane_set_keys(struct plane *plane, int64_t session, srtp_context receiving, srtp_context sending)
{
    struct session *peer = plane_session(plane, session);
    if (peer == NULL)
        return UNKNOWN;
    session_set_keys(peer, receiving, sending);
    for (int i = 0; i < peer->downs.count; i++) {
        struct downtrack *down = peer->downs.items[i];
        down->ready = true;
        uptrack_route(down->track, down);
        uptrack_ask(down->track, plane->now);
    }
    return DONE;
}

enum outcome plane_remove_session(struct plane *plane, int64_t session)
{
    struct session *peer = plane_session(plane, session);
    if (peer == NULL)
        return UNKNOWN;
    while (peer->downs.count)
        plane_remove_down_track(plane, ((struct downtrack *)peer->downs.items[0])->spec.down);
    while (peer->ups.count)
        plane_remove_up_track(plane, ((struct uptrack *)peer->ups.items[0])->spec.track);
    table_remove(&plane->sessions, session);
    session_free(peer);
    return DONE;
}

enum outcome plane_receive(struct plane *plane, int64_t session, const uint8_t *datagram, int length, double now)
{
    struct session *peer = plane_session(plane, session);
    if (peer == NULL)
        return UNKNOWN;
    plane->now = now;
    if (length < MIN_DATAGRAM)
        drop(&plane->shared, DROP_TOO_SHORT);
    else if (datagram[1] >= RTCP_FIRST && datagram[1] <= RTCP_LAST)
        session_receive_rtcp(peer, datagram, length, now);
    else
        session_receive_rtp(peer, datagram, length, now);
    return DONE;
}

/* -- tracks */

enum outcome plane_add_up_track(struct plane *plane, int64_t session, struct up_spec *spec,
                                const struct extension_ids *ids)
{
    struct session *peer = plane_session(plane, session);
    struct uptrack *known = plane_up(plane, spec->track);
    if (peer == NULL || (known != NULL && known->peer != peer)) {
        up_spec_free(spec);
        return peer == NULL ? UNKNOWN : OTHERS;
    }
    int64_t name = spec->track;
    struct uptrack *track = session_add_up(peer, spec, ids);
    table_put(&plane->ups, name, (union value){.pointer = track});
    for (int i = 0; i < track->downs.count; i++)
        uptrack_route(track, track->downs.items[i]);
    uptrack_ask(track, plane->now);
    return DONE;
}

enum outcome plane_remove_up_track(struct plane *plane, int64_t track)
{
    struct uptrack *up = plane_up(plane, track);
    if (up == NULL)
        return UNKNOWN;
    while (up->downs.count)
        plane_remove_down_track(plane, ((struct downtrack *)up->downs.items[0])->spec.down);
    table_remove(&plane->ups, track);
    session_remove_up(up->peer, up);
    return DONE;
}

enum outcome plane_add_down_track(struct plane *plane, int64_t session, const struct down_spec *spec)
{
    if (down_named(plane, spec->down) != NULL)
        return IN_USE;
    struct session *peer = plane_session(plane, session);
    struct uptrack *track = plane_up(plane, spec->track);
    if (peer == NULL || track == NULL)
        return UNKNOWN;
    if (session_sends_on(peer, spec->ssrc) || session_sends_on(peer, spec->rtx_ssrc))
        return SSRC_IN_USE;
    struct downtrack *down = downtrack_make(spec, peer, track);
    down->ready = peer->sending != NULL;
    session_add_down(peer, down);
    uptrack_add(track, down);
    table_put(&plane->downs, spec->down, (union value){.pointer = down});
    return DONE;
}

enum outcome plane_set_plan(struct plane *plane, int64_t down, const struct plan_key *key)
{
    struct downtrack *stream = down_named(plane, down);
    if (stream == NULL)
        return UNKNOWN;
    uptrack_set_plan(stream->track, stream, key);
    return DONE;
}

enum outcome plane_remove_down_track(struct plane *plane, int64_t down)
{
    struct downtrack *stream = down_named(plane, down);
    if (stream == NULL)
        return UNKNOWN;
    table_remove(&plane->downs, down);
    session_remove_down(stream->peer, stream);
    uptrack_remove(stream->track, stream);
    downtrack_free(stream);
    return DONE;
}

enum outcome plane_set_layer(struct plane *plane, int64_t down, int max_layer)
{
    struct downtrack *stream = down_named(plane, down);
    if (stream == NULL)
        return UNKNOWN;
    stream->max_layer = max_layer;
    uptrack_route(stream->track, stream);
    uptrack_ask(stream->track, plane->now);
    return DONE;
}

enum outcome plane_pad(struct plane *plane, int64_t down, int64_t octets, double now)
{
    struct downtrack *stream = down_named(plane, down);
    if (stream == NULL)
        return UNKNOWN;
    downtrack_pad(stream, octets, now);
    return DONE;
}

enum outcome plane_limit_resends(struct plane *plane, int64_t session, int64_t rate)
{
    struct session *peer = plane_session(plane, session);
    if (peer == NULL)
        return UNKNOWN;
    session_limit_resends(peer, rate);
    return DONE;
}

enum outcome plane_request_key_frame(struct plane *plane, int64_t track, double now)
{
    struct uptrack *up = plane_up(plane, track);
    plane->now = now;
    if (up == NULL)
        return UNKNOWN;
    uptrack_request_key_frame(up, now);
    return DONE;
}

/* -- taps */

enum outcome plane_add_tap(struct plane *plane, int64_t track, void *handle, int max_layer)
{
    struct uptrack *up = plane_up(plane, track);
    if (up == NULL)
        return UNKNOWN;
    uptrack_add_tap(up, handle, max_layer);
    uptrack_ask(up, plane->now);
    return DONE;
}

enum outcome plane_remove_tap(struct plane *plane, int64_t track, const void *handle)
{
    struct uptrack *up = plane_up(plane, track);
    if (up == NULL)
        return UNKNOWN;
    uptrack_remove_tap(up, handle);
    return DONE;
}

/* -- time */

void plane_tick(struct plane *plane, double now)
{
    plane->now = now;
    for (int i = 0; i < plane->sessions.count; i++)
        session_tick(plane->sessions.entries[i].value.pointer, now);
    if (plane->measured_at < 0)
        plane->measured_at = now;
    double elapsed = now - plane->measured_at;
    if (elapsed < MEASURE_INTERVAL)
        return;
    plane->measured_at = now;
    for (int i = 0; i < plane->ups.count; i++) {
        struct uptrack *track = plane->ups.entries[i].value.pointer;
        for (int layer = 0; layer < track->layer_count; layer++)
            layer_measure(track->layers[layer], elapsed);
    }
}
