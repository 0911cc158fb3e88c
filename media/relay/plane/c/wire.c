/* Arrivals, and what is left for Python. */
#include "wire.h"

#include <netinet/udp.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static bool same_address(const struct sockaddr_storage *one, const struct sockaddr_storage *other)
{
    if (one->ss_family != other->ss_family)
        return false;
    if (one->ss_family == AF_INET) {
        const struct sockaddr_in *a = (const void *)one, *b = (const void *)other;
        return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
    }
    const struct sockaddr_in6 *a = (const void *)one, *b = (const void *)other;
    return a->sin6_port == b->sin6_port && a->sin6_scope_id == b->sin6_scope_id &&
           memcmp(&a->sin6_addr, &b->sin6_addr, sizeof a->sin6_addr) == 0;
}

/* Addresses with the same key are told apart afterwards. Of two IPv6 addresses that were chosen to have the same one,
 * the former is a stranger, whose media take the way through Python. */
static int64_t origin_key(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)address;
        return (int64_t)v4->sin_addr.s_addr << 16 | v4->sin_port;
    }
    const struct sockaddr_in6 *v6 = (const void *)address;
    uint64_t high, low;
    memcpy(&high, &v6->sin6_addr, sizeof high);
    memcpy(&low, (const uint8_t *)&v6->sin6_addr + sizeof high, sizeof low);
    return (int64_t)(high * 0x9E3779B97F4A7C15u ^ (low + v6->sin6_scope_id) * 0xC2B2AE3D27D4EB4Fu ^ v6->sin6_port);
}

void wire_open(struct wire *wire, int socket)
{
    int none = 0;
    wire->socket = socket;
    wire->cuts = setsockopt(socket, IPPROTO_UDP, UDP_SEGMENT, &none, sizeof none) == 0;
    if (wire->sender == NULL)
        wire->sender = sender_make();
}

void wire_close(struct wire *wire)
{
    for (int i = 0; i < wire->origins.count; i++)
        free(wire->origins.entries[i].value.pointer);
    table_free(&wire->origins);
    inbox_free(&wire->inbox);
    sender_free(wire->sender);
    wire->sender = NULL;
    wire->socket = -1;
}

static struct origin *find_origin(const struct wire *wire, const struct sockaddr_storage *address)
{
    struct origin *origin = table_pointer(&wire->origins, origin_key(address));
    return origin != NULL && same_address(&origin->address, address) ? origin : NULL;
}

void wire_accept(struct wire *wire, const struct sockaddr_storage *address, int64_t session)
{
    struct origin *origin = table_pointer(&wire->origins, origin_key(address));
    if (origin == NULL) {
        origin = must_make(1, sizeof *origin);
        table_put(&wire->origins, origin_key(address), (union value){.pointer = origin});
    }
    origin->address = *address;
    origin->session = session;
}

void wire_refuse(struct wire *wire, const struct sockaddr_storage *address)
{
    struct origin *origin = find_origin(wire, address);
    if (origin == NULL)
        return;
    table_remove(&wire->origins, origin_key(address));
    free(origin);
}

/* First bytes, https://www.rfc-editor.org/rfc/rfc7983. */
static bool is_media(const uint8_t *datagram, int length) { return length > 0 && datagram[0] >= 128 && datagram[0] < 192; }

/* `items` with room for one more behind `count` of them. */
static void *grown(void *items, int count, size_t size)
{
    bool full = count == 0 || (count >= 16 && (count & (count - 1)) == 0);
    return full ? must_resize(items, count ? 2 * (size_t)count : 16, size) : items;
}

void wire_take(struct wire *wire, struct plane *plane, const struct sockaddr_storage *address, const uint8_t *datagram,
               int length, double now)
{
    if (is_media(datagram, length)) {
        const struct origin *origin = find_origin(wire, address);
        if (origin != NULL && plane_receive(plane, origin->session, datagram, length, now) == DONE)
            return;
    }
    struct inbox *inbox = &wire->inbox;
    if (inbox->stranger_count == MAX_STRANGERS) {
        drop(&plane->shared, DROP_STRANGERS);
        return;
    }
    inbox->strangers = grown(inbox->strangers, inbox->stranger_count, sizeof *inbox->strangers);
    inbox->strangers[inbox->stranger_count++] = (struct stranger){*address, chunk_of(datagram, length)};
}

/* -- leaving things for Python */

static void leave_datagram(struct inbox *inbox, struct shared *shared, const struct datagram *datagram)
{
    if (inbox->left_count == MAX_LEFT) {
        drop(shared, DROP_SLOW_READER);
        return;
    }
    inbox->lefts = grown(inbox->lefts, inbox->left_count, sizeof *inbox->lefts);
    inbox->lefts[inbox->left_count++] =
        (struct left){datagram->session, chunk_of(shared->outbox.bytes + datagram->at, datagram->length)};
}

static void leave_event(struct inbox *inbox, struct shared *shared, struct event *event)
{
    if (inbox->event_count == MAX_LEFT) {
        drop(shared, DROP_SLOW_READER);
        return;
    }
    inbox->events = grown(inbox->events, inbox->event_count, sizeof *inbox->events);
    inbox->events[inbox->event_count++] = *event;
    event->bytes = NULL; /* the inbox's now */
}

void wire_flush(struct wire *wire, struct plane *plane)
{
    struct outbox *outbox = &plane->shared.outbox;
    struct list ready = {0};
    wire->round++;
    for (int i = 0; i < outbox->count; i++) {
        struct session *session = plane_session(plane, outbox->datagrams[i].session);
        if (session == NULL || session->destination.length == 0) {
            leave_datagram(&wire->inbox, &plane->shared, &outbox->datagrams[i]);
            continue;
        }
        struct destination *destination = &session->destination;
        if (destination->round == wire->round) {
            outbox->datagrams[destination->last].next = i;
        } else {
            destination->round = wire->round;
            destination->first = i;
            list_add(&ready, session);
        }
        destination->last = i;
    }
    for (int i = 0; i < ready.count; i++)
        sender_add(wire->sender, wire, plane, ready.items[i]);
    sender_flush(wire->sender, wire, plane);
    list_free(&ready);
    for (int i = 0; i < outbox->event_count; i++)
        leave_event(&wire->inbox, &plane->shared, &outbox->events[i]);
    outbox_clear(outbox);
}

bool inbox_is_empty(const struct inbox *inbox)
{
    return !inbox->stranger_count && !inbox->left_count && !inbox->event_count;
}

void inbox_free(struct inbox *inbox)
{
    for (int i = 0; i < inbox->stranger_count; i++)
        chunk_release(inbox->strangers[i].bytes);
    for (int i = 0; i < inbox->left_count; i++)
        chunk_release(inbox->lefts[i].bytes);
    for (int i = 0; i < inbox->event_count; i++)
        chunk_release(inbox->events[i].bytes);
    free(inbox->strangers);
    free(inbox->lefts);
    free(inbox->events);
    *inbox = (struct inbox){0};
}
