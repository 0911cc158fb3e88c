/* Two containers: a list of pointers, and a table that finds by number and remembers the order of arrival.
 *
 * Order matters: what goes out must not depend on how a hash falls, and is compared with the Python packet path,
 * whose dictionaries keep their order too. */
#ifndef PALABRE_TABLE_H
#define PALABRE_TABLE_H

#include "bytes.h"

struct list {
    void **items;
    int count, room;
};

void list_add(struct list *list, void *item);
void list_remove(struct list *list, const void *item); /* the first one equal; nothing if there is none */
void list_free(struct list *list);

/* What a key stands for: a thing, or a number. */
union value {
    void *pointer;
    int64_t number;
};

struct entry {
    int64_t key;
    union value value;
};

struct table {
    struct entry *entries; /* in order of arrival */
    int count, room;
    int32_t *slots; /* open addressing: position among entries + 1, 0: free */
    int mask;
};

struct entry *table_find(const struct table *table, int64_t key); /* NULL: not there */
void table_put(struct table *table, int64_t key, union value value);
bool table_remove(struct table *table, int64_t key);
void table_free(struct table *table);

static inline void *table_pointer(const struct table *table, int64_t key)
{
    struct entry *entry = table_find(table, key);
    return entry != NULL ? entry->value.pointer : NULL;
}

#endif
