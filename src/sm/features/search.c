/* User search (XEP-0055) of a domain, over its users' vCards: by fields or by a data form. For the
 * domain's own users alone, so that nobody harvests the directory from outside; whoever writes
 * <CLASS><PRIVATE/></CLASS> into the vCard is not in it (features/vcard.c). A field matches what
 * begins like it, whatever the case; a search without any finds nothing. */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/disco.h"
#include "sm/iq.h"
#include "sm/send.h"
#include "store/users.h"
#include "xmpp/data_form.h"
#include "xmpp/namespaces.h"
#include "xmpp/precis.h"

enum { FN, FIRST, LAST, NICK, EMAIL, FIELDS };

/* In the order of vcard_find's columns. Without a form there is no full name. */
static const struct data_field fields[FIELDS] = {
    [FN] = {.type = DATA_TEXT_SINGLE, .var = "x-fn", .label = "Full Name"},
    [FIRST] = {.type = DATA_TEXT_SINGLE, .var = "first", .label = "Given Name"},
    [LAST] = {.type = DATA_TEXT_SINGLE, .var = "last", .label = "Family Name"},
    [NICK] = {.type = DATA_TEXT_SINGLE, .var = "nick", .label = "Nickname"},
    [EMAIL] = {.type = DATA_TEXT_SINGLE, .var = "email", .label = "Email Address"},
};
static const struct data_field jid_field = {
    .type = DATA_JID_SINGLE, .var = "jid", .label = "Jabber ID"};

#define INSTRUCTIONS "Fill in the beginning of one or more fields to search for users."

static bool offered(const struct iq *iq)
{
    return iq->sm->c->env->config->sm_search;
}

/* Ours, and of this domain. */
static bool member(const struct iq *iq)
{
    return iq->session && str_eq(jid_domain(iq->packet->from), jid_domain(iq->packet->to));
}

/* Section 2.1 */
static enum stanza_condition on_get(struct iq *iq)
{
    if (!offered(iq))
        return STANZA_ERR_SERVICE_UNAVAILABLE;
    if (!member(iq))
        return STANZA_ERR_FORBIDDEN;
    struct builder *b = iq_result_open(iq);
    builder_start(b, STR("query"), NS_SEARCH);
    builder_leaf(b, STR("instructions"), STR_NULL, STR(INSTRUCTIONS));
    for (int i = FIRST; i < FIELDS; i++)
        builder_leaf(b, str_of(fields[i].var), STR_NULL, STR_NULL);
    data_form_open(b, "form", "User search", INSTRUCTIONS, NS_SEARCH);
    for (int i = 0; i < FIELDS; i++)
        data_form_add(b, &fields[i], false, NULL, 0);
    data_form_close(b);
    builder_end(b);
    iq_result_send(iq, b);
    return STANZA_ERR_NONE;
}

/* --- results --- */

struct searching {
    struct iq *iq;
    struct user *user; /* who searches; held */
    bool form;
};

static void add_items(struct builder *b, const struct store_rows *rows)
{
    for (size_t row = 0; row < store_rows_count(rows); row++) {
        builder_start(b, STR("item"), STR_NULL);
        builder_attr(b, STR("jid"), store_text(rows, row, 0));
        for (unsigned i = FIRST; i < FIELDS; i++)
            builder_leaf(b, str_of(fields[i].var), STR_NULL, store_text(rows, row, i + 1));
        builder_end(b);
    }
}

/* Section 3, XEP-0004 section 3.4 */
static void add_form(struct builder *b, const struct store_rows *rows)
{
    data_form_open(b, "result", NULL, NULL, NS_SEARCH);
    builder_start(b, STR("reported"), STR_NULL);
    data_form_add(b, &jid_field, true, NULL, 0);
    for (int i = 0; i < FIELDS; i++)
        data_form_add(b, &fields[i], true, NULL, 0);
    builder_end(b);
    for (size_t row = 0; row < store_rows_count(rows); row++) {
        builder_start(b, STR("item"), STR_NULL);
        data_form_add_text(b, &jid_field, store_text(rows, row, 0));
        for (unsigned i = 0; i < FIELDS; i++)
            data_form_add_text(b, &fields[i], store_text(rows, row, i + 1));
        builder_end(b);
    }
    data_form_close(b);
}

