/* Rows that are carried as they are: what 2.7.0 added to jabberd2's tables. Each is an element
 * named after its table, with an attribute for each column. */
#include "move/facts.h"

#include <stdio.h>

#include "xml/builder.h"
#include "xmpp/namespaces.h"

struct field {
    const char *name;
    struct str value; /* data == NULL: none */
};

static bool add_row(struct person *p, enum person_kind kind, struct str key,
                    const struct field *fields, size_t count)
{
    struct builder *b = builder_create(str_of(person_kind_names[kind]), NS_JACKDAW_PIE);
    for (size_t i = 0; i < count; i++)
        builder_attr(b, str_of(fields[i].name), fields[i].value);
    return person_add(p, kind, key, builder_finish(b));
}

struct number {
    char text[24];
};

static struct str number(int64_t n, struct number *room)
{
    return (struct str){room->text,
                        (size_t)snprintf(room->text, sizeof room->text, "%lld", (long long)n)};
}

static int64_t number_of(const struct fact *f, const char *name)
{
    struct str text = facts_attr(f, name);
    bool negative = text.len && *text.data == '-';
    uint64_t n = 0;
    if (negative)
        text = (struct str){text.data + 1, text.len - 1};
    (void)str_to_u64(text, INT64_MAX, &n);
    return negative ? -(int64_t)n : (int64_t)n;
}

bool facts_add_status(struct person *p, const struct status_row *row)
{
    struct number login, logout;
    const struct field fields[] = {{"status", row->status},
                                   {"show", row->show},
                                   {"last-login", number(row->login, &login)},
                                   {"last-logout", number(row->logout, &logout)},
                                   {"xml", row->xml}};
    return add_row(p, PERSON_STATUS, STR(""), fields, sizeof fields / sizeof *fields);
}

void facts_status(const struct fact *f, struct status_row *ret)
{
    *ret = (struct status_row){.status = facts_attr(f, "status"),
                               .show = facts_attr(f, "show"),
                               .login = number_of(f, "last-login"),
                               .logout = number_of(f, "last-logout"),
                               .xml = facts_attr(f, "xml")};
}

bool facts_add_verify(struct person *p, const struct verify_row *row)
{
    struct number state;
    const struct field fields[] = {
        {"email", row->email}, {"code", row->code}, {"state", number(row->state, &state)}};
    return add_row(p, PERSON_VERIFY, row->email, fields, sizeof fields / sizeof *fields);
}

void facts_verify(const struct fact *f, struct verify_row *ret)
{
    *ret = (struct verify_row){.email = facts_attr(f, "email"),
                               .code = facts_attr(f, "code"),
                               .state = number_of(f, "state")};
}

bool facts_add_published(struct person *p, const struct published_row *row)
{
    struct buffer key;
    struct number ask;
    const struct field fields[] = {{"jid", row->jid},
                                   {"group", row->group},
                                   {"name", row->name},
                                   {"to", row->to ? STR("1") : STR("0")},
                                   {"from", row->from ? STR("1") : STR("0")},
                                   {"ask", number(row->ask, &ask)}};
    buffer_init(&key, 1u << 16);
    bool fits = buffer_printf(&key, "%.*s\n%.*s", STR_ARG(row->jid), STR_ARG(row->group));
    bool ok = fits && add_row(p, PERSON_PUBLISHED, buffer_str(&key), fields,
                              sizeof fields / sizeof *fields);
    buffer_finish(&key);
    return ok;
}

void facts_published(const struct fact *f, struct published_row *ret)
{
    *ret = (struct published_row){.jid = facts_attr(f, "jid"),
                                  .group = facts_attr(f, "group"),
                                  .name = facts_attr(f, "name"),
                                  .to = number_of(f, "to") != 0,
                                  .from = number_of(f, "from") != 0,
                                  .ask = (int)number_of(f, "ask")};
}

bool facts_add_published_group(struct person *p, struct str name)
{
    const struct field fields[] = {{"groupname", name}};
    return add_row(p, PERSON_PUBLISHED_GROUP, name, fields, 1);
}
