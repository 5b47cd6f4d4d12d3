/* The message of the day: each user sees a new one once, on the first session that takes messages -
 * whoever writes the time into motd-times shows it. Set by XEP-0133 sections 4.24 to 4.26, by
 * messages to DOMAIN/announce/motd (features/announcements.c) and by `jackdaw motd`. The messages
 * of all domains are kept in memory; where there is none a login costs nothing. Several session
 * managers tell each other. */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/announcing.h"
#include "sm/kept.h"
#include "sm/send.h"
#include "sm/stored.h"
#include "xmpp/announcement.h"
#include "xmpp/namespaces.h"

struct motd {
    struct list node;
    struct jid *domain;
    struct stanza *message;
    int64_t time;
};

static struct list *motds_of(const struct sm *sm)
{
    return kept_list(sm, FEATURE_motd);
}

/* --- the messages in memory --- */

static struct motd *find(const struct sm *sm, struct str domain)
{
    LIST_EACH (it, motds_of(sm)) {
        struct motd *m = LIST_ENTRY(it, struct motd, node);
        if (str_eq(jid_domain(m->domain), domain))
            return m;
    }
    return NULL;
}

static void drop(struct list *node)
{
    struct motd *m = LIST_ENTRY(node, struct motd, node);
    list_remove(node);
    jid_unref(m->domain);
    stanza_unref(m->message);
    free(m);
}

static void forget(const struct sm *sm, struct str domain)
{
    struct motd *m = find(sm, domain);
    if (m)
        drop(&m->node);
}

static void keep(struct sm *sm, struct jid *domain, struct stanza *message, int64_t time)
{
    forget(sm, jid_domain(domain));
    struct motd *m = MEM_NEW(struct motd);
    m->domain = jid_ref(domain);
    m->message = stanza_ref(message);
    m->time = time;
    list_push(motds_of(sm), &m->node);
}

static void keep_row(struct sm *sm, struct str name, struct str xml, int64_t time)
{
    struct jid *domain = jid_parse(name);
    struct stanza *message = stored_parse(sm->c->env->parsers, xml);
    if (domain && message)
        keep(sm, domain, message, time);
    else
        log_error(&sm->c->log, "the message of the day of %.*s cannot be read; set it again",
                  STR_ARG(name));
    jid_unref(domain);
    stanza_unref(message);
}

static void on_loaded(void *arg, enum error e, const struct store_rows *rows)
{
    struct sm *sm = arg;
    if (!kept_read(sm, e, "messages of the day"))
        return;
    kept_clear(motds_of(sm), drop);
    for (size_t i = 0; i < store_rows_count(rows); i++)
        keep_row(sm, store_text(rows, i, 0), store_text(rows, i, 1), store_int(rows, i, 2));
}

/* --- a change --- */

static int64_t next_time(const struct sm *sm, struct str domain)
{
    const struct motd *old = find(sm, domain);
    int64_t now = loop_wall(sm->loop) / 1000;
    return old && old->time >= now ? old->time + 1 : now; /* later than any before */
}

/* A change that is being written, and who is to hear of it. */
struct change {
    struct sm *sm;
    struct jid *domain;
    struct stanza *message; /* NULL: it goes */
    int64_t time;
    bool online;               /* and to everybody online */
    struct command_call *call; /* one of these asked */
    struct packet *packet;
};

static void carry_out(struct change *c)
{
    struct sm *sm = c->sm;
    if (!c->message) {
        forget(sm, jid_domain(c->domain));
    } else {
        keep(sm, c->domain, c->message, c->time);
        if (c->online)
            announce_here(sm, c->domain, c->message, c->time);
    }
    announce_tell(sm, "motd", c->domain, c->online ? c->message : NULL, c->time);
}

static void on_changed(void *arg, enum error e, const struct store_rows *rows)
{
    struct change *c = arg;
    if (!e)
        carry_out(c);
    else if (e != ERR_CANCELLED)
        log_error(&c->sm->c->log, "cannot store the message of the day of %s: %s", c->domain->text,
                  error_text(e));
    if (c->call && e)
        command_refuse(c->call, send_condition(e));
    else if (c->call)
        command_done(c->call, c->message ? "The message of the day is set."
                                         : "The message of the day is deleted.");
    fate_writing(c->sm, c->packet, false);
    if (c->packet && e)
        send_error(c->sm, NULL, c->packet, send_condition(e), NULL);
    else if (c->packet)
        fate_obeyed(c->sm, c->packet);
    jid_unref(c->domain);
    stanza_unref(c->message);
    free(c);
}

void motd_change(struct sm *sm, struct jid *domain, struct stanza *message, bool online,
                 struct command_call *call, struct packet *packet)
{
    struct change *c = MEM_NEW(struct change);
    *c = (struct change){.sm = sm,
                         .domain = jid_ref(domain),
                         .message = message,
                         .time = next_time(sm, jid_domain(domain)),
                         .online = online,
                         .call = call,
                         .packet = packet};
    fate_writing(sm, packet, true);
    struct store_txn *t = store_begin(sm->store);
    if (message) {
        struct str xml = stored_text(message);
        t = motd_set(t, jid_domain(domain), xml, c->time);
        free((char *)(uintptr_t)xml.data);
    } else {
        t = motd_delete(t, jid_domain(domain));
    }
    store_commit(t, on_changed, c);
}

/* --- a login --- */

struct showing {
    struct sm *sm;
    struct session_id session;
    struct jid *owner, *domain;
    struct stanza *message;
    int64_t time;
};

