/* Slot record: see slot_record.h. */
#include "component/slot_record.h"

#include <string.h>

enum { OWNER, RESOURCE, ID, TRAITS, PRESENCE, TEXTS };

struct head {
    int64_t until;
    uint32_t max;
    uint16_t len[TEXTS];
    uint16_t available; /* there is a presence */
};

size_t slot_record_write(const struct slot_record *r, char out[BOARD_BYTES])
{
    const struct str texts[TEXTS] = {r->owner, r->resource, r->id, r->traits, r->presence};
    struct head head = {.until = r->until, .max = r->max, .available = r->presence.data != NULL};
    size_t at = sizeof head;
    for (int i = 0; i < TEXTS; i++) {
        if (texts[i].len > BOARD_BYTES - at)
            return 0;
        head.len[i] = (uint16_t)texts[i].len;
        if (texts[i].len)
            memcpy(out + at, texts[i].data, texts[i].len);
        at += texts[i].len;
    }
    memcpy(out, &head, sizeof head);
    return at;
}

bool slot_record_read(struct slot_record *ret, struct str bytes)
{
    struct head head;
    struct str texts[TEXTS];
    size_t at = sizeof head;
    if (bytes.len < sizeof head)
        return false;
    memcpy(&head, bytes.data, sizeof head);
    for (int i = 0; i < TEXTS; i++) {
        if (head.len[i] > bytes.len - at)
            return false;
        texts[i] = (struct str){bytes.data + at, head.len[i]};
        at += head.len[i];
    }
    *ret = (struct slot_record){
        .until = head.until,
        .max = head.max,
        .owner = texts[OWNER],
        .resource = texts[RESOURCE],
        .id = texts[ID],
        .traits = texts[TRAITS],
        .presence = head.available ? texts[PRESENCE] : STR_NULL,
    };
    return at == bytes.len && ret->id.len > 0;
}

bool slot_record_marked(const struct slot_record *r, struct str owner, struct str mark)
{
    return str_eq(r->owner, owner) && str_starts(r->id, mark);
}

void slot_record_revoke(struct board *b, struct str owner, struct str mark)
{
    char bytes[BOARD_BYTES];
    struct slot_record r;
    for (uint32_t slot = 0; slot < board_room(b); slot++) {
        size_t len = board_get(b, slot, bytes);
        if (slot_record_read(&r, (struct str){bytes, len}) && slot_record_marked(&r, owner, mark))
            board_free(b, slot);
    }
}
