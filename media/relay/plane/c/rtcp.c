/* RTCP, read and written. */
#include "rtcp.h"

/* Splits off the packet at `position`; the place behind it, or -1 where that is no RTCP. */
static int split(const uint8_t *data, int size, int position, struct rtcp_packet *packet)
{
    if (position + 4 > size || (data[position] & 0xC0) != 0x80)
        return -1;
    int end = position + 4 + 4 * read16(data + position + 2);
    if (end > size)
        return -1;
    packet->kind = data[position + 1];
    packet->count = data[position] & 0x1F;
    packet->body = data + position + 4;
    packet->length = end - position - 4;
    if (data[position] & 0x20) {
        int padding = packet->length ? packet->body[packet->length - 1] : 0;
        if (padding == 0 || padding > packet->length)
            return -1;
        packet->length -= padding;
    }
    return end;
}

bool rtcp_is_remb(const struct rtcp_packet *packet)
{
    return packet->kind == RTCP_PSFB && packet->count == RTCP_AFB && packet->length >= 12 &&
           memcmp(packet->body + 8, "REMB", 4) == 0;
}

/* Where the status chunks of a report end and its deltas begin; NULL where chunks are missing, or empty. */
static const uint8_t *find_deltas(const uint8_t *chunk, const uint8_t *end, int told)
{
    while (told > 0) {
        if (end - chunk < 2)
            return NULL;
        int word = read16(chunk), run = word & 0x1FFF;
        if (!(word & 0x8000) && run == 0)
            return NULL;
        told -= !(word & 0x8000) ? run : word & 0x4000 ? 7 : 14;
        chunk += 2;
    }
    return chunk;
}

void rtcp_open_transport_report(const struct rtcp_packet *packet, struct transport_report *report)
{
    const uint8_t *body = packet->body;
    *report = (struct transport_report){
        .base = read16(body + 8),
        .left = read16(body + 10),
        .reference = read32(body + 12) >> 8,
        .chunk = body + 16,
        .end = body + packet->length,
    };
    report->delta = find_deltas(report->chunk, report->end, report->left);
}

static int next_symbol(struct transport_report *report)
{
    if (report->run == 0 && report->in_vector == 0) {
        int word = read16(report->chunk);
        report->chunk += 2;
        if (!(word & 0x8000)) {
            report->symbol = word >> 13 & 3;
            report->run = word & 0x1FFF;
        } else {
            report->bits = word & 0x4000 ? 2 : 1;
            report->in_vector = 14 / report->bits;
            report->vector = (uint32_t)word << 18;
        }
    }
    if (report->run > 0) {
        report->run--;
        return report->symbol;
    }
    int symbol = (int)(report->vector >> (32 - report->bits));
    report->vector <<= report->bits;
    report->in_vector--;
    return symbol;
}

bool rtcp_next_delta(struct transport_report *report, int *delta)
{
    if (report->left == 0)
        return false;
    report->left--;
    switch (next_symbol(report)) {
    case 0: *delta = NOT_RECEIVED; break;
    case 1: *delta = *report->delta++; break;
    default:
        *delta = (int16_t)read16(report->delta);
        report->delta += 2;
    }
    return true;
}

static bool is_whole_transport_report(const struct rtcp_packet *packet)
{
    struct transport_report report;
    if (packet->length < 16)
        return false;
    rtcp_open_transport_report(packet, &report);
    if (report.left > MAX_STATUSES || report.delta == NULL)
        return false;
    int64_t size = 0;
    for (; report.left > 0; report.left--) {
        int symbol = next_symbol(&report);
        if (symbol == 3)
            return false;
        size += symbol;
    }
    return size <= report.end - report.delta;
}

/* Whether a packet is as long as its own fields say. */
static bool is_whole(const struct rtcp_packet *packet)
{
    switch (packet->kind) {
    case RTCP_SR: return packet->length >= 24 + REPORT_BLOCK_SIZE * packet->count;
    case RTCP_RR: return packet->length >= 4 + REPORT_BLOCK_SIZE * packet->count;
    case RTCP_BYE: return packet->length >= 4 * packet->count;
    case RTCP_RTPFB: return packet->length >= 8 && (packet->count != RTCP_TRANSPORT_CC || is_whole_transport_report(packet));
    case RTCP_PSFB: return packet->length >= 8 && (!rtcp_is_remb(packet) || packet->length >= 16);
    default: return true;
    }
}

bool rtcp_check(const uint8_t *data, int size)
{
    int position = 0;
    while (position < size) {
        struct rtcp_packet packet;
        position = split(data, size, position, &packet);
        if (position < 0 || !is_whole(&packet))
            return false;
    }
    return size > 0;
}

