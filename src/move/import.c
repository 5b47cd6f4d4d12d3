/* A batch: read persons, read what we have of them, make keys, write, read again, compare. */
#include "move/import.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
    BATCH = 64,             /* persons */
    BATCH_BYTES = 64 << 20, /* of them, about */
    TXN_BYTES = 4 << 20     /* about; a transaction has room for 32 MiB */
};

enum decision { DECIDE_ADD, DECIDE_SAME, DECIDE_KEEP };

/* One person of the batch. */
struct item {
    struct import *import;
    struct person *from, *ours, *after;
    enum decision *decisions; /* beside from->facts */
    struct loop_work work;    /* keys of a plain password */
    struct scram_keys keys[SCRAM_HASHES];
    bool derived, right; /* keys were made; the password is that of our keys */
};

struct import {
    const struct import_options *o;
    struct import_result *result;
    struct move_why why;
    struct item items[BATCH];
    size_t count;
    struct person *held; /* read, and for the next batch */
    size_t due;          /* commits and derivations */
    enum error error;
    bool at_end;
};

static void wait_due(struct import *m)
{
    if (m->due)
        loop_run(m->o->stores->loop);
}

static void is_done(struct import *m)
{
    if (--m->due == 0)
        loop_stop(m->o->stores->loop);
}

/* --- reading --- */

/* What is not asked for goes. */
static void filter(const struct import *m, struct person *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++) {
        struct fact *f = &p->facts[i];
        if (m->o->kinds >> f->kind & 1) {
            p->facts[kept++] = *f;
        } else {
            free(f->key);
            stanza_unref(f->xml);
        }
    }
    p->count = kept;
    if (p->password && !(m->o->kinds >> PERSON_SCRAM & 1)) {
        mem_wipe(p->password, strlen(p->password));
        free(p->password);
        p->password = NULL;
    }
}

static bool in_batch(const struct import *m, const struct person *p)
{
    for (size_t i = 0; i < m->count; i++)
        if (jid_eq(m->items[i].from->jid, p->jid))
            return true;
    return false;
}

static enum error fill(struct import *m)
{
    size_t bytes = 0;
    m->count = 0;
    while (m->count < BATCH && bytes < BATCH_BYTES && !m->at_end) {
        struct person *p = m->held;
        m->held = NULL;
        enum error e = p ? ERR_OK : m->o->source->ops->next(m->o->source, &p);
        if (e != ERR_OK)
            return e;
        if (!p) {
            m->at_end = true;
            break;
        }
        if (m->o->only && !jid_eq(p->jid, m->o->only)) {
            person_destroy(p);
            continue;
        }
        if (in_batch(m, p)) { /* met again: what it had first must be stored by then */
            m->held = p;
            break;
        }
        filter(m, p);
        if (person_sort(p))
            move_remark(m->o->source->notes,
                        "%s has things more than once; of each the last one counts", p->jid->text);
        bytes += p->bytes;
        m->items[m->count++] = (struct item){.import = m, .from = p};
    }
    return ERR_OK;
}

/* What the store has of the batch, sorted; into `ours` or `after`. */
static enum error load(struct import *m, bool after)
{
    struct person_reads reads = {.stores = m->o->stores};
    for (size_t i = 0; i < m->count; i++) {
        struct person *p = person_create(jid_ref(m->items[i].from->jid));
        if (after)
            m->items[i].after = p;
        else
            m->items[i].ours = p;
        person_load(&reads, p);
    }
    enum error e = person_loaded(&reads);
    for (size_t i = 0; i < m->count; i++)
        (void)person_sort(after ? m->items[i].after : m->items[i].ours);
    return e == ERR_OK ? e
                       : move_fail(m->why, e, "cannot read our own database: %s", error_text(e));
}

/* --- passwords --- */

static void run_keys(struct loop_work *work)
{
    struct item *it = MEM_CONTAINER(work, struct item, work);
    const struct fact *known = person_first(it->ours, PERSON_SCRAM);
    struct str password = str_of(it->from->password);
    struct scram_keys keys;
    if (known && facts_scram(known, &keys))
        it->right = scram_verify_password(&keys, password);
    if (!it->right)
        it->derived = accounts_derive_salted(password, it->keys);
    mem_wipe(&keys, sizeof keys);
}

static void keys_made(struct loop_work *work)
{
    struct item *it = MEM_CONTAINER(work, struct item, work);
    is_done(it->import);
}

