/* Announcements, as jabberd had them: an administrator writes to
 *
 *   DOMAIN/announce, DOMAIN/announce/motd   everybody online, and all others at their next login
 *   DOMAIN/announce/online                  everybody online
 *   DOMAIN/announce/motd/update             everybody at the next login
 *   DOMAIN/announce/motd/delete             the message of the day is gone
 *
 * and for those online the same by an ad-hoc command (XEP-0133 section 4.23) and `jackdaw
 * announce`. What is for later logins is features/motd.c's. Several session managers tell each
 * other. */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/admin.h"
#include "sm/announcing.h"
#include "sm/broadcast.h"
#include "sm/kept.h"
#include "sm/send.h"
#include "xmpp/announcement.h"
#include "xmpp/namespaces.h"

static struct broadcasts *state_of(const struct sm *sm)
{
    return sm->state[FEATURE_announcements];
}

/* --- to those who are online --- */

void announce_tell(struct sm *sm, const char *name, struct jid *domain,
                   const struct stanza *message, int64_t time)
{
    struct builder *b = builder_create(str_of(name), NS_INTERNAL);
    builder_attr(b, STR("domain"), jid_domain(domain));
    builder_attr_u64(b, STR("time"), (uint64_t)time);
    if (message)
        builder_copy(b, message, STANZA_ROOT);
    kept_tell(sm, b);
}

bool announce_here(struct sm *sm, struct jid *domain, struct stanza *message, int64_t motd_time)
{
    return broadcast_start(state_of(sm), sm, domain, message, motd_time);
}

bool announce_online(struct sm *sm, struct jid *domain, struct stanza *message)
{
    if (!announce_here(sm, domain, message, 0))
        return false;
    announce_tell(sm, "announce", domain, message, 0);
    return true;
}

void announce_told(struct sm *sm, const struct stanza *word)
{
    struct jid *domain = sm_domain(sm, stanza_attr(word, STANZA_ROOT, STR("domain")));
    stanza_el el = stanza_child(word, STANZA_ROOT, STR("message"), NS_CLIENT);
    uint64_t time = 0;
    if (!domain || el == STANZA_NONE)
        return;
    struct stanza *message = stanza_extract(word, el);
    (void)str_to_u64(stanza_attr(word, STANZA_ROOT, STR("time")), INT64_MAX, &time);
    announce_here(sm, domain, message, (int64_t)time);
    stanza_unref(message);
}

static enum path_result at_internal(struct path_event *e)
{
    if (!kept_told(e->packet, "announce"))
        return PATH_PASS;
    announce_told(e->sm, e->packet->stanza);
    packet_destroy(e->packet);
    return PATH_DONE;
}

/* --- messages to the announce addresses --- */

enum address { NOT_OURS, TO_ONLINE, TO_ALL, TO_LATER, TO_NONE };

static enum address address_of(struct str resource)
{
    static const struct {
        const char *name;
        enum address address;
    } addresses[] = {{"announce", TO_ALL},
                     {"announce/motd", TO_ALL},
                     {"announce/online", TO_ONLINE},
                     {"announce/motd/update", TO_LATER},
                     {"announce/motd/delete", TO_NONE}};
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
        if (str_is(resource, addresses[i].name))
            return addresses[i].address;
    return NOT_OURS;
}

/* What the users get: subject and body as they were written, in every language; nothing else. NULL
 * when there is neither. */
static struct stanza *cleaned(const struct packet *p)
{
    struct builder *b = builder_create(STR("message"), NS_CLIENT);
    bool any = false;
    builder_attr(b, STR("type"), STR("headline"));
    builder_attr(b, STR("from"), jid_domain(p->to));
    if (stanza_lang(p->stanza, STANZA_ROOT).data)
        builder_lang(b, stanza_lang(p->stanza, STANZA_ROOT));
    for (stanza_el el = stanza_first(p->stanza, STANZA_ROOT); el != STANZA_NONE;
         el = stanza_next(p->stanza, el)) {
        if (!stanza_is(p->stanza, el, STR("subject"), NS_CLIENT) &&
            !stanza_is(p->stanza, el, STR("body"), NS_CLIENT))
            continue;
        builder_copy(b, p->stanza, el);
        any = true;
    }
    if (any)
        return builder_finish(b);
    builder_destroy(b);
    return NULL;
}

