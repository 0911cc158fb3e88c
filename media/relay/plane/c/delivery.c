/* What became of the packets to one peer. */
#include "delivery.h"

#define AT_ONCE 0.005 /* seconds: packets sent within are one group, GCC's burst time */

enum {
    TICKS_PER_SECOND = 4000, /* of the feedback's clock */
    REFERENCE = 256,         /* ticks in one unit (64 ms) of its reference time */
};

void delivery_init(struct delivery *delivery) { *delivery = (struct delivery){.reference = -1}; }

void delivery_free(struct delivery *delivery)
{
    free(delivery->slots);
    free(delivery->groups);
}

uint32_t delivery_number(struct delivery *delivery, int octets, double now)
{
    if (delivery->slots == NULL)
        delivery->slots = must_make(HISTORY, sizeof *delivery->slots);
    uint32_t number = (uint32_t)delivery->next++;
    delivery->slots[number & (HISTORY - 1)] = (struct sent_packet){now, number, octets};
    return number;
}

static int64_t unwrap(struct delivery *delivery, uint32_t reference)
{
    int64_t before = delivery->reference;
    if (before < 0)
        delivery->reference = (int64_t)reference + 0x1000000; /* room for one that was overtaken */
    else
        delivery->reference = before + (((int64_t)reference - before + 0x800000) & 0xFFFFFF) - 0x800000;
    return delivery->reference;
}

static void tell(struct delivery *delivery, const struct group *group)
{
    if (delivery->count == MAX_GROUPS)
        return;
    if (delivery->count == delivery->room) {
        delivery->room = delivery->room ? 2 * delivery->room : 16;
        delivery->groups = must_resize(delivery->groups, (size_t)delivery->room, sizeof *delivery->groups);
    }
    delivery->groups[delivery->count++] = *group;
}

void delivery_hear(struct delivery *delivery, const struct rtcp_packet *packet)
{
    if (delivery->slots == NULL)
        return;
    struct transport_report report;
    rtcp_open_transport_report(packet, &report);
    int64_t clock = unwrap(delivery, report.reference) * REFERENCE;
    int64_t number = delivery->next - ((delivery->next - report.base) & 0xFFFF);
    struct group group = {0};
    double begun = 0;
    for (int delta; rtcp_next_delta(&report, &delta); number++) {
        struct sent_packet *slot = &delivery->slots[number & (HISTORY - 1)];
        bool known = slot->octets != 0 && slot->number == (uint32_t)number;
        if (delta == NOT_RECEIVED) {
            if (known && slot->octets > 0) {
                group.lost++;
                slot->octets = -slot->octets;
            }
            continue;
        }
        clock += delta;
        if (!known)
            continue;
        int octets = slot->octets;
        slot->octets = 0;
        if (octets < 0) {
            group.lost--; /* it was late */
            continue;
        }
        if (group.packets && slot->at - begun > AT_ONCE) {
            tell(delivery, &group);
            group = (struct group){0};
        }
        double arrived = (double)clock / TICKS_PER_SECOND;
        if (!group.packets) {
            begun = slot->at;
            group.arrived = arrived;
        }
        group.sent = slot->at;
        if (arrived > group.arrived)
            group.arrived = arrived;
        group.octets += octets;
        group.packets++;
    }
    if (group.packets || group.lost)
        tell(delivery, &group);
}
