/* Which layer of a track flows to whom, and the key frames that this takes. */
#include "uptrack.h"

#include "session.h"

#define REPAIR_INTERVAL 3.0 /* seconds between key frames for readers: lost padding may look like a loss */

/* -- what was negotiated */

static void number_codecs(struct uptrack *track, const struct codec *known, int known_count)
{
    for (int i = 0; i < 128; i++)
        track->by_payload_type[i] = track->by_rtx_payload_type[i] = -1;
    for (int i = 0; i < track->spec.codec_count; i++) {
        struct codec *codec = &track->spec.codecs[i];
        codec->serial = 0;
        for (int j = 0; j < known_count && !codec->serial; j++)
            if (known[j].payload_type == codec->payload_type && strcmp(known[j].name, codec->name) == 0 &&
                known[j].clock_rate == codec->clock_rate && known[j].nack == codec->nack &&
                known[j].rtx_payload_type == codec->rtx_payload_type)
                codec->serial = known[j].serial;
        if (!codec->serial)
            codec->serial = ++track->shared->codec_serial;
        track->by_payload_type[codec->payload_type & 0x7F] = i;
        if (codec->rtx_payload_type >= 0)
            track->by_rtx_payload_type[codec->rtx_payload_type & 0x7F] = i;
    }
}

static bool same_rids(const struct uptrack *track)
{
    int count = track->spec.rid_count ? track->spec.rid_count : 1;
    if (track->layer_count != count)
        return false;
    for (int i = 0; i < track->spec.rid_count; i++)
        if (!chunk_is(track->layers[i]->rid, track->spec.rids[i]->bytes, track->spec.rids[i]->length))
            return false;
    return track->spec.rid_count > 0 || track->layers[0]->rid->length == 0;
}

static struct layer *take_layer(struct layer **layers, int count, struct chunk *rid)
{
    for (int i = 0; i < count; i++)
        if (layers[i] != NULL && chunk_is(layers[i]->rid, rid->bytes, rid->length)) {
            struct layer *layer = layers[i];
            layers[i] = NULL;
            return layer;
        }
    return layer_make(rid);
}

static void replace_layers(struct uptrack *track)
{
    for (int i = 0; i < track->downs.count; i++)
        uptrack_detach(track, track->downs.items[i]);
    struct layer **before = track->layers;
    int before_count = track->layer_count, count = track->spec.rid_count ? track->spec.rid_count : 1;
    for (int i = 0; i < before_count; i++) {
        list_free(&track->forwarding[i]);
        list_free(&track->waiting[i]);
    }
    track->layers = must_make((size_t)count, sizeof *track->layers);
    track->forwarding = must_resize(track->forwarding, (size_t)count, sizeof *track->forwarding);
    track->waiting = must_resize(track->waiting, (size_t)count, sizeof *track->waiting);
    track->layer_count = count;
    struct chunk *no_rid = chunk_of(NULL, 0);
    for (int i = 0; i < count; i++) {
        track->layers[i] = take_layer(before, before_count, track->spec.rid_count ? track->spec.rids[i] : no_rid);
        track->layers[i]->index = i;
        track->forwarding[i] = track->waiting[i] = (struct list){0};
    }
    chunk_release(no_rid);
    for (int i = 0; i < before_count; i++) {
        if (before[i] != NULL)
            before[i]->index = -1; /* gone, though a down track may remember its clock */
        layer_release(before[i]);
    }
    free(before);
}

void up_spec_free(struct up_spec *spec)
{
    for (int i = 0; i < spec->rid_count; i++)
        chunk_release(spec->rids[i]);
    chunk_release(spec->mid);
    free(spec->rids);
    free(spec->codecs);
}

void uptrack_update(struct uptrack *track, struct up_spec *spec)
{
    struct up_spec before = track->spec;
    track->spec = *spec;
    number_codecs(track, before.codecs, before.codec_count);
    up_spec_free(&before);
    if (!same_rids(track))
        replace_layers(track);
}

struct uptrack *uptrack_make(struct up_spec *spec, struct session *peer, struct shared *shared)
{
    struct uptrack *track = must_make(1, sizeof *track);
    track->peer = peer;
    track->shared = shared;
    track->level = SILENT;
    uptrack_update(track, spec);
    return track;
}