static void answer(struct iq *iq, bool form, const struct store_rows *rows)
{
    struct builder *b = iq_result_open(iq);
    builder_start(b, STR("query"), NS_SEARCH);
    if (form)
        add_form(b, rows);
    else
        add_items(b, rows);
    builder_end(b);
    iq_result_send(iq, b);
}

static void on_found(void *arg, enum error e, const struct store_rows *rows)
{
    struct searching *searching = arg;
    searching->user->searching = false;
    if (!e)
        answer(searching->iq, searching->form, rows);
    iq_finish(searching->iq, e ? send_condition(e) : STANZA_ERR_NONE);
    user_release(searching->user);
    free(searching);
}

/* --- what is searched for --- */

struct words {
    char text[FIELDS][1024];
    size_t len[FIELDS];
};

/* What ejabberd's users write behind a beginning is no part of it. */
static struct str without_star(struct str s)
{
    while (s.len && (s.data[s.len - 1] == '*' || s.data[s.len - 1] == ' '))
        s.len--;
    return s;
}

static struct str asked_for(const struct iq *iq, const struct data_form *form, int field)
{
    const struct stanza *s = iq->packet->stanza;
    if (form)
        return data_form_value(form, fields[field].var);
    stanza_el el = stanza_child(s, iq->payload, str_of(fields[field].var), NS_SEARCH);
    return el == STANZA_NONE ? STR_NULL : stanza_text(s, el);
}

/* False when there is nothing to search for, or something that nobody can be called. */
static bool read_words(const struct iq *iq, const struct data_form *form, struct words *words)
{
    bool any = false;
    for (int i = 0; i < FIELDS; i++) {
        struct str word = without_star(asked_for(iq, form, i));
        words->len[i] = 0;
        if (word.len && !precis_fold(word, words->text[i], &words->len[i]))
            return false;
        any = any || word.len;
    }
    return any;
}

static struct str word(const struct words *words, int i)
{
    return (struct str){words->text[i], words->len[i]};
}

static enum stanza_condition search(struct iq *iq, const struct data_form *form)
{
    struct words words;
    struct user *user = iq->session->user;
    if (!read_words(iq, form, &words)) {
        answer(iq, form != NULL, NULL); /* section 2.1: nobody */
        return STANZA_ERR_NONE;
    }
    struct vcard_search what = {word(&words, FN), word(&words, FIRST), word(&words, LAST),
                                word(&words, NICK), word(&words, EMAIL)};
    struct searching *searching = MEM_NEW(struct searching);
    searching->user = user;
    searching->form = form != NULL;
    searching->iq = iq_take(iq);
    user->searching = true;
    user_hold(user);
    vcard_find(user->sm->store, jid_domain(user->jid), &what,
               (uint32_t)user->sm->c->env->config->sm_search_results, on_found, searching);
    return STANZA_ERR_NONE;
}

static enum stanza_condition on_set(struct iq *iq)
{
    struct data_form form;
    char why[256];
    if (!offered(iq))
        return STANZA_ERR_SERVICE_UNAVAILABLE;
    if (!member(iq))
        return STANZA_ERR_FORBIDDEN;
    if (iq->session->user->searching) /* one look through all of them at a time */
        return STANZA_ERR_RESOURCE_CONSTRAINT;
    if (!data_form_find(iq->packet->stanza, iq->payload, &form))
        return search(iq, NULL);
    struct data_field table[FIELDS + 1] = {{0}};
    memcpy(table, fields, sizeof fields);
    if (!str_is(data_form_type(&form), "submit") ||
        data_form_check(&form, table, NS_SEARCH, why, sizeof why))
        return STANZA_ERR_BAD_REQUEST;
    return search(iq, &form);
}

static void extend(struct sm *sm, struct str domain, struct builder *b)
{
    if (sm->c->env->config->sm_search)
        disco_add_feature(b, NS_SEARCH);
}

static const struct iq_handler iqs[] = {{&NS_SEARCH, "query", IQ_TO_SERVER | IQ_GET, on_get},
                                        {&NS_SEARCH, "query", IQ_TO_SERVER | IQ_SET, on_set},
                                        {NULL, NULL, 0, NULL}};

const struct feature search_feature = {
    .name = "search",
    .iqs = iqs,
    .extend = extend,
};
