/* Vacation (`http://jabber.org/protocol/vacation`, a protocol of jabberd2): a time and a text that
 * everybody who writes then gets once.
 *
 *   <iq type='set'><query xmlns='http://jabber.org/protocol/vacation'>
 *     <start>2026-07-01T00:00:00Z</start><end>2026-07-14T00:00:00Z</end><message>...</message>
 *   </query></iq>
 *
 * Without start it begins now, without end it lasts until it is taken back, by an empty query. The
 * answer bears a mark, <vacation/> of the same namespace, so that no other server's vacation (nor
 * ours) answers it. Who has been answered is kept with the settings, so that a restart repeats
 * nothing. */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/iq.h"
#include "sm/send.h"
#include "store/users.h"
#include "xmpp/datetime.h"
#include "xmpp/namespaces.h"

#define MAX_MESSAGE  8192u  /* bytes */
#define MAX_ANSWERED 10000u /* people in one vacation */

/* --- settings --- */

static void add_time(struct builder *b, struct str name, int64_t seconds)
{
    char text[DATETIME_LEN];
    datetime_write(seconds, text);
    builder_leaf(b, name, STR_NULL, (struct str){text, sizeof text});
}

static void on_row(void *arg, enum error e, const struct store_rows *rows)
{
    enum { START, END, MESSAGE };
    struct iq *iq = arg;
    if (e) {
        iq_finish(iq, send_condition(e));
        return;
    }
    struct builder *b = iq_result_open(iq);
    builder_start(b, STR("query"), NS_VACATION);
    if (store_rows_count(rows)) {
        add_time(b, STR("start"), store_int(rows, 0, START));
        if (store_int(rows, 0, END) < DATETIME_MAX)
            add_time(b, STR("end"), store_int(rows, 0, END));
        builder_leaf(b, STR("message"), STR_NULL, store_text(rows, 0, MESSAGE));
    }
    builder_end(b);
    iq_result_send(iq, b);
    iq_finish(iq, STANZA_ERR_NONE);
}

static enum stanza_condition on_get(struct iq *iq)
{
    if (!iq->owner)
        return STANZA_ERR_FORBIDDEN; /* also when there is no such account */
    struct iq *taken = iq_take(iq);
    vacation_get(taken->sm->store, jid_full(taken->user->jid), on_row, taken);
    return STANZA_ERR_NONE;
}

/* The time in a child, or what it is without one. */
static bool read_time(const struct iq *iq, struct str name, int64_t otherwise, int64_t *ret)
{
    const struct stanza *s = iq->packet->stanza;
    stanza_el el = stanza_child(s, iq->payload, name, NS_VACATION);
    *ret = otherwise;
    return el == STANZA_NONE || (datetime_parse(stanza_text(s, el), ret) && *ret >= 0);
}

/* A set under way. */
struct saving {
    struct iq *iq;
    int64_t start, end;
};

static void on_saved(void *arg, enum error e, const struct store_rows *rows)
{
    struct saving *saving = arg;
    if (!e) {
        saving->iq->user->vacation_start = saving->start;
        saving->iq->user->vacation_end = saving->end;
        iq_result(saving->iq);
    }
    iq_finish(saving->iq, e ? send_condition(e) : STANZA_ERR_NONE);
    free(saving);
}

static void save(struct iq *iq, const struct vacation_row *row)
{
    struct saving *saving = MEM_NEW(struct saving);
    struct str owner = jid_full(iq->user->jid);
    struct store_txn *t = store_begin(iq->sm->store);
    t = row->end ? vacation_set(t, owner, row) : vacation_delete(t, owner);
    saving->start = row->start;
    saving->end = row->end;
    saving->iq = iq_take(iq);
    store_commit(t, on_saved, saving);
}

static enum stanza_condition on_set(struct iq *iq)
{
    const struct stanza *s = iq->packet->stanza;
    struct vacation_row row = {.end = 0};
    if (!iq->owner)
        return STANZA_ERR_FORBIDDEN;
    if (stanza_first(s, iq->payload) != STANZA_NONE) {
        stanza_el message = stanza_child(s, iq->payload, STR("message"), NS_VACATION);
        row.message = message == STANZA_NONE ? STR_NULL : stanza_text(s, message);
        if (!row.message.len ||
            !read_time(iq, STR("start"), loop_wall(iq->sm->loop) / 1000, &row.start) ||
            !read_time(iq, STR("end"), DATETIME_MAX, &row.end) || row.end <= row.start)
            return STANZA_ERR_BAD_REQUEST;
        if (row.message.len > MAX_MESSAGE)
            return STANZA_ERR_NOT_ACCEPTABLE;
    }
    save(iq, &row);
    return STANZA_ERR_NONE;
}

