/* The packet path for Python: `Core` takes and gives ints, bytes, strings and tuples, and knows no other object.
 *
 * What it wants is said in _packets.pyi; `CompiledPlane` (media/relay/plane/compiled.py) is the face. Limited API, so
 * that one build serves every Python from 3.11 on. */
#include "core.h"

struct plane *enter(Core *core)
{
    if (!driver_try_lock(&core->driver)) {
        Py_BEGIN_ALLOW_THREADS
        driver_lock(&core->driver);
        Py_END_ALLOW_THREADS
    }
    return &core->driver.plane;
}

bool leave(Core *core) { return driver_unlock(&core->driver); }

PyObject *conclude(Core *core, enum outcome outcome, long long name)
{
    bool waits = leave(core);
    switch (outcome) {
    case DONE: return PyBool_FromLong(waits);
    case UNKNOWN: {
        PyObject *key = PyLong_FromLongLong(name);
        if (key != NULL)
            PyErr_SetObject(PyExc_KeyError, key);
        Py_XDECREF(key);
        return NULL;
    }
    case IN_USE: return PyErr_Format(PyExc_ValueError, "%lld exists", name);
    case SSRC_IN_USE:
        PyErr_SetString(PyExc_ValueError, "SSRC is in use by another down track of the session");
        return NULL;
    case OTHERS: break;
    }
    return PyErr_Format(PyExc_ValueError, "track %lld belongs to another session", name);
}

/* -- what waits for Python */

static PyObject *taken(const struct outbox *outbox, const struct inbox *inbox)
{
    PyObject *datagrams = PyList_New(0), *events = PyList_New(0), *strangers = PyList_New(0);
    bool whole = datagrams != NULL && events != NULL && strangers != NULL;
    for (int i = 0; whole && i < outbox->count; i++)
        whole = append(datagrams, datagram_of(outbox->datagrams[i].session, outbox->bytes + outbox->datagrams[i].at,
                                              outbox->datagrams[i].length));
    for (int i = 0; whole && i < inbox->left_count; i++)
        whole = append(datagrams, datagram_of(inbox->lefts[i].session, inbox->lefts[i].bytes->bytes,
                                              inbox->lefts[i].bytes->length));
    for (int i = 0; whole && i < outbox->event_count; i++)
        whole = append(events, event_of(&outbox->events[i]));
    for (int i = 0; whole && i < inbox->event_count; i++)
        whole = append(events, event_of(&inbox->events[i]));
    for (int i = 0; whole && i < inbox->stranger_count; i++)
        whole = append(strangers, stranger_of(&inbox->strangers[i]));
    PyObject *all = whole ? PyTuple_Pack(3, datagrams, events, strangers) : NULL;
    Py_XDECREF(datagrams);
    Py_XDECREF(events);
    Py_XDECREF(strangers);
    return all;
}

/* The lock is held no longer than it takes to put empty boxes in the place of the full ones. */
PyObject *core_take(Core *core, PyObject *Py_UNUSED(none))
{
    struct plane *plane = enter(core);
    struct outbox outbox = plane->shared.outbox;
    struct inbox inbox = core->driver.wire.inbox;
    core->driver.wire.inbox = (struct inbox){0};
    core->driver.told = false;
    plane->shared.outbox = (struct outbox){0};
    leave(core);
    PyObject *all = taken(&outbox, &inbox);
    outbox_free(&outbox);
    inbox_free(&inbox);
    return all;
}

/* -- sessions */

PyObject *core_add_session(Core *core, PyObject *arguments)
{
    long long session;
    if (!PyArg_ParseTuple(arguments, "L", &session))
        return NULL;
    enum outcome outcome = plane_add_session(enter(core), session);
    if (outcome != IN_USE)
        return conclude(core, outcome, session);
    leave(core);
    return PyErr_Format(PyExc_ValueError, "session %lld exists", session);
}

PyObject *core_set_keys(Core *core, PyObject *arguments)
{
    long long session;
    unsigned long long receiving, sending;
    if (!PyArg_ParseTuple(arguments, "LKK", &session, &receiving, &sending))
        return NULL;
    return conclude(core,
                    plane_set_keys(enter(core), session, (srtp_context)(uintptr_t)receiving,
                                   (srtp_context)(uintptr_t)sending),
                    session);
}