bool rtcp_next(const uint8_t *data, int size, int *position, struct rtcp_packet *packet)
{
    if (*position >= size)
        return false;
    *position = split(data, size, *position, packet);
    return *position > 0;
}

struct report_block rtcp_read_report(const uint8_t *at)
{
    return (struct report_block){
        .ssrc = read32(at),
        .fraction_lost = at[4],
        .lost = read32(at + 4) & 0xFFFFFF,
        .highest = read32(at + 8),
        .jitter = read32(at + 12),
        .last_sr = read32(at + 16),
        .delay = read32(at + 20),
    };
}

int rtcp_read_nack(const struct rtcp_packet *packet, uint16_t *sequences)
{
    int count = 0;
    for (int position = 8; position + 4 <= packet->length; position += 4) {
        uint16_t first = read16(packet->body + position), mask = read16(packet->body + position + 2);
        for (int bit = -1; bit < 16; bit++) {
            if (bit >= 0 && !(mask >> bit & 1))
                continue;
            if (count == MAX_NACKED)
                return count;
            sequences[count++] = (uint16_t)(first + bit + 1);
        }
    }
    return count;
}

/* 18 bits of mantissa, 6 of exponent: more than fits is as good as unbounded. */
int64_t rtcp_read_remb(const struct rtcp_packet *packet)
{
    uint32_t value = read32(packet->body + 12);
    int64_t mantissa = value & 0x3FFFF;
    int exponent = value >> 18 & 0x3F;
    const int64_t most = (int64_t)1 << 62;
    return mantissa > most >> exponent ? most : mantissa << exponent;
}

static uint8_t *finish(uint8_t *to, int count, int kind, uint8_t *end)
{
    int padding = (int)(-(end - to) & 3);
    if (padding) {
        memset(end, 0, (size_t)padding);
        end[padding - 1] = (uint8_t)padding;
        end += padding;
    }
    to[0] = (uint8_t)(0x80 | (padding ? 0x20 : 0) | count);
    to[1] = (uint8_t)kind;
    write16(to + 2, (uint32_t)(end - to - 4) >> 2);
    return end;
}

uint8_t *rtcp_pack_sender_report(uint8_t *to, uint32_t ssrc, uint64_t ntp, uint32_t rtp, uint32_t packets,
                                 uint32_t octets)
{
    write32(to + 4, ssrc);
    write64(to + 8, ntp);
    write32(to + 16, rtp);
    write32(to + 20, packets);
    write32(to + 24, octets);
    return finish(to, 0, RTCP_SR, to + SENDER_REPORT_SIZE);
}

uint8_t *rtcp_pack_receiver_report(uint8_t *to, uint32_t ssrc, const struct report_block *reports, int count)
{
    uint8_t *at = to + RECEIVER_REPORT_SIZE;
    write32(to + 4, ssrc);
    for (int i = 0; i < count; i++, at += REPORT_BLOCK_SIZE) {
        write32(at, reports[i].ssrc);
        write32(at + 4, (uint32_t)reports[i].fraction_lost << 24 | reports[i].lost);
        write32(at + 8, reports[i].highest);
        write32(at + 12, reports[i].jitter);
        write32(at + 16, reports[i].last_sr);
        write32(at + 20, reports[i].delay);
    }
    return finish(to, count, RTCP_RR, at);
}

/* A generic NACK, RFC 4585 section 6.2.1. `sequences` in order of sending, wrapping as they do. */
uint8_t *rtcp_pack_nack(uint8_t *to, uint32_t sender, uint32_t ssrc, const uint16_t *sequences, int count)
{
    uint8_t *at = to + FEEDBACK_HEAD_SIZE;
    write32(to + 4, sender);
    write32(to + 8, ssrc);
    for (int i = 0; i < count;) {
        uint16_t first = sequences[i++], mask = 0;
        for (; i < count && (uint16_t)(sequences[i] - first - 1) < 16; i++)
            mask |= (uint16_t)(1 << (uint16_t)(sequences[i] - first - 1));
        write16(at, first);
        write16(at + 2, mask);
        at += 4;
    }
    return finish(to, RTCP_NACK, RTCP_RTPFB, at);
}

/* Picture loss indication, RFC 4585 section 6.3.1. */
uint8_t *rtcp_pack_pli(uint8_t *to, uint32_t sender, uint32_t ssrc)
{
    write32(to + 4, sender);
    write32(to + 8, ssrc);
    return finish(to, RTCP_PLI, RTCP_PSFB, to + PLI_SIZE);
}

uint8_t *rtcp_pack_transport_feedback(uint8_t *to, uint32_t sender, uint32_t ssrc, int length)
{
    write32(to + 4, sender);
    write32(to + 8, ssrc);
    return finish(to, RTCP_TRANSPORT_CC, RTCP_RTPFB, to + FEEDBACK_HEAD_SIZE + length);
}