/* --- answers --- */

/* One on its way: first it is written down, then the text is read. */
struct answer {
    struct user *user; /* held */
    struct jid *to;
    struct str type; /* of the message; of static life */
};

static void answer_end(struct answer *answer)
{
    user_release(answer->user);
    jid_unref(answer->to);
    free(answer);
}

static void on_text(void *arg, enum error e, const struct store_rows *rows)
{
    enum { MESSAGE = 2 };
    struct answer *answer = arg;
    struct user *user = answer->user;
    if (!e && store_rows_count(rows) && user->active) {
        struct builder *b = builder_create(STR("message"), NS_CLIENT);
        builder_attr(b, STR("type"), answer->type);
        builder_leaf(b, STR("body"), STR_NULL, store_text(rows, 0, MESSAGE));
        builder_leaf(b, STR("vacation"), NS_VACATION, STR_NULL);
        struct stanza *s = builder_finish(b);
        send_route(user->sm, s, user->jid, answer->to);
        stanza_unref(s);
    }
    answer_end(answer);
}

static void on_noted(void *arg, enum error e, const struct store_rows *rows)
{
    struct answer *answer = arg;
    struct user *user = answer->user;
    if (e) /* most often EXISTS: answered already */
        answer_end(answer);
    else
        vacation_get(user->sm->store, jid_full(user->jid), on_text, answer);
}

/* What machines send, or what was written at another time: nobody waits for an answer to it. */
static bool automatic(const struct stanza *s)
{
    static const struct str *const marks[] = {&NS_VACATION, &NS_DELAY, &NS_ADDRESS, &NS_MUC_USER};
    for (stanza_el el = stanza_first(s, STANZA_ROOT); el != STANZA_NONE; el = stanza_next(s, el))
        for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
            if (str_eq(stanza_ns(s, el), *marks[i]))
                return true;
    return false;
}

static bool on_vacation(const struct user *user)
{
    int64_t now = loop_wall(user->sm->loop) / 1000;
    return user->vacation_end && user->vacation_start <= now && now < user->vacation_end;
}

/* A person wrote: a chat or normal message with a text, from an account other than the user's. */
static bool worth_an_answer(const struct user *user, const struct packet *p)
{
    const struct stanza *s = p->stanza;
    struct str type = send_type(s);
    stanza_el body = stanza_child(s, STANZA_ROOT, STR("body"), stanza_ns(s, STANZA_ROOT));
    return send_kind_of(s) == SEND_MESSAGE && body != STANZA_NONE && !str_is(type, "error") &&
           !str_is(type, "groupchat") && !str_is(type, "headline") && p->from->local_len &&
           !jid_eq_bare(p->from, user->jid) && !automatic(s);
}

static enum path_result at_from_router(struct path_event *e)
{
    struct user *user = e->user;
    if (!user->vacation_end || !on_vacation(user) || !worth_an_answer(user, e->packet))
        return PATH_PASS;
    struct answer *answer = MEM_NEW(struct answer);
    answer->user = user;
    answer->to = jid_to_bare(e->packet->from);
    answer->type = str_is(send_type(e->packet->stanza), "chat") ? STR("chat") : STR("normal");
    user_hold(user);
    struct store_txn *t = store_begin(e->sm->store);
    t = vacation_answer(t, jid_full(user->jid), jid_full(answer->to), MAX_ANSWERED);
    store_commit(t, on_noted, answer);
    return PATH_PASS;
}

static const struct iq_handler iqs[] = {{&NS_VACATION, "query", IQ_TO_ACCOUNT | IQ_GET, on_get},
                                        {&NS_VACATION, "query", IQ_TO_ACCOUNT | IQ_SET, on_set},
                                        {NULL, NULL, 0, NULL}};
static const struct str *const features[] = {&NS_VACATION, NULL};

const struct feature vacation_feature = {
    .name = "vacation",
    .at = {[PATH_FROM_ROUTER] = at_from_router},
    .iqs = iqs,
    .server_features = features,
    .account_features = features,
};
