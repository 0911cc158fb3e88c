/* The thread. */
#include "driver.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define TICK 0.05 /* seconds, as the plane asks for */

/* Seconds between two looks at the socket while much passes through it. Packets that come meanwhile leave together: one
 * wake-up serves all, and to whom several go, they go as one message that the kernel cuts. Less than the 5 ms in which
 * Chromium's own pacer puts packets together; congestion controllers take what comes within those for one arrival. */
#define REST 0.003

enum {
    LET_IN = 50,      /* times to stand aside for who waits, each some microseconds: a wake-up takes as long */
    WORTH_A_REST = 8, /* datagrams out of one look: fewer cost no more than the wake-up from a rest does */
};

struct batch {
    struct mmsghdr messages[BATCH];
    struct iovec pieces[BATCH];
    struct sockaddr_storage addresses[BATCH];
    uint8_t bytes[BATCH][MAX_DATAGRAM];
};

/* CLOCK_MONOTONIC, as Python's time.monotonic(): both sides speak of the same time. */
static double monotonic(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int receive(int socket, struct batch *batch)
{
    for (int i = 0; i < BATCH; i++) {
        batch->pieces[i] = (struct iovec){batch->bytes[i], MAX_DATAGRAM};
        batch->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &batch->addresses[i],
            .msg_namelen = sizeof batch->addresses[i],
            .msg_iov = &batch->pieces[i],
            .msg_iovlen = 1,
        };
    }
    return recvmmsg(socket, batch->messages, BATCH, MSG_DONTWAIT, NULL);
}

/* Everything that one look at the socket brought, and what is due. Returns whether a rest is worth it. */
static bool handle(struct driver *driver, struct batch *batch, int count)
{
    driver_lock(driver);
    double now = monotonic();
    bool dense = count > 1 || (count == 1 && now - driver->looked_at < REST);
    driver->looked_at = count ? now : driver->looked_at;
    for (int i = 0; i < count; i++)
        wire_take(&driver->wire, &driver->plane, &batch->addresses[i], batch->bytes[i], (int)batch->messages[i].msg_len,
                  now);
    if (now - driver->ticked_at >= TICK) {
        driver->ticked_at = now;
        plane_tick(&driver->plane, now);
    }
    bool worth = driver->plane.shared.outbox.count >= WORTH_A_REST;
    driver_unlock(driver);
    return dense && worth;
}

static void let_others_in(struct driver *driver)
{
    for (int i = 0; i < LET_IN && atomic_load(&driver->waiting) > 0; i++)
        sched_yield();
}

/* Until so much time after the last look has passed. Who comes alone never waits for this. */
static void rest(const struct driver *driver)
{
    double until = driver->looked_at + REST;
    struct timespec time = {(time_t)until, (long)((until - (double)(time_t)until) * 1e9)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

static void *run(void *argument)
{
    struct driver *driver = argument;
    struct batch *batch = must_make(1, sizeof *batch);
    struct pollfd watched[] = {{.fd = driver->wire.socket, .events = POLLIN}, {.fd = driver->stop, .events = POLLIN}};
    int count = 0;
    bool rested = false; /* then there is something, most likely */
    while (!atomic_load(&driver->stopping)) {
        if (count < BATCH && !rested) {
            double wait = driver->ticked_at + TICK - monotonic();
            poll(watched, 2, wait > 0 ? (int)(wait * 1000) + 1 : 0);
        }
        count = receive(driver->wire.socket, batch);
        if (count < 0)
            count = 0; /* nothing, or the ICMP error of an earlier datagram */
        rested = handle(driver, batch, count) && count < BATCH;
        let_others_in(driver);
        if (rested)
            rest(driver);
    }
    free(batch);
    return NULL;
}

void driver_init(struct driver *driver, const struct srtp_functions *srtp)
{
    memset(driver, 0, sizeof *driver);
    plane_init(&driver->plane, srtp);
    driver->wire.socket = driver->stop = driver->ready = -1;
    pthread_mutex_init(&driver->lock, NULL);
}

void driver_free(struct driver *driver)
{
    driver_stop(driver);
    wire_close(&driver->wire);
    plane_close(&driver->plane);
    pthread_mutex_destroy(&driver->lock);
}

int driver_start(struct driver *driver, int socket)
{
    driver->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    driver->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (driver->stop < 0 || driver->ready < 0)
        return errno;
    wire_open(&driver->wire, socket);
    atomic_store(&driver->stopping, false);
    driver->ticked_at = monotonic();
    int error = pthread_create(&driver->thread, NULL, run, driver);
    driver->running = error == 0;
    return error;
}

static void close_descriptor(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

void driver_stop(struct driver *driver)
{
    if (driver->running) {
        atomic_store(&driver->stopping, true);
        eventfd_write(driver->stop, 1);
        pthread_join(driver->thread, NULL);
        driver->running = false;
    }
    wire_close(&driver->wire);
    driver->told = false;
    close_descriptor(&driver->stop);
    close_descriptor(&driver->ready);
}

bool driver_try_lock(struct driver *driver) { return pthread_mutex_trylock(&driver->lock) == 0; }

void driver_lock(struct driver *driver)
{
    atomic_fetch_add(&driver->waiting, 1);
    pthread_mutex_lock(&driver->lock);
    atomic_fetch_sub(&driver->waiting, 1);
}

bool driver_unlock(struct driver *driver)
{
    const struct outbox *outbox = &driver->plane.shared.outbox;
    bool tell = false;
    if (driver->wire.socket >= 0) {
        wire_flush(&driver->wire, &driver->plane);
        tell = !driver->told && !inbox_is_empty(&driver->wire.inbox);
        driver->told = driver->told || tell;
    }
    bool waits = outbox->count || outbox->event_count;
    int ready = driver->ready;
    pthread_mutex_unlock(&driver->lock);
    if (tell)
        eventfd_write(ready, 1);
    return waits;
}
