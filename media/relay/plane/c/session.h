/* One peer's packets: unprotect, find the layer an SSRC belongs to, feedback; protect what goes to the peer.
 *
 * SSRCs are per session: two publishers may use the same one, and nobody can send on another's track, because a session
 * only ever looks at its own tracks. What a packet means to subscribers is for up and down tracks. */
#ifndef PALABRE_SESSION_H
#define PALABRE_SESSION_H

#include "delivery.h"
#include "feedback.h"
#include "receiver.h"
#include "shared.h"
#include "table.h"
#include "uptrack.h"

#include <sys/socket.h>

enum {
    LOCAL_SSRC = 1,          /* under which feedback is sent: streams of the relay itself don't exist */
    MAX_STREAMS = 256,       /* SSRCs with replay state in libsrtp (1 kB each): 40 simulcast tracks with RTX */
    MAX_SENT_STREAMS = 4096, /* SSRCs of removed down tracks whose numbers are remembered */
};

/* Ids of the header extensions that the session itself reads, -1: not negotiated. They are the same in all sections of
 * a bundle, https://www.rfc-editor.org/rfc/rfc8843#section-8. */
struct extension_ids {
    int transport_cc, mid, rid, repaired_rid;
};

/* What an SSRC carries. */
struct route {
    struct uptrack *track;
    struct layer *layer; /* held */
    struct receiver *receiver; /* held */
    bool rtx;
};

/* Where a session's datagrams go, and its place in the round of sending that is being made up. */
struct destination {
    struct sockaddr_storage address;
    socklen_t length; /* 0: no UDP address */
    uint32_t round;
    int first, last; /* of its datagrams in the outbox */
};

struct session {
    int64_t name;
    struct shared *shared;
    srtp_context receiving, sending; /* NULL: no keys yet */
    struct list ups, downs;
    struct table routes;    /* by SSRC */
    struct table streams;   /* SSRCs that libsrtp knows, oldest first */
    struct table by_ssrc;   /* down tracks by media SSRC */
    struct table sent;      /* SSRC of a removed down track -> its next extended sequence number */
    struct feedback feedback;
    struct delivery sent_packets;
    int64_t resend_rate;  /* bit/s, 0: any */
    double resend_budget, ticked_at; /* octets; seconds */
    double feedback_at, report_at;
    int64_t bandwidth; /* bit/s by REMB, 0: unknown */
    struct extension_ids ids;
    struct destination destination; /* the wire's */
};

struct session *session_make(int64_t name, struct shared *shared);
void session_free(struct session *session); /* its tracks are gone before */
void session_set_keys(struct session *session, srtp_context receiving, srtp_context sending);

struct uptrack *session_add_up(struct session *session, struct up_spec *spec, const struct extension_ids *ids);
void session_remove_up(struct session *session, struct uptrack *track);
bool session_sends_on(const struct session *session, uint32_t ssrc); /* media or RTX */
void session_add_down(struct session *session, struct downtrack *down);
void session_remove_down(struct session *session, struct downtrack *down);
int64_t session_first_sequence(const struct session *session, uint32_t ssrc);

void session_receive_rtp(struct session *session, const uint8_t *datagram, int length, double now);
void session_receive_rtcp(struct session *session, const uint8_t *datagram, int length, double now);
/* Send what the peer misses again at no more than `rate` bit/s, 0: at any; and whether so much may be now, which counts. */
void session_limit_resends(struct session *session, int64_t rate);
bool session_may_resend(struct session *session, int octets);

void session_tick(struct session *session, double now);

/* Repeat the requests that are due for an SSRC. */
void session_ask_again(struct session *session, uint32_t ssrc, struct route *route, double now);
void session_ask_key_frame(struct session *session, uint32_t ssrc);

/* Memory for a packet to this peer; one of the two sends it, protected, before anything else is reserved. */
uint8_t *session_reserve(struct session *session, int size);
void session_send_rtp(struct session *session, uint8_t *packet, int length);
void session_send_rtcp(struct session *session, uint8_t *packet, int length);

#endif
