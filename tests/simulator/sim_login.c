/* How a client of the simulation gets in: by RFC 6120's SASL, then its session or a new resource;
 * or by SASL2 (XEP-0388), with password or token (XEP-0484, sim_token.c), and all that in one step
 * with its session (XEP-0198 section 9) or a new one (XEP-0386). */
#include "sim.h"

#include <inttypes.h>
#include <string.h>

#include "xmpp/namespaces.h"
#include "xmpp/sasl.h"

#define SM       "urn:xmpp:sm:3"
#define PASSWORD STR("secret")
/* How long a login may take where nothing is broken; more only after a failed one (reliability.md
 * B 22, B 43). */
#define LOGIN_MS 1500

static bool is(const struct stanza *s, const char *name)
{
    return str_is(stanza_name(s, STANZA_ROOT), name);
}

static void stream(struct sim_client *c, enum sim_client_state next)
{
    char from[64] = "";
    if (c->header_seen)
        parser_restart(c->parser);
    c->header_seen = false;
    c->state = next;
    if (c->sasl2) /* XEP-0484 section 4 */
        (void)snprintf(from, sizeof(from), " from='%s@%s'", c->local, c->home->domain);
    sim_client_printf(c,
                      "<stream:stream xmlns='jabber:client' "
                      "xmlns:stream='http://etherx.jabber.org/streams'%s to='%s' version='1.0'>",
                      from, c->home->domain);
}

static void add_base64(struct buffer *out, const char *before, const struct buffer *raw,
                       const char *after)
{
    buffer_add_str(out, str_of(before));
    sasl_base64_encode(buffer_str(raw), out);
    buffer_add_str(out, str_of(after));
}

static void send_base64(struct sim_client *c, const char *before, const struct buffer *raw,
                        const char *after)
{
    struct buffer text;
    buffer_init(&text, 65536);
    add_base64(&text, before, raw, after);
    sim_client_send(c, buffer_str(&text));
    buffer_finish(&text);
}

/* --- the old way: RFC 6120 sections 6 and 7 --- */

static void first_of_scram(struct sim_client *c, struct buffer *out)
{
    scram_client_destroy(c->scram);
    c->scram = scram_client_create(str_of(c->local), PASSWORD, c->sim->random);
    scram_client_remember(c->scram, &c->home->scram);
    (void)scram_client_first(c->scram, out);
    c->state = SIM_CHALLENGE;
}

static void authenticate(struct sim_client *c)
{
    struct buffer out;
    buffer_init(&out, 8192);
    first_of_scram(c, &out);
    send_base64(c, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>",
                &out, "</auth>");
    buffer_finish(&out);
}

static bool respond(struct sim_client *c, const struct stanza *challenge)
{
    struct buffer in, out;
    buffer_init(&in, 8192);
    buffer_init(&out, 8192);
    bool ok = sasl_base64_decode(stanza_text(challenge, STANZA_ROOT), &in) &&
              scram_client_final(c->scram, buffer_str(&in), &out);
    if (ok) {
        c->state = SIM_SUCCESS;
        send_base64(c,
                    c->sasl2 ? "<response xmlns='urn:xmpp:sasl:2'>"
                             : "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>",
                    &out, "</response>");
    }
    buffer_finish(&in);
    buffer_finish(&out);
    return ok;
}

/* The session that it had is none any more. */
static void bind_anew(struct sim_client *c)
{
    c->session[0] = '\0';
    c->bound = 0;
    sim_client_give_up(c);
}

static void bind(struct sim_client *c)
{
    bind_anew(c);
    (void)snprintf(c->resource, sizeof(c->resource), "%s", c->name);
    c->state = SIM_BINDING;
    sim_client_printf(c,
                      "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                      "<resource>%s</resource></bind></iq>",
                      c->name);
}

static void resume_or_bind(struct sim_client *c)
{
    if (!c->session[0]) {
        bind(c);
        return;
    }
    c->state = SIM_RESUMING;
    sim_client_printf(c, "<resume xmlns='" SM "' previd='%s' h='%" PRIu32 "'/>", c->session,
                      sim_client_heard(c));
}

static void cannot_resume(struct sim_client *c)
{
    sim_trace(c->sim, "%s cannot resume", c->name);
    c->sim->refused++;
    sim_account_refused(c->sim, c);
}

static void bound(struct sim_client *c)
{
    if (c->acks) {
        c->state = SIM_ENABLING;
        sim_client_send(c, STR("<enable xmlns='" SM "' resume='true'/>"));
        return;
    }
    sim_client_begin(c, false);
}

