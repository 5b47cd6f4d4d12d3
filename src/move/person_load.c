/* What our store has of a person: a read for each table, all at once. */
#include <stdlib.h>

#include "base/mem.h"
#include "move/person_store.h"
#include "xmpp/namespaces.h"

struct load {
    struct person_reads *reads;
    struct person *person;
    void (*take)(struct load *l, const struct store_rows *rows, size_t row);
};

struct stanza *person_parse(struct parser_pool *parsers, struct str xml)
{
    static const struct parser_limits limits = {.stanza_bytes = 1u << 28,
                                                .depth = 512,
                                                .attributes = 2048,
                                                .namespaces = UINT32_MAX,
                                                .children = 1u << 22};
    enum parser_status status;
    return xml.len ? parser_document(parsers, xml, &limits, &status) : NULL;
}

static struct stanza *parse(const struct load *l, const struct store_rows *rows, size_t row,
                            unsigned column)
{
    return person_parse(l->reads->stores->parsers, store_text(rows, row, column));
}

static void fail(struct load *l)
{
    if (l->reads->error == ERR_OK)
        l->reads->error = ERR_MALFORMED;
}

static void on_rows(void *arg, enum error e, const struct store_rows *rows)
{
    struct load *l = arg;
    struct person_reads *reads = l->reads;
    for (size_t i = 0; e == ERR_OK && i < store_rows_count(rows); i++)
        l->take(l, rows, i);
    if (e != ERR_OK && reads->error == ERR_OK)
        reads->error = e;
    free(l);
    if (--reads->due == 0)
        loop_stop(reads->stores->loop);
}

/* --- one row each --- */

static void take_account(struct load *l, const struct store_rows *rows, size_t row)
{
    struct str password = store_text(rows, row, 0);
    facts_add_account(l->person, store_int(rows, row, 1), store_int(rows, row, 2) != 0);
    if (password.data)
        facts_add_stored_password(l->person, password);
}

static void take_keys(struct load *l, const struct store_rows *rows, size_t row)
{
    struct scram_keys keys;
    if (accounts_take_keys(rows, row, &keys))
        facts_add_scram(l->person, &keys);
    mem_wipe(&keys, sizeof keys);
}

static void take_user(struct load *l, const struct store_rows *rows, size_t row)
{
    enum { ACTIVE, LOGOUT, STATUS };
    facts_add_active(l->person, store_int(rows, row, ACTIVE));
    if (store_int(rows, row, LOGOUT))
        facts_add_last(l->person, store_int(rows, row, LOGOUT), store_text(rows, row, STATUS));
}

static void take_item(struct load *l, const struct store_rows *rows, size_t row)
{
    enum { JID, NAME, TO, FROM, ASK, PENDING, APPROVED, HIDDEN, VERSION, XML };
    struct roster_row item = {.jid = store_text(rows, row, JID),
                              .name = store_text(rows, row, NAME),
                              .to = store_int(rows, row, TO) != 0,
                              .from = store_int(rows, row, FROM) != 0,
                              .ask = (int)store_int(rows, row, ASK),
                              .approved = store_int(rows, row, APPROVED) != 0};
    if (!store_int(rows, row, HIDDEN))
        facts_add_roster(l->person, &item, NULL, 0);
    if (store_int(rows, row, PENDING)) {
        struct stanza *presence = parse(l, rows, row, XML);
        facts_add_request(l->person, item.jid, presence);
        stanza_unref(presence);
    }
}

static void take_vcard(struct load *l, const struct store_rows *rows, size_t row)
{
    struct stanza *card = parse(l, rows, row, 0);
    if (card)
        facts_add_vcard(l->person, card);
    else
        fail(l);
}

static void take_private(struct load *l, const struct store_rows *rows, size_t row)
{
    struct stanza *kept = parse(l, rows, row, 2);
    stanza_el first = kept ? stanza_first(kept, STANZA_ROOT) : STANZA_NONE;
    if (first != STANZA_NONE)
        facts_add_private(l->person, kept, first);
    else
        fail(l);
    stanza_unref(kept);
}

static void take_vacation(struct load *l, const struct store_rows *rows, size_t row)
{
    struct vacation_row vacation = {store_int(rows, row, 0), store_int(rows, row, 1),
                                    store_text(rows, row, 2)};
    facts_add_vacation(l->person, &vacation);
}

static void take_disco(struct load *l, const struct store_rows *rows, size_t row)
{
    struct disco_row item = {.parent = store_text(rows, row, 0),
                             .jid = store_text(rows, row, 1),
                             .node = store_text(rows, row, 2),
                             .name = store_text(rows, row, 3)};
    facts_add_disco(l->person, &item);
}

static void take_motd_seen(struct load *l, const struct store_rows *rows, size_t row)
{
    facts_add_motd_seen(l->person, store_int(rows, row, 0));
}

static void take_motd(struct load *l, const struct store_rows *rows, size_t row)
{
    if (!str_eq(store_text(rows, row, 0), jid_full(l->person->jid)))
        return;
    struct stanza *message = parse(l, rows, row, 1);
    if (message)
        facts_add_motd(l->person, message, store_int(rows, row, 2));
    stanza_unref(message);
}

static void take_message(struct load *l, const struct store_rows *rows, size_t row)
{
    struct stanza *message = parse(l, rows, row, 1);
    if (message)
        facts_add_queued(l->person, (uint64_t)store_int(rows, row, 0), message);
    else
        fail(l);
}

static void take_status(struct load *l, const struct store_rows *rows, size_t row)
{
    facts_add_status(l->person, &(struct status_row){.status = store_text(rows, row, 0),
                                                     .show = store_text(rows, row, 1),
                                                     .login = store_int(rows, row, 2),
                                                     .logout = store_int(rows, row, 3),
                                                     .xml = store_text(rows, row, 4)});
}

