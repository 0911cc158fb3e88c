/* The UDP socket: whose datagrams go where, and which ones the packet path takes itself.
 *
 * Media of sessions whose address is proved come and go without anybody's help. Everything else that arrives (STUN,
 * DTLS, strangers) is left for Python, as are datagrams to sessions without a UDP address and what taps are told. */
#ifndef PALABRE_WIRE_H
#define PALABRE_WIRE_H

#include "plane.h"

#include <netinet/in.h>

enum {
    BATCH = 32,             /* datagrams taken from the socket at once: what bursts of key frames bring */
    MAX_SEGMENTS = 64,      /* of one message that the kernel cuts; Linux allows no more before 6.9 */
    MAX_MESSAGE = 63 << 10, /* bytes of such a message: IPv4 ends at 64 kB with its headers */
    MAX_STRANGERS = 1024,   /* datagrams that wait for Python: handshakes of a hundred people who come at once */
    MAX_LEFT = 8192,        /* the same to sessions without UDP, and events of taps: 2 s of ten recorded tracks */
};

/* A datagram that is not ours, and from where. */
struct stranger {
    struct sockaddr_storage address;
    struct chunk *bytes;
};

/* A datagram to a session without a UDP address. */
struct left {
    int64_t session;
    struct chunk *bytes;
};

/* What waits for Python. */
struct inbox {
    struct stranger *strangers;
    struct left *lefts;
    struct event *events;
    int stranger_count, left_count, event_count;
};

/* From where a session's media may come. */
struct origin {
    struct sockaddr_storage address;
    int64_t session;
};

struct wire {
    int socket; /* -1: none */
    bool cuts; /* the kernel takes several datagrams as one message (UDP_SEGMENT) */
    uint32_t round;
    struct table origins; /* by `origin_key` */
    struct inbox inbox;
    struct sender *sender;
};

void wire_open(struct wire *wire, int socket);
void wire_close(struct wire *wire);

void wire_accept(struct wire *wire, const struct sockaddr_storage *address, int64_t session);
void wire_refuse(struct wire *wire, const struct sockaddr_storage *address);

/* A datagram that arrived: handled, or put into the inbox. */
void wire_take(struct wire *wire, struct plane *plane, const struct sockaddr_storage *address, const uint8_t *datagram,
               int length, double now);

/* Empty the outbox: to the network what can, into the inbox what must. */
void wire_flush(struct wire *wire, struct plane *plane);

bool inbox_is_empty(const struct inbox *inbox);
void inbox_free(struct inbox *inbox);

/* Sending (sending.c): several datagrams to one address become one message that the kernel cuts. */
struct sender *sender_make(void);
void sender_free(struct sender *sender);
void sender_add(struct sender *sender, struct wire *wire, struct plane *plane, const struct session *session);
void sender_flush(struct sender *sender, struct wire *wire, struct plane *plane);

static inline socklen_t address_length(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

#endif
