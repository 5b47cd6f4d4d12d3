/* A message to a domain goes to its administrators (server.admins), as jabberd2 had it: the address
 * a user in need tries first. The subject tells who wrote. It counts as handled when every
 * administrator has it, or it waits for them on the disk. */
#include "base/buffer.h"
#include "config/admin_entry.h"
#include "sm/admin.h"
#include "sm/send.h"

#define MAX_SUBJECT 4096u

/* A person's words, not an error, a headline or a machine's note. */
static bool for_people(const struct packet *p)
{
    const struct stanza *s = p->stanza;
    struct str type = send_type(s);
    return jid_is_bare(p->to) && p->from->local_len &&
           stanza_child(s, STANZA_ROOT, STR("body"), stanza_ns(s, STANZA_ROOT)) != STANZA_NONE &&
           (!type.data || str_is(type, "normal") || str_is(type, "chat"));
}

static struct stanza *forwarded(const struct packet *p)
{
    const struct stanza *s = p->stanza;
    struct str ns = stanza_ns(s, STANZA_ROOT);
    stanza_el subject = stanza_child(s, STANZA_ROOT, STR("subject"), ns);
    stanza_el body = stanza_child(s, STANZA_ROOT, STR("body"), ns);
    struct buffer text;
    buffer_init(&text, MAX_SUBJECT);
    buffer_printf(&text, "Fwd[%.*s]: ", STR_ARG(jid_full(p->from)));
    if (subject != STANZA_NONE)
        buffer_add_str(&text, stanza_text(s, subject)); /* or nothing, when it is too long */
    struct builder *b = builder_create(STR("message"), ns);
    builder_leaf(b, STR("subject"), STR_NULL, buffer_str(&text));
    builder_leaf(b, STR("body"), STR_NULL, stanza_text(s, body));
    buffer_finish(&text);
    return builder_finish(b);
}

static enum path_result at_domain_message(struct path_event *e)
{
    const struct packet *p = e->packet;
    const struct config_list *admins = &e->sm->c->env->config->server_admins;
    struct stanza *message = NULL;
    if (!for_people(p))
        return PATH_PASS;
    for (size_t i = 0; i < admins->count; i++) {
        struct str domains;
        struct jid *admin = admin_entry_read(str_of(admins->items[i]), &domains);
        if (admin && admin_configured(e->sm, jid_full(admin), jid_domain(p->to))) {
            message = message ? message : forwarded(p);
            send_route_promised(e->sm, message, p->to, admin, p->promise);
        }
        jid_unref(admin);
    }
    if (!message)
        return PATH_PASS; /* nobody to help */
    stanza_unref(message);
    fate_obeyed(e->sm, e->packet);
    return PATH_DONE;
}

const struct feature help_feature = {
    .name = "help",
    .at = {[PATH_DOMAIN_MESSAGE] = at_domain_message},
};