static void announce(struct sm *sm, enum address address, struct packet *p)
{
    struct jid *domain = sm_domain(sm, jid_domain(p->to));
    struct stanza *message = address == TO_NONE ? NULL : cleaned(p);
    if (address != TO_NONE && !message) {
        send_error(sm, NULL, p, STANZA_ERR_BAD_REQUEST, "an announcement needs a body");
    } else if (address != TO_ONLINE) {
        motd_change(sm, domain, message, address == TO_ALL, NULL, p);
    } else {
        if (announce_online(sm, domain, message))
            fate_obeyed(sm, p);
        else
            send_error(sm, NULL, p, STANZA_ERR_RESOURCE_CONSTRAINT, NULL);
        stanza_unref(message);
    }
}

static enum path_result at_domain_message(struct path_event *e)
{
    struct packet *p = e->packet;
    enum address address = address_of(jid_resource(p->to));
    if (address == NOT_OURS || str_is(send_type(p->stanza), "error"))
        return PATH_PASS;
    if (!admin_may(e->sm, jid_bare(p->from), jid_domain(p->to))) {
        send_error(e->sm, e->session, p, STANZA_ERR_FORBIDDEN, NULL); /* reliability.md B 32 */
        return PATH_DONE;
    }
    log_info(&e->sm->c->log, "%s announces to %s", p->from->text, p->to->text);
    announce(e->sm, address, p);
    return PATH_DONE;
}

/* --- the control socket: every sm is told by itself --- */

/* `jackdaw announce --online`: {"command":"announce","domain":,"text":}. */
static json_t *control(struct sm *sm, const json_t *request)
{
    struct str command = str_of(json_string_value(json_object_get(request, "command")));
    if (!str_is(command, "announce"))
        return NULL;
    struct jid *domain =
        sm_domain(sm, str_of(json_string_value(json_object_get(request, "domain"))));
    if (!domain)
        return json_pack("{s:s}", "error", "this domain is not served");
    const char *text = json_string_value(json_object_get(request, "text"));
    struct stanza *message = text && builder_text_ok(str_of(text))
                                 ? announcement_create(jid_domain(domain), NULL, text)
                                 : NULL;
    bool started = message && announce_here(sm, domain, message, 0);
    stanza_unref(message);
    return started ? json_pack("{s:b}", "ok", 1)
                   : json_pack("{s:s}", "error",
                               "the text cannot be sent, or too many are on their way");
}

/* --- the command --- */

static const struct data_field announce_fields[] = {
    {.type = DATA_TEXT_SINGLE, .var = "subject", .label = "Subject"},
    {.type = DATA_TEXT_MULTI, .required = true, .var = "announcement", .label = "Announcement"},
    {.var = NULL}};

/* Section 4.23 */
static void run_announce(struct command_call *call)
{
    char *subject = data_form_text(&call->form, "subject");
    char *body = data_form_text(&call->form, "announcement");
    struct stanza *message = announcement_create(call->domain, subject, body);
    if (announce_online(call->sm, sm_domain(call->sm, call->domain), message))
        command_done(call, "The announcement is on its way.");
    else
        command_refuse(call, STANZA_ERR_RESOURCE_CONSTRAINT);
    stanza_unref(message);
    free(subject);
    free(body);
}

static const struct command commands[] = {{.node = "announce",
                                           .name = "Send Announcement to Online Users",
                                           .instructions = "Everybody who is online gets it now.",
                                           .fields = announce_fields,
                                           .run = run_announce},
                                          {.node = NULL}};

/* --- life --- */

static enum path_result at_start(struct path_event *e)
{
    struct broadcasts *broadcasts = MEM_NEW(struct broadcasts);
    broadcasts_init(broadcasts);
    e->sm->state[FEATURE_announcements] = broadcasts;
    return PATH_PASS;
}

static enum path_result at_stop(struct path_event *e)
{
    struct broadcasts *broadcasts = state_of(e->sm);
    if (broadcasts)
        broadcasts_finish(broadcasts);
    free(broadcasts);
    e->sm->state[FEATURE_announcements] = NULL;
    return PATH_PASS;
}

const struct feature announcements_feature = {
    .name = "announcements",
    .control = control,
    .at = {[PATH_START] = at_start,
           [PATH_STOP] = at_stop,
           [PATH_DOMAIN_MESSAGE] = at_domain_message,
           [PATH_INTERNAL] = at_internal},
    .commands = commands,
};
