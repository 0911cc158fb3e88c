/* `Core`: tracks, subscriptions and taps. */
#include "core.h"

PyObject *core_add_up_track(Core *core, PyObject *arguments)
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
    enum outcome outcome = plane_add_up_track(enter(core), session, &spec, &ids);
    return conclude(core, outcome, outcome == UNKNOWN ? session : track);
}

PyObject *core_remove_up_track(Core *core, PyObject *arguments)
{
    long long track;
    if (!PyArg_ParseTuple(arguments, "L", &track))
        return NULL;
    return conclude(core, plane_remove_up_track(enter(core), track), track);
}

PyObject *core_add_down_track(Core *core, PyObject *arguments)
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
    struct plane *plane = enter(core);
    enum outcome outcome = plane_add_down_track(plane, session, &spec);
    if (outcome != IN_USE)
        return conclude(core, outcome, plane_session(plane, session) != NULL ? track : session);
    leave(core);
    return PyErr_Format(PyExc_ValueError, "down track %lld exists", down);
}

PyObject *core_set_plan(Core *core, PyObject *arguments)
{
    long long down;
    PyObject *plan;
    struct plan_key key;
    if (!PyArg_ParseTuple(arguments, "LO!", &down, &PyTuple_Type, &plan) || !read_plan(plan, &key))
        return NULL;
    return conclude(core, plane_set_plan(enter(core), down, &key), down);
}

PyObject *core_remove_down_track(Core *core, PyObject *arguments)
{
    long long down;
    if (!PyArg_ParseTuple(arguments, "L", &down))
        return NULL;
    return conclude(core, plane_remove_down_track(enter(core), down), down);
}

PyObject *core_set_layer(Core *core, PyObject *arguments)
{
    long long down;
    int max_layer;
    if (!PyArg_ParseTuple(arguments, "Li", &down, &max_layer))
        return NULL;
    return conclude(core, plane_set_layer(enter(core), down, max_layer), down);
}

PyObject *core_pad(Core *core, PyObject *arguments)
{
    long long down, octets;
    double now;
    if (!PyArg_ParseTuple(arguments, "LLd", &down, &octets, &now))
        return NULL;
    return conclude(core, plane_pad(enter(core), down, octets, now), down);
}

PyObject *core_limit_resends(Core *core, PyObject *arguments)
{
    long long session, rate;
    if (!PyArg_ParseTuple(arguments, "LL", &session, &rate))
        return NULL;
    return conclude(core, plane_limit_resends(enter(core), session, rate), session);
}

PyObject *core_request_key_frame(Core *core, PyObject *arguments)
{
    long long track;
    double now;
    if (!PyArg_ParseTuple(arguments, "Ld", &track, &now))
        return NULL;
    return conclude(core, plane_request_key_frame(enter(core), track, now), track);
}

PyObject *core_wanted_layer(Core *core, PyObject *arguments)
{
    long long track;
    if (!PyArg_ParseTuple(arguments, "L", &track))
        return NULL;
    const struct uptrack *up = plane_up(enter(core), track);
    if (up == NULL)
        return conclude(core, UNKNOWN, track);
    int wanted = uptrack_wanted_layer(up);
    leave(core);
    return PyLong_FromLong(wanted);
}

PyObject *core_add_tap(Core *core, PyObject *arguments)
{
    long long track, tap;
    int max_layer;
    if (!PyArg_ParseTuple(arguments, "LLi", &track, &tap, &max_layer))
        return NULL;
    return conclude(core, plane_add_tap(enter(core), track, (void *)(intptr_t)tap, max_layer), track);
}

PyObject *core_remove_tap(Core *core, PyObject *arguments)
{
    long long track, tap;
    if (!PyArg_ParseTuple(arguments, "LL", &track, &tap))
        return NULL;
    return conclude(core, plane_remove_tap(enter(core), track, (void *)(intptr_t)tap), track);
}

