/* The least that a packet to a subscriber can cost without help from the kernel: copy, rewrite the header, protect with
 * libsrtp, sendto. What `bench_relay.py` sets the packet paths against. */
#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

typedef int (*transformation)(void *context, void *packet, int *length);

/* Sends `packets` packets of `size` bytes to each of `peers` addresses, each under its own keys. */
void run(transformation protect, void **contexts, int peers, int socket, const struct sockaddr_in *addresses,
         const uint8_t *packet, int size, int packets)
{
    uint8_t copy[2048] __attribute__((aligned(8)));
    for (int number = 1; number <= packets; number++) {
        for (int peer = 0; peer < peers; peer++) {
            int length = size;
            memcpy(copy, packet, (size_t)size);
            copy[2] = (uint8_t)(number >> 8);
            copy[3] = (uint8_t)number;
            if (protect(contexts[peer], copy, &length) == 0)
                sendto(socket, copy, (size_t)length, 0, (const void *)&addresses[peer], sizeof addresses[peer]);
        }
    }
}
