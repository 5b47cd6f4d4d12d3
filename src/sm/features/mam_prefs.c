/* Archiving preferences (XEP-0441, in XEP-0313's namespace): whose messages a user wants to be
 * kept. They are with the user in memory; the rules ask them there. */
#include <stdlib.h>
#include "base/buffer.h"
#include "base/mem.h"
#include "sm/iq.h"
#include "sm/mam.h"
#include "sm/send.h"
#include "store/users.h"
#include "xmpp/namespaces.h"

#define MAX_JIDS 1000u /* in each list */

static enum stanza_condition may_ask(const struct iq *iq)
{
    if (!iq->owner)
        return STANZA_ERR_FORBIDDEN; /* also when there is no such account */
    return mam_enabled(iq->sm) ? STANZA_ERR_NONE : STANZA_ERR_SERVICE_UNAVAILABLE;
}

static void add_list(struct builder *b, struct str name, const char *jids)
{
    struct str rest = str_of(jids), line;
    builder_start(b, name, STR_NULL);
    while (str_split(&rest, '\n', &line))
        if (line.len)
            builder_leaf(b, STR("jid"), STR_NULL, line);
    builder_end(b);
}

/* Section 2.1: both lists are there, even if empty. */
static void answer(struct iq *iq)
{
    const struct mam_prefs *prefs = iq->user->mam_prefs;
    struct builder *b = iq_result_open(iq);
    builder_start(b, STR("prefs"), NS_MAM);
    builder_attr(b, STR("default"), str_of(mam_default_names[mam_standard(iq->user)]));
    add_list(b, STR("always"), prefs ? prefs->always : "");
    add_list(b, STR("never"), prefs ? prefs->never : "");
    builder_end(b);
    iq_result_send(iq, b);
}

static enum stanza_condition on_get(struct iq *iq)
{
    enum stanza_condition condition = may_ask(iq);
    if (!condition)
        answer(iq);
    return condition;
}

/* --- set --- */

struct saving {
    struct iq *iq;
    enum mam_default standard;
    struct buffer always, never;
};

static enum stanza_condition read_list(const struct iq *iq, struct str name, struct buffer *to)
{
    const struct stanza *s = iq->packet->stanza;
    stanza_el list = stanza_child(s, iq->payload, name, NS_MAM);
    if (list == STANZA_NONE)
        return STANZA_ERR_NONE;
    if (stanza_children(s, list) > MAX_JIDS)
        return STANZA_ERR_RESOURCE_CONSTRAINT;
    for (stanza_el el = stanza_first(s, list); el != STANZA_NONE; el = stanza_next(s, el)) {
        if (!stanza_is(s, el, STR("jid"), NS_MAM))
            continue;
        struct jid *jid = jid_parse(stanza_text(s, el));
        if (!jid)
            return STANZA_ERR_JID_MALFORMED;
        if (buffer_len(to))
            (void)buffer_add_char(to, '\n');
        (void)buffer_add_str(to, jid_full(jid));
        jid_unref(jid);
    }
    return STANZA_ERR_NONE;
}

static void saving_destroy(struct saving *saving)
{
    buffer_finish(&saving->always);
    buffer_finish(&saving->never);
    free(saving);
}

static void on_saved(void *arg, enum error e, const struct store_rows *rows)
{
    struct saving *saving = arg;
    struct iq *iq = saving->iq;
    if (!e) {
        mam_set_user_prefs(iq->user, saving->standard, buffer_str(&saving->always),
                           buffer_str(&saving->never));
        answer(iq);
    }
    iq_finish(iq, e ? send_condition(e) : STANZA_ERR_NONE);
    saving_destroy(saving);
}

static enum stanza_condition read_prefs(const struct iq *iq, struct saving *saving)
{
    struct str standard = stanza_attr(iq->packet->stanza, iq->payload, STR("default"));
    if (!mam_default_read(standard, &saving->standard)) /* section 2.1.1 */
        return STANZA_ERR_BAD_REQUEST;
    enum stanza_condition condition = read_list(iq, STR("always"), &saving->always);
    return condition ? condition : read_list(iq, STR("never"), &saving->never);
}

static enum stanza_condition on_set(struct iq *iq)
{
    enum stanza_condition condition = may_ask(iq);
    if (condition)
        return condition;
    struct saving *saving = MEM_NEW(struct saving);
    buffer_init(&saving->always, MAX_JIDS * 4096u);
    buffer_init(&saving->never, MAX_JIDS * 4096u);
    condition = read_prefs(iq, saving);
    if (condition) {
        saving_destroy(saving);
        return condition;
    }
    struct store_txn *t = store_begin(iq->sm->store);
    t = mam_set_prefs(t, jid_full(iq->user->jid), str_of(mam_default_names[saving->standard]),
                      buffer_str(&saving->always), buffer_str(&saving->never));
    saving->iq = iq_take(iq);
    store_commit(t, on_saved, saving);
    return STANZA_ERR_NONE;
}

static const struct iq_handler iqs[] = {{&NS_MAM, "prefs", IQ_TO_ACCOUNT | IQ_GET, on_get},
                                        {&NS_MAM, "prefs", IQ_TO_ACCOUNT | IQ_SET, on_set},
                                        {NULL, NULL, 0, NULL}};

const struct feature mam_prefs_feature = {
    .name = "mam_prefs",
    .iqs = iqs,
};
