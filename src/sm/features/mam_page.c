/* Queries to a user's archive (XEP-0313 sections 4 and 5): pages found by the time-ordered key, so
 * that each costs the same however large the archive; nothing is kept open between them.
 *
 * A session remembers which part of the archive it has been shown: those messages it does not get
 * from the offline queue again (section 6.1.1).
 */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/iq.h"
#include "sm/mam.h"
#include "sm/mam_index.h"
#include "sm/send.h"
#include "sm/stored.h"
#include "store/users.h"
#include "xmpp/datetime.h"
#include "xmpp/mam_query.h"
#include "xmpp/namespaces.h"
#include "xmpp/words.h"

#define MAX_COUNT     100000u /* counted for who asks how many there are (XEP-0059 section 2.7) */
#define MAX_WORDS_LEN 65536u  /* of a search */

/* A query under way. Its reads are answered in order: first those of the ids that it names. */
struct page {
    struct iq *iq;
    struct mam_query query;
    struct mam_range range;
    uint64_t *ids; /* asked for one by one, ascending */
    size_t id_count, id_next;
    uint32_t limit;
    uint32_t late;             /* user->mam_late, when it was asked */
    bool missing;              /* an id that is not there: section 4.1.3, 4.3.2 */
    uint64_t ids_asked;        /* of them in the range, also those that do not fit on the page */
    struct mam_id first, last; /* of what was sent; time 0: nothing */
};

static void page_end(struct page *page, enum stanza_condition condition)
{
    mam_query_finish(&page->query);
    iq_finish(page->iq, condition);
    free(page->ids);
    free(page);
}

/* Who asked has gone, or gets an error. */
static void page_give_up(struct page *page, enum error e)
{
    enum stanza_condition missing = page->missing ? STANZA_ERR_ITEM_NOT_FOUND : STANZA_ERR_NONE;
    page_end(page, e ? send_condition(e) : missing);
}

/* --- one result: section 4.2 --- */

static void send_result(const struct page *page, struct session *session, struct mam_id id,
                        struct str xml)
{
    char text[MAM_ID_LEN], stamp[DATETIME_LEN];
    const struct user *user = page->iq->user;
    struct stanza *s = stored_parse(page->iq->sm->c->env->parsers, xml);
    if (!s) {
        log_error(&page->iq->sm->c->log, "a message in the archive of %s cannot be read any more",
                  user->jid->text);
        return;
    }
    mam_id_write(id, text);
    datetime_write((int64_t)(id.time / MAM_SECOND), stamp);
    struct builder *b = builder_create(STR("message"), NS_CLIENT);
    builder_start(b, STR("result"), NS_MAM);
    builder_attr(b, STR("queryid"), page->query.queryid);
    builder_attr(b, STR("id"), (struct str){text, sizeof text});
    builder_start(b, STR("forwarded"), NS_FORWARD);
    builder_start(b, STR("delay"), NS_DELAY);
    builder_attr(b, STR("stamp"), (struct str){stamp, sizeof stamp});
    builder_end(b);
    builder_copy(b, s, STANZA_ROOT);
    struct stanza *result = builder_finish(b);
    send_session(session, result, user->jid, session->jid);
    stanza_unref(result);
    stanza_unref(s);
}

/* --- the end: section 4 --- */

/* Is its first message the first of all that the query is for? */
static bool from_start(const struct page *page, bool complete)
{
    const struct rsm_request *rsm = &page->query.rsm;
    return !rsm->after.data && (complete || !rsm->before.data);
}

static void finish(struct page *page, bool complete, uint64_t count)
{
    char first[MAM_ID_LEN], last[MAM_ID_LEN];
    struct str texts[2] = {STR_NULL, STR_NULL};
    if (page->first.time) {
        mam_id_write(page->first, first);
        mam_id_write(page->last, last);
        texts[0] = (struct str){first, sizeof first};
        texts[1] = (struct str){last, sizeof last};
    }
    struct builder *b = iq_result_open(page->iq);
    builder_start(b, STR("fin"), NS_MAM);
    if (complete)
        builder_attr(b, STR("complete"), STR("true"));
    rsm_write(b, texts[0], texts[1], from_start(page, complete), count);
    builder_end(b);
    iq_result_send(page->iq, b);
    page_end(page, STANZA_ERR_NONE);
}

