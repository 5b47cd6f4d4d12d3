/* Reading a query to an archive: see mam_query.h. */
#include "xmpp/mam_query.h"

#include "xmpp/datetime.h"
#include "xmpp/namespaces.h"

#define FULLTEXT "{urn:xmpp:fulltext:0}fulltext" /* XEP-0431 section 4.1 */

enum { WITH, START, END, BEFORE_ID, AFTER_ID, IDS, GROUPCHAT, WORDS, FIELDS };

static const struct data_field fields[FIELDS + 1] = {
    [WITH] = {.type = DATA_JID_SINGLE, .var = "with"},
    [START] = {.type = DATA_TEXT_SINGLE, .var = "start"},
    [END] = {.type = DATA_TEXT_SINGLE, .var = "end"},
    [BEFORE_ID] = {.type = DATA_TEXT_SINGLE, .var = "before-id"},
    [AFTER_ID] = {.type = DATA_TEXT_SINGLE, .var = "after-id"},
    [IDS] = {.type = DATA_LIST_MULTI, .var = "ids"},
    [GROUPCHAT] = {.type = DATA_BOOLEAN, .var = "include-groupchat"},
    [WORDS] = {.type = DATA_TEXT_SINGLE, .var = FULLTEXT},
    [FIELDS] = {.var = NULL},
};

static bool known(struct str var)
{
    for (size_t i = 0; i < FIELDS; i++)
        if (str_is(var, fields[i].var))
            return true;
    return str_is(var, "FORM_TYPE");
}

/* Section 4.1.5: "If a client includes a form field that the server does not recognise" */
static bool all_known(const struct data_form *form)
{
    const struct stanza *s = form->stanza;
    for (stanza_el el = stanza_first(s, form->x); el != STANZA_NONE; el = stanza_next(s, el))
        if (stanza_is(s, el, STR("field"), NS_DATA) && !known(stanza_attr(s, el, STR("var"))))
            return false;
    return true;
}

/* A digit that is not 0 behind the seconds' point. */
static bool has_fraction(struct str time)
{
    size_t i = 0;
    while (i < time.len && time.data[i] != '.')
        i++;
    for (i++; i < time.len && time.data[i] >= '0' && time.data[i] <= '9'; i++)
        if (time.data[i] != '0')
            return true;
    return false;
}

/* Section 4.1.2. The times that we give are whole seconds: what begins within one begins with the
 * next. */
static bool read_times(struct mam_query *q)
{
    struct str start = data_form_value(&q->form, fields[START].var);
    struct str end = data_form_value(&q->form, fields[END].var);
    q->start = INT64_MIN;
    q->end = INT64_MAX;
    if ((start.len && !datetime_parse(start, &q->start)) ||
        (end.len && !datetime_parse(end, &q->end)))
        return false;
    if (start.len && has_fraction(start))
        q->start++;
    return true;
}

static enum stanza_condition read_form(struct mam_query *q)
{
    char why[128];
    const struct data_form *form = &q->form;
    if (!str_is(data_form_type(form), "submit"))
        return STANZA_ERR_BAD_REQUEST;
    if (!all_known(form))
        return STANZA_ERR_FEATURE_NOT_IMPLEMENTED;
    if (!data_form_value(form, "FORM_TYPE").data ||
        data_form_check(form, fields, NS_MAM, why, sizeof why) || !read_times(q))
        return STANZA_ERR_BAD_REQUEST;
    q->has_ids = data_form_value(form, fields[IDS].var).data != NULL;
    q->id_count = data_form_count(form, fields[IDS].var);
    if (q->id_count > MAM_QUERY_MAX_IDS)
        return STANZA_ERR_RESOURCE_CONSTRAINT;
    q->after_id = data_form_value(form, fields[AFTER_ID].var);
    q->before_id = data_form_value(form, fields[BEFORE_ID].var);
    struct str words = data_form_value(form, fields[WORDS].var);
    q->words = words.len ? words : STR_NULL;
    struct str with = data_form_value(form, fields[WITH].var);
    if (with.len)
        q->with = jid_parse(with); /* data_form_check has seen that it is one */
    return STANZA_ERR_NONE;
}

/* XEP-0413 section 4.3 and 4.4. A message in an archive is never overwritten by another one, so the
 * time of its last change is that of its making (section 3), and what stands behind the first order
 * decides nothing. */
static enum stanza_condition read_order(const struct stanza *s, stanza_el query,
                                        struct mam_query *q)
{
    bool first = true;
    for (stanza_el el = stanza_first(s, query); el != STANZA_NONE; el = stanza_next(s, el)) {
        if (!stanza_is(s, el, STR("order"), NS_ORDER_BY))
            continue;
        struct str by = stanza_attr(s, el, STR("by")), desc = stanza_attr(s, el, STR("desc"));
        if (!by.data)
            return STANZA_ERR_BAD_REQUEST;
        if (!str_is(by, "creation") && !str_is(by, "modification"))
            return STANZA_ERR_FEATURE_NOT_IMPLEMENTED;
        if (first)
            q->desc = str_is(desc, "true") || str_is(desc, "1");
        first = false;
    }
    return STANZA_ERR_NONE;
}

enum stanza_condition mam_query_read(const struct stanza *s, stanza_el query, struct mam_query *ret)
{
    enum stanza_condition condition = STANZA_ERR_NONE;
    *ret = (struct mam_query){.start = INT64_MIN, .end = INT64_MAX};
    if (!rsm_read(s, query, &ret->rsm))
        return STANZA_ERR_BAD_REQUEST;
    if (ret->rsm.index) /* XEP-0059 section 2.6 */
        return STANZA_ERR_FEATURE_NOT_IMPLEMENTED;
    ret->queryid = stanza_attr(s, query, STR("queryid"));
    ret->flip = stanza_child(s, query, STR("flip-page"), NS_MAM) != STANZA_NONE;
    if (data_form_find(s, query, &ret->form))
        condition = read_form(ret);
    if (!condition)
        condition = read_order(s, query, ret);
    if (condition)
        mam_query_finish(ret);
    return condition;
}

struct str mam_query_id(const struct mam_query *q, size_t i)
{
    return data_form_value_at(&q->form, fields[IDS].var, i);
}

void mam_query_finish(struct mam_query *q)
{
    jid_unref(q->with);
    q->with = NULL;
}

void mam_query_write_form(struct builder *b)
{
    data_form_open(b, "form", NULL, NULL, NS_MAM);
    for (size_t i = 0; i < FIELDS; i++) {
        if (i != IDS) {
            data_form_add(b, &fields[i], false, NULL, 0);
            continue;
        }
        /* Any value will do (XEP-0122 section 3.2.1). */
        builder_start(b, STR("field"), NS_DATA);
        builder_attr(b, STR("type"), STR("list-multi"));
        builder_attr(b, STR("var"), str_of(fields[i].var));
        builder_start(b, STR("validate"), NS_VALIDATE);
        builder_attr(b, STR("datatype"), STR("xs:string"));
        builder_start(b, STR("open"), STR_NULL);
        builder_end(b);
        builder_end(b);
        builder_end(b);
    }
    data_form_close(b);
}
