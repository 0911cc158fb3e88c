/* Layers, and packets taken apart. */
#include "layer.h"

#include <math.h>

#define KEY_FRAME_INTERVAL 0.5         /* seconds between requests: a key frame costs as much as a second of video */
#define PATIENT_KEY_FRAME_INTERVAL 2.0 /* seconds, once `PATIENCE` requests went unanswered */
#define MIN_SILENCE 0.5                /* seconds without a packet after which a camera's layer counts as stopped */
#define MAX_SILENCE 3.0                /* the same for sources with few frames, as a still screen share */

enum {
    PATIENCE = 6,
    SILENT_FRAMES = 4, /* frames that must be overdue */
};

struct media take_apart(struct chunk *packet, int start, int end, int64_t sequence, uint32_t timestamp, int marker,
                        struct description description)
{
    struct media media = {
        .sequence = sequence,
        .timestamp = timestamp,
        .marker = marker,
        .packet = packet,
        .start = start,
        .at = start,
        .rest = start,
        .end = end,
        .picture = -1,
        .base_layer = -1,
        .starts = description.starts,
    };
    if (!description.picture_at)
        return media;
    media.at = description.picture_at;
    media.rest = description.base_at ? description.base_at + 1 : media.at + description.picture_size;
    media.picture = picture_id(packet->bytes, media.at, description.picture_size);
    media.picture_size = description.picture_size;
    if (description.base_at)
        media.base_layer = packet->bytes[description.base_at];
    return media;
}

/* If some of the padding was lost, nobody will ever send it again, and its places would stay empty for good. The Rust
 * SDK pads on the media SSRC when it has no RTX, and on that of sound while it has no picture. Told by picture ids and
 * by what Opus packets play, so for VP8, VP9 and Opus only. */
bool follows(const struct media *last, const struct media *media)
{
    if (last->span)
        return media->timestamp - last->timestamp == (uint32_t)last->span;
    return last->marker != 0 && media->starts && last->picture >= 0 && media->picture_size == last->picture_size &&
           ((media->picture - last->picture) & (media->picture_size == 2 ? 0x7FFF : 0x7F)) == 1;
}

struct layer *layer_make(struct chunk *rid)
{
    struct layer *layer = must_make(1, sizeof *layer);
    layer->holders = 1;
    layer->rid = chunk_hold(rid);
    layer->repaired_at = layer->asked_at = -INFINITY;
    return layer;
}

void layer_release(struct layer *layer)
{
    if (layer == NULL || --layer->holders > 0)
        return;
    chunk_release(layer->rid);
    receiver_release(layer->receiver);
    free(layer);
}

void layer_bind(struct layer *layer, uint32_t ssrc, struct receiver *receiver)
{
    receiver_release(layer->receiver);
    receiver->holders++;
    layer->receiver = receiver;
    layer->ssrc = ssrc;
    layer->has_last = layer->has_report = layer->has_codec = false;
}

void layer_passed(struct layer *layer, const struct media *media, double now)
{
    struct media last = layer->last;
    bool had_last = layer->has_last;
    layer->last = *media;
    layer->has_last = true;
    layer->last_at = now;
    if (had_last && media->sequence != last.sequence + 1 && layer->receiver != NULL && follows(&last, media))
        receiver_forgive(layer->receiver, last.sequence + 1, media->sequence);
    if (media->marker) {
        if (layer->frame_at != 0)
            layer->frame_gap += (now - layer->frame_at - layer->frame_gap) / 8;
        layer->frame_at = now;
    }
}

bool layer_silent(const struct layer *layer, double now)
{
    double overdue = SILENT_FRAMES * layer->frame_gap;
    overdue = overdue > MIN_SILENCE ? overdue : MIN_SILENCE;
    return now - layer->last_at > (overdue < MAX_SILENCE ? overdue : MAX_SILENCE);
}

bool layer_key_frame_due(struct layer *layer, double now)
{
    double interval = layer->requests < PATIENCE ? KEY_FRAME_INTERVAL : PATIENT_KEY_FRAME_INTERVAL;
    if (!layer->ssrc || now - layer->asked_at < interval)
        return false;
    layer->asked_at = now;
    layer->requests++;
    return true;
}

void layer_key_frame_came(struct layer *layer, struct size size)
{
    layer->key_frame_wanted = false;
    layer->requests = 0;
    if (size.width)
        layer->size = size;
}

void layer_measure(struct layer *layer, double elapsed)
{
    layer->bitrate = (int64_t)((double)((layer->octets - layer->octets_before) * 8) / elapsed);
    layer->octets_before = layer->octets;
}