/* Is the page all that the session may miss between its ends? Then it joins what it has seen. */
static void note_seen(const struct page *page, struct session *s)
{
    uint64_t from = page->first.time, upto = page->last.time;
    if (!from || page->range.with.data || page->query.words.data || page->late != s->user->mam_late)
        return;
    if (from > upto) { /* XEP-0413: descending */
        from = page->last.time;
        upto = page->first.time;
    }
    bool behind =
        !page->range.back && page->range.after >= s->seen_from && page->range.after <= s->seen_upto;
    bool before = page->range.back && page->range.before >= s->seen_from &&
                  page->range.before <= s->seen_upto;
    bool over = from <= s->seen_upto && upto >= s->seen_from;
    if (!behind && !before && !over) {
        s->seen_from = from;
        s->seen_upto = upto;
        return;
    }
    s->seen_from = from < s->seen_from ? from : s->seen_from;
    s->seen_upto = upto > s->seen_upto ? upto : s->seen_upto;
}

bool mam_has_seen(const struct session *session, const struct stanza *s)
{
    struct str from = stanza_attr(s, STANZA_ROOT, STR("from"));
    if (!session->seen_upto)
        return false;
    uint64_t time = mam_id_of(session->user, from, s).time;
    return time && time >= session->seen_from && time <= session->seen_upto;
}

void mam_unsee(struct user *user, uint64_t time)
{
    user->mam_late++;
    for (struct session *s = user->sessions; s; s = s->next)
        if (time >= s->seen_from && time <= s->seen_upto)
            s->seen_from = time + 1;
}

/* --- a page --- */

/* Rows come in the order of the range; they are sent in that of the query, or flipped. */
static void send_rows(struct page *page, struct session *session, const struct store_rows *rows,
                      size_t count)
{
    bool turned = page->range.back != page->query.desc;
    bool backwards = turned != page->query.flip;
    for (size_t i = 0; i < count; i++) {
        size_t row = backwards ? count - 1 - i : i;
        send_result(page, session, mam_id_of_row(rows, row), store_text(rows, row, 2));
    }
    if (!count)
        return;
    page->first = mam_id_of_row(rows, turned ? count - 1 : 0);
    page->last = mam_id_of_row(rows, turned ? 0 : count - 1);
    note_seen(page, session);
}

static void on_rows(void *arg, enum error e, const struct store_rows *rows)
{
    struct page *page = arg;
    struct session *session = iq_session(page->iq);
    if (e || page->missing || !session) {
        page_give_up(page, e);
        return;
    }
    size_t found = store_rows_count(rows), count = found > page->limit ? page->limit : found;
    const struct rsm_request *rsm = &page->query.rsm;
    bool complete = found == count, whole = complete && !rsm->after.data && !rsm->before.len;
    send_rows(page, session, rows, count);
    finish(page, complete, whole ? count : RSM_NO_COUNT);
}

/* XEP-0059 section 2.7: `max` is 0. */
static void on_count(void *arg, enum error e, const struct store_rows *rows)
{
    struct page *page = arg;
    if (e || page->missing) {
        page_give_up(page, e);
        return;
    }
    uint64_t count = (uint64_t)store_int(rows, 0, 0);
    finish(page, count == 0, count);
}

/* --- single messages: section 4.1.3 --- */

static void next_single(struct page *page);

static bool is_with(const struct page *page, const struct store_rows *rows)
{
    enum { WITH = 3, RESOURCE };
    const struct mam_range *range = &page->range;
    return !range->with.data ||
           (str_eq(store_text(rows, 0, WITH), range->with) &&
            (!range->resource.len || str_eq(store_text(rows, 0, RESOURCE), range->resource)));
}

static void on_single(void *arg, enum error e, const struct store_rows *rows)
{
    struct page *page = arg;
    struct session *session = iq_session(page->iq);
    if (e || page->missing || !session) {
        page_give_up(page, e);
        return;
    }
    if (store_rows_count(rows) && is_with(page, rows)) {
        struct mam_id id = mam_id_of_row(rows, 0);
        send_result(page, session, id, store_text(rows, 0, 2));
        if (!page->first.time || page->query.flip)
            page->first = id;
        if (!page->last.time || !page->query.flip)
            page->last = id;
    }
    page->id_next++;
    next_single(page);
}

/* XEP-0059 section 2.7: who asks for none wants to know how many there are. */
static void finish_ids(struct page *page)
{
    finish(page, page->id_count == page->ids_asked,
           page->query.rsm.max ? RSM_NO_COUNT : page->ids_asked);
}

/* There is none to read; whether those that were asked for are there is known now. */
static void on_no_ids(void *arg, enum error e, const struct store_rows *rows)
{
    struct page *page = arg;
    if (e || page->missing)
        page_give_up(page, e);
    else
        finish_ids(page);
}

