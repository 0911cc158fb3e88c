/* The packet path for Python: `Core` takes and gives ints, bytes, strings and tuples, and knows no other object.
 *
 * What it wants is said in _packets.pyi; `CompiledPlane` (media/relay/plane/compiled.py) is the face. Limited API, so
 * that one build serves every Python from 3.11 on. Calls release no lock: they take microseconds. */
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "plane.h"

typedef struct {
    PyObject_HEAD
    struct plane plane;
} Core;

/* -- what goes in */

static PyObject *conclude(Core *core, enum outcome outcome, long long name)
{
    switch (outcome) {
    case DONE: return PyBool_FromLong(core->plane.shared.outbox.count || core->plane.shared.outbox.event_count);
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

static bool read_codec(PyObject *tuple, struct codec *codec)
{
    const char *name;
    int nack;
    if (!PyArg_ParseTuple(tuple, "isiip:codec", &codec->payload_type, &name, &codec->clock_rate,
                          &codec->rtx_payload_type, &nack))
        return false;
    if (strlen(name) >= sizeof codec->name) {
        PyErr_SetString(PyExc_ValueError, "codec's name is too long");
        return false;
    }
    memset(codec->name, 0, sizeof codec->name);
    memcpy(codec->name, name, strlen(name));
    codec->nack = nack != 0;
    codec->format = format_of(name);
    return true;
}

static bool read_plan(PyObject *tuple, struct plan_key *key)
{
    PyObject *copied;
    *key = (struct plan_key){0};
    if (!PyArg_ParseTuple(tuple, "iO!:plan", &key->send_time_id, &PyTuple_Type, &copied))
        return false;
    Py_ssize_t count = PyTuple_Size(copied);
    for (Py_ssize_t i = 0; i < count && i < MAX_COPIED; i++, key->count++)
        if (!PyArg_ParseTuple(PyTuple_GetItem(copied, i), "ii:extension", &key->copied[i].theirs,
                              &key->copied[i].ours))
            return false;
    return true;
}

static struct chunk *read_bytes(PyObject *object)
{
    char *bytes;
    Py_ssize_t length;
    return PyBytes_AsStringAndSize(object, &bytes, &length) < 0 ? NULL : chunk_of(bytes, (int)length);
}

static bool read_codecs(PyObject *codecs, struct up_spec *spec)
{
    Py_ssize_t count = PyTuple_Size(codecs);
    spec->codecs = must_make((size_t)count, sizeof *spec->codecs);
    for (; spec->codec_count < count; spec->codec_count++)
        if (!read_codec(PyTuple_GetItem(codecs, spec->codec_count), &spec->codecs[spec->codec_count]))
            return false;
    return true;
}

static bool read_rids(PyObject *rids, struct up_spec *spec)
{
    Py_ssize_t count = PyTuple_Size(rids);
    spec->rids = must_make((size_t)count, sizeof *spec->rids);
    for (; spec->rid_count < count; spec->rid_count++)
        if ((spec->rids[spec->rid_count] = read_bytes(PyTuple_GetItem(rids, spec->rid_count))) == NULL)
            return false;
    return true;
}

/* -- what comes out */

static PyObject *datagram_of(const struct outbox *outbox, const struct datagram *datagram)
{
    return Py_BuildValue("(Ly#)", (long long)datagram->session, outbox->bytes + datagram->at,
                         (Py_ssize_t)datagram->length);
}

static PyObject *event_of(const struct event *event)
{
    long long tap = (long long)(intptr_t)event->tap;
    switch (event->kind) {
    case EVENT_LAYER:
        return Py_BuildValue("(iLky#isii)", event->kind, tap, (unsigned long)event->ssrc,
                             (const char *)event->bytes->bytes, (Py_ssize_t)event->bytes->length,
                             event->payload_type, event->codec, event->clock_rate, event->video);
    case EVENT_RTP:
        return Py_BuildValue("(iLky#d)", event->kind, tap, (unsigned long)event->ssrc, (const char *)event->bytes->bytes,
                             (Py_ssize_t)event->bytes->length, event->arrival);
    case EVENT_REPORT: break;
    }
    return Py_BuildValue("(iLkKkd)", event->kind, tap, (unsigned long)event->ssrc, (unsigned long long)event->ntp,
                         (unsigned long)event->rtp, event->arrival);
}

/* Adds to `list`; steals `item`, which may be NULL with an error set. */
static bool append(PyObject *list, PyObject *item)
{
    bool added = item != NULL && PyList_Append(list, item) == 0;
    Py_XDECREF(item);
    return added;
}

static PyObject *core_take(Core *core, PyObject *Py_UNUSED(none))
{
    struct outbox *outbox = &core->plane.shared.outbox;
    PyObject *datagrams = PyList_New(0), *events = PyList_New(0);
    bool whole = datagrams != NULL && events != NULL;
    for (int i = 0; whole && i < outbox->count; i++)
        whole = append(datagrams, datagram_of(outbox, &outbox->datagrams[i]));
    for (int i = 0; whole && i < outbox->event_count; i++)
        whole = append(events, event_of(&outbox->events[i]));
    outbox_clear(outbox);
    PyObject *both = whole ? PyTuple_Pack(2, datagrams, events) : NULL;
    Py_XDECREF(datagrams);
    Py_XDECREF(events);
    return both;
}

/* -- sessions */

static PyObject *core_add_session(Core *core, PyObject *arguments)
{
    long long session;
    if (!PyArg_ParseTuple(arguments, "L", &session))
        return NULL;
    enum outcome outcome = plane_add_session(&core->plane, session);
    return outcome == IN_USE ? PyErr_Format(PyExc_ValueError, "session %lld exists", session)
                             : conclude(core, outcome, session);
}

static PyObject *core_set_keys(Core *core, PyObject *arguments)
{
    long long session;
    unsigned long long receiving, sending;
    if (!PyArg_ParseTuple(arguments, "LKK", &session, &receiving, &sending))
        return NULL;
    return conclude(core,
                    plane_set_keys(&core->plane, session, (srtp_context)(uintptr_t)receiving,
                                   (srtp_context)(uintptr_t)sending),
                    session);
}

static PyObject *core_remove_session(Core *core, PyObject *arguments)
{
    long long session;
    if (!PyArg_ParseTuple(arguments, "L", &session))
        return NULL;
    return conclude(core, plane_remove_session(&core->plane, session), session);
}

static PyObject *core_receive(Core *core, PyObject *arguments)
{
    long long session;
    const char *datagram;
    Py_ssize_t length;
    double now;
    if (!PyArg_ParseTuple(arguments, "Ly#d", &session, &datagram, &length, &now))
        return NULL;
    int size = length > INT32_MAX ? INT32_MAX : (int)length;
    return conclude(core, plane_receive(&core->plane, session, (const uint8_t *)datagram, size, now), session);
}

/* -- tracks */

static PyObject *core_add_up_track(Core *core, PyObject *arguments)
{
    long long session, track;
    int video;
    PyObject *mid, *codecs, *rids, *announced;
    struct up_spec spec = {0};
    struct extension_ids ids;
    if (!PyArg_ParseTuple(arguments, "LLpSiO!O!O!(iiii)", &session, &track, &video, &mid, &spec.level_id,
                          &PyTuple_Type, &codecs, &PyTuple_Type, &rids, &PyTuple_Type, &announced, &ids.transport_cc,
                          &ids.mid, &ids.rid, &ids.repaired_rid))
        return NULL;
    spec.track = track;
    spec.video = video != 0;
    spec.announced = PyTuple_Size(announced) > 0;
    spec.mid = read_bytes(mid);
    unsigned long ssrc = 0, rtx_ssrc = 0;
    if (spec.mid == NULL || !read_codecs(codecs, &spec) || !read_rids(rids, &spec) ||
        (spec.announced && !PyArg_ParseTuple(announced, "kk:ssrcs", &ssrc, &rtx_ssrc))) {
        up_spec_free(&spec);
        return NULL;
    }
    spec.ssrc = (uint32_t)ssrc;
    spec.rtx_ssrc = (uint32_t)rtx_ssrc;
    enum outcome outcome = plane_add_up_track(&core->plane, session, &spec, &ids);
    return conclude(core, outcome, outcome == UNKNOWN ? session : track);
}

static PyObject *core_remove_up_track(Core *core, PyObject *arguments)
{
    long long track;
    if (!PyArg_ParseTuple(arguments, "L", &track))
        return NULL;
    return conclude(core, plane_remove_up_track(&core->plane, track), track);
}

static PyObject *core_add_down_track(Core *core, PyObject *arguments)
{
    long long session, down, track;
    unsigned long ssrc, rtx_ssrc;
    PyObject *codec, *plan;
    struct down_spec spec = {0};
    if (!PyArg_ParseTuple(arguments, "LLLkkO!O!", &session, &down, &track, &ssrc, &rtx_ssrc, &PyTuple_Type, &codec,
                          &PyTuple_Type, &plan) ||
        !read_codec(codec, &spec.codec) || !read_plan(plan, &spec.plan))
        return NULL;
    spec.down = down;
    spec.track = track;
    spec.ssrc = (uint32_t)ssrc;
    spec.rtx_ssrc = (uint32_t)rtx_ssrc;
    enum outcome outcome = plane_add_down_track(&core->plane, session, &spec);
    if (outcome == IN_USE)
        return PyErr_Format(PyExc_ValueError, "down track %lld exists", down);
    return conclude(core, outcome, plane_session(&core->plane, session) != NULL ? track : session);
}

static PyObject *core_set_plan(Core *core, PyObject *arguments)
{
    long long down;
    PyObject *plan;
    struct plan_key key;
    if (!PyArg_ParseTuple(arguments, "LO!", &down, &PyTuple_Type, &plan) || !read_plan(plan, &key))
        return NULL;
    return conclude(core, plane_set_plan(&core->plane, down, &key), down);
}

static PyObject *core_remove_down_track(Core *core, PyObject *arguments)
{
    long long down;
    if (!PyArg_ParseTuple(arguments, "L", &down))
        return NULL;
    return conclude(core, plane_remove_down_track(&core->plane, down), down);
}

static PyObject *core_set_layer(Core *core, PyObject *arguments)
{
    long long down;
    int max_layer;
    if (!PyArg_ParseTuple(arguments, "Li", &down, &max_layer))
        return NULL;
    return conclude(core, plane_set_layer(&core->plane, down, max_layer), down);
}

static PyObject *core_request_key_frame(Core *core, PyObject *arguments)
{
    long long track;
    double now;
    if (!PyArg_ParseTuple(arguments, "Ld", &track, &now))
        return NULL;
    return conclude(core, plane_request_key_frame(&core->plane, track, now), track);
}

static PyObject *core_wanted_layer(Core *core, PyObject *arguments)
{
    long long track;
    if (!PyArg_ParseTuple(arguments, "L", &track))
        return NULL;
    const struct uptrack *up = plane_up(&core->plane, track);
    return up != NULL ? PyLong_FromLong(uptrack_wanted_layer(up)) : conclude(core, UNKNOWN, track);
}

static PyObject *core_add_tap(Core *core, PyObject *arguments)
{
    long long track, tap;
    int max_layer;
    if (!PyArg_ParseTuple(arguments, "LLi", &track, &tap, &max_layer))
        return NULL;
    return conclude(core, plane_add_tap(&core->plane, track, (void *)(intptr_t)tap, max_layer), track);
}

static PyObject *core_remove_tap(Core *core, PyObject *arguments)
{
    long long track, tap;
    if (!PyArg_ParseTuple(arguments, "LL", &track, &tap))
        return NULL;
    return conclude(core, plane_remove_tap(&core->plane, track, (void *)(intptr_t)tap), track);
}

/* -- time and statistics */

static PyObject *core_tick(Core *core, PyObject *arguments)
{
    double now;
    if (!PyArg_ParseTuple(arguments, "d", &now))
        return NULL;
    plane_tick(&core->plane, now);
    return conclude(core, DONE, 0);
}

static PyObject *core_audio_levels(Core *core, PyObject *Py_UNUSED(none))
{
    PyObject *levels = PyList_New(0);
    bool whole = levels != NULL;
    for (int i = 0; whole && i < core->plane.ups.count; i++) {
        struct uptrack *track = core->plane.ups.entries[i].value.pointer;
        if (!track->spec.video)
            whole = append(levels, Py_BuildValue("(Li)", (long long)track->spec.track, track->level));
        track->level = SILENT;
    }
    if (!whole)
        Py_CLEAR(levels);
    return levels;
}

static PyObject *core_remote_bandwidth(Core *core, PyObject *arguments)
{
    long long session;
    if (!PyArg_ParseTuple(arguments, "L", &session))
        return NULL;
    const struct session *peer = plane_session(&core->plane, session);
    return peer != NULL ? PyLong_FromLongLong(peer->bandwidth) : conclude(core, UNKNOWN, session);
}

static PyObject *core_up_stats(Core *core, PyObject *Py_UNUSED(none))
{
    PyObject *stats = PyList_New(0);
    bool whole = stats != NULL;
    for (int i = 0; whole && i < core->plane.ups.count; i++) {
        const struct uptrack *track = core->plane.ups.entries[i].value.pointer;
        for (int j = 0; whole && j < track->layer_count; j++) {
            const struct layer *layer = track->layers[j];
            if (layer->receiver != NULL)
                whole = append(stats, Py_BuildValue("(LikLLLii)", (long long)track->spec.track, layer->index,
                                                    (unsigned long)layer->ssrc, (long long)layer->bitrate,
                                                    (long long)layer->receiver->received,
                                                    (long long)receiver_lost(layer->receiver), layer->size.width,
                                                    layer->size.height));
        }
    }
    if (!whole)
        Py_CLEAR(stats);
    return stats;
}

static PyObject *core_down_stats(Core *core, PyObject *Py_UNUSED(none))
{
    PyObject *stats = PyList_New(0);
    bool whole = stats != NULL;
    for (int i = 0; whole && i < core->plane.downs.count; i++) {
        const struct downtrack *down = core->plane.downs.entries[i].value.pointer;
        whole = append(stats, Py_BuildValue("(LiLLLdd)", (long long)down->spec.down,
                                            down->layer != NULL ? down->layer->index : -1, (long long)down->packets,
                                            (long long)down->octets, (long long)down->retransmitted, down->loss,
                                            down->rtt));
    }
    if (!whole)
        Py_CLEAR(stats);
    return stats;
}

static PyObject *core_drops(Core *core, PyObject *Py_UNUSED(none))
{
    PyObject *drops = PyList_New(0);
    bool whole = drops != NULL;
    for (int i = 0; whole && i < DROPS; i++)
        if (core->plane.shared.drops[i])
            whole = append(drops,
                           Py_BuildValue("(sK)", DROP_NAMES[i], (unsigned long long)core->plane.shared.drops[i]));
    if (!whole)
        Py_CLEAR(drops);
    return drops;
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
    plane_init(&core->plane, &srtp);
    return (PyObject *)core;
}

static void core_dealloc(Core *core)
{
    PyTypeObject *type = Py_TYPE((PyObject *)core);
    plane_close(&core->plane);
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
    METHOD(request_key_frame, METH_VARARGS),
    METHOD(wanted_layer, METH_VARARGS),
    METHOD(add_tap, METH_VARARGS),
    METHOD(remove_tap, METH_VARARGS),
    METHOD(tick, METH_VARARGS),
    METHOD(audio_levels, METH_NOARGS),
    METHOD(remote_bandwidth, METH_VARARGS),
    METHOD(up_stats, METH_NOARGS),
    METHOD(down_stats, METH_NOARGS),
    METHOD(drops, METH_NOARGS),
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
