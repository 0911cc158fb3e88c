/* Lists and tables. Additions and look-ups are for every packet; removals are for people who leave, and may walk. */
#include "table.h"

void list_add(struct list *list, void *item)
{
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 4;
        list->items = must_resize(list->items, (size_t)list->room, sizeof *list->items);
    }
    list->items[list->count++] = item;
}

void list_remove(struct list *list, const void *item)
{
    for (int i = 0; i < list->count; i++) {
        if (list->items[i] != item)
            continue;
        list->count--;
        memmove(list->items + i, list->items + i + 1, (size_t)(list->count - i) * sizeof *list->items);
        return;
    }
}

void list_free(struct list *list)
{
    free(list->items);
    *list = (struct list){0};
}

/* Keys are SSRCs, which peers choose: a multiplication spreads those in a row, and who chooses collisions slows down
 * the look-ups of their own session alone. */
static int slot_of(const struct table *table, int64_t key)
{
    return (int)((uint64_t)key * 0x9E3779B97F4A7C15u >> 40) & table->mask;
}

static void index_entry(struct table *table, int position)
{
    int slot = slot_of(table, table->entries[position].key);
    while (table->slots[slot] != 0)
        slot = (slot + 1) & table->mask;
    table->slots[slot] = position + 1;
}

static void index_all(struct table *table)
{
    memset(table->slots, 0, (size_t)(table->mask + 1) * sizeof *table->slots);
    for (int i = 0; i < table->count; i++)
        index_entry(table, i);
}

struct entry *table_find(const struct table *table, int64_t key)
{
    if (table->count == 0)
        return NULL;
    for (int slot = slot_of(table, key); table->slots[slot] != 0; slot = (slot + 1) & table->mask) {
        struct entry *entry = &table->entries[table->slots[slot] - 1];
        if (entry->key == key)
            return entry;
    }
    return NULL;
}

void table_put(struct table *table, int64_t key, union value value)
{
    struct entry *known = table_find(table, key);
    if (known != NULL) {
        known->value = value;
        return;
    }
    if (table->count == table->room) {
        table->room = table->room ? 2 * table->room : 8;
        table->entries = must_resize(table->entries, (size_t)table->room, sizeof *table->entries);
        table->mask = 2 * table->room - 1; /* at most half full */
        table->slots = must_resize(table->slots, (size_t)table->mask + 1, sizeof *table->slots);
        index_all(table);
    }
    table->entries[table->count] = (struct entry){key, value};
    index_entry(table, table->count++);
}

bool table_remove(struct table *table, int64_t key)
{
    struct entry *entry = table_find(table, key);
    if (entry == NULL)
        return false;
    int position = (int)(entry - table->entries);
    table->count--;
    memmove(entry, entry + 1, (size_t)(table->count - position) * sizeof *entry);
    index_all(table);
    return true;
}

void table_free(struct table *table)
{
    free(table->entries);
    free(table->slots);
    *table = (struct table){0};
}
