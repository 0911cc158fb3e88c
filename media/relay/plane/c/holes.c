/* Padding compaction: which outgoing number a packet gets when not all that comes is forwarded. */
#include "downtrack.h"

int64_t downtrack_late_place(const struct downtrack *down, int64_t sequence)
{
    if (sequence < down->first)
        return -1;
    for (int i = 0; i < down->hole_count; i++) {
        if (sequence < down->holes[i].first)
            return sequence + down->holes[i].offset;
        if (sequence < down->holes[i].end)
            return -1;
    }
    return sequence + down->offset;
}

static void add_hole(struct downtrack *down, int index, struct hole hole)
{
    if (down->holes == NULL)
        down->holes = must_make(MAX_HOLES + 1, sizeof *down->holes);
    struct hole *place = &down->holes[index];
    memmove(place + 1, place, (size_t)(down->hole_count - index) * sizeof hole);
    *place = hole;
    down->hole_count++;
    if (down->hole_count > MAX_HOLES) {
        down->first = down->holes[0].end;
        down->hole_count--;
        memmove(down->holes, down->holes + 1, (size_t)down->hole_count * sizeof hole);
    }
}

/* No number from `first` to before `end` gets a place; nothing from `first` on was sent. */
static void close_up(struct downtrack *down, int64_t first, int64_t end)
{
    while (down->hole_count && down->holes[down->hole_count - 1].first >= first)
        down->hole_count--;
    add_hole(down, down->hole_count, (struct hole){first, end, down->next - first});
    down->offset = down->next - end;
}

int64_t downtrack_place(struct downtrack *down, const struct media *media)
{
    if (media->sequence < down->expected)
        return downtrack_late_place(down, media->sequence);
    if (down->has_last && follows(&down->last, media))
        close_up(down, down->last.sequence + 1, media->sequence);
    return media->sequence + down->offset;
}

/* Nothing behind `sequence` was sent, so everything behind it can move down. */
void downtrack_swallow(struct downtrack *down, int64_t sequence)
{
    int index = down->hole_count;
    while (index && down->holes[index - 1].first > sequence)
        down->holes[--index].offset--;
    int64_t offset = index < down->hole_count ? down->holes[index].offset + 1 : down->offset;
    if (index && down->holes[index - 1].end == sequence)
        down->holes[index - 1].end = sequence + 1;
    else
        add_hole(down, index, (struct hole){sequence, sequence + 1, offset});
    down->offset--;
    if (down->expected <= sequence)
        down->expected = sequence + 1;
}
