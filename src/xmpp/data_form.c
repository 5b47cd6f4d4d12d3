/* Data forms (XEP-0004). See data_form.h. */
#include "xmpp/data_form.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "xmpp/jid.h"
#include "xmpp/namespaces.h"

static const char *const type_names[DATA_TYPES] = {
    [DATA_BOOLEAN] = "boolean",
    [DATA_FIXED] = "fixed",
    [DATA_HIDDEN] = "hidden",
    [DATA_JID_MULTI] = "jid-multi",
    [DATA_JID_SINGLE] = "jid-single",
    [DATA_LIST_MULTI] = "list-multi",
    [DATA_LIST_SINGLE] = "list-single",
    [DATA_TEXT_MULTI] = "text-multi",
    [DATA_TEXT_PRIVATE] = "text-private",
    [DATA_TEXT_SINGLE] = "text-single",
};

static const struct str form_type_var = STR("FORM_TYPE");

/* --- reading --- */

bool data_form_find(const struct stanza *s, stanza_el parent, struct data_form *ret)
{
    *ret = (struct data_form){s, stanza_child(s, parent, STR("x"), NS_DATA)};
    return ret->x != STANZA_NONE;
}

struct str data_form_type(const struct data_form *form)
{
    return stanza_attr(form->stanza, form->x, STR("type"));
}

static bool is_field(const struct data_form *form, stanza_el el)
{
    return stanza_is(form->stanza, el, STR("field"), NS_DATA);
}

static struct str var_of(const struct data_form *form, stanza_el field)
{
    return stanza_attr(form->stanza, field, STR("var"));
}

static stanza_el find_field(const struct data_form *form, struct str var)
{
    for (stanza_el el = stanza_first(form->stanza, form->x); el != STANZA_NONE;
         el = stanza_next(form->stanza, el))
        if (is_field(form, el) && str_eq(var_of(form, el), var))
            return el;
    return STANZA_NONE;
}

/* The value at or behind `el`; STANZA_NONE when there is none. */
static stanza_el value_from(const struct data_form *form, stanza_el el)
{
    while (el != STANZA_NONE && !stanza_is(form->stanza, el, STR("value"), NS_DATA))
        el = stanza_next(form->stanza, el);
    return el;
}

static stanza_el first_value(const struct data_form *form, stanza_el field)
{
    return field == STANZA_NONE ? STANZA_NONE : value_from(form, stanza_first(form->stanza, field));
}

static stanza_el next_value(const struct data_form *form, stanza_el value)
{
    return value_from(form, stanza_next(form->stanza, value));
}

struct str data_form_value_at(const struct data_form *form, const char *var, size_t i)
{
    stanza_el value = first_value(form, find_field(form, str_of(var)));

    while (value != STANZA_NONE && i-- > 0)
        value = next_value(form, value);
    return value == STANZA_NONE ? STR_NULL : stanza_text(form->stanza, value);
}

struct str data_form_value(const struct data_form *form, const char *var)
{
    return data_form_value_at(form, var, 0);
}

static size_t count_values(const struct data_form *form, stanza_el field)
{
    size_t count = 0;

    for (stanza_el v = first_value(form, field); v != STANZA_NONE; v = next_value(form, v))
        count++;
    return count;
}

size_t data_form_count(const struct data_form *form, const char *var)
{
    return count_values(form, find_field(form, str_of(var)));
}

bool data_form_true(const struct data_form *form, const char *var)
{
    struct str value = data_form_value(form, var);

    return str_is(value, "1") || str_is(value, "true");
}

char *data_form_text(const struct data_form *form, const char *var)
{
    stanza_el field = find_field(form, str_of(var));
    struct buffer text;
    bool first = true;
    char *copy;

    if (first_value(form, field) == STANZA_NONE)
        return NULL;
    buffer_init(&text, stanza_size(form->stanza) + 1);
    for (stanza_el v = first_value(form, field); v != STANZA_NONE; v = next_value(form, v)) {
        if (!first)
            (void)buffer_add_char(&text, '\n');
        (void)buffer_add_str(&text, stanza_text(form->stanza, v));
        first = false;
    }
    copy = str_dup(buffer_str(&text));
    buffer_finish(&text);
    return copy;
}

/* --- checking --- */

static bool is_multi(enum data_type type)
{
    return type == DATA_JID_MULTI || type == DATA_LIST_MULTI || type == DATA_TEXT_MULTI;
}

static bool is_option(const struct data_field *field, struct str value)
{
    for (const struct data_option *o = field->options; o && o->value; o++)
        if (str_is(value, o->value))
            return true;
    return field->options == NULL;
}

static bool is_boolean(struct str value)
{
    return str_is(value, "0") || str_is(value, "1") || str_is(value, "false") ||
           str_is(value, "true");
}

static bool is_jid(struct str value)
{
    struct jid *jid = jid_parse(value);

    jid_unref(jid);
    return jid != NULL;
}

