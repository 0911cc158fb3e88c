/* Extension plans. */
#include "plan.h"

struct plan *plan_make(const struct plan_key *key)
{
    struct plan *plan = must_make(1, sizeof *plan);
    plan->key = *key;
    return plan;
}

bool plan_has_key(const struct plan *plan, const struct plan_key *key)
{
    return plan->key.send_time_id == key->send_time_id && plan->key.number_id == key->number_id &&
           plan->key.count == key->count &&
           memcmp(plan->key.copied, key->copied, (size_t)key->count * sizeof *key->copied) == 0;
}

void plan_free(struct plan *plan)
{
    chunk_release(plan->current);
    free(plan);
}

void plan_prepare(struct plan *plan, const uint8_t *packet, const struct elements *elements, uint32_t send_time)
{
    struct packed_element items[MAX_COPIED + 1];
    static const uint8_t NO_NUMBER[NUMBER_SIZE] = {0};
    uint8_t block[EXTENSION_BLOCK_MAX], time[SEND_TIME_SIZE];
    int count = 0;
    if (plan->key.number_id) { /* comes first, where `plan_stamp` finds it */
        items[count++] = (struct packed_element){plan->key.number_id, {NO_NUMBER, NUMBER_SIZE}};
    } else if (plan->key.send_time_id) {
        write24(time, send_time);
        items[count++] = (struct packed_element){plan->key.send_time_id, {time, SEND_TIME_SIZE}};
    }
    for (int i = 0; i < plan->key.count; i++) {
        int theirs = plan->key.copied[i].theirs;
        if (elements_have(elements, theirs))
            items[count++] = (struct packed_element){
                plan->key.copied[i].ours, {packet + elements->at[theirs], elements->length[theirs]}};
    }
    int length = rtp_pack_extensions(block, items, count);
    chunk_release(plan->current);
    plan->current = length ? chunk_of(block, length) : NULL;
}

int plan_stamp(const struct chunk *block, const uint8_t *element, int length, uint8_t *to)
{
    put(to, block->bytes, (size_t)block->length);
    int start = block->bytes[0] == ONE_BYTE_PROFILE >> 8 ? 5 : 6;
    put(to + start, element, (size_t)length);
    return block->length > start + length ? block->length : start + length;
}