/* The facts of an account's keys. */
static void add_keys(struct import *m, struct item *it)
{
    struct person *p = it->from;
    if (it->right) { /* our own keys say the same */
        for (size_t i = 0; i < it->ours->count; i++)
            if (it->ours->facts[i].kind == PERSON_SCRAM)
                person_add(p, PERSON_SCRAM, str_of(it->ours->facts[i].key),
                           stanza_ref(it->ours->facts[i].xml));
    } else if (it->derived) {
        for (int i = 0; i < SCRAM_HASHES; i++)
            facts_add_scram(p, &it->keys[i]);
    } else {
        move_leave_out(m->o->source->notes, p->jid->text,
                       "the password is empty or has characters that passwords may not have (RFC "
                       "8265); give the account another one with `jackdaw user passwd`");
    }
    mem_wipe(it->keys, sizeof it->keys);
    (void)person_sort(p);
}

static void make_keys(struct import *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct item *it = &m->items[i];
        if (!it->from->password || m->o->dry_run)
            continue;
        accounts_salt(m->o->stores->random, m->o->iterations, it->keys);
        it->work = (struct loop_work){run_keys, keys_made, NULL};
        m->due++;
        loop_work(m->o->stores->loop, &it->work);
    }
    wait_due(m);
    for (size_t i = 0; i < m->count; i++)
        if (m->items[i].from->password && !m->o->dry_run)
            add_keys(m, &m->items[i]);
}

/* --- deciding --- */

/* An account exists for delivery, too, and both know since when. */
static void settle(struct import *m, struct item *it)
{
    struct person *p = it->from;
    const struct fact *account = person_find(p, PERSON_ACCOUNT, STR("")),
                      *ours = person_find(it->ours, PERSON_ACCOUNT, STR("")),
                      *active = person_find(it->ours, PERSON_ACTIVE, STR(""));
    if (!account)
        return;
    int64_t created = facts_time(account, STR("created"));
    if (created < 0) {
        created = ours ? facts_time(ours, STR("created")) : loop_wall(m->o->stores->loop) / 1000;
        facts_add_account(p, created, facts_disabled(account));
    }
    if (!person_find(p, PERSON_ACTIVE, STR("")) && m->o->kinds >> PERSON_ACTIVE & 1)
        facts_add_active(p, active ? facts_time(active, STR("since")) : created);
    (void)person_sort(p);
}

static bool secret(enum person_kind kind)
{
    return kind == PERSON_SCRAM || kind == PERSON_STORED_PASSWORD;
}

/* The contact may see the presence already: nothing is left to ask for. */
static bool answered(const struct import *m, const struct item *it, const char *contact)
{
    const struct fact *f =
        m->o->force ? NULL : person_find(it->ours, PERSON_ROSTER, str_of(contact));
    struct roster_row row = {0};
    if (!f)
        f = person_find(it->from, PERSON_ROSTER, str_of(contact));
    if (f)
        (void)facts_roster(f, &row, NULL, 0);
    return row.from;
}

static enum decision decide(const struct import *m, const struct item *it, const struct fact *f)
{
    const struct fact *o = person_find(it->ours, f->kind, str_of(f->key));
    if (o && person_same(o, f))
        return DECIDE_SAME;
    if ((f->kind == PERSON_ACTIVE && o) || (f->kind == PERSON_REQUEST && answered(m, it, f->key)))
        return DECIDE_KEEP;
    if (m->o->force)
        return DECIDE_ADD;
    /* All keys of an account belong to one password. */
    bool has = secret(f->kind) ? person_first(it->ours, PERSON_SCRAM) ||
                                     person_first(it->ours, PERSON_STORED_PASSWORD)
                               : o != NULL;
    return has ? DECIDE_KEEP : DECIDE_ADD;
}

static void decide_all(struct import *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct item *it = &m->items[i];
        settle(m, it);
        it->decisions = mem_alloc_array(it->from->count + 1, sizeof *it->decisions);
        for (size_t k = 0; k < it->from->count; k++) {
            const struct fact *f = &it->from->facts[k];
            struct import_kind *kind = &m->result->kinds[f->kind];
            it->decisions[k] = decide(m, it, f);
            person_tally(&kind->read, it->from, f);
            kind->added += it->decisions[k] == DECIDE_ADD;
            kind->same += it->decisions[k] == DECIDE_SAME;
            kind->kept += it->decisions[k] == DECIDE_KEEP;
        }
    }
}

/* --- writing --- */

static void on_committed(void *arg, enum error e, const struct store_rows *rows)
{
    struct import *m = arg;
    (void)rows;
    if (e != ERR_OK && m->error == ERR_OK)
        m->error = e;
    is_done(m);
}

