/* Contact addresses (XEP-0157): a form in the server's disco#info, from the setting server.contact
 * ("abuse:mailto:..."). */
#include "base/mem.h"
#include "sm/sm.h"
#include "xmpp/namespaces.h"

/* The kinds of section 3.1. */
static const struct str kinds[] = {STR("abuse"),    STR("admin"),  STR("feedback"), STR("sales"),
                                   STR("security"), STR("status"), STR("support")};

/* The address when `text` is one of that kind. */
static struct str address_of(const char *text, struct str kind)
{
    struct str s = str_of(text);
    if (s.len <= kind.len + 1 || !str_starts(s, kind) || s.data[kind.len] != ':')
        return STR_NULL;
    return (struct str){s.data + kind.len + 1, s.len - kind.len - 1};
}

static void add_field(struct builder *b, struct str var, const char *type)
{
    builder_start(b, STR("field"), STR_NULL);
    builder_attr(b, STR("var"), var);
    builder_attr(b, STR("type"), str_of(type));
}

static void add_kind(struct builder *b, const struct config_list *contact, struct str kind)
{
    bool open = false;
    for (size_t i = 0; i < contact->count; i++) {
        struct str address = address_of(contact->items[i], kind);
        if (!address.data)
            continue;
        if (!open) {
            char var[32];
            memcpy(var, kind.data, kind.len);
            memcpy(var + kind.len, "-addresses", 10);
            add_field(b, (struct str){var, kind.len + 10}, "list-multi");
            open = true;
        }
        builder_leaf(b, STR("value"), STR_NULL, address);
    }
    if (open)
        builder_end(b);
}

static void extend(struct sm *sm, struct builder *b)
{
    const struct config_list *contact = &sm->c->env->config->server_contact;
    if (!contact->count)
        return;
    builder_start(b, STR("x"), NS_DATA);
    builder_attr(b, STR("type"), STR("result"));
    add_field(b, STR("FORM_TYPE"), "hidden");
    builder_leaf(b, STR("value"), STR_NULL, NS_SERVER_INFO);
    builder_end(b);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        add_kind(b, contact, kinds[i]);
    builder_end(b);
}

const struct feature contact_feature = {
    .name = "contact",
    .extend = extend,
};
