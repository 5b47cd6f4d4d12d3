/* Administration of accounts (XEP-0133): a session manager asks, by a packet in NS_INTERNAL, for an
 * administrator whose right it has checked. Nobody outside can send such a packet: a stranger's
 * stanza is in jabber:client, whatever was written. The accounts stay this component's alone.
 *
 *   <account id= action='create|password' jid=>PASSWORD</account>
 *   <account id= action='delete|disable|enable' jid=/>
 *   <account id= action='disabled' domain= limit=/>   answered with <account jid=/>... and count=
 *   <account id= action='address' jid=/>              answered with <address ip=/>
 *
 * The answer is <answer id= [error=a stanza condition]/>.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "c2s/auth.h"
#include "c2s/client.h"
#include "store/accounts.h"
#include "xmpp/namespaces.h"

#define LIST_MAX 1000u /* accounts in one answer */

struct work {
    struct c2s *c2s;
    struct packet *request;
    struct jid *account;
    struct builder *answer;
    bool disable;
};

static struct str attr(const struct packet *p, struct str name)
{
    return stanza_attr(p->stanza, STANZA_ROOT, name);
}

/* --- answers --- */

static struct builder *answer_open(const struct packet *request)
{
    struct builder *b = builder_create(STR("answer"), NS_INTERNAL);

    builder_attr(b, STR("id"), attr(request, STR("id")));
    return b;
}

static void answer_send(struct c2s *s, const struct packet *request, struct builder *b)
{
    struct packet *p = packet_create(PACKET_STANZA, request->route_from, c2s_id(s));

    p->stanza = builder_finish(b);
    component_send(s->component, p);
}

void account_request_answer(struct c2s *s, const struct packet *request,
                            enum stanza_condition condition)
{
    struct builder *b = answer_open(request);

    if (condition == STANZA_ERR_REGISTRATION_REQUIRED) /* the account that is not there */
        condition = STANZA_ERR_ITEM_NOT_FOUND;
    if (condition != STANZA_ERR_NONE)
        builder_attr(b, STR("error"), stanza_error_element(condition));
    answer_send(s, request, b);
}

static void work_end(struct work *w)
{
    packet_destroy(w->request);
    jid_unref(w->account);
    builder_destroy(w->answer);
    free(w);
}

static struct work *work_begin(struct c2s *s, struct packet *p, struct jid *account)
{
    struct work *w = MEM_NEW(struct work);

    w->c2s = s;
    w->request = p;
    w->account = account ? jid_ref(account) : NULL;
    return w;
}

/* --- disable, enable --- */

static void on_switched(void *arg, enum error e, const struct store_rows *rows)
{
    struct work *w = arg;
    struct c2s *s = w->c2s;

    (void)rows;
    if (e == ERR_OK) {
        log_info(&s->component->log, "%s: %s", w->account->text,
                 w->disable ? "disabled" : "enabled");
        if (w->disable)
            (void)c2s_end_user(s, w->account, NULL, "the account was disabled");
    }
    if (e != ERR_CANCELLED)
        account_request_answer(s, w->request,
                               e == ERR_OK          ? STANZA_ERR_NONE
                               : e == ERR_NOT_FOUND ? STANZA_ERR_ITEM_NOT_FOUND
                                                    : STANZA_ERR_INTERNAL_SERVER_ERROR);
    work_end(w);
}

static void disable(struct c2s *s, struct packet *p, struct jid *account, bool yes)
{
    struct work *w = work_begin(s, p, account);

    w->disable = yes;
    store_commit(accounts_set_disabled(store_begin(auth_accounts(s->auth)), jid_local(account),
                                       jid_domain(account), yes),
                 on_switched, w);
}

/* --- who is disabled --- */