PyObject *core_remove_session(Core *core, PyObject *arguments)
{
    long long session;
    if (!PyArg_ParseTuple(arguments, "L", &session))
        return NULL;
    return conclude(core, plane_remove_session(enter(core), session), session);
}

PyObject *core_receive(Core *core, PyObject *arguments)
{
    long long session;
    const char *datagram;
    Py_ssize_t length;
    double now;
    if (!PyArg_ParseTuple(arguments, "Ly#d", &session, &datagram, &length, &now))
        return NULL;
    int size = length > INT32_MAX ? INT32_MAX : (int)length;
    return conclude(core, plane_receive(enter(core), session, (const uint8_t *)datagram, size, now), session);
}

/* -- the type */

static PyObject *core_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords))
{
    unsigned long long functions[5];
    if (!PyArg_ParseTuple(arguments, "KKKKK", &functions[0], &functions[1], &functions[2], &functions[3],
                          &functions[4]))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Core *core = (Core *)allocate(type, 0);
    if (core == NULL)
        return NULL;
    struct srtp_functions srtp = {
        .protect = (srtp_transformation)(uintptr_t)functions[0],
        .protect_rtcp = (srtp_transformation)(uintptr_t)functions[1],
        .unprotect = (srtp_transformation)(uintptr_t)functions[2],
        .unprotect_rtcp = (srtp_transformation)(uintptr_t)functions[3],
        .remove_stream = (srtp_forget)(uintptr_t)functions[4],
    };
    driver_init(&core->driver, &srtp);
    return (PyObject *)core;
}

static void core_dealloc(Core *core)
{
    PyTypeObject *type = Py_TYPE((PyObject *)core);
    Py_BEGIN_ALLOW_THREADS
    driver_free(&core->driver);
    Py_END_ALLOW_THREADS
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(core);
    Py_DECREF((PyObject *)type);
}

#define METHOD(name, flags) {#name, (PyCFunction)(void (*)(void))core_##name, flags, NULL}

static PyMethodDef METHODS[] = {
    METHOD(take, METH_NOARGS),
    METHOD(add_session, METH_VARARGS),
    METHOD(set_keys, METH_VARARGS),
    METHOD(remove_session, METH_VARARGS),
    METHOD(receive, METH_VARARGS),
    METHOD(add_up_track, METH_VARARGS),
    METHOD(remove_up_track, METH_VARARGS),
    METHOD(add_down_track, METH_VARARGS),
    METHOD(set_plan, METH_VARARGS),
    METHOD(remove_down_track, METH_VARARGS),
    METHOD(set_layer, METH_VARARGS),
    METHOD(pad, METH_VARARGS),
    METHOD(limit_resends, METH_VARARGS),
    METHOD(request_key_frame, METH_VARARGS),
    METHOD(wanted_layer, METH_VARARGS),
    METHOD(add_tap, METH_VARARGS),
    METHOD(remove_tap, METH_VARARGS),
    METHOD(tick, METH_VARARGS),
    METHOD(audio_levels, METH_NOARGS),
    METHOD(remote_bandwidth, METH_VARARGS),
    METHOD(deliveries, METH_NOARGS),
    METHOD(up_stats, METH_NOARGS),
    METHOD(down_stats, METH_NOARGS),
    METHOD(drops, METH_NOARGS),
    METHOD(open, METH_VARARGS),
    METHOD(close, METH_NOARGS),
    METHOD(accept, METH_VARARGS),
    METHOD(refuse, METH_VARARGS),
    METHOD(send_to, METH_VARARGS),
    {NULL, NULL, 0, NULL},
};

static PyType_Slot SLOTS[] = {
    {Py_tp_new, core_new},
    {Py_tp_dealloc, core_dealloc},
    {Py_tp_methods, METHODS},
    {Py_tp_doc, "One packet path. Made of the addresses of libsrtp's functions."},
    {0, NULL},
};

static PyType_Spec CORE = {
    .name = "media.relay.plane._packets.Core",
    .basicsize = sizeof(Core),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = SLOTS,
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, .m_name = "_packets", .m_doc = "The compiled packet path.", .m_size = 0,
};

PyMODINIT_FUNC PyInit__packets(void)
{
    PyObject *module = PyModule_Create(&MODULE), *type = PyType_FromSpec(&CORE);
    if (module == NULL || type == NULL || PyModule_AddObjectRef(module, "Core", type) < 0)
        Py_CLEAR(module);
    Py_XDECREF(type);
    return module;
}
