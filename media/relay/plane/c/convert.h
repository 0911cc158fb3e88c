/* Python's objects to and from the packet path's structures. */
#ifndef PALABRE_CONVERT_H
#define PALABRE_CONVERT_H

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "wire.h"

/* These return false, or NULL, with an exception set. */
bool read_codec(PyObject *tuple, struct codec *codec);
bool read_plan(PyObject *tuple, struct plan_key *key);
bool read_codecs(PyObject *codecs, struct up_spec *spec);
bool read_rids(PyObject *rids, struct up_spec *spec);
struct chunk *read_bytes(PyObject *object);
bool read_address(const char *host, int port, unsigned int scope, struct sockaddr_storage *address);

PyObject *datagram_of(int64_t session, const uint8_t *bytes, int length);
PyObject *event_of(const struct event *event);
PyObject *stranger_of(const struct stranger *stranger);
PyObject *delivery_of(int64_t session, const struct group *group);
PyObject *layer_stats_of(const struct uptrack *track, const struct layer *layer);
PyObject *down_stats_of(const struct downtrack *down);

/* Adds to `list`; steals `item`, which may be NULL with an exception set. */
bool append(PyObject *list, PyObject *item);

#endif
