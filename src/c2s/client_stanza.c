/* What a bound client sends: checked here, once, for what every receiver may rely on - a true
 * `from`, a valid `to`, an iq that can be answered - and then handed to the session manager.
 * Nothing else in it is looked at.
 */
#include "c2s/client_acks.h"

#include "base/mem.h"
#include "link/traits.h"
#include "xmpp/namespaces.h"

/* RFC 6120 section 8.1.2.1: absent, the full or the bare JID of this stream. */
static bool from_ok(const struct client *c, const struct stanza *s)
{
    struct str from = stanza_attr(s, STANZA_ROOT, STR("from"));
    struct jid *jid;
    bool ok;

    if (!from.data || str_eq(from, jid_full(c->jid)) || str_eq(from, jid_bare(c->jid)))
        return true;
    jid = jid_parse(from);
    ok = jid && jid_eq_bare(jid, c->jid) && (jid_is_bare(jid) || jid_eq(jid, c->jid));
    jid_unref(jid);
    return ok;
}

/* *ret is a new reference, or NULL when there is no `to`; false when it is not a JID. */
static bool parse_to(struct client *c, const struct stanza *s, struct jid **ret)
{
    struct str to = stanza_attr(s, STANZA_ROOT, STR("to"));

    *ret = NULL;
    if (!to.data)
        return true;
    if (!c->last_to || !str_eq(to, jid_full(c->last_to))) {
        struct jid *jid = jid_parse(to);
        if (!jid)
            return false;
        jid_unref(c->last_to);
        c->last_to = jid;
    }
    *ret = jid_ref(c->last_to);
    return true;
}

enum iq_check { IQ_OK, IQ_BAD, IQ_DROP };

/* RFC 6120 section 8.2.3 */
static enum iq_check check_iq(const struct stanza *s)
{
    struct str type = stanza_attr(s, STANZA_ROOT, STR("type"));
    uint32_t children = stanza_children(s, STANZA_ROOT);
    bool id = stanza_attr(s, STANZA_ROOT, STR("id")).data != NULL;

    if (str_is(type, "get") || str_is(type, "set"))
        return id && children == 1 ? IQ_OK : IQ_BAD;
    if (str_is(type, "result")) /* rule 5: none or one; an answer is never answered */
        return id && children <= 1 ? IQ_OK : IQ_DROP;
    if (str_is(type, "error"))
        return id ? IQ_OK : IQ_DROP;
    return IQ_BAD;
}

/* RFC 6120 section 4.7.4: who receives it has a stream of its own, in another language. */
static struct stanza *with_lang(const struct client *c, struct stanza *s)
{
    struct stanza *changed;

    if (!c->lang || stanza_lang(s, STANZA_ROOT).data)
        return s;
    changed = stanza_with_lang(s, str_of(c->lang));
    stanza_unref(s);
    return changed;
}

/* The last broadcast presence, for a session manager that has to be told anew. */
static void remember(struct client *c, struct stanza *s)
{
    struct str type = stanza_attr(s, STANZA_ROOT, STR("type"));

    if (stanza_attr(s, STANZA_ROOT, STR("to")).data)
        return;
    if (type.data && !str_is(type, "unavailable"))
        return;
    stanza_unref(c->presence);
    c->presence = type.data ? NULL : stanza_ref(s);
}

/* As the session manager will understand it (XEP-0280 sections 4 and 5), for the next one. */
static void remember_carbons(struct client *c, const struct stanza *s, const struct jid *to)
{
    stanza_el el = stanza_first(s, STANZA_ROOT);

    if (el == STANZA_NONE || !str_eq(stanza_ns(s, el), NS_CARBONS) ||
        !str_is(stanza_attr(s, STANZA_ROOT, STR("type")), "set") ||
        (to && !str_eq(jid_full(to), jid_bare(c->jid))))
        return;
    if (str_is(stanza_name(s, el), "enable"))
        c->traits |= TRAIT_CARBONS;
    else if (str_is(stanza_name(s, el), "disable"))
        c->traits &= (uint8_t)~TRAIT_CARBONS;
}

void client_stanza(struct client *c, struct stanza *s)
{
    struct str name = stanza_name(s, STANZA_ROOT);
    enum iq_check iq = str_is(name, "iq") ? check_iq(s) : IQ_OK;
    struct jid *to;

    if (!from_ok(c, s)) {
        client_error(c, STREAM_ERR_INVALID_FROM, "a stanza's from must be the JID of its stream");
    } else if (iq == IQ_BAD) {
        client_refuse(c, s, STANZA_ERR_BAD_REQUEST,
                      "an iq needs an id, a type, and as get or set exactly one child");
    } else if (iq == IQ_DROP || client_keepalive_answer(c, s)) {
        /* Not for anybody; but the session manager has to count it. */
        if (client_acks_on(c)) {
            client_session_send(c, s, NULL);
            return;
        }
    } else if (!parse_to(c, s, &to)) {
        client_refuse(c, s, STANZA_ERR_JID_MALFORMED, NULL);
    } else {
        s = with_lang(c, s);
        name = stanza_name(s, STANZA_ROOT); /* that of before may be gone */
        if (str_is(name, "presence"))
            remember(c, s);
        else if (str_is(name, "iq"))
            remember_carbons(c, s, to);
        client_session_send(c, s, to);
        return;
    }
    stanza_unref(s);
}
