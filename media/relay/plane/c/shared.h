/* What every part of one packet path shares: libsrtp's functions, what goes out, what was dropped and why. */
#ifndef PALABRE_SHARED_H
#define PALABRE_SHARED_H

#include "chunk.h"
#include "codecs.h"
#include "rtp.h"

/* libsrtp is pylibsrtp's own: nothing is linked, Python hands over contexts and these addresses.
 * Names as in https://github.com/cisco/libsrtp, include/srtp.h, of version 2. */
typedef void *srtp_context;
typedef int (*srtp_transformation)(srtp_context context, void *packet, int *length);
typedef int (*srtp_forget)(srtp_context context, uint32_t ssrc_in_network_order);

struct srtp_functions {
    srtp_transformation protect, protect_rtcp, unprotect, unprotect_rtcp;
    srtp_forget remove_stream;
};

enum { SRTP_TRAILER = 16 + 128 + 4 }; /* libsrtp: authentication tag, MKI, SRTCP index */

/* The four that SRTP can give come twice, in the same order: on the way in and on the way out. */
enum drop {
    DROP_TOO_LONG,
    DROP_SRTP_MALFORMED,
    DROP_SRTP_AUTHENTICATION,
    DROP_SRTP_REPLAY,
    DROP_SRTP_ERROR,
    DROP_SEND_TOO_LONG,
    DROP_SEND_SRTP_MALFORMED,
    DROP_SEND_SRTP_AUTHENTICATION,
    DROP_SEND_SRTP_REPLAY,
    DROP_SEND_SRTP_ERROR,
    DROP_TOO_SHORT,
    DROP_NO_KEYS,
    DROP_RTP_MALFORMED,
    DROP_RTCP_MALFORMED,
    DROP_UNKNOWN_SSRC,
    DROP_UNKNOWN_PAYLOAD_TYPE,
    DROP_UNKNOWN_RID,
    DROP_DUPLICATE_OR_TOO_LATE,
    DROP_PROBE,
    DROP_UDP_SEND,
    DROP_STRANGERS,
    DROP_SLOW_READER,
    DROPS,
};

extern const char *const DROP_NAMES[DROPS];

/* A protected datagram in the outbox's memory. */
struct datagram {
    int64_t session;
    size_t at;
    int length;
    int next; /* of the same session, while they are sent; -1: none */
};

enum event_kind { EVENT_LAYER, EVENT_RTP, EVENT_REPORT };

/* Something a tap is told. Owns its chunk. */
struct event {
    enum event_kind kind;
    void *tap;
    uint32_t ssrc;
    struct chunk *bytes; /* the packet; of a layer, its rid */
    double arrival;
    uint64_t ntp;
    uint32_t rtp;
    bool video; /* these are of a layer */
    int payload_type, clock_rate;
    char codec[CODEC_NAME_SIZE];
};

/* Filled while a packet or a tick is handled and emptied by whoever called: nothing here calls out. */
struct outbox {
    uint8_t *bytes;
    size_t used, capacity;
    struct datagram *datagrams;
    int count, room;
    struct event *events;
    int event_count, event_room;
};

/* Memory for one datagram of up to `size` bytes behind those there are, good until the next call. */
uint8_t *outbox_reserve(struct outbox *outbox, size_t size);
void outbox_commit(struct outbox *outbox, int64_t session, int length);
void outbox_tell(struct outbox *outbox, struct event event);
void outbox_clear(struct outbox *outbox);
void outbox_free(struct outbox *outbox);

struct shared {
    struct srtp_functions srtp;
    struct outbox outbox;
    uint64_t drops[DROPS];
    int64_t codec_serial; /* the last one given */
};

static inline void drop(struct shared *shared, enum drop reason) { shared->drops[reason]++; }

/* Why libsrtp refused a packet: srtp_err_status_t. */
enum drop srtp_reason(int status);

#endif
