/* Datagrams to the network with as few passes through the kernel's UDP stack as possible: that is most of what a packet
 * costs. Messages that the kernel cuts: https://docs.kernel.org/networking/segmentation-offloads.html (UDP_SEGMENT). */
#include "wire.h"

#include <errno.h>
#include <netinet/udp.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum {
    MESSAGES = 256, /* handed to the kernel at once */
    PIECES = 1024,  /* datagrams in them */
};

union control {
    struct cmsghdr header;
    uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
};

struct sender {
    struct mmsghdr messages[MESSAGES];
    union control controls[MESSAGES];
    struct iovec pieces[PIECES];
    int message_count, piece_count;
};

struct sender *sender_make(void) { return must_make(1, sizeof(struct sender)); }

void sender_free(struct sender *sender) { free(sender); }

/* One by one: what the kernel would not cut. */
static void send_pieces(const struct msghdr *message, int socket, struct shared *shared)
{
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        struct msghdr single = {
            .msg_name = message->msg_name,
            .msg_namelen = message->msg_namelen,
            .msg_iov = &message->msg_iov[i],
            .msg_iovlen = 1,
        };
        if (sendmsg(socket, &single, MSG_DONTWAIT) < 0)
            drop(shared, DROP_UDP_SEND);
    }
}

/* The first message was refused: by the kernel for being one to cut, or by the network, and then it is lost like any
 * datagram (a full buffer, a route that vanished, an ICMP error of an earlier one). */
static void refused(struct wire *wire, struct plane *plane, const struct msghdr *message, int reason)
{
    if (message->msg_iovlen > 1 && (reason == EIO || reason == EINVAL || reason == EMSGSIZE)) {
        wire->cuts = wire->cuts && reason == EMSGSIZE; /* a path's MTU is its own affair */
        send_pieces(message, wire->socket, &plane->shared);
        return;
    }
    for (size_t i = 0; i < message->msg_iovlen; i++)
        drop(&plane->shared, DROP_UDP_SEND);
}

void sender_flush(struct sender *sender, struct wire *wire, struct plane *plane)
{
    for (int sent = 0; sent < sender->message_count;) {
        unsigned int rest = (unsigned int)(sender->message_count - sent);
        int count = sendmmsg(wire->socket, sender->messages + sent, rest, MSG_DONTWAIT);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            refused(wire, plane, &sender->messages[sent].msg_hdr, errno);
            count = 1;
        }
        sent += count;
    }
    sender->message_count = sender->piece_count = 0;
}

static struct msghdr *begin_message(struct sender *sender, const struct session *session)
{
    struct msghdr *message = &sender->messages[sender->message_count++].msg_hdr;
    *message = (struct msghdr){
        .msg_name = (void *)&session->destination.address,
        .msg_namelen = session->destination.length,
        .msg_iov = &sender->pieces[sender->piece_count],
    };
    return message;
}

/* All pieces but the last have `size` bytes. */
static void cut(struct sender *sender, struct msghdr *message, size_t size)
{
    if (message->msg_iovlen < 2)
        return;
    union control *control = &sender->controls[sender->message_count - 1];
    message->msg_control = control->bytes;
    message->msg_controllen = sizeof control->bytes;
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    uint16_t segment = (uint16_t)size;
    memcpy(CMSG_DATA(header), &segment, sizeof segment);
}

/* The datagrams of one session in this round, in their order. */
void sender_add(struct sender *sender, struct wire *wire, struct plane *plane, const struct session *session)
{
    struct outbox *outbox = &plane->shared.outbox;
    struct msghdr *message = NULL;
    size_t size = 0, total = 0;
    bool closed = false; /* a shorter piece ends a message */
    for (int i = session->destination.first; i >= 0; i = outbox->datagrams[i].next) {
        size_t length = (size_t)outbox->datagrams[i].length;
        bool fits = message != NULL && wire->cuts && !closed && length <= size && message->msg_iovlen < MAX_SEGMENTS &&
                    total + length <= MAX_MESSAGE && sender->piece_count < PIECES;
        if (!fits) {
            if (message != NULL)
                cut(sender, message, size);
            if (sender->message_count == MESSAGES || sender->piece_count == PIECES)
                sender_flush(sender, wire, plane);
            message = begin_message(sender, session);
            size = length;
            total = 0;
            closed = false;
        }
        sender->pieces[sender->piece_count++] = (struct iovec){outbox->bytes + outbox->datagrams[i].at, length};
        message->msg_iovlen++;
        total += length;
        closed = length < size;
    }
    if (message != NULL)
        cut(sender, message, size);
}