static void on_disabled(void *arg, enum error e, const struct store_rows *rows)
{
    struct work *w = arg;
    size_t count = e == ERR_OK ? store_rows_count(rows) : 0;

    for (size_t i = 0; i < count; i++) {
        struct jid *jid =
            jid_from_parts(store_text(rows, i, 0), attr(w->request, STR("domain")), STR_NULL);
        if (!jid)
            continue;
        builder_start(w->answer, STR("account"), STR_NULL);
        builder_attr(w->answer, STR("jid"), jid_full(jid));
        builder_end(w->answer);
        jid_unref(jid);
    }
    if (e == ERR_OK) {
        answer_send(w->c2s, w->request, w->answer);
        w->answer = NULL;
    } else if (e != ERR_CANCELLED) {
        account_request_answer(w->c2s, w->request, STANZA_ERR_INTERNAL_SERVER_ERROR);
    }
    work_end(w);
}

static void on_counted(void *arg, enum error e, const struct store_rows *rows)
{
    struct work *w = arg;
    uint64_t limit = LIST_MAX;

    if (e != ERR_OK) {
        on_disabled(arg, e, NULL);
        return;
    }
    w->answer = answer_open(w->request);
    builder_attr_u64(w->answer, STR("count"), (uint64_t)store_int(rows, 0, 0));
    (void)str_to_u64(attr(w->request, STR("limit")), LIST_MAX, &limit);
    accounts_list_disabled(auth_accounts(w->c2s->auth), attr(w->request, STR("domain")),
                           (uint32_t)limit, on_disabled, w);
}

/* --- where a session comes from --- */

static void address(struct c2s *s, struct packet *p, const struct jid *jid)
{
    struct builder *b = answer_open(p);

    LIST_EACH (it, &s->clients) {
        const struct client *c = LIST_ENTRY(it, struct client, node);
        if (!c->jid || !c->conn ||
            !(jid_is_bare(jid) ? jid_eq_bare(c->jid, jid) : jid_eq(c->jid, jid)))
            continue;
        builder_start(b, STR("address"), STR_NULL);
        builder_attr(b, STR("ip"), str_of(conn_peer(c->conn)->ip));
        builder_end(b);
    }
    answer_send(s, p, b);
    packet_destroy(p);
}

/* --- all --- */

/* Only our own accounts know what disabled is. */
static bool needs_store(struct str action)
{
    return str_is(action, "disable") || str_is(action, "enable") || str_is(action, "disabled");
}

static void act(struct c2s *s, struct packet *p, struct jid *jid)
{
    struct str action = attr(p, STR("action")), password = stanza_text(p->stanza, STANZA_ROOT);

    if (str_is(action, "create"))
        client_register_for(s, p, REGISTER_CREATE, jid, password);
    else if (str_is(action, "password"))
        client_register_for(s, p, REGISTER_CHANGE, jid, password);
    else if (str_is(action, "delete"))
        client_register_for(s, p, REGISTER_REMOVE, jid, STR_NULL);
    else if (str_is(action, "disable") || str_is(action, "enable"))
        disable(s, p, jid, str_is(action, "disable"));
    else if (str_is(action, "address"))
        address(s, p, jid);
    else
        packet_destroy(p);
}

void account_request(struct c2s *s, struct packet *p)
{
    struct jid *jid;

    if (p->error || !stanza_is(p->stanza, STANZA_ROOT, STR("account"), NS_INTERNAL)) {
        packet_destroy(p);
    } else if (needs_store(attr(p, STR("action"))) && !auth_accounts(s->auth)) {
        account_request_answer(s, p, STANZA_ERR_NOT_ALLOWED);
        packet_destroy(p);
    } else if (str_is(attr(p, STR("action")), "disabled")) {
        accounts_count_disabled(auth_accounts(s->auth), attr(p, STR("domain")), on_counted,
                                work_begin(s, p, NULL));
    } else if ((jid = jid_parse(attr(p, STR("jid")))) == NULL || !jid->local_len) {
        account_request_answer(s, p, STANZA_ERR_JID_MALFORMED);
        packet_destroy(p);
        jid_unref(jid);
    } else {
        act(s, p, jid);
        jid_unref(jid);
    }
}