static void commit(struct import *m, struct store_txn *t)
{
    m->due++;
    store_commit(t, on_committed, m);
}

/* The person whose facts win: theirs with `force`, else what is here already, which `ours` has. */
static void write_person(struct import *m, struct item *it, bool account)
{
    const struct person_stores *stores = m->o->stores;
    struct store *s = account ? stores->accounts : stores->users;
    struct person *have = m->o->force ? NULL : it->ours;
    uint64_t version = (uint64_t)loop_wall(stores->loop);
    struct store_txn *t = NULL;
    size_t bytes = 0;
    bool replaces = false;
    for (size_t k = 0; k < it->from->count; k++)
        replaces = replaces || (secret(it->from->facts[k].kind) && m->o->force &&
                                it->decisions[k] == DECIDE_ADD);
    for (size_t k = 0; k < it->from->count; k++) {
        const struct fact *f = &it->from->facts[k];
        bool again = replaces && person_kind_of_account(f->kind);
        if (person_kind_of_account(f->kind) != account ||
            (it->decisions[k] != DECIDE_ADD && !again))
            continue;
        if (!t)
            t = store_begin(s);
        if (account && replaces && !bytes && person_first(it->ours, PERSON_ACCOUNT))
            accounts_delete(t, jid_local(it->from->jid), jid_domain(it->from->jid));
        if (f->kind == PERSON_QUEUE && person_find(it->ours, PERSON_QUEUE, str_of(f->key)))
            queue_delete(t, jid_full(it->from->jid), facts_id(f));
        person_write(t, it->from, have, f, version);
        bytes += stanza_size(f->xml);
        if (bytes > TXN_BYTES && !account) {
            commit(m, t);
            t = NULL;
            bytes = 0;
        }
    }
    if (t)
        commit(m, t);
}

static enum error write_all(struct import *m)
{
    for (int account = 0; account < 2 && m->error == ERR_OK; account++) {
        for (size_t i = 0; i < m->count; i++)
            write_person(m, &m->items[i], account != 0);
        wait_due(m);
    }
    return m->error == ERR_OK ? ERR_OK
                              : move_fail(m->why, m->error, "cannot write to our database: %s",
                                          error_text(m->error));
}

/* --- comparing --- */

static enum error compare(struct import *m, const struct item *it)
{
    for (size_t k = 0; k < it->from->count; k++) {
        const struct fact *f = &it->from->facts[k],
                          *is = person_find(it->after, f->kind, str_of(f->key));
        if (it->decisions[k] == DECIDE_KEEP)
            continue;
        if (!is)
            return move_fail(m->why, ERR_STORE, "%s of %s was written and is not there",
                             person_kind_names[f->kind], it->from->jid->text);
        person_tally(&m->result->kinds[f->kind].stored, it->after, is);
        if (!person_same(is, f))
            return move_fail(m->why, ERR_STORE,
                             "%s of %s is not what was read, key \"%.100s\"; this is a defect of "
                             "jackdaw: please report it",
                             person_kind_names[f->kind], it->from->jid->text, f->key);
    }
    return ERR_OK;
}

static void forget_batch(struct import *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct item *it = &m->items[i];
        person_destroy(it->from);
        person_destroy(it->ours);
        person_destroy(it->after);
        free(it->decisions);
    }
    m->count = 0;
}

static enum error run_batch(struct import *m)
{
    enum error e = load(m, false);
    if (e == ERR_OK) {
        make_keys(m);
        decide_all(m);
    }
    if (e == ERR_OK && !m->o->dry_run)
        e = write_all(m);
    if (e == ERR_OK && !m->o->dry_run)
        e = load(m, true);
    for (size_t i = 0; e == ERR_OK && !m->o->dry_run && i < m->count; i++)
        e = compare(m, &m->items[i]);
    m->result->persons += m->count;
    return e;
}

enum error import_run(const struct import_options *o, struct import_result *ret,
                      struct move_why why)
{
    struct import *m = MEM_NEW(struct import);
    enum error e = ERR_OK;
    m->o = o;
    m->result = ret;
    m->why = why;
    while (e == ERR_OK && !m->at_end) {
        e = fill(m);
        if (e == ERR_OK && m->count)
            e = run_batch(m);
        forget_batch(m);
        if (o->progress)
            o->progress(o->arg, o->source->done, o->source->total);
    }
    person_destroy(m->held);
    free(m);
    return e;
}
