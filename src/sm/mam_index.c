/* Mam index: see mam_index.h. */
#include "sm/mam_index.h"

#include <stdlib.h>
#include "base/mem.h"
#include "sm/stored.h"
#include "xmpp/words.h"

/* Messages indexed in one transaction: words are cut here, correspondents the database copies. */
static const uint32_t steps[MAM_INDEXES] = {[MAM_INDEX_WORDS] = 200, [MAM_INDEX_WITH] = 5000};
/* Of one message; PostgreSQL's tsvector takes twice as much. */
#define MAX_TEXT 524288u

struct indexing {
    struct user *user; /* held */
    enum mam_index index;
    mam_indexed_fn fn;
    void *arg;
    uint64_t upto; /* indexed so far */
    bool last;     /* there is nothing behind the step under way */
};

static void begin(struct indexing *in);

static void end(struct indexing *in, enum error e)
{
    struct user *user = in->user;
    bool closing = user->sm->closing;
    in->fn(in->arg, e);
    free(in);
    if (!closing)
        user_release(user);
}

/* EXISTS: another query has done it meanwhile. */
static void on_added(void *arg, enum error e, const struct store_rows *rows)
{
    struct indexing *in = arg;
    if (e == ERR_EXISTS || (!e && !in->last))
        begin(in);
    else
        end(in, e);
}

static void add_body(struct store_txn *t, const struct user *user, uint64_t id, struct str xml)
{
    struct stanza *s = stored_parse(user->sm->c->env->parsers, xml);
    if (!s)
        return;
    stanza_el body = stanza_child(s, STANZA_ROOT, STR("body"), stanza_ns(s, STANZA_ROOT));
    struct buffer words;
    buffer_init(&words, MAX_TEXT);
    words_cut(body == STANZA_NONE ? STR("") : stanza_text(s, body), SIZE_MAX, &words);
    if (buffer_len(&words))
        mam_index_add(t, jid_full(user->jid), id, buffer_str(&words));
    buffer_finish(&words);
    stanza_unref(s);
}

/* Of words: rows of mam_page; of correspondents: those of mam_sizes. Ids stand first in both. */
static void on_rows(void *arg, enum error e, const struct store_rows *rows)
{
    struct indexing *in = arg;
    size_t count = e ? 0 : store_rows_count(rows);
    if (e || !count) {
        end(in, e);
        return;
    }
    uint64_t last = (uint64_t)store_int(rows, count - 1, 0);
    struct str owner = jid_full(in->user->jid);
    struct store_txn *t =
        mam_index_advance(store_begin(in->user->sm->store), in->index, owner, in->upto, last);
    if (in->index == MAM_INDEX_WITH)
        mam_index_add_with(t, owner, in->upto, last);
    for (size_t i = 0; i < count && in->index == MAM_INDEX_WORDS; i++)
        add_body(t, in->user, (uint64_t)store_int(rows, i, 0), store_text(rows, i, 2));
    in->last = count < steps[in->index];
    store_commit(t, on_added, in);
}

static void on_upto(void *arg, enum error e, const struct store_rows *rows)
{
    struct indexing *in = arg;
    struct store *store = in->user->sm->store;
    struct str owner = jid_full(in->user->jid);
    if (e) {
        end(in, e);
        return;
    }
    in->upto = store_rows_count(rows) ? (uint64_t)store_int(rows, 0, in->index) : 0;
    struct mam_range range = {.after = in->upto, .before = INT64_MAX};
    if (in->index == MAM_INDEX_WITH)
        mam_sizes(store, owner, in->upto, steps[in->index], on_rows, in);
    else
        mam_page(store, owner, &range, steps[in->index], on_rows, in);
}

static void begin(struct indexing *in)
{
    mam_index_upto(in->user->sm->store, jid_full(in->user->jid), on_upto, in);
}

void mam_index_update(struct user *user, enum mam_index index, mam_indexed_fn fn, void *arg)
{
    struct indexing *in = MEM_NEW(struct indexing);
    in->user = user;
    in->index = index;
    in->fn = fn;
    in->arg = arg;
    user_hold(user);
    begin(in);
}
