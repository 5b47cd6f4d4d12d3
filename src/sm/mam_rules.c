/* Which messages are kept in the archive: XEP-0313 section 6.1.1, hints (XEP-0334), what the user
 * wants (XEP-0441). */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/deliver.h"
#include "sm/mam.h"
#include "xmpp/namespaces.h"

const char *const mam_default_names[MAM_DEFAULTS] = {
    [MAM_ALWAYS] = "always", [MAM_ROSTER] = "roster", [MAM_NEVER] = "never"};

bool mam_default_read(struct str text, enum mam_default *ret)
{
    for (int i = 0; i < MAM_DEFAULTS; i++)
        if (str_is(text, mam_default_names[i])) {
            *ret = (enum mam_default)i;
            return true;
        }
    return false;
}

void mam_prefs_destroy(struct mam_prefs *prefs)
{
    if (!prefs)
        return;
    free(prefs->always);
    free(prefs->never);
    free(prefs);
}

void mam_set_user_prefs(struct user *user, enum mam_default standard, struct str always,
                        struct str never)
{
    struct mam_prefs *prefs = MEM_NEW(struct mam_prefs);
    prefs->standard = standard;
    prefs->always = str_dup(always);
    prefs->never = str_dup(never);
    mam_prefs_destroy(user->mam_prefs);
    user->mam_prefs = prefs;
}

enum mam_default mam_standard(const struct user *user)
{
    enum mam_default standard = MAM_ALWAYS;
    if (user->mam_prefs)
        return user->mam_prefs->standard;
    (void)mam_default_read(str_of(user->sm->c->env->config->archive_default), &standard);
    return standard;
}

/* XEP-0441 section 2.3: a bare JID in a list means all its resources. */
static bool listed(const char *jids, const struct jid *who)
{
    struct str rest = str_of(jids), line;
    while (str_split(&rest, '\n', &line))
        if (str_eq(line, jid_bare(who)) || str_eq(line, jid_full(who)))
            return true;
    return false;
}

static bool wanted(const struct user *user, const struct jid *with)
{
    const struct mam_prefs *prefs = user->mam_prefs;
    if (prefs && listed(prefs->never, with))
        return false;
    if (prefs && listed(prefs->always, with))
        return true;
    enum mam_default standard = mam_standard(user);
    if (standard != MAM_ROSTER)
        return standard == MAM_ALWAYS;
    const struct roster_item *item = roster_find(&user->roster, jid_bare(with));
    return item && !item->hidden;
}

/* What makes a message worth keeping beside a body: content that clients put elsewhere, and what
 * changes how earlier messages are to be shown. States (typing) do not. */
static const struct {
    const char *name; /* NULL: any */
    const struct str *ns;
} content[] = {
    {"encrypted", NULL}, /* XEP-0384, in any of its namespaces */
    {"openpgp", NULL},   /* XEP-0373 */
    {"received", &NS_DELIVERY_RECEIPTS},
    {NULL, &NS_CHAT_MARKERS},
    {"retract", &NS_RETRACT}, /* section 5: MUST */
    {"x", &NS_CONFERENCE},    /* XEP-0249: an invitation */
};

/* XEP-0045 section 7.8.2: one that the room passes on, or its answer. */
static bool is_invitation(const struct stanza *s, stanza_el el)
{
    return stanza_is(s, el, STR("x"), NS_MUC_USER) &&
           (stanza_child(s, el, STR("invite"), NS_MUC_USER) != STANZA_NONE ||
            stanza_child(s, el, STR("decline"), NS_MUC_USER) != STANZA_NONE);
}

static bool is_content(const struct stanza *s, stanza_el el)
{
    struct str name = stanza_name(s, el), ns = stanza_ns(s, el);
    for (size_t i = 0; i < sizeof content / sizeof *content; i++)
        if ((!content[i].name || str_is(name, content[i].name)) &&
            (!content[i].ns || str_eq(ns, *content[i].ns)))
            return true;
    return is_invitation(s, el);
}

/* XEP-0334: what its sender says outweighs what it looks like. */
static bool worth_keeping(const struct stanza *s)
{
    struct str root = stanza_ns(s, STANZA_ROOT);
    bool keep = false;
    for (stanza_el el = stanza_first(s, STANZA_ROOT); el != STANZA_NONE; el = stanza_next(s, el)) {
        struct str name = stanza_name(s, el), ns = stanza_ns(s, el);
        if (str_eq(ns, NS_HINTS)) {
            if (str_is(name, "no-store") || str_is(name, "no-permanent-store"))
                return false;
            keep = keep || str_is(name, "store");
        } else if (str_eq(ns, root)) {
            keep = keep || str_is(name, "body");
        } else if (!keep) {
            keep = is_content(s, el);
        }
    }
    return keep;
}

bool mam_keeps(const struct user *user, const struct stanza *s, const struct jid *with)
{
    enum deliver_kind kind = deliver_kind_of(s);
    bool right_type = kind == DELIVER_NORMAL || kind == DELIVER_CHAT ||
                      (kind == DELIVER_HEADLINE && /* XEP-0334 section 4.4 */
                       stanza_child(s, STANZA_ROOT, STR("store"), NS_HINTS) != STANZA_NONE);
    return right_type && worth_keeping(s) && wanted(user, with);
}
