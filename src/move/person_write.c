/* Facts into the tables of our store. */
#include <stdlib.h>

#include "base/mem.h"
#include "move/person_store.h"
#include "store/vcard_row.h"
#include "xmpp/datetime.h"
#include "xmpp/namespaces.h"

enum { GROUPS_MAX = 255 };

/* What is to stand there: what `have` says, else `p`. */
static const struct fact *either(const struct person *p, const struct person *have,
                                 enum person_kind kind, const char *key)
{
    const struct fact *f = have ? person_find(have, kind, str_of(key)) : NULL;
    return f ? f : person_find(p, kind, str_of(key));
}

static void write_account(struct store_txn *t, const struct person *p, const struct person *have)
{
    const struct fact *account = either(p, have, PERSON_ACCOUNT, ""),
                      *password = either(p, have, PERSON_STORED_PASSWORD, "");
    int64_t created = account ? facts_time(account, STR("created")) : -1;
    accounts_put(t, jid_local(p->jid), jid_domain(p->jid),
                 password ? facts_text(password) : STR_NULL, created < 0 ? 0 : created,
                 account && facts_disabled(account));
}

static void write_keys(struct store_txn *t, const struct person *p, const struct fact *fact)
{
    struct scram_keys keys;
    if (facts_scram(fact, &keys))
        accounts_put_keys(t, jid_local(p->jid), jid_domain(p->jid), &keys);
    mem_wipe(&keys, sizeof keys);
}

static void write_contact(struct store_txn *t, const struct person *p, const struct person *have,
                          const char *key, uint64_t version)
{
    const struct fact *item = either(p, have, PERSON_ROSTER, key),
                      *request = either(p, have, PERSON_REQUEST, key);
    struct roster_row row = {.jid = str_of(key), .hidden = true};
    struct str groups[GROUPS_MAX];
    size_t count = item ? facts_roster(item, &row, groups, GROUPS_MAX) : 0;
    struct str xml = request ? facts_whole(request->xml) : STR_NULL;
    row.pending_in = request && !row.from;
    if (row.pending_in)
        row.pending_xml = xml;
    row.version = version;
    roster_set(t, jid_full(p->jid), &row, groups, count);
    roster_forget(t, jid_full(p->jid));
    free((char *)(uintptr_t)xml.data);
}

static void write_vcard(struct store_txn *t, const struct person *p, const struct fact *fact)
{
    char hash[AVATAR_HASH_LEN];
    struct str xml = facts_whole(fact->xml);
    vcard_row_put(t, jid_full(p->jid), jid_local(p->jid).data ? jid_domain(p->jid) : STR_NULL,
                  fact->xml, xml, hash);
    free((char *)(uintptr_t)xml.data);
}

static void write_private(struct store_txn *t, const struct person *p, const struct fact *fact)
{
    stanza_el first = stanza_first(fact->xml, STANZA_ROOT);
    struct private_key key = {jid_full(p->jid), stanza_ns(fact->xml, first),
                              stanza_name(fact->xml, first)};
    struct str xml = facts_whole(fact->xml);
    private_set(t, &key, xml, INT64_MAX);
    free((char *)(uintptr_t)xml.data);
}

static void write_privacy(struct store_txn *t, const struct person *p, const struct fact *fact)
{
    size_t count;
    struct privacy_row *rows = facts_privacy(fact, &count);
    privacy_delete(t, jid_full(p->jid), str_of(fact->key));
    for (size_t i = 0; i < count; i++)
        privacy_add(t, jid_full(p->jid), &rows[i]);
    free(rows);
}

static void write_motd(struct store_txn *t, const struct person *p, const struct fact *fact)
{
    int64_t time = facts_time(fact, STR("time"));
    struct stanza *message = stanza_extract(fact->xml, stanza_first(fact->xml, STANZA_ROOT));
    struct str xml = facts_whole(message);
    motd_set(t, jid_full(p->jid), xml, time < 0 ? 0 : time);
    free((char *)(uintptr_t)xml.data);
    stanza_unref(message);
}

static void write_message(struct store_txn *t, const struct person *p, const struct fact *fact)
{
    struct str xml = facts_whole(fact->xml);
    queue_push(t, jid_full(p->jid), facts_id(fact), xml, UINT32_MAX);
    free((char *)(uintptr_t)xml.data);
}

static void write_small(struct store_txn *t, const struct person *p, const struct fact *fact)
{
    struct str owner = jid_full(p->jid);
    struct vacation_row vacation;
    struct disco_row item;
    struct status_row status;
    struct verify_row verify;
    struct published_row published;
    switch (fact->kind) {
    case PERSON_VACATION:
        facts_vacation(fact, &vacation);
        vacation_set(t, owner, &vacation);
        break;
    case PERSON_DISCO:
        facts_disco(fact, &item);
        disco_set(t, owner, &item, INT32_MAX);
        break;
    case PERSON_STATUS:
        facts_status(fact, &status);
        status_set(t, owner, &status);
        break;
    case PERSON_VERIFY:
        facts_verify(fact, &verify);
        verify_set(t, owner, &verify);
        break;
    case PERSON_PUBLISHED:
        facts_published(fact, &published);
        published_set(t, owner, &published);
        break;
    case PERSON_PUBLISHED_GROUP:
        published_groups_set(t, owner, facts_attr(fact, "groupname"));
        break;
    case PERSON_PRIVACY_DEFAULT:
        privacy_set_standard(t, owner, facts_attr(fact, "name"));
        break;
    case PERSON_MOTD_SEEN:
        motd_seen(t, owner, facts_time(fact, STR("time")));
        break;
    case PERSON_LAST:
        users_set_logout(t, owner, facts_time(fact, STR("stamp")),
                         facts_text(fact).len ? facts_text(fact) : STR_NULL);
        break;
    default:
        users_activate(t, owner, facts_time(fact, STR("since")));
    }
}

void person_write(struct store_txn *t, const struct person *p, const struct person *have,
                  const struct fact *fact, uint64_t version)
{
    switch (fact->kind) {
    case PERSON_ACCOUNT:
    case PERSON_STORED_PASSWORD:
        write_account(t, p, have);
        break;
    case PERSON_SCRAM:
        write_keys(t, p, fact);
        break;
    case PERSON_ROSTER:
    case PERSON_REQUEST:
        write_contact(t, p, have, fact->key, version);
        break;
    case PERSON_VCARD:
        write_vcard(t, p, fact);
        break;
    case PERSON_PRIVATE:
        write_private(t, p, fact);
        break;
    case PERSON_PRIVACY:
        write_privacy(t, p, fact);
        break;
    case PERSON_MOTD:
        write_motd(t, p, fact);
        break;
    case PERSON_QUEUE:
        write_message(t, p, fact);
        break;
    default:
        write_small(t, p, fact);
    }
}