void uptrack_free(struct uptrack *track)
{
    for (int i = 0; i < track->layer_count; i++) {
        track->layers[i]->index = -1;
        layer_release(track->layers[i]);
        list_free(&track->forwarding[i]);
        list_free(&track->waiting[i]);
    }
    free(track->layers);
    free(track->forwarding);
    free(track->waiting);
    free(track->taps);
    for (int i = 0; i < track->plans.count; i++)
        plan_free(track->plans.items[i]);
    list_free(&track->plans);
    list_free(&track->downs);
    up_spec_free(&track->spec);
    free(track);
}

/* -- who gets what */

static void leave_plan(struct uptrack *track, struct downtrack *down)
{
    struct plan *plan = down->plan;
    down->plan = NULL;
    if (plan == NULL || --plan->holders > 0)
        return;
    list_remove(&track->plans, plan);
    plan_free(plan);
}

void uptrack_set_plan(struct uptrack *track, struct downtrack *down, const struct plan_key *key)
{
    leave_plan(track, down);
    struct plan *plan = NULL;
    for (int i = 0; i < track->plans.count && plan == NULL; i++)
        if (plan_has_key(track->plans.items[i], key))
            plan = track->plans.items[i];
    if (plan == NULL) {
        plan = plan_make(key);
        list_add(&track->plans, plan);
    }
    plan->holders++;
    down->plan = plan;
}

void uptrack_add(struct uptrack *track, struct downtrack *down)
{
    uptrack_set_plan(track, down, &down->spec.plan);
    list_add(&track->downs, down);
}

void uptrack_remove(struct uptrack *track, struct downtrack *down)
{
    list_remove(&track->downs, down);
    uptrack_detach(track, down);
    leave_plan(track, down);
}

void uptrack_detach(struct uptrack *track, struct downtrack *down)
{
    if (down->layer != NULL)
        list_remove(&track->forwarding[down->layer->index], down);
    if (down->target != NULL && down->target != down->layer)
        list_remove(&track->waiting[down->target->index], down);
    down->layer = down->target = NULL;
}

/* `ssrc` carries `layer` from now on, under numbers of its own: whoever gets the layer starts anew. */
void uptrack_carry(struct uptrack *track, struct layer *layer, uint32_t ssrc, struct receiver *receiver)
{
    layer_bind(layer, ssrc, receiver);
    for (int i = 0; i < track->downs.count; i++) {
        struct downtrack *down = track->downs.items[i];
        if (down->layer == layer || down->target == layer)
            uptrack_detach(track, down);
        downtrack_forget(down, layer);
    }
}

/* So much is lost that only a new start helps: subscribers shall neither miss nor ask for all of that. */
void uptrack_interrupted(struct uptrack *track, struct layer *layer)
{
    struct list *forwarding = &track->forwarding[layer->index];
    layer->key_frame_wanted = track->spec.video;
    while (forwarding->count) {
        struct downtrack *down = forwarding->items[0];
        uptrack_detach(track, down);
        uptrack_route(track, down);
    }
}

/* The publisher said goodbye to a layer's stream. */
void uptrack_ended(struct uptrack *track, struct layer *layer)
{
    layer->flowing = false;
    track->unsettled = true;
}

static bool suits(const struct layer *layer, const struct downtrack *down)
{
    return layer->has_codec && strcmp(layer->codec.name, down->spec.codec.name) == 0;
}

/* The best flowing layer up to what the subscriber may have, else the lowest one above.
 *
 * When nothing flows (a muted camera), the layer stays: what comes next continues it without a key frame. */
static struct layer *target_of(const struct uptrack *track, const struct downtrack *down)
{
    if (down->max_layer < 0 || !down->ready)
        return NULL;
    struct layer *best = NULL;
    for (int i = 0; i < track->layer_count; i++) {
        struct layer *layer = track->layers[i];
        if (suits(layer, down) && layer->flowing && (best == NULL || layer->index <= down->max_layer))
            best = layer;
    }
    return best == NULL && down->layer != NULL && suits(down->layer, down) ? down->layer : best;
}

