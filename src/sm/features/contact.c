/* Contact addresses (XEP-0157): a form in the server's disco#info, from the setting server.contact
 * ("abuse:mailto:..."). */
#include "sm/sm.h"
#include "xmpp/namespaces.h"

/* Section 3.1: how a kind is called in the setting, and its field. */
static const struct kind {
    struct str name, field;
} kinds[] = {
    {STR("abuse"), STR("abuse-addresses")},       {STR("admin"), STR("admin-addresses")},
    {STR("feedback"), STR("feedback-addresses")}, {STR("sales"), STR("sales-addresses")},
    {STR("security"), STR("security-addresses")}, {STR("status"), STR("status-addresses")},
    {STR("support"), STR("support-addresses")},
};

/* The address when `text` is one of that kind. */
static struct str address_of(const char *text, struct str name)
{
    struct str s = str_of(text);
    if (s.len <= name.len + 1 || !str_starts(s, name) || s.data[name.len] != ':')
        return STR_NULL;
    return (struct str){s.data + name.len + 1, s.len - name.len - 1};
}

static void add_field(struct builder *b, struct str var, const char *type)
{
    builder_start(b, STR("field"), STR_NULL);
    builder_attr(b, STR("var"), var);
    builder_attr(b, STR("type"), str_of(type));
}

static void add_kind(struct builder *b, const struct config_list *contact, const struct kind *kind)
{
    bool open = false;
    for (size_t i = 0; i < contact->count; i++) {
        struct str address = address_of(contact->items[i], kind->name);
        if (!address.data)
            continue;
        if (!open)
            add_field(b, kind->field, "list-multi");
        open = true;
        builder_leaf(b, STR("value"), STR_NULL, address);
    }
    if (open)
        builder_end(b);
}

static void extend(struct sm *sm, struct str domain, struct builder *b)
{
    const struct config_list *contact = &config_for(sm->c->env->config, domain)->domain_contact;
    if (!contact->count)
        return;
    builder_start(b, STR("x"), NS_DATA);
    builder_attr(b, STR("type"), STR("result"));
    add_field(b, STR("FORM_TYPE"), "hidden");
    builder_leaf(b, STR("value"), STR_NULL, NS_SERVER_INFO);
    builder_end(b);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        add_kind(b, contact, &kinds[i]);
    builder_end(b);
}

const struct feature contact_feature = {
    .name = "contact",
    .extend = extend,
};