/* `el` is the <enabled/>. */
static void enabled(struct sim_client *c, const struct stanza *s, stanza_el el)
{
    struct str id = stanza_attr(s, el, STR("id"));
    (void)snprintf(c->session, sizeof(c->session), "%.*s", STR_ARG(id));
    c->heard = c->said = c->told = 0;
}

/* --- SASL2 and Bind 2 --- */

/* XEP-0386 section 3.2: what it wants of a session, if it cannot have its old one. */
static void request_session(struct sim_client *c, struct buffer *out)
{
    struct sim *s = c->sim;
    if (c->session[0])
        buffer_printf(out, "<resume xmlns='" SM "' previd='%s' h='%" PRIu32 "'/>", c->session,
                      sim_client_heard(c));
    c->inlined = sim_dice(s, 4) > 0;
    c->inactive_from = sim_dice(s, 8) == 0;
    buffer_printf(out, "<bind xmlns='urn:xmpp:bind:0'><tag>%s</tag>", c->name);
    if (c->acks)
        buffer_add_str(out, STR("<enable xmlns='" SM "' resume='true'/>"));
    if (c->inlined)
        buffer_add_str(out, STR("<enable xmlns='urn:xmpp:carbons:2'/>"));
    if (c->inactive_from)
        buffer_add_str(out, STR("<inactive xmlns='urn:xmpp:csi:0'/>"));
    buffer_add_str(out, STR("</bind>"));
}

static void authenticate2(struct sim_client *c)
{
    bool token = sim_token_choose(c);
    struct buffer first, out;
    buffer_init(&first, 8192);
    buffer_init(&out, 16384);
    if (token) {
        sim_token_message(c, &first);
        c->state = SIM_SUCCESS;
    } else {
        first_of_scram(c, &first);
    }
    buffer_printf(&out, "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='%s'>",
                  token ? SIM_TOKEN_MECHANISM : "SCRAM-SHA-256");
    add_base64(&out, "<initial-response>", &first, "</initial-response>");
    buffer_printf(&out, "<user-agent id='d4565fa7-4d72-4749-b3d3-%012d'/>",
                  c->fast.wrong == SIM_ELSEWHERE ? SIM_CLIENTS + c->index : c->index);
    sim_token_request(c, &out);
    request_session(c, &out);
    buffer_add_str(&out, STR("</authenticate>"));
    sim_client_send(c, buffer_str(&out));
    buffer_finish(&first);
    buffer_finish(&out);
}

/* XEP-0388 section 2.6.1: what proves that the server knows the secret. */
static void check_proof(struct sim_client *c, struct str data)
{
    if (!c->fast.shows && !scram_client_verify(c->scram, data))
        sim_complain(c->sim, "%s is let in by who does not know its password", c->name);
}

/* The parts of it, any of which may be missing. */
static stanza_el part(const struct stanza *s, const char *name, struct str ns)
{
    return stanza_child(s, STANZA_ROOT, str_of(name), ns);
}

static void read_secrets(struct sim_client *c, const struct stanza *s)
{
    stanza_el data = part(s, "additional-data", NS_SASL2), token = part(s, "token", NS_FAST);
    struct buffer raw;
    buffer_init(&raw, 8192);
    if (data != STANZA_NONE)
        (void)sasl_base64_decode(stanza_text(s, data), &raw);
    check_proof(c, buffer_str(&raw));
    sim_token_accepted(c, buffer_str(&raw),
                       token == STANZA_NONE ? STR_NULL : stanza_attr(s, token, STR("token")),
                       token == STANZA_NONE ? STR_NULL : stanza_attr(s, token, STR("expiry")));
    buffer_finish(&raw);
}

static void bound_inline(struct sim_client *c, const struct stanza *s, stanza_el el)
{
    stanza_el id = part(s, "authorization-identifier", NS_SASL2);
    stanza_el acks = stanza_child(s, el, STR("enabled"), NS_SM);
    struct str full = id == STANZA_NONE ? STR("") : stanza_text(s, id), bare;
    if (!str_split(&full, '/', &bare) || !full.data)
        sim_complain(c->sim, "%s has a resource and is not told which", c->name);
    else
        (void)snprintf(c->resource, sizeof(c->resource), "%.*s", STR_ARG(full));
    if (c->acks != (acks != STANZA_NONE))
        sim_complain(c->sim, "%s: stream management is %s", c->name, c->acks ? "not on" : "on");
    if (acks != STANZA_NONE)
        enabled(c, s, acks);
    if (stanza_child(s, el, STR("metadata"), NS_MAM) != STANZA_NONE)
        c->sim->told_archive[c->user] = sim_now(c->sim);
}

/* XEP-0388 section 2.6.1, XEP-0198 section 9.2: the old stream goes on at once; after anything else
 * features follow. */
