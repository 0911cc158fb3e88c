/* `Core`, the packet path as a Python object, and what its methods share. */
#ifndef PALABRE_CORE_H
#define PALABRE_CORE_H

#include "convert.h"
#include "driver.h"

typedef struct {
    PyObject_HEAD
    struct driver driver;
} Core;

/* Each call holds the driver's lock from here to `leave`; Python's own is let go while another has it. */
struct plane *enter(Core *core);
bool leave(Core *core);

/* The result of a call: whether something is to be taken, or what it did wrong. Leaves. */
PyObject *conclude(Core *core, enum outcome outcome, long long name);

/* The methods (module.c, core_tracks.c, core_state.c). */
PyObject *core_take(Core *core, PyObject *none);
PyObject *core_add_session(Core *core, PyObject *arguments);
PyObject *core_set_keys(Core *core, PyObject *arguments);
PyObject *core_remove_session(Core *core, PyObject *arguments);
PyObject *core_receive(Core *core, PyObject *arguments);
PyObject *core_add_up_track(Core *core, PyObject *arguments);
PyObject *core_remove_up_track(Core *core, PyObject *arguments);
PyObject *core_add_down_track(Core *core, PyObject *arguments);
PyObject *core_set_plan(Core *core, PyObject *arguments);
PyObject *core_remove_down_track(Core *core, PyObject *arguments);
PyObject *core_set_layer(Core *core, PyObject *arguments);
PyObject *core_pad(Core *core, PyObject *arguments);
PyObject *core_limit_resends(Core *core, PyObject *arguments);
PyObject *core_request_key_frame(Core *core, PyObject *arguments);
PyObject *core_wanted_layer(Core *core, PyObject *arguments);
PyObject *core_add_tap(Core *core, PyObject *arguments);
PyObject *core_remove_tap(Core *core, PyObject *arguments);
PyObject *core_tick(Core *core, PyObject *arguments);
PyObject *core_audio_levels(Core *core, PyObject *none);
PyObject *core_remote_bandwidth(Core *core, PyObject *arguments);
PyObject *core_deliveries(Core *core, PyObject *none);
PyObject *core_up_stats(Core *core, PyObject *none);
PyObject *core_down_stats(Core *core, PyObject *none);
PyObject *core_drops(Core *core, PyObject *none);
PyObject *core_open(Core *core, PyObject *arguments);
PyObject *core_close(Core *core, PyObject *none);
PyObject *core_accept(Core *core, PyObject *arguments);
PyObject *core_refuse(Core *core, PyObject *arguments);
PyObject *core_send_to(Core *core, PyObject *arguments);

#endif
