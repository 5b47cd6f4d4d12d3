/* The tokens of a client (XEP-0484): which it shows at a login - the one it was given last, the one
 * before while the last was never shown, none because it has forgotten them, and now and then what
 * must let nobody in - and what the server's answer must be. Sections are those of the XEP.
 *
 * What is claimed: a token that the client was told lets it in, whatever died meanwhile, until it
 * expires, is given back, or a newer one has been used. Of a login whose end the client has not
 * seen nothing is known but that. */
#include "sim.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "xmpp/datetime.h"
#include "xmpp/sasl.h"
#include "xmpp/scram_crypto.h"

enum { CLOCK_S = 1 }; /* what is under way when a token expires */

static const char *const wrongs[] = {
    [SIM_RIGHT] = "a good token",
    [SIM_CORRUPTED] = "a token that it never had",
    [SIM_ANOTHERS] = "another client's token",
    [SIM_ELSEWHERE] = "a token under another client's id",
    [SIM_REPLAYED] = "what it has said before",
    [SIM_DEAD] = "a token that is no good any more",
};

static int64_t wall(const struct sim_client *c)
{
    return loop_wall(c->sim->world.loop) / 1000;
}

static bool has(const struct sim_token *t)
{
    return t->text[0];
}

static void forget(struct sim_token *t)
{
    *t = (struct sim_token){.expires = 0};
}

/* --- what it shows --- */

/* Somebody's, if that one has any. */
static const struct sim_token *token_of_another(struct sim_client *c)
{
    struct sim *s = c->sim;
    const struct sim_client *other = &s->clients[sim_dice(s, (uint32_t)s->client_count)];
    return other != c && has(&other->fast.own) ? &other->fast.own : NULL;
}

static bool choose_wrong(struct sim_client *c)
{
    struct sim_fast *f = &c->fast;
    enum sim_wrong wrong = SIM_CORRUPTED + sim_dice(c->sim, SIM_WRONGS - SIM_CORRUPTED);
    const struct sim_token *t = wrong == SIM_ANOTHERS ? token_of_another(c)
                                : wrong == SIM_DEAD   ? &f->dead
                                                      : &f->own;
    if (!t || !has(t) || (wrong == SIM_REPLAYED && !t->taken))
        return false;
    f->shown = *t;
    f->wrong = wrong;
    if (wrong == SIM_CORRUPTED)
        f->shown.text[3] = f->shown.text[3] == 'A' ? 'B' : 'A';
    if (wrong == SIM_REPLAYED)
        f->shown.count = t->taken;
    else if (f->counts)
        f->shown.count += 1000; /* not refused for that */
    return true;
}

/* Section 3.5: the one before is good as long as the new one has not been used. */
static void choose_right(struct sim_client *c)
{
    struct sim_fast *f = &c->fast;
    struct sim *s = c->sim;
    if (has(&f->fresh) && has(&f->own) && sim_dice(s, 4) == 0) {
        sim_trace(s, "%s has lost its new token and shows the one before", c->name);
        forget(&f->fresh);
    } else if (has(&f->fresh)) {
        f->before = f->own;
        f->own = f->fresh;
        forget(&f->fresh);
    }
    if (f->counts)
        f->own.count++;
    f->shown = f->own;
    f->invalidates = sim_dice(s, 20) == 0; /* section 3.6 */
    if (f->invalidates)
        forget(&f->own);
}

/* A new token may take the place of one that was never used (section 3.5). */
static void choose_password(struct sim_fast *f)
{
    if (!f->asks)
        return;
    forget(&f->fresh);
    if (!f->own.used)
        forget(&f->own);
}

bool sim_token_choose(struct sim_client *c)
{
    struct sim_fast *f = &c->fast;
    struct sim *s = c->sim;
    f->wrong = SIM_RIGHT;
    f->asks = f->invalidates = f->shows = false;
    forget(&f->before);
    if (!f->speaks)
        return false;
    if (sim_dice(s, 25) == 0) {
        sim_trace(s, "%s has forgotten its tokens", c->name);
        forget(&f->own);
        forget(&f->fresh);
    }
    f->asks = sim_dice(s, 4) == 0 || (!has(&f->own) && !has(&f->fresh));
    f->sent = wall(c);
    if (sim_dice(s, 12) == 0 && choose_wrong(c)) {
        f->tried = f->shows = true;
    } else if ((has(&f->own) || has(&f->fresh)) && sim_dice(s, 10)) {
        choose_right(c);
        f->shows = true;
    } else {
        choose_password(f);
    }
    if (f->shows)
        sim_trace(s, "%s shows %s%s%s", c->name, wrongs[f->wrong],
                  f->invalidates ? ", for the last time" : "", f->asks ? ", asks for another" : "");
    return f->shows;
}