/* Bring `down` to the layer it should get, at that layer's next key frame. `uptrack_ask` asks for it. */
void uptrack_route(struct uptrack *track, struct downtrack *down)
{
    struct layer *target = target_of(track, down);
    if (target == down->target)
        return;
    if (target == NULL) {
        uptrack_detach(track, down);
        return;
    }
    if (down->target != NULL && down->target != down->layer)
        list_remove(&track->waiting[down->target->index], down);
    down->target = target;
    if (target != down->layer) {
        list_add(&track->waiting[target->index], down);
        target->key_frame_wanted = track->spec.video;
    }
}

void uptrack_route_all(struct uptrack *track)
{
    track->unsettled = false;
    for (int i = 0; i < track->downs.count; i++)
        uptrack_route(track, track->downs.items[i]);
}

int uptrack_wanted_layer(const struct uptrack *track)
{
    int wanted = -1;
    for (int i = 0; i < track->downs.count; i++) {
        const struct downtrack *down = track->downs.items[i];
        wanted = down->max_layer > wanted ? down->max_layer : wanted;
    }
    for (int i = 0; i < track->tap_count; i++)
        wanted = track->taps[i].max_layer > wanted ? track->taps[i].max_layer : wanted;
    return wanted < track->layer_count - 1 ? wanted : track->layer_count - 1;
}

bool uptrack_is_read(const struct uptrack *track, const struct layer *layer)
{
    for (int i = 0; i < track->tap_count; i++)
        if (layer->index <= track->taps[i].max_layer)
            return true;
    return false;
}

bool uptrack_needed(const struct uptrack *track, const struct layer *layer)
{
    return track->forwarding[layer->index].count || track->waiting[layer->index].count ||
           uptrack_is_read(track, layer);
}

void uptrack_add_tap(struct uptrack *track, void *handle, int max_layer)
{
    if (track->tap_count == track->tap_room) {
        track->tap_room = track->tap_room ? 2 * track->tap_room : 2;
        track->taps = must_resize(track->taps, (size_t)track->tap_room, sizeof *track->taps);
    }
    struct tap tap = {handle, max_layer};
    track->taps[track->tap_count++] = tap;
    for (int i = 0; i < track->layer_count; i++)
        uptrack_introduce(track, &tap, track->layers[i]);
}

void uptrack_remove_tap(struct uptrack *track, const void *handle)
{
    int kept = 0;
    for (int i = 0; i < track->tap_count; i++)
        if (track->taps[i].handle != handle)
            track->taps[kept++] = track->taps[i];
    track->tap_count = kept;
}

/* -- key frames */

/* Somebody needs a key frame of `layer`. */
void uptrack_want_key_frame(struct uptrack *track, struct layer *layer, double now)
{
    if (!track->spec.video)
        return;
    layer->key_frame_wanted = true;
    uptrack_ask_for(track, layer, now);
}

/* Ask for the key frames that are wanted, as far as earlier requests are old enough. */
void uptrack_ask(struct uptrack *track, double now)
{
    for (int i = 0; i < track->layer_count; i++)
        uptrack_ask_for(track, track->layers[i], now);
}

void uptrack_ask_for(struct uptrack *track, struct layer *layer, double now)
{
    if (!layer->key_frame_wanted)
        return;
    if (!uptrack_needed(track, layer))
        layer->key_frame_wanted = false;
    else if (layer->flowing && layer_key_frame_due(layer, now))
        session_ask_key_frame(track->peer, layer->ssrc);
}

/* A key frame of everything that anybody gets. */
void uptrack_request_key_frame(struct uptrack *track, double now)
{
    for (int i = 0; i < track->layer_count; i++)
        if (track->layers[i]->flowing && uptrack_needed(track, track->layers[i]))
            uptrack_want_key_frame(track, track->layers[i], now);
}

/* A packet of `layer` is lost for good. Subscribers say when they need a key frame; readers can't. */
void uptrack_incomplete(struct uptrack *track, struct layer *layer, double now)
{
    if (!uptrack_is_read(track, layer) || now - layer->repaired_at <= REPAIR_INTERVAL)
        return;
    layer->repaired_at = now;
    uptrack_want_key_frame(track, layer, now);
}