/* Section 3.3: does a value fit the type of its field? */
static bool value_fits(const struct data_field *field, struct str value)
{
    switch (field->type) {
    case DATA_BOOLEAN:
        return is_boolean(value);
    case DATA_JID_MULTI:
    case DATA_JID_SINGLE: /* an empty one is as good as none, unless it is required */
        return is_jid(value) || (!value.len && !field->required);
    case DATA_LIST_MULTI:
    case DATA_LIST_SINGLE:
        return is_option(field, value);
    default:
        return true;
    }
}

static const char *check_field(const struct data_form *form, const struct data_field *field,
                               char *why, size_t size)
{
    stanza_el el = find_field(form, str_of(field->var));
    size_t count = count_values(form, el);
    char *text = why;

    if (field->required && (count == 0 || data_form_value(form, field->var).len == 0))
        snprintf(why, size, "the field '%s' is needed", field->var);
    else if (count > 1 && !is_multi(field->type))
        snprintf(why, size, "the field '%s' takes one value", field->var);
    else if (count > DATA_FORM_MAX_VALUES)
        snprintf(why, size, "the field '%s' takes at most %u values", field->var,
                 DATA_FORM_MAX_VALUES);
    else
        why = NULL;
    for (stanza_el v = first_value(form, el); !why && v != STANZA_NONE; v = next_value(form, v)) {
        if (!value_fits(field, stanza_text(form->stanza, v))) {
            snprintf(text, size, "the field '%s' has a value that is no %s", field->var,
                     type_names[field->type]);
            why = text;
        }
    }
    return why;
}

/* Section 3.2: the var attribute of a field is unique in its form. */
static bool has_duplicates(const struct data_form *form, size_t *ret_fields)
{
    const struct stanza *s = form->stanza;

    *ret_fields = 0;
    for (stanza_el el = stanza_first(s, form->x); el != STANZA_NONE; el = stanza_next(s, el)) {
        if (!is_field(form, el))
            continue;
        if (++*ret_fields > DATA_FORM_MAX_FIELDS)
            return false;
        if (var_of(form, el).data && find_field(form, var_of(form, el)) != el)
            return true;
    }
    return false;
}

const char *data_form_check(const struct data_form *form, const struct data_field *fields,
                            struct str form_type, char *why, size_t size)
{
    struct str said = data_form_value(form, form_type_var.data);
    size_t count;

    if (has_duplicates(form, &count)) {
        snprintf(why, size, "a field stands twice in the form");
        return why;
    }
    if (count > DATA_FORM_MAX_FIELDS) {
        snprintf(why, size, "the form has more than %u fields", DATA_FORM_MAX_FIELDS);
        return why;
    }
    if (form_type.data && said.data && !str_eq(said, form_type)) { /* XEP-0068 section 4.3 */
        snprintf(why, size, "the form is of another FORM_TYPE");
        return why;
    }
    for (; fields->var; fields++)
        if (check_field(form, fields, why, size))
            return why;
    return NULL;
}

/* --- building --- */

void data_form_open(struct builder *b, const char *type, const char *title,
                    const char *instructions, struct str form_type)
{
    static const struct data_field hidden = {.type = DATA_HIDDEN, .var = "FORM_TYPE"};

    builder_start(b, STR("x"), NS_DATA);
    builder_attr(b, STR("type"), str_of(type));
    if (title)
        builder_leaf(b, STR("title"), STR_NULL, str_of(title));
    if (instructions)
        builder_leaf(b, STR("instructions"), STR_NULL, str_of(instructions));
    if (form_type.data)
        data_form_add(b, &hidden, false, &form_type, 1);
}

void data_form_close(struct builder *b)
{
    builder_end(b);
}

static void add_options(struct builder *b, const struct data_option *o)
{
    for (; o && o->value; o++) {
        builder_start(b, STR("option"), STR_NULL);
        builder_attr(b, STR("label"), str_of(o->label));
        builder_leaf(b, STR("value"), STR_NULL, str_of(o->value));
        builder_end(b);
    }
}

/* Section 3.3: text-multi has a value for each line. */
static void add_value(struct builder *b, enum data_type type, struct str value)
{
    struct str line;

    if (type != DATA_TEXT_MULTI || !memchr(value.data, '\n', value.len)) {
        builder_leaf(b, STR("value"), STR_NULL, value);
        return;
    }
    while (str_split(&value, '\n', &line))
        builder_leaf(b, STR("value"), STR_NULL, line);
}

void data_form_add(struct builder *b, const struct data_field *field, bool bare,
                   const struct str *values, size_t count)
{
    builder_start(b, STR("field"), STR_NULL);
    builder_attr(b, STR("var"), str_of(field->var));
    builder_attr(b, STR("type"), str_of(type_names[field->type]));
    builder_attr(b, STR("label"), str_of(field->label));
    for (size_t i = 0; i < count; i++)
        if (values[i].data)
            add_value(b, field->type, values[i]);
    if (!bare)
        add_options(b, field->options);
    if (!bare && field->required)
        builder_leaf(b, STR("required"), STR_NULL, STR(""));
    builder_end(b);
}

void data_form_add_text(struct builder *b, const struct data_field *field, struct str value)
{
    data_form_add(b, field, true, &value, 1);
}

void data_form_add_number(struct builder *b, const struct data_field *field, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    data_form_add_text(b, field, str_of(text));
}
