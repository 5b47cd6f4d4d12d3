/* What jabberd2.c and jabberd2_tables.c share. Included by nobody else. */
#ifndef JACKDAW_MOVE_JABBERD2_IMPL_H
#define JACKDAW_MOVE_JABBERD2_IMPL_H

#include "base/arena.h"
#include "move/facts.h"
#include "move/jabberd2.h"
#include "move/person_store.h"

/* In the order in which a person's tables are read: groups before items. */
enum jabberd2_table_id {
    JABBERD2_ACTIVE,
    JABBERD2_AUTHREG,
    JABBERD2_LOGOUT,
    JABBERD2_GROUPS,
    JABBERD2_ITEMS,
    JABBERD2_VCARD,
    JABBERD2_PRIVATE,
    JABBERD2_PRIVACY_ITEMS,
    JABBERD2_PRIVACY_DEFAULT,
    JABBERD2_VACATION,
    JABBERD2_DISCO,
    JABBERD2_STATUS,
    JABBERD2_VERIFY,
    JABBERD2_PUBLISHED,
    JABBERD2_PUBLISHED_GROUPS,
    JABBERD2_MOTD,
    JABBERD2_MOTD_TIMES,
    JABBERD2_QUEUE,
    JABBERD2_TABLES
};

/* What one owner has in a table; texts live until the person is finished. */
struct jabberd2_rows {
    struct str *values; /* row by row */
    size_t count, columns;
};

struct jabberd2 {
    struct jabberd2_options o;
    struct move_notes *notes;
    struct arena *arena;
    struct jabberd2_table *table; /* whose rows are given just now */
    struct jabberd2_rows groups;  /* the person's; copied */
    uint64_t groups_left_out;     /* of contacts that are not in the roster */
    uint64_t passwords[OLD_PASSWORD_KINDS];
};

typedef void jabberd2_take(struct jabberd2 *j, struct person *p, const struct jabberd2_rows *rows);

struct jabberd2_spec {
    struct foreign_query query;
    jabberd2_take *take;
};

jabberd2_take jabberd2_take_active, jabberd2_take_authreg, jabberd2_take_logout,
    jabberd2_take_groups, jabberd2_take_items, jabberd2_take_vcard, jabberd2_take_private,
    jabberd2_take_privacy, jabberd2_take_privacy_default, jabberd2_take_vacation,
    jabberd2_take_disco, jabberd2_take_status, jabberd2_take_verify, jabberd2_take_published,
    jabberd2_take_published_groups, jabberd2_take_motd, jabberd2_take_motd_times,
    jabberd2_take_queue;
/* All tables have been read. */
void jabberd2_settle(struct jabberd2 *j, struct person *p);

#endif
