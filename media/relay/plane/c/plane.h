/* The packet path: names, dispatch and counters. The counterpart of `PythonPlane`, call for call and byte for byte.
 *
 * Nothing here waits, reads a clock or calls out: a call leaves in the outbox what is to be sent and told. Used by one
 * thread at a time. */
#ifndef PALABRE_PLANE_H
#define PALABRE_PLANE_H

#include "session.h"

struct plane {
    struct shared shared;
    struct table sessions, ups, downs; /* by name */
    double now; /* of the last call that told the time */
    double measured_at; /* negative: nothing yet */
};

enum outcome { DONE, UNKNOWN, IN_USE, SSRC_IN_USE, OTHERS };

void plane_init(struct plane *plane, const struct srtp_functions *srtp);
void plane_close(struct plane *plane);

enum outcome plane_add_session(struct plane *plane, int64_t session);
enum outcome plane_set_keys(struct plane *plane, int64_t session, srtp_context receiving, srtp_context sending);
enum outcome plane_remove_session(struct plane *plane, int64_t session);
enum outcome plane_receive(struct plane *plane, int64_t session, const uint8_t *datagram, int length, double now);

/* These take over what a spec of an up track owns, whatever the outcome. */
enum outcome plane_add_up_track(struct plane *plane, int64_t session, struct up_spec *spec,
                                const struct extension_ids *ids);

enum outcome plane_remove_up_track(struct plane *plane, int64_t track);
enum outcome plane_add_down_track(struct plane *plane, int64_t session, const struct down_spec *spec);
enum outcome plane_set_plan(struct plane *plane, int64_t down, const struct plan_key *key);
enum outcome plane_remove_down_track(struct plane *plane, int64_t down);
enum outcome plane_set_layer(struct plane *plane, int64_t down, int max_layer);
enum outcome plane_pad(struct plane *plane, int64_t down, int64_t octets, double now);
enum outcome plane_limit_resends(struct plane *plane, int64_t session, int64_t rate);
enum outcome plane_request_key_frame(struct plane *plane, int64_t track, double now);
enum outcome plane_add_tap(struct plane *plane, int64_t track, void *handle, int max_layer);
enum outcome plane_remove_tap(struct plane *plane, int64_t track, const void *handle);
void plane_tick(struct plane *plane, double now);

static inline struct session *plane_session(const struct plane *plane, int64_t name)
{
    return table_pointer(&plane->sessions, name);
}

static inline struct uptrack *plane_up(const struct plane *plane, int64_t name)
{
    return table_pointer(&plane->ups, name);
}

#endif
