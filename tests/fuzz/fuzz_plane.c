/* Fuzzes the compiled packet path: a call of two publishers and two subscribers, and whatever the input makes of it.
 *
 * SRTP takes and gives everything as it is, so that the fuzzer need not guess keys. The input is a row of orders: one
 * byte that says what, one that says who, one that says how many bytes follow for it. With libFuzzer (`make fuzz-plane`),
 * or as a program that runs the files it is given. */
#include <stdio.h>

#include "plane.h"

enum { SESSIONS = 4, TRACKS = 4, DOWNS = 8 };

static int as_it_is(srtp_context context, void *packet, int *length)
{
    (void)context, (void)packet, (void)length;
    return 0;
}

static int grow(srtp_context context, void *packet, int *length)
{
    (void)context;
    memset((uint8_t *)packet + *length, 0, SRTP_TRAILER); /* all that libsrtp may write */
    *length += 16;
    return 0;
}

static int forget(srtp_context context, uint32_t ssrc)
{
    (void)context, (void)ssrc;
    return 0;
}

static const char *const CODECS[] = {"VP8", "VP9", "H264", "AV1", "OPUS"};

static struct codec codec_of(int which)
{
    struct codec codec = {.payload_type = 96 + which, .clock_rate = which == 4 ? 48000 : 90000, .nack = which != 4};
    codec.rtx_payload_type = which < 3 ? 106 + which : -1;
    strcpy(codec.name, CODECS[which]);
    codec.format = format_of(codec.name);
    return codec;
}

static void publish(struct plane *plane, int track, int how)
{
    struct up_spec spec = {.track = track, .video = track != 3, .mid = chunk_of(&"0123"[track], 1), .level_id = 6};
    struct extension_ids ids = {4, 1, 2, 3};
    spec.codec_count = 1 + (how >> 4 & 1);
    spec.codecs = must_make(2, sizeof *spec.codecs);
    spec.codecs[0] = codec_of(track == 3 ? 4 : how & 3);
    spec.codecs[1] = codec_of((how + 1) & 3);
    spec.rid_count = track == 3 ? 0 : how >> 2 & 3;
    spec.rids = must_make(3, sizeof *spec.rids);
    for (int i = 0; i < spec.rid_count; i++)
        spec.rids[i] = chunk_of(&"qhf"[i], 1);
    spec.announced = how >> 5 & 1;
    spec.ssrc = 100u + (uint32_t)track;
    spec.rtx_ssrc = 200u + (uint32_t)track;
    plane_add_up_track(plane, track & 1, &spec, &ids);
}

static void subscribe(struct plane *plane, int down, int how)
{
    struct down_spec spec = {.down = down, .track = how & 3, .ssrc = 1000u + 2 * (uint32_t)down};
    spec.codec = codec_of(spec.track == 3 ? 4 : how >> 2 & 3);
    spec.rtx_ssrc = spec.codec.rtx_payload_type >= 0 ? spec.ssrc + 1 : 0;
    spec.plan = (struct plan_key){.send_time_id = how & 0x10 ? 9 : 0, .count = 2, .copied = {{6, 10}, {12, 20}}};
    spec.plan.number_id = how & 0x20 ? 11 : 0;
    plane_add_down_track(plane, 2 + (down & 1), &spec);
    plane_set_layer(plane, down, 2);
}

static void obey(struct plane *plane, int order, int who, const uint8_t *bytes, int length, double now)
{
    static int tap;
    int how = length ? bytes[0] : 0, down = who % DOWNS, track = who % TRACKS;
    switch (order % 16) {
    case 0: plane_set_layer(plane, down, how % 4 - 1); break;
    case 1: subscribe(plane, down, how); break;
    case 2: plane_remove_down_track(plane, down); break;
    case 3: publish(plane, track, how); break;
    case 4: plane_remove_up_track(plane, track); break;
    case 5: plane_request_key_frame(plane, track, now); break;
    case 6: plane_add_tap(plane, track, &tap, how % 3); break;
    case 7: plane_remove_tap(plane, track, &tap); break;
    case 8: plane_tick(plane, now); break;
    case 9:
        plane_pad(plane, down, how * 20, now);
        plane_limit_resends(plane, who % SESSIONS, how * 1000);
        break;
    default: plane_receive(plane, who % SESSIONS, bytes, length, now); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int context;
    struct plane plane;
    plane_init(&plane, &(struct srtp_functions){grow, grow, as_it_is, as_it_is, forget});
    for (int session = 0; session < SESSIONS; session++) {
        plane_add_session(&plane, session);
        plane_set_keys(&plane, session, &context, &context);
    }
    double now = 100;
    for (size_t at = 0; at + 3 <= size; now += 0.004) {
        int order = data[at], who = data[at + 1], length = data[at + 2];
        at += 3;
        if ((size_t)length > size - at)
            length = (int)(size - at);
        obey(&plane, order, who, data + at, length, now);
        outbox_clear(&plane.shared.outbox);
        at += (size_t)length;
    }
    plane_close(&plane);
    return 0;
}

#ifdef REPLAY
int main(int count, char **names)
{
    static uint8_t data[1 << 20];
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(names[i], "rb");
        if (file == NULL)
            return 1;
        size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        LLVMFuzzerTestOneInput(data, size);
    }
    return 0;
}
#endif