static void succeed(struct sim_client *c, const struct stanza *s)
{
    stanza_el resumed = part(s, "resumed", NS_SM), bound_el = part(s, "bound", NS_BIND2);
    bool wanted = c->session[0];
    sim_trace(c->sim, "%s is let in", c->name);
    read_secrets(c, s);
    if (resumed != STANZA_NONE) {
        if (bound_el != STANZA_NONE)
            sim_complain(c->sim, "%s is resumed, and bound as well", c->name);
        sim_client_resumed(c, s, resumed);
        return;
    }
    if (wanted != (part(s, "failed", NS_SM) != STANZA_NONE))
        sim_complain(c->sim, "%s is not told of its session", c->name);
    if (wanted)
        cannot_resume(c);
    bind_anew(c);
    c->state = SIM_FEATURES_AGAIN;
    c->has_resource = bound_el != STANZA_NONE;
    if (c->has_resource)
        bound_inline(c, s, bound_el);
}

/* The condition stands first (XEP-0388 section 2.6.2). */
static bool fail(struct sim_client *c, const struct stanza *s)
{
    struct str condition = stanza_name(s, stanza_first(s, STANZA_ROOT));
    bool temporary = str_is(condition, "temporary-auth-failure"), shown = c->fast.shows;
    sim_trace(c->sim, "%s is not let in: %.*s", c->name, STR_ARG(condition));
    if (temporary && !sim_account_broken(c->sim, c->home, c->since))
        sim_complain(c->sim, "%s is not let in, though nothing is broken", c->name);
    if (shown)
        sim_token_refused(c, condition);
    else if (!temporary)
        sim_complain(c->sim, "%s is not let in with its password: %.*s", c->name,
                     STR_ARG(condition));
    if (!shown || temporary)
        return false;
    authenticate2(c);
    return true;
}

/* --- what comes --- */

static void features(struct sim_client *c)
{
    if (c->state == SIM_FEATURES && c->sasl2)
        authenticate2(c);
    else if (c->state == SIM_FEATURES)
        authenticate(c);
    else if (c->sasl2 && c->has_resource)
        sim_client_begin(c, c->inlined);
    else
        resume_or_bind(c);
}

static bool on_success(struct sim_client *c, const struct stanza *s)
{
    if (c->sasl2 && is(s, "features")) /* those of before: it did not wait for them */
        return true;
    if (is(s, "failure"))
        return fail(c, s);
    if (!is(s, "success"))
        return false;
    if (c->sasl2)
        succeed(c, s);
    else
        stream(c, SIM_FEATURES_AGAIN);
    return true;
}

static bool on_resumed(struct sim_client *c, const struct stanza *s)
{
    if (is(s, "resumed")) {
        sim_client_resumed(c, s, STANZA_ROOT);
    } else if (is(s, "failed")) {
        cannot_resume(c);
        bind(c);
    } else {
        return false;
    }
    return true;
}

bool sim_login_step(struct sim_client *c, const struct stanza *s)
{
    bool result = is(s, "iq") && str_is(stanza_attr(s, STANZA_ROOT, STR("type")), "result");
    switch (c->state) {
    case SIM_FEATURES:
    case SIM_FEATURES_AGAIN:
        if (is(s, "features"))
            features(c);
        return is(s, "features");
    case SIM_CHALLENGE:
        if (is(s, "failure"))
            return fail(c, s);
        if (c->sasl2 && is(s, "features"))
            return true;
        return is(s, "challenge") && respond(c, s);
    case SIM_SUCCESS:
        return on_success(c, s);
    case SIM_RESUMING:
        return on_resumed(c, s);
    case SIM_BINDING:
        if (result)
            bound(c);
        return result;
    case SIM_ENABLING:
        if (is(s, "enabled")) {
            enabled(c, s, STANZA_ROOT);
            sim_client_begin(c, false);
        }
        return is(s, "enabled");
    default:
        return true;
    }
}

/* In one flight what a token is enough for (XEP-0388 section 5, XEP-0484 section 1). */
void sim_login_start(struct sim_client *c)
{
    c->fast.tried = false;
    stream(c, SIM_FEATURES);
    if (c->sasl2 && sim_dice(c->sim, 2))
        authenticate2(c);
}

void sim_login_done(const struct sim_client *c)
{
    uint64_t took = sim_now(c->sim) - c->since;
    if (took > LOGIN_MS && !c->fast.tried && !c->paused &&
        !sim_account_broken(c->sim, c->home, c->since))
        sim_complain(c->sim, "%s needs %" PRIu64 " ms to get in", c->name, took);
}