static void showing_end(struct showing *w)
{
    jid_unref(w->owner);
    jid_unref(w->domain);
    stanza_unref(w->message);
    free(w);
}

static void on_seen(void *arg, enum error e, const struct store_rows *rows)
{
    struct showing *w = arg;
    struct session *s = e ? NULL : session_find(w->sm, &w->session);
    if (s)
        send_session(s, w->message, w->domain, s->jid);
    showing_end(w);
}

static void on_time(void *arg, enum error e, const struct store_rows *rows)
{
    struct showing *w = arg;
    bool seen = !e && store_rows_count(rows) > 0 && store_int(rows, 0, 0) >= w->time;
    if (e || seen)
        showing_end(w);
    else
        store_commit(motd_see(store_begin(w->sm->store), jid_full(w->owner), w->time), on_seen, w);
}

static enum path_result at_available(struct path_event *e)
{
    const struct motd *m = find(e->sm, jid_domain(e->user->jid));
    if (!m)
        return PATH_PASS;
    struct showing *w = MEM_NEW(struct showing);
    *w = (struct showing){.sm = e->sm,
                          .session = e->session->sm,
                          .owner = jid_ref(e->user->jid),
                          .domain = jid_ref(m->domain),
                          .message = stanza_ref(m->message),
                          .time = m->time};
    motd_time(e->sm->store, jid_full(w->owner), on_time, w);
    return PATH_PASS;
}

/* --- from another session manager, from the control socket --- */

static enum path_result at_internal(struct path_event *e)
{
    if (!kept_told(e->packet, "motd"))
        return PATH_PASS;
    announce_told(e->sm, e->packet->stanza);
    motd_list(e->sm->store, on_loaded, e->sm);
    packet_destroy(e->packet);
    return PATH_DONE;
}

/* `jackdaw motd`: the store has been changed, and every sm is told by itself.
 * {"command":"motd","domain":,"online":xml,"time":}. */
static json_t *control(struct sm *sm, const json_t *request)
{
    struct str command = str_of(json_string_value(json_object_get(request, "command")));
    if (!str_is(command, "motd"))
        return NULL;
    struct jid *domain =
        sm_domain(sm, str_of(json_string_value(json_object_get(request, "domain"))));
    if (!domain)
        return json_pack("{s:s}", "error", "this domain is not served");
    const char *xml = json_string_value(json_object_get(request, "online"));
    struct stanza *message = xml ? stored_parse(sm->c->env->parsers, str_of(xml)) : NULL;
    if (message)
        announce_here(sm, domain, message,
                      (int64_t)json_integer_value(json_object_get(request, "time")));
    stanza_unref(message);
    motd_list(sm->store, on_loaded, sm);
    return json_pack("{s:b}", "ok", 1);
}

/* --- commands --- */

static const struct data_field motd_fields[] = {
    {.type = DATA_TEXT_MULTI, .required = true, .var = "motd", .label = "Message of the day"},
    {.var = NULL}};

static void set_motd(struct command_call *call, bool online)
{
    char *body = data_form_text(&call->form, "motd");
    struct stanza *message = announcement_create(call->domain, NULL, body);
    motd_change(call->sm, sm_domain(call->sm, call->domain), message, online, call, NULL);
    free(body);
}

/* Section 4.24: a new one, which those who are online see at once. */
static void run_set_motd(struct command_call *call)
{
    set_motd(call, true);
}

/* Section 4.25 */
static void run_edit_motd(struct command_call *call)
{
    set_motd(call, false);
}

static void fill_motd(struct command_call *call, struct builder *b)
{
    const struct motd *m = find(call->sm, call->domain);
    stanza_el body =
        m ? stanza_child(m->message, STANZA_ROOT, STR("body"), NS_CLIENT) : STANZA_NONE;
    struct str text = body == STANZA_NONE ? STR_NULL : stanza_text(m->message, body);
    data_form_add(b, motd_fields, false, &text, 1);
}

/* Section 4.26 */
static void run_delete_motd(struct command_call *call)
{
    if (find(call->sm, call->domain))
        motd_change(call->sm, sm_domain(call->sm, call->domain), NULL, false, call, NULL);
    else
        command_fail(call, "There is no message of the day.");
}

static const struct command commands[] = {
    {.node = "set-motd",
     .name = "Set Message of the Day",
     .instructions = "Everybody online sees it now, everybody else at the next login.",
     .fields = motd_fields,
     .run = run_set_motd},
    {.node = "edit-motd",
     .name = "Edit Message of the Day",
     .instructions = "Everybody sees it at the next login.",
     .fields = motd_fields,
     .fill = fill_motd,
     .run = run_edit_motd},
    {.node = "delete-motd", .name = "Delete Message of the Day", .run = run_delete_motd},
    {.node = NULL}};

/* --- life --- */

static enum path_result at_start(struct path_event *e)
{
    (void)kept_start(e->sm, FEATURE_motd);
    motd_list(e->sm->store, on_loaded, e->sm);
    return PATH_PASS;
}

static enum path_result at_stop(struct path_event *e)
{
    kept_stop(e->sm, FEATURE_motd, drop);
    return PATH_PASS;
}

const struct feature motd_feature = {
    .name = "motd",
    .control = control,
    .at = {[PATH_START] = at_start,
           [PATH_STOP] = at_stop,
           [PATH_INTERNAL] = at_internal,
           [PATH_SESSION_AVAILABLE] = at_available},
    .commands = commands,
};
