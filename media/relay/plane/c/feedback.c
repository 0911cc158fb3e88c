/* Arrivals of one peer's packets over all of its streams. */
#include "feedback.h"

enum {
    TICKS_PER_SECOND = 4000, /* delta units are 250 µs */
    REFERENCE = 256,         /* delta units in one unit (64 ms) of the reference time */
    MAX_DELTA = 0x7FFF,
    MAX_SILENCE = 1000, /* packets lost in a row that are still told as lost; after a longer gap a new base is taken */
    RUN = 14,           /* symbols from which a run length chunk is shorter than two-bit vectors */
    MAX_RUN = 0x1FFF,
    VECTOR = 7,
};

enum symbol { LOST, SMALL, LARGE };

void feedback_add(struct feedback *feedback, const uint8_t *element, int length, double now)
{
    if (length < 2)
        return;
    int64_t sequence = read16(element), highest = feedback->highest;
    if (highest < 0) {
        sequence += 0x10000; /* room for packets that were sent before the first one to arrive */
        feedback->highest = sequence;
    } else {
        sequence = highest + ((sequence - highest + 0x8000) & 0xFFFF) - 0x8000;
        if (sequence > highest)
            feedback->highest = sequence;
    }
    if (feedback->count >= MAX_PENDING)
        return;
    int place = feedback->count;
    while (place > 0 && feedback->arrivals[place - 1].sequence > sequence)
        place--;
    if (place > 0 && feedback->arrivals[place - 1].sequence == sequence)
        return; /* the first arrival counts */
    if (feedback->count == feedback->room) {
        feedback->room = feedback->room ? 2 * feedback->room : 64;
        feedback->arrivals = must_resize(feedback->arrivals, (size_t)feedback->room, sizeof *feedback->arrivals);
    }
    memmove(feedback->arrivals + place + 1, feedback->arrivals + place,
            (size_t)(feedback->count - place) * sizeof *feedback->arrivals);
    feedback->arrivals[place] = (struct arrival){sequence, (int64_t)(now * TICKS_PER_SECOND)};
    feedback->count++;
}

/* Packet status chunks, written as symbols come: run length chunks for long runs, vectors of seven for the rest. */
struct chunks {
    uint8_t *at;
    int vector[VECTOR], filled;
};

static void flush_vector(struct chunks *chunks)
{
    uint32_t word = 0xC000;
    for (int i = 0; i < chunks->filled; i++)
        word |= (uint32_t)chunks->vector[i] << (12 - 2 * i);
    write16(chunks->at, word);
    chunks->at += 2;
    chunks->filled = 0;
}

static void add_to_vector(struct chunks *chunks, int symbol)
{
    chunks->vector[chunks->filled++] = symbol;
    if (chunks->filled == VECTOR)
        flush_vector(chunks);
}

static void add_run(struct chunks *chunks, int symbol, int64_t count)
{
    for (; count > 0 && chunks->filled > 0; count--)
        add_to_vector(chunks, symbol);
    while (count >= RUN) {
        int64_t run = count < MAX_RUN ? count : MAX_RUN;
        write16(chunks->at, (uint32_t)(symbol << 13 | run));
        chunks->at += 2;
        count -= run;
    }
    for (; count > 0; count--)
        add_to_vector(chunks, symbol);
}

struct run {
    int symbol;
    int64_t count;
};

/* One feedback ends where a delta or a gap is too long; `*done` arrivals are told afterwards. */
int feedback_build(struct feedback *feedback, int *done, uint8_t *to)
{
    /* Limits are counted from whole portions, so that one that ended early is completed before the next begins. */
    int portion_end = (*done / MAX_TOLD + 1) * MAX_TOLD;
    int count = (portion_end < feedback->count ? portion_end : feedback->count) - *done;
    if (count <= 0)
        return 0;
    const struct arrival *arrivals = feedback->arrivals + *done;
    int64_t base = arrivals[0].sequence;
    bool late = base < feedback->next; /* between late packets lie others that were told: say nothing of those again */
    if (feedback->next >= 0 && base > feedback->next && base - feedback->next <= MAX_SILENCE)
        base = feedback->next;
    int64_t reference = arrivals[0].at / REFERENCE, clock = reference * REFERENCE, expected = base;
    struct run runs[2 * MAX_TOLD];
    uint8_t deltas[2 * MAX_TOLD], *delta_end = deltas;
    int run_count = 0, told = 0;
    for (; told < count; told++) {
        int64_t delta = arrivals[told].at - clock, gap = arrivals[told].sequence - expected;
        if (told && (gap > (late ? 0 : MAX_SILENCE) || delta < -MAX_DELTA || delta > MAX_DELTA))
            break;
        if (gap)
            runs[run_count++] = (struct run){LOST, gap};
        int symbol = delta >= 0 && delta <= 0xFF ? SMALL : LARGE;
        if (symbol == LARGE) {
            write16(delta_end, (uint32_t)delta);
            delta_end += 2;
        } else {
            *delta_end++ = (uint8_t)delta;
        }
        if (run_count && runs[run_count - 1].symbol == symbol)
            runs[run_count - 1].count++;
        else
            runs[run_count++] = (struct run){symbol, 1};
        clock += delta;
        expected = arrivals[told].sequence + 1;
    }
    if (expected > feedback->next)
        feedback->next = expected;
    write16(to, (uint32_t)base);
    write16(to + 2, (uint32_t)(expected - base));
    write32(to + 4, (uint32_t)reference << 8 | (uint32_t)feedback->number);
    feedback->number = (feedback->number + 1) & 0xFF;
    struct chunks chunks = {.at = to + 8};
    for (int i = 0; i < run_count; i++)
        add_run(&chunks, runs[i].symbol, runs[i].count);
    if (chunks.filled)
        flush_vector(&chunks);
    *done += told;
    return (int)(put(chunks.at, deltas, (size_t)(delta_end - deltas)) - to);
}

void feedback_done(struct feedback *feedback)
{
    feedback->count = 0;
}
