/* Data forms: whatever a stranger submits, checking and reading it stays within it, and what is
 * accepted keeps the table's promises. */
#include "fuzz_document.h"
#include "xmpp/data_form.h"
#include "xmpp/jid.h"

static const struct data_option options[] = {{"A", "a"}, {"B", "b"}, {NULL, NULL}};
static const struct data_field fields[] = {
    {.type = DATA_JID_SINGLE, .required = true, .var = "who"},
    {.type = DATA_JID_MULTI, .var = "others"},
    {.type = DATA_BOOLEAN, .var = "sure"},
    {.type = DATA_LIST_MULTI, .var = "list", .options = options},
    {.type = DATA_TEXT_MULTI, .var = "text"},
    {.var = NULL}};

static void check_accepted(const struct data_form *form)
{
    struct jid *who = jid_parse(data_form_value(form, "who"));
    must(who != NULL && data_form_count(form, "who") == 1);
    jid_unref(who);
    must(data_form_count(form, "sure") <= 1);
    for (size_t i = 0; i < data_form_count(form, "list"); i++) {
        struct str value = data_form_value_at(form, "list", i);
        must(str_is(value, "a") || str_is(value, "b"));
    }
}

static void check(const struct stanza *s, stanza_el el)
{
    struct data_form form;
    char why[64];
    if (!data_form_find(s, el, &form))
        return;
    if (!data_form_check(&form, fields, STR("t"), why, sizeof why))
        check_accepted(&form);
    for (const struct data_field *f = fields; f->var; f++) {
        char *text = data_form_text(&form, f->var);
        must((text != NULL) == (data_form_count(&form, f->var) > 0));
        free(text);
    }
}
