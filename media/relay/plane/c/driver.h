/* The thread that moves packets, and the lock that it shares with Python.
 *
 * The thread owns the socket's reading. It waits without the lock, and takes it once for everything that one look at the
 * socket brings: no packet costs a lock, and none needs Python. Python takes the lock for each of its calls, without
 * holding up other Python threads meanwhile; after a busy round the thread lets those in who wait.
 *
 * While packets come thick and go to many, it looks at the socket every few milliseconds only, as network cards do with
 * their interrupts: a fifth less CPU for a delay that nobody perceives. A packet that comes alone goes at once. */
#ifndef PALABRE_DRIVER_H
#define PALABRE_DRIVER_H

#include "wire.h"

#include <pthread.h>
#include <stdatomic.h>

struct driver {
    struct plane plane;
    struct wire wire;
    pthread_t thread;
    pthread_mutex_t lock;
    bool running;
    atomic_bool stopping;
    atomic_int waiting; /* who want the lock */
    int stop, ready; /* event descriptors: ends the thread; tells Python that the inbox is not empty */
    bool told; /* Python was told, and has not looked yet */
    double ticked_at, looked_at; /* the latter: when it last found something */
};

void driver_init(struct driver *driver, const struct srtp_functions *srtp);
void driver_free(struct driver *driver);

/* Move packets between the plane and this bound, non-blocking UDP socket; 0, or an errno. */
int driver_start(struct driver *driver, int socket);
void driver_stop(struct driver *driver);

bool driver_try_lock(struct driver *driver);
void driver_lock(struct driver *driver);

/* With a socket, what the call left in the outbox is sent, and Python is told when its inbox is not empty any more.
 * Without one it waits in the outbox: returns whether there is something. */
bool driver_unlock(struct driver *driver);

#endif