static void take_verify(struct load *l, const struct store_rows *rows, size_t row)
{
    facts_add_verify(l->person, &(struct verify_row){.email = store_text(rows, row, 0),
                                                     .code = store_text(rows, row, 1),
                                                     .state = store_int(rows, row, 2)});
}

static void take_published(struct load *l, const struct store_rows *rows, size_t row)
{
    facts_add_published(l->person, &(struct published_row){.jid = store_text(rows, row, 0),
                                                           .group = store_text(rows, row, 1),
                                                           .name = store_text(rows, row, 2),
                                                           .to = store_int(rows, row, 3) != 0,
                                                           .from = store_int(rows, row, 4) != 0,
                                                           .ask = (int)store_int(rows, row, 5)});
}

static void take_published_group(struct load *l, const struct store_rows *rows, size_t row)
{
    facts_add_published_group(l->person, store_text(rows, row, 0));
}

/* --- several rows that make one fact --- */

static void on_privacy(void *arg, enum error e, const struct store_rows *rows)
{
    enum { LIST, TYPE, VALUE, DENY, ORDER, BLOCK, STANDARD };
    struct load *l = arg;
    size_t count = e == ERR_OK ? store_rows_count(rows) : 0, in_list = 0;
    struct privacy_row *items = mem_alloc_array(count + 1, sizeof *items);
    for (size_t i = 0; i < count; i++) {
        items[in_list++] = (struct privacy_row){.list = store_text(rows, i, LIST),
                                                .type = store_text(rows, i, TYPE),
                                                .value = store_text(rows, i, VALUE),
                                                .deny = store_int(rows, i, DENY) != 0,
                                                .order = (uint32_t)store_int(rows, i, ORDER),
                                                .block = (uint8_t)store_int(rows, i, BLOCK)};
        if (i + 1 < count && str_eq(store_text(rows, i + 1, LIST), items[0].list))
            continue;
        facts_add_privacy(l->person, items[0].list, items, in_list);
        in_list = 0;
    }
    if (count && store_text(rows, 0, STANDARD).data)
        facts_add_privacy_default(l->person, store_text(rows, 0, STANDARD));
    free(items);
    l->take = NULL;
    on_rows(l, e, NULL);
}

/* Groups come after their items, by contact. */
static void add_groups(struct person *p, struct str jid, const struct str *groups, size_t count)
{
    for (size_t i = p->count; i > 0; i--) {
        struct fact *f = &p->facts[i - 1];
        struct roster_row row;
        if (f->kind != PERSON_ROSTER || !str_eq(str_of(f->key), jid))
            continue;
        (void)facts_roster(f, &row, NULL, 0);
        facts_add_roster(p, &row, groups, count); /* counts instead of the one without groups */
        return;
    }
}

static void on_groups(void *arg, enum error e, const struct store_rows *rows)
{
    struct load *l = arg;
    size_t count = e == ERR_OK ? store_rows_count(rows) : 0, in_item = 0;
    struct str *groups = mem_alloc_array(count + 1, sizeof *groups);
    for (size_t i = 0; i < count; i++) {
        groups[in_item++] = store_text(rows, i, 1);
        if (i + 1 < count && str_eq(store_text(rows, i + 1, 0), store_text(rows, i, 0)))
            continue;
        add_groups(l->person, store_text(rows, i, 0), groups, in_item);
        in_item = 0;
    }
    free(groups);
    on_rows(l, e, NULL);
}

/* --- all of them --- */

static struct load *begin(struct person_reads *reads, struct person *p,
                          void (*take)(struct load *l, const struct store_rows *rows, size_t row))
{
    struct load *l = MEM_NEW(struct load);
    *l = (struct load){reads, p, take};
    reads->due++;
    return l;
}

static void load_account(struct person_reads *reads, struct person *p)
{
    struct store *s = reads->stores->accounts;
    struct str user = jid_local(p->jid), realm = jid_domain(p->jid);
    if (!user.data)
        return;
    accounts_read(s, user, realm, on_rows, begin(reads, p, take_account));
    accounts_read_keys(s, user, realm, on_rows, begin(reads, p, take_keys));
}

void person_load(struct person_reads *reads, struct person *p)
{
    struct store *s = reads->stores->users;
    struct str owner = jid_full(p->jid);
    load_account(reads, p);
    users_get(s, owner, on_rows, begin(reads, p, take_user));
    roster_load(s, owner, on_rows, begin(reads, p, take_item));
    roster_load_groups(s, owner, on_groups, begin(reads, p, NULL));
    vcard_get(s, owner, on_rows, begin(reads, p, take_vcard));
    private_list(s, owner, on_rows, begin(reads, p, take_private));
    privacy_load(s, owner, on_privacy, begin(reads, p, NULL));
    vacation_get(s, owner, on_rows, begin(reads, p, take_vacation));
    disco_list(s, owner, on_rows, begin(reads, p, take_disco));
    status_get(s, owner, on_rows, begin(reads, p, take_status));
    verify_list(s, owner, on_rows, begin(reads, p, take_verify));
    published_list(s, owner, on_rows, begin(reads, p, take_published));
    published_groups_list(s, owner, on_rows, begin(reads, p, take_published_group));
    motd_time(s, owner, on_rows, begin(reads, p, take_motd_seen));
    if (!jid_local(p->jid).data)
        motd_list(s, on_rows, begin(reads, p, take_motd));
    queue_load(s, owner, 0, UINT32_MAX, on_rows, begin(reads, p, take_message));
}

enum error person_loaded(struct person_reads *reads)
{
    if (reads->due)
        loop_run(reads->stores->loop);
    return reads->error;
}
