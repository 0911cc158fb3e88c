/* RTCP as bytes: compound packets taken apart, and the few packets that a relay sends. What the numbers mean is for
 * others. RFC 3550 section 6 (SR, RR, BYE), RFC 4585 (NACK, PLI), RFC 5104 (FIR), draft-alvestrand-rmcat-remb. */
#ifndef PALABRE_RTCP_H
#define PALABRE_RTCP_H

#include "bytes.h"

enum {
    RTCP_SR = 200,
    RTCP_RR = 201,
    RTCP_BYE = 203,
    RTCP_RTPFB = 205,
    RTCP_PSFB = 206,
    RTCP_NACK = 1,          /* formats of RTPFB */
    RTCP_TRANSPORT_CC = 15,
    RTCP_PLI = 1, /* formats of PSFB */
    RTCP_FIR = 4,
    RTCP_AFB = 15,
    MAX_NACKED = 1024, /* numbers taken from one datagram: more than a second of any layer, and bounds the work */
    REPORT_BLOCK_SIZE = 24,
    RECEIVER_REPORT_SIZE = 8, /* without blocks, as it opens a compound packet */
    SENDER_REPORT_SIZE = 28,
    PLI_SIZE = 12,
    FEEDBACK_HEAD_SIZE = 12,
};

struct report_block {
    uint32_t ssrc;
    int fraction_lost; /* of 256 */
    uint32_t lost; /* 24 bits, two's complement */
    uint32_t highest, jitter, last_sr, delay; /* the last two in 1/65536 s */
};

/* One packet of a compound. `body` is what follows its header, without padding. */
struct rtcp_packet {
    int kind, count;
    const uint8_t *body;
    int length;
};

/* Whether `data` is RTCP throughout; nothing of a compound is believed unless all of it can be read. */
bool rtcp_check(const uint8_t *data, int size);

/* The packet at `*position`, which moves behind it; false at the end. Of checked data only. */
bool rtcp_next(const uint8_t *data, int size, int *position, struct rtcp_packet *packet);

struct report_block rtcp_read_report(const uint8_t *at);

/* Transport-cc feedback, packet by packet.
 * https://datatracker.ietf.org/doc/html/draft-holmer-rmcat-transport-wide-cc-extensions-01#section-3.1 */
enum {
    MAX_STATUSES = 4096, /* packets in one feedback: as many as are remembered, and bounds the work */
    NOT_RECEIVED = INT32_MIN,
};

struct transport_report {
    uint32_t base;      /* transport sequence number of the first packet told */
    uint32_t reference; /* 24 bits, units of 64 ms: the time from which the first delta counts */
    const uint8_t *chunk, *delta, *end; /* the next ones, and the end of both */
    int left;           /* packets not told yet */
    int symbol, run;    /* of a run length chunk, and what is left of it */
    uint32_t vector;    /* symbols of a vector chunk, the next one in the highest bits */
    int bits, in_vector; /* of a symbol, and symbols left */
};

void rtcp_open_transport_report(const struct rtcp_packet *packet, struct transport_report *report);

/* The next packet's arrival from the one before, in units of 250 us, or NOT_RECEIVED; false at the end. */
bool rtcp_next_delta(struct transport_report *report, int *delta);
int rtcp_read_nack(const struct rtcp_packet *packet, uint16_t *sequences); /* returns how many, up to MAX_NACKED */
bool rtcp_is_remb(const struct rtcp_packet *packet);
int64_t rtcp_read_remb(const struct rtcp_packet *packet); /* bit/s */

/* These write at `to` and return the place behind. */
uint8_t *rtcp_pack_sender_report(uint8_t *to, uint32_t ssrc, uint64_t ntp, uint32_t rtp, uint32_t packets,
                                 uint32_t octets);
uint8_t *rtcp_pack_receiver_report(uint8_t *to, uint32_t ssrc, const struct report_block *reports, int count);
uint8_t *rtcp_pack_nack(uint8_t *to, uint32_t sender, uint32_t ssrc, const uint16_t *sequences, int count);
uint8_t *rtcp_pack_pli(uint8_t *to, uint32_t sender, uint32_t ssrc);

/* The envelope of transport-cc feedback around a body of `length` that lies at `to + FEEDBACK_HEAD_SIZE` already. */
uint8_t *rtcp_pack_transport_feedback(uint8_t *to, uint32_t sender, uint32_t ssrc, int length);

#endif
