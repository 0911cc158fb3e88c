/* Headers and header extensions of RTP packets, parsed and packed. Parsers read nothing beyond what they are given. */
#include "rtp.h"

bool rtp_parse_header(const uint8_t *packet, int size, struct rtp_header *header)
{
    if (size < RTP_HEADER_SIZE || (packet[0] & 0xC0) != RTP_VERSION)
        return false;
    header->second = packet[1];
    header->sequence = read16(packet + 2);
    header->timestamp = read32(packet + 4);
    header->ssrc = read32(packet + 8);
    header->profile = 0;
    header->extension = 0;
    int start = RTP_HEADER_SIZE + 4 * (packet[0] & 0x0F);
    if (packet[0] & RTP_EXTENSION) {
        if (start + 4 > size)
            return false;
        header->profile = read16(packet + start);
        header->extension = start + 4;
        start = header->extension + 4 * read16(packet + start + 2);
    }
    int end = size;
    if (packet[0] & RTP_PADDING) {
        int padding = packet[size - 1];
        if (padding == 0)
            return false;
        end -= padding;
    }
    header->start = start;
    header->end = end;
    return start <= end;
}

static void note(struct elements *elements, int id, int at, int length)
{
    elements->present[id >> 6] |= (uint64_t)1 << (id & 63);
    elements->at[id] = (uint16_t)at;
    elements->length[id] = (uint8_t)length;
}

/* RFC 8285 has receivers ignore what they can't read, so this does not fail. */
void rtp_parse_extensions(const uint8_t *packet, const struct rtp_header *header, struct elements *elements)
{
    memset(elements->present, 0, sizeof elements->present);
    if (header->profile == 0)
        return;
    int position = header->extension, end = header->start;
    if (header->profile == ONE_BYTE_PROFILE) {
        while (position < end) {
            int byte = packet[position++];
            if (byte == 0)
                continue;
            int stop = position + (byte & 0x0F) + 1;
            if (byte >> 4 > ONE_BYTE_MAX_ID || stop > end)
                break;
            note(elements, byte >> 4, position, stop - position);
            position = stop;
        }
    } else if ((header->profile & 0xFFF0) == TWO_BYTE_PROFILE) {
        while (position + 1 < end) {
            int id = packet[position++];
            if (id == 0)
                continue;
            int stop = position + 1 + packet[position];
            if (stop > end)
                break;
            note(elements, id, position + 1, stop - position - 1);
            position = stop;
        }
    }
}

void rtp_write_header(uint8_t *to, int first, int second, uint32_t sequence, uint32_t timestamp, uint32_t ssrc)
{
    to[0] = (uint8_t)first;
    to[1] = (uint8_t)second;
    write16(to + 2, sequence);
    write32(to + 4, timestamp);
    write32(to + 8, ssrc);
}

/* Two-byte headers are used only where an element doesn't fit one-byte headers: the dependency descriptor of a key
 * frame is longer than 16 bytes, and clients that did not offer extmap-allow-mixed read one-byte headers only. */
int rtp_pack_extensions(uint8_t *to, const struct packed_element *items, int count)
{
    if (count == 0)
        return 0;
    bool short_ones = true;
    for (int i = 0; i < count; i++)
        if (items[i].value.length == 0 || items[i].value.length > ONE_BYTE_MAX_LENGTH || items[i].id > ONE_BYTE_MAX_ID)
            short_ones = false;
    uint8_t *at = to + 4;
    for (int i = 0; i < count; i++) {
        if (short_ones) {
            *at++ = (uint8_t)(items[i].id << 4 | (items[i].value.length - 1));
        } else {
            *at++ = (uint8_t)items[i].id;
            *at++ = (uint8_t)items[i].value.length;
        }
        at = put(at, items[i].value.bytes, (size_t)items[i].value.length);
    }
    while ((at - to) & 3)
        *at++ = 0;
    write16(to, short_ones ? ONE_BYTE_PROFILE : TWO_BYTE_PROFILE);
    write16(to + 2, (uint32_t)(at - to - 4) >> 2);
    return (int)(at - to);
}
