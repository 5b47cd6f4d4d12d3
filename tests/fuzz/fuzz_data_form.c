/* Data forms: whatever a stranger submits, checking and reading it stays within it, and what is
 * accepted keeps the table's promises. */
#include <stdint.h>
#include <stdlib.h>

#include "base/random.h"
#include "xml/parser.h"
#include "xmpp/data_form.h"
#include "xmpp/jid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct data_option options[] = {{"A", "a"}, {"B", "b"}, {NULL, NULL}};
static const struct data_field fields[] = {
    {.type = DATA_JID_SINGLE, .required = true, .var = "who"},
    {.type = DATA_JID_MULTI, .var = "others"},
    {.type = DATA_BOOLEAN, .var = "sure"},
    {.type = DATA_LIST_MULTI, .var = "list", .options = options},
    {.type = DATA_TEXT_MULTI, .var = "text"},
    {.var = NULL}};

static void must(bool condition)
{
    if (!condition)
        abort();
}

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct parser_limits limits = {1 << 20, 0, 1000, 1000, 1000, 100000};
    struct random *random = random_create_seeded(1);
    struct parser_pool *pool = parser_pool_create(random);
    enum parser_status status;
    struct stanza *s =
        parser_document(pool, (struct str){(const char *)data, size}, &limits, &status);
    for (stanza_el el = 0; s && el < stanza_count(s) && el < 100; el++)
        check(s, el);
    stanza_unref(s);
    parser_pool_destroy(pool);
    random_destroy(random);
    return 0;
}