static void next_single(struct page *page)
{
    size_t i = page->id_next;
    if (i >= page->id_count) {
        finish_ids(page);
        return;
    }
    if (page->query.desc != page->query.flip)
        i = page->id_count - 1 - i;
    mam_get(page->iq->sm->store, jid_full(page->iq->user->jid), page->ids[i], on_single, page);
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Those of the ids that are in the range, each once; no more than a page of them. */
static void choose_ids(struct page *page)
{
    size_t count = 0;
    qsort(page->ids, page->id_count, sizeof *page->ids, compare);
    for (size_t i = 0; i < page->id_count; i++)
        if (page->ids[i] > page->range.after && page->ids[i] < page->range.before &&
            (!count || page->ids[count - 1] != page->ids[i]))
            page->ids[count++] = page->ids[i];
    page->ids_asked = count;
    page->id_count = count < page->limit ? count : page->limit;
    if (page->range.back)
        memmove(page->ids, page->ids + count - page->id_count, page->id_count * sizeof *page->ids);
}

/* --- the ids that a query names have to be there: sections 4.1.3 and 4.3.2 --- */

struct check {
    struct page *page;
    struct mam_id id;
};

/* For an end of a page an id will do that a former life has handed out and not written any more: it
 * says itself where that is. */
static void on_checked(void *arg, enum error e, const struct store_rows *rows)
{
    struct check *check = arg;
    const struct page *page = check->page;
    bool there = !e && store_rows_count(rows) && mam_id_of_row(rows, 0).mark == check->id.mark;
    if (!there && (e || page->query.has_ids || !mam_former_knows(page->iq->sm, check->id)))
        check->page->missing = true;
    free(check);
}

/* False when it cannot be there. */
static bool check_id(struct page *page, struct str text, uint64_t *ret_time)
{
    struct check check = {.page = page};
    if (!mam_id_read(text, &check.id))
        return false;
    *ret_time = check.id.time;
    struct check *waiting = MEM_NEW(struct check);
    *waiting = check;
    mam_get(page->iq->sm->store, jid_full(page->iq->user->jid), check.id.time, on_checked, waiting);
    return true;
}

static void raise(uint64_t *bound, uint64_t to)
{
    *bound = to > *bound ? to : *bound;
}

static void lower(uint64_t *bound, uint64_t to)
{
    *bound = to < *bound ? to : *bound;
}

/* "after" and "before" in the order of the answer. */
static bool bound_by_ids(struct page *page)
{
    const struct mam_query *q = &page->query;
    uint64_t time;
    if (q->after_id.data) {
        if (!check_id(page, q->after_id, &time))
            return false;
        raise(&page->range.after, time);
    }
    if (q->before_id.data) {
        if (!check_id(page, q->before_id, &time))
            return false;
        lower(&page->range.before, time);
    }
    struct str end = q->rsm.after.data ? q->rsm.after : q->rsm.before;
    if (!end.len)
        return true;
    if (!check_id(page, end, &time))
        return false;
    if ((q->rsm.after.data != NULL) != q->desc)
        raise(&page->range.after, time);
    else
        lower(&page->range.before, time);
    return true;
}

static bool take_ids(struct page *page)
{
    page->ids = mem_alloc_array(page->query.id_count + 1, sizeof *page->ids);
    for (size_t i = 0; i < page->query.id_count; i++)
        if (!check_id(page, mam_query_id(&page->query, i), &page->ids[i]))
            return false;
    page->id_count = page->query.id_count;
    return true;
}

/* --- beginning --- */

static void set_range(struct page *page)
{
    const struct mam_query *q = &page->query;
    const int64_t last = DATETIME_MAX;
    page->range.before = INT64_MAX;
    if (q->start > 0)
        page->range.after = (uint64_t)(q->start > last ? last : q->start) * MAM_SECOND - 1;
    if (q->end < last) /* the whole of that second */
        page->range.before = q->end < 0 ? 0 : (uint64_t)(q->end + 1) * MAM_SECOND;
    page->range.back = (q->rsm.before.data != NULL) != q->desc;
    if (!q->with)
        return;
    page->range.with = jid_bare(q->with);
    page->range.resource = jid_is_bare(q->with) ? STR_NULL : jid_resource(q->with);
}

/* XEP-0431 */
static void search(struct page *page)
{
    struct store *store = page->iq->sm->store;
    struct str owner = jid_full(page->iq->user->jid);
    struct buffer words;
    buffer_init(&words, MAX_WORDS_LEN);
    words_cut(page->query.words, MAM_INDEX_MAX_WORDS, &words);
    if (!buffer_len(&words)) /* nothing has no words */
        page->range.before = 0;
    if (page->query.rsm.max)
        mam_search(store, owner, &page->range, buffer_str(&words), page->limit + 1, on_rows, page);
    else
        mam_search_count(store, owner, &page->range, buffer_str(&words), MAX_COUNT, on_count, page);
    buffer_finish(&words);
}

static void read_range(struct page *page)
{
    struct store *store = page->iq->sm->store;
    struct str owner = jid_full(page->iq->user->jid);
    if (page->query.rsm.max)
        mam_page(store, owner, &page->range, page->limit + 1, on_rows, page);
    else
        mam_count(store, owner, &page->range, MAX_COUNT, on_count, page);
}

static void on_indexed(void *arg, enum error e)
{
    struct page *page = arg;
    if (e || page->missing)
        page_give_up(page, e);
    else if (page->query.words.data)
        search(page);
    else
        read_range(page);
}

static void begin(struct page *page)
{
    struct user *user = page->iq->user;
    set_range(page);
    page->missing = !bound_by_ids(page) || (page->query.has_ids && !take_ids(page));
    if (page->query.has_ids && page->id_count)
        choose_ids(page);
    if (page->query.has_ids && page->id_count)
        next_single(page);
    else if (page->query.has_ids)
        mam_get(user->sm->store, jid_full(user->jid), 0, on_no_ids, page);
    else if (page->query.words.data)
        mam_index_update(user, MAM_INDEX_WORDS, on_indexed, page);
    else if (page->range.with.data)
        mam_index_update(user, MAM_INDEX_WITH, on_indexed, page);
    else
        read_range(page);
}

/* Nobody but the account itself, and from a session that the results can go to. The archives of
 * nodes (XEP-0313 section 6.1.3, XEP-0442) are others than the account's, and it has none. */
static enum stanza_condition may_ask(const struct iq *iq)
{
    if (!iq->owner || !iq->session)
        return STANZA_ERR_FORBIDDEN; /* also when there is no such account */
    if (stanza_attr(iq->packet->stanza, iq->payload, STR("node")).data)
        return STANZA_ERR_ITEM_NOT_FOUND;
    return mam_enabled(iq->sm) ? STANZA_ERR_NONE : STANZA_ERR_SERVICE_UNAVAILABLE;
}

static enum stanza_condition on_query(struct iq *iq)
{
    struct mam_query query;
    enum stanza_condition condition = may_ask(iq);
    if (!condition)
        condition = mam_query_read(iq->packet->stanza, iq->payload, &query);
    if (condition)
        return condition;
    struct page *page = MEM_NEW(struct page);
    int64_t limit = iq->sm->c->env->config->archive_max_page;
    page->query = query;
    page->late = iq->user->mam_late;
    page->limit = query.rsm.max < limit ? query.rsm.max : (uint32_t)limit;
    page->iq = iq_take(iq);
    begin(page);
    return STANZA_ERR_NONE;
}

/* Section 4.1.5 */
static enum stanza_condition on_form(struct iq *iq)
{
    enum stanza_condition condition = may_ask(iq);
    if (condition)
        return condition;
    struct builder *b = iq_result_open(iq);
    builder_start(b, STR("query"), NS_MAM);
    mam_query_write_form(b);
    builder_end(b);
    iq_result_send(iq, b);
    return STANZA_ERR_NONE;
}

/* --- metadata: section 5 --- */

static void add_end(struct builder *b, struct str name, struct mam_id id)
{
    char text[MAM_ID_LEN], stamp[DATETIME_LEN];
    if (!id.time)
        return;
    mam_id_write(id, text);
    datetime_write((int64_t)(id.time / MAM_SECOND), stamp);
    builder_start(b, name, STR_NULL);
    builder_attr(b, STR("id"), (struct str){text, sizeof text});
    builder_attr(b, STR("timestamp"), (struct str){stamp, sizeof stamp});
    builder_end(b);
}

static void on_ends(struct user *user, void *arg, enum error e, const struct mam_ends *ends)
{
    struct iq *iq = arg;
    if (!e) {
        struct builder *b = iq_result_open(iq);
        builder_start(b, STR("metadata"), NS_MAM);
        add_end(b, STR("start"), ends->oldest);
        add_end(b, STR("end"), ends->newest);
        builder_end(b);
        iq_result_send(iq, b);
    }
    iq_finish(iq, e ? send_condition(e) : STANZA_ERR_NONE);
}

static enum stanza_condition on_metadata(struct iq *iq)
{
    enum stanza_condition condition = may_ask(iq);
    if (!condition)
        mam_ends(iq->user, on_ends, iq_take(iq));
    return condition;
}

static const struct iq_handler iqs[] = {{&NS_MAM, "query", IQ_TO_ACCOUNT | IQ_SET, on_query},
                                        {&NS_MAM, "query", IQ_TO_ACCOUNT | IQ_GET, on_form},
                                        {&NS_MAM, "metadata", IQ_TO_ACCOUNT | IQ_GET, on_metadata},
                                        {NULL, NULL, 0, NULL}};

const struct feature mam_page_feature = {
    .name = "mam_page",
    .iqs = iqs,
};
