/* Data forms (XEP-0004): reading what somebody submitted, checking it against a table of fields,
 * and building forms and results from the same table. FORM_TYPE as XEP-0068 has it. */
#ifndef JACKDAW_XMPP_DATA_FORM_H
#define JACKDAW_XMPP_DATA_FORM_H

#include "xml/builder.h"
#include "xml/stanza.h"

#define DATA_FORM_MAX_FIELDS 100u  /* fields of one submitted form */
#define DATA_FORM_MAX_VALUES 1000u /* values of one field */

/* Section 3.3 */
enum data_type {
    DATA_BOOLEAN,
    DATA_FIXED,
    DATA_HIDDEN,
    DATA_JID_MULTI,
    DATA_JID_SINGLE,
    DATA_LIST_MULTI,
    DATA_LIST_SINGLE,
    DATA_TEXT_MULTI,
    DATA_TEXT_PRIVATE,
    DATA_TEXT_SINGLE,
    DATA_TYPES
};

struct data_option {
    const char *label, *value;
};

struct data_field {
    enum data_type type;
    bool required;
    const char *var, *label;
    const struct data_option *options; /* of a list; ends with value == NULL; NULL: anything goes */
};

/* --- reading: a view into a stanza that must outlive it --- */
struct data_form {
    const struct stanza *stanza;
    stanza_el x;
};

/* The first form below an element; false when there is none. */
bool data_form_find(const struct stanza *s, stanza_el parent, struct data_form *ret);
/* The type attribute: "submit". */
struct str data_form_type(const struct data_form *form);
/* The first value of a field; data == NULL when the field or its value is absent. */
struct str data_form_value(const struct data_form *form, const char *var);
/* Value number i of a field; data == NULL behind the last. */
struct str data_form_value_at(const struct data_form *form, const char *var, size_t i);
size_t data_form_count(const struct data_form *form, const char *var); /* values of a field */
bool data_form_true(const struct data_form *form, const char *var);    /* "1" or "true" */
/* All values, one a line; free() it. NULL when there is none. */
char *data_form_text(const struct data_form *form, const char *var);

/* Does the form hold what the table (it ends with var == NULL) asks for: every required field, one
 * value where one is allowed, values of their type, no field twice, and no FORM_TYPE but this one
 * (data == NULL: any)? NULL when it does; else a sentence for whoever filled it in, written to
 * `why`. */
const char *data_form_check(const struct data_form *form, const struct data_field *fields,
                            struct str form_type, char *why, size_t why_size);

/* --- building --- */
/* Opens <x/>: type "form" or "result"; title, instructions and form_type may be absent. */
void data_form_open(struct builder *b, const char *type, const char *title,
                    const char *instructions, struct str form_type);
/* Adds one field. In a form with label, options and <required/>, in a result (`bare`) without. A
 * text of several lines becomes several values when the type is text-multi. */
void data_form_add(struct builder *b, const struct data_field *field, bool bare,
                   const struct str *values, size_t count);
/* A field of a result with one value, and with the decimal text of a number. */
void data_form_add_text(struct builder *b, const struct data_field *field, struct str value);
void data_form_add_number(struct builder *b, const struct data_field *field, uint64_t value);
void data_form_close(struct builder *b);

#endif
