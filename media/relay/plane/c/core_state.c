/* `Core`: time, statistics, and the socket. */
#include "core.h"

#include <errno.h>

/* A list of whatever is appended, or NULL where that failed. */
static PyObject *whole_list(PyObject *list, bool whole)
{
    if (whole)
        return list;
    Py_XDECREF(list);
    return NULL;
}

/* -- time and statistics */

PyObject *core_tick(Core *core, PyObject *arguments)
{
    double now;
    if (!PyArg_ParseTuple(arguments, "d", &now))
        return NULL;
    plane_tick(enter(core), now);
    return conclude(core, DONE, 0);
}

PyObject *core_audio_levels(Core *core, PyObject *Py_UNUSED(none))
{
    struct plane *plane = enter(core);
    PyObject *levels = PyList_New(0);
    bool whole = levels != NULL;
    for (int i = 0; whole && i < plane->ups.count; i++) {
        struct uptrack *track = plane->ups.entries[i].value.pointer;
        if (!track->spec.video)
            whole = append(levels, Py_BuildValue("(Li)", (long long)track->spec.track, track->level));
        track->level = SILENT;
    }
    leave(core);
    return whole_list(levels, whole);
}

PyObject *core_remote_bandwidth(Core *core, PyObject *arguments)
{
    long long session;
    if (!PyArg_ParseTuple(arguments, "L", &session))
        return NULL;
    const struct session *peer = plane_session(enter(core), session);
    if (peer == NULL)
        return conclude(core, UNKNOWN, session);
    int64_t bandwidth = peer->bandwidth;
    leave(core);
    return PyLong_FromLongLong(bandwidth);
}

PyObject *core_deliveries(Core *core, PyObject *Py_UNUSED(none))
{
    struct plane *plane = enter(core);
    PyObject *deliveries = PyList_New(0);
    bool whole = deliveries != NULL;
    for (int i = 0; whole && i < plane->sessions.count; i++) {
        struct session *session = plane->sessions.entries[i].value.pointer;
        for (int j = 0; whole && j < session->sent_packets.count; j++)
            whole = append(deliveries, delivery_of(session->name, &session->sent_packets.groups[j]));
        session->sent_packets.count = 0;
    }
    leave(core);
    return whole_list(deliveries, whole);
}

PyObject *core_up_stats(Core *core, PyObject *Py_UNUSED(none))
{
    struct plane *plane = enter(core);
    PyObject *stats = PyList_New(0);
    bool whole = stats != NULL;
    for (int i = 0; whole && i < plane->ups.count; i++) {
        const struct uptrack *track = plane->ups.entries[i].value.pointer;
        for (int j = 0; whole && j < track->layer_count; j++)
            if (track->layers[j]->receiver != NULL)
                whole = append(stats, layer_stats_of(track, track->layers[j]));
    }
    leave(core);
    return whole_list(stats, whole);
}

PyObject *core_down_stats(Core *core, PyObject *Py_UNUSED(none))
{
    struct plane *plane = enter(core);
    PyObject *stats = PyList_New(0);
    bool whole = stats != NULL;
    for (int i = 0; whole && i < plane->downs.count; i++)
        whole = append(stats, down_stats_of(plane->downs.entries[i].value.pointer));
    leave(core);
    return whole_list(stats, whole);
}

PyObject *core_drops(Core *core, PyObject *Py_UNUSED(none))
{
    uint64_t drops[DROPS];
    memcpy(drops, enter(core)->shared.drops, sizeof drops);
    leave(core);
    PyObject *list = PyList_New(0);
    bool whole = list != NULL;
    for (int i = 0; whole && i < DROPS; i++)
        if (drops[i])
            whole = append(list, Py_BuildValue("(sK)", DROP_NAMES[i], (unsigned long long)drops[i]));
    return whole_list(list, whole);
}

/* -- the socket */

PyObject *core_open(Core *core, PyObject *arguments)
{
    int socket;
    if (!PyArg_ParseTuple(arguments, "i", &socket))
        return NULL;
    if (core->driver.running) {
        PyErr_SetString(PyExc_ValueError, "a socket is open");
        return NULL;
    }
    int error = driver_start(&core->driver, socket);
    if (error == 0)
        return PyLong_FromLong(core->driver.ready);
    driver_stop(&core->driver);
    errno = error;
    return PyErr_SetFromErrno(PyExc_OSError);
}

PyObject *core_close(Core *core, PyObject *Py_UNUSED(none))
{
    Py_BEGIN_ALLOW_THREADS
    driver_stop(&core->driver);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

PyObject *core_accept(Core *core, PyObject *arguments)
{
    const char *host;
    int port;
    unsigned int scope;
    long long session;
    struct sockaddr_storage address;
    if (!PyArg_ParseTuple(arguments, "siIL", &host, &port, &scope, &session) ||
        !read_address(host, port, scope, &address))
        return NULL;
    enter(core);
    wire_accept(&core->driver.wire, &address, session);
    return conclude(core, DONE, session);
}

PyObject *core_refuse(Core *core, PyObject *arguments)
{
    const char *host;
    int port;
    unsigned int scope;
    struct sockaddr_storage address;
    if (!PyArg_ParseTuple(arguments, "siI", &host, &port, &scope) || !read_address(host, port, scope, &address))
        return NULL;
    enter(core);
    wire_refuse(&core->driver.wire, &address);
    return conclude(core, DONE, 0);
}

PyObject *core_send_to(Core *core, PyObject *arguments)
{
    long long session;
    const char *host;
    int port;
    unsigned int scope;
    struct destination destination = {0};
    if (!PyArg_ParseTuple(arguments, "LziI", &session, &host, &port, &scope))
        return NULL;
    if (host != NULL) {
        if (!read_address(host, port, scope, &destination.address))
            return NULL;
        destination.length = address_length(&destination.address);
    }
    struct session *peer = plane_session(enter(core), session);
    if (peer != NULL) /* one that has gone needs none */
        peer->destination = destination;
    return conclude(core, DONE, session);
}

