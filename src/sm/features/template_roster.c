/* Template roster (sm.template_roster): contacts that every new account finds in its roster, as the
 * configuration names them, "JID=NAME". Ordinary items: not subscribed, and the user's from then
 * on. */
#include "sm/change.h"

static void add(struct user *user, struct str entry)
{
    struct str address;
    str_split(&entry, '=', &address);
    struct jid *jid = jid_parse(address);
    if (jid && !jid_eq(jid, user->jid) && !roster_find(&user->roster, jid_full(jid))) {
        struct change *c = change_begin(user, jid);
        struct roster_item *item = roster_put(&user->roster, jid);
        item->own = true;
        roster_set_hidden(&user->roster, item, false);
        roster_item_set_name(item, entry);
        item->version = change_version(user);
        change_push(c);
        change_commit(c);
    }
    jid_unref(jid);
}

static enum path_result at_user_new(struct path_event *e)
{
    const struct config_list *list = &e->sm->c->env->config->sm_template_roster;
    for (size_t i = 0; i < list->count; i++)
        add(e->user, str_of(list->items[i]));
    return PATH_PASS;
}

const struct feature template_roster_feature = {
    .name = "template_roster",
    .at = {[PATH_USER_NEW] = at_user_new},
};