/* HT-SHA-256-NONE: HMAC(token, `who`). */
static void prove(const struct sim_token *t, const char *who, struct buffer *out)
{
    unsigned char mac[SCRAM_MAX_HASH];
    struct scram_crypto crypto;
    scram_crypto_init(&crypto, SCRAM_SHA_256);
    scram_crypto_hmac(&crypto, (const unsigned char *)t->text, strlen(t->text), str_of(who), mac);
    buffer_add(out, mac, crypto.size);
    scram_crypto_finish(&crypto);
}

void sim_token_message(const struct sim_client *c, struct buffer *out)
{
    buffer_add_str(out, str_of(c->local));
    buffer_add_char(out, '\0');
    prove(&c->fast.shown, "Initiator", out);
}

void sim_token_request(const struct sim_client *c, struct buffer *out)
{
    const struct sim_fast *f = &c->fast;
    if (f->shows) {
        buffer_add_str(out, STR("<fast xmlns='urn:xmpp:fast:0'"));
        if (f->shown.count)
            buffer_printf(out, " count='%" PRIu32 "'", f->shown.count);
        buffer_add_str(out, f->invalidates ? STR(" invalidate='1'/>") : STR("/>"));
    }
    if (f->asks)
        buffer_add_str(
            out,
            STR("<request-token xmlns='urn:xmpp:fast:0' mechanism='" SIM_TOKEN_MECHANISM "'/>"));
}

/* --- what the server says --- */

/* `data`: what it proves itself by. */
static void accepted(struct sim_client *c, struct str data)
{
    struct sim_fast *f = &c->fast;
    struct buffer wanted;
    if (f->wrong)
        sim_complain(c->sim, "%s is let in with %s", c->name, wrongs[f->wrong]);
    else if (f->shown.expires + CLOCK_S < f->sent)
        sim_complain(c->sim, "%s is let in with a token that has expired", c->name);
    buffer_init(&wanted, 256);
    prove(&f->shown, "Responder", &wanted);
    if (!str_eq(data, buffer_str(&wanted)))
        sim_complain(c->sim, "%s is let in by who does not know its token", c->name);
    buffer_finish(&wanted);
    if (has(&f->before))
        f->dead = f->before;
    if (f->invalidates)
        f->dead = f->shown;
    else
        f->own.used = true;
    f->own.taken = f->own.count;
    c->sim->tokens++;
}

void sim_token_accepted(struct sim_client *c, struct str data, struct str token, struct str expiry)
{
    struct sim_fast *f = &c->fast;
    if (f->shows)
        accepted(c, data);
    if (token.data && !f->asks && (!f->shows || f->invalidates)) /* sections 3.3, 3.6 */
        sim_complain(c->sim, "%s gets a token that it did not ask for", c->name);
    if (!token.data && f->asks && !sim_account_broken(c->sim, c->home, c->since))
        sim_complain(c->sim, "%s does not get the token that it asked for", c->name);
    if (!token.data)
        return;
    sim_trace(c->sim, "%s has a new token", c->name);
    forget(&f->fresh);
    if (token.len >= sizeof(f->fresh.text) || !datetime_parse(expiry, &f->fresh.expires))
        sim_complain(c->sim, "%s gets a token of %zu bytes until %.*s", c->name, token.len,
                     STR_ARG(expiry));
    else
        memcpy(f->fresh.text, token.data, token.len);
}

void sim_token_refused(struct sim_client *c, struct str condition)
{
    struct sim_fast *f = &c->fast;
    bool expired =
        str_is(condition, "credentials-expired") && wall(c) + CLOCK_S >= f->shown.expires;
    if (f->wrong || str_is(condition, "temporary-auth-failure"))
        return;
    if (!expired)
        sim_complain(c->sim, "%s is not let in with a good token: %.*s", c->name,
                     STR_ARG(condition));
    forget(&f->own); /* section 4: "the client SHOULD discard the token" */
}
