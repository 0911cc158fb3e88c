/* Conversions. What is read is checked, what is given was checked before. */
#include "convert.h"

#include <arpa/inet.h>

bool read_codec(PyObject *tuple, struct codec *codec)
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

bool read_plan(PyObject *tuple, struct plan_key *key)
{
    PyObject *copied;
    *key = (struct plan_key){0};
    if (!PyArg_ParseTuple(tuple, "iiO!:plan", &key->send_time_id, &key->number_id, &PyTuple_Type, &copied))
        return false;
    Py_ssize_t count = PyTuple_Size(copied);
    for (Py_ssize_t i = 0; i < count && i < MAX_COPIED; i++, key->count++)
        if (!PyArg_ParseTuple(PyTuple_GetItem(copied, i), "ii:extension", &key->copied[i].theirs,
                              &key->copied[i].ours))
            return false;
    return true;
}

struct chunk *read_bytes(PyObject *object)
{
    char *bytes;
    Py_ssize_t length;
    return PyBytes_AsStringAndSize(object, &bytes, &length) < 0 ? NULL : chunk_of(bytes, (int)length);
}

bool read_codecs(PyObject *codecs, struct up_spec *spec)
{
    Py_ssize_t count = PyTuple_Size(codecs);
    spec->codecs = must_make((size_t)count, sizeof *spec->codecs);
    for (; spec->codec_count < count; spec->codec_count++)
        if (!read_codec(PyTuple_GetItem(codecs, spec->codec_count), &spec->codecs[spec->codec_count]))
            return false;
    return true;
}

bool read_rids(PyObject *rids, struct up_spec *spec)
{
    Py_ssize_t count = PyTuple_Size(rids);
    spec->rids = must_make((size_t)count, sizeof *spec->rids);
    for (; spec->rid_count < count; spec->rid_count++)
        if ((spec->rids[spec->rid_count] = read_bytes(PyTuple_GetItem(rids, spec->rid_count))) == NULL)
            return false;
    return true;
}

/* A host as `inet_ntop` writes it, as Python's sockets do. */
bool read_address(const char *host, int port, unsigned int scope, struct sockaddr_storage *address)
{
    struct sockaddr_in *v4 = (void *)address;
    struct sockaddr_in6 *v6 = (void *)address;
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        v6->sin6_scope_id = scope;
        return true;
    }
    PyErr_SetString(PyExc_ValueError, "not an IP address");
    return false;
}

PyObject *datagram_of(int64_t session, const uint8_t *bytes, int length)
{
    return Py_BuildValue("(Ly#)", (long long)session, (const char *)bytes, (Py_ssize_t)length);
}

PyObject *event_of(const struct event *event)
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

/* The address has the form in which Python's `recvfrom` tells it. */
PyObject *stranger_of(const struct stranger *stranger)
{
    char host[INET6_ADDRSTRLEN] = "";
    const char *bytes = (const char *)stranger->bytes->bytes;
    Py_ssize_t length = stranger->bytes->length;
    if (stranger->address.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)&stranger->address;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        return Py_BuildValue("(y#(si))", bytes, length, host, ntohs(v4->sin_port));
    }
    const struct sockaddr_in6 *v6 = (const void *)&stranger->address;
    inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    return Py_BuildValue("(y#(siII))", bytes, length, host, ntohs(v6->sin6_port), ntohl(v6->sin6_flowinfo),
                         v6->sin6_scope_id);
}

PyObject *delivery_of(int64_t session, const struct group *group)
{
    return Py_BuildValue("(LddLii)", (long long)session, group->sent, group->arrived, (long long)group->octets,
                         group->packets, group->lost);
}

PyObject *layer_stats_of(const struct uptrack *track, const struct layer *layer)
{
    return Py_BuildValue("(LikLLLii)", (long long)track->spec.track, layer->index, (unsigned long)layer->ssrc,
                         (long long)layer->bitrate, (long long)layer->receiver->received,
                         (long long)receiver_lost(layer->receiver), layer->size.width, layer->size.height);
}

PyObject *down_stats_of(const struct downtrack *down)
{
    return Py_BuildValue("(LiLLLdd)", (long long)down->spec.down, down->layer != NULL ? down->layer->index : -1,
                         (long long)down->packets, (long long)down->octets, (long long)down->retransmitted,
                         down->loss, down->rtt);
}

bool append(PyObject *list, PyObject *item)
{
    bool added = item != NULL && PyList_Append(list, item) == 0;
    Py_XDECREF(item);
    return added;
}
