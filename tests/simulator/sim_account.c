/* The account: every message's fate, and what must hold for it in the end (reliability.md C.1). */
#include "sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "xmpp/namespaces.h"

/* What a component lost with a fault it may take so long to get right again. */
enum { OUTCOME_MS = 1000, SETTLED_MS = 2000, DELIVERED_MS = 3000 };
/* The server knows that a stream broke earlier than its client, or later. */
enum { MARGIN_MS = 1000 };

static const char *name_of(const struct sim *s, int client)
{
    return s->clients[client].name;
}

static const char *user_name(const struct sim *s, int user)
{
    return s->clients[user].local;
}

/* --- entries --- */

int sim_account_sent(struct sim *s, int from, int to, bool full)
{
    if (s->message_count == SIM_MESSAGES)
        return -1;
    int index = s->message_count++;
    s->messages[index] = (struct sim_message){
        .from = from, .to = to, .full = full, .number = ++s->numbers[from][to], .sent = sim_now(s)};
    for (int i = 0; i < s->client_count; i++) {
        const struct sim_client *c = &s->clients[i];
        s->messages[index].at[i].expected = c->state == SIM_ON && c->bound &&
                                            sim_now(s) - c->bound > SETTLED_MS &&
                                            (c->user == to || c->user == s->clients[from].user);
    }
    sim_trace(s, "%s sends m%d to %s, no. %" PRIu32, name_of(s, from), index, user_name(s, to),
              s->messages[index].number);
    return index;
}

struct sim_message *sim_account_find(struct sim *s, const struct stanza *stanza, stanza_el message)
{
    struct str id = stanza_attr(stanza, message, STR("id"));
    uint64_t index;
    if (id.len < 2 || id.data[0] != 'm' ||
        !str_to_u64((struct str){id.data + 1, id.len - 1}, UINT32_MAX, &index) ||
        index >= (uint64_t)s->message_count)
        return NULL;
    return &s->messages[index];
}

void sim_account_id(struct sim *s, struct sim_message *m, int side, struct str id)
{
    char *first = m->ids[side].first;
    if (!*first)
        (void)snprintf(first, sizeof(m->ids[side].first), "%.*s", STR_ARG(id));
    else if (!str_is(id, first))
        m->ids[side].other = true;
    if (m->ids[side].other)
        sim_trace(s, "m%d has another id: %.*s", (int)(m - s->messages), STR_ARG(id));
}

/* XEP-0359: by the account of that side. */
static void note_id(struct sim *s, struct sim_message *m, int side, const struct stanza *stanza,
                    stanza_el message)
{
    char by[64];
    int user = side ? s->clients[m->from].user : m->to;
    (void)snprintf(by, sizeof(by), "%s@%s", user_name(s, user), s->clients[user].home->domain);
    for (stanza_el el = stanza_first(stanza, message); el != STANZA_NONE;
         el = stanza_next(stanza, el))
        if (stanza_is(stanza, el, STR("stanza-id"), NS_STANZA_ID) &&
            str_is(stanza_attr(stanza, el, STR("by")), by))
            sim_account_id(s, m, side, stanza_attr(stanza, el, STR("id")));
}

static void arrived(struct sim *s, struct sim_message *m, int client, const struct stanza *stanza,
                    stanza_el message)
{
    bool marked = stanza_child(stanza, message, STR("delay"), NS_DELAY) != STANZA_NONE;
    if (!m->at[client].copies) {
        m->at[client].first = sim_now(s);
        m->at[client].place = ++s->places;
        m->at[client].read = s->told_archive[m->to] >= m->sent;
    } else if (!marked && message == STANZA_ROOT && m->at[client].directly &&
               s->clients[client].lie != SIM_BEHIND) {
        m->late_unmarked = true;
    }
    m->at[client].directly = m->at[client].directly || message == STANZA_ROOT;
    if (!m->copies++)
        m->first = sim_now(s);
    m->last = sim_now(s);
    m->at[client].copies++;
    sim_trace(s, "%s gets m%d of %s%s%s%s", name_of(s, client), (int)(m - s->messages),
              name_of(s, m->from), message == STANZA_ROOT ? "" : ", a carbon",
              marked ? ", delayed" : "", m->at[client].copies > 1 ? ", again" : "");
}

/* Whose client has gone has it in the queue, for whichever of the account's comes first. */
static void returned(struct sim *s, struct sim_message *m, int client, const struct stanza *stanza)
{
    bool stored = stanza_child(stanza, STANZA_ROOT, STR("delay"), NS_DELAY) != STANZA_NONE;
    if (client != m->from && !(stored && s->clients[client].user == s->clients[m->from].user))
        sim_complain(s, "%s gets an error for m%d, which it did not send", name_of(s, client),
                     (int)(m - s->messages));
    m->errors++;
    m->returned = sim_now(s);
    sim_trace(s, "%s gets an error for m%d", name_of(s, client), (int)(m - s->messages));
}

/* XEP-0280: the copy of a message that another client of the account has sent or got. */
static stanza_el inside(const struct stanza *stanza, const char *direction)
{
    stanza_el el = stanza_child(stanza, STANZA_ROOT, str_of(direction), NS_CARBONS);
    if (el != STANZA_NONE)
        el = stanza_child(stanza, el, STR("forwarded"), NS_FORWARD);
    return el == STANZA_NONE ? el : stanza_child(stanza, el, STR("message"), NS_CLIENT);
}

void sim_account_came(struct sim *s, int client, const struct stanza *stanza)
{
    stanza_el sent = inside(stanza, "sent"), got = inside(stanza, "received");
    stanza_el message = got != STANZA_NONE ? got : sent;
    if (message == STANZA_NONE)
        message = STANZA_ROOT;
    struct sim_message *m = sim_account_find(s, stanza, message);
    int user = s->clients[client].user;
    if (!m) {
        sim_complain(s, "%s gets what nobody sent", name_of(s, client));
        return;
    }
    if (str_is(stanza_attr(stanza, message, STR("type")), "error")) {
        if (got == STANZA_NONE) /* XEP-0280 section 6.1: else a copy for the other clients */
            returned(s, m, client, stanza);
    } else if (sent != STANZA_NONE && user == s->clients[m->from].user && client != m->from) {
        m->at[client].sent++;
        m->heard = sim_now(s);
        note_id(s, m, 1, stanza, message);
        sim_trace(s, "%s hears of m%d", name_of(s, client), (int)(m - s->messages));
    } else if (user != m->to || sent != STANZA_NONE) {
        sim_complain(s, "%s gets m%d, which is for %s", name_of(s, client), (int)(m - s->messages),
                     user_name(s, m->to));
    } else {
        arrived(s, m, client, stanza, message);
        note_id(s, m, 0, stanza, message);
    }
}

struct sim_fault *sim_account_fault(struct sim *s, int client)
{
    if (s->fault_count == SIM_FAULTS)
        return &s->faults[SIM_FAULTS - 1];
    struct sim_fault *f = &s->faults[s->fault_count++];
    *f = (struct sim_fault){.begun = sim_now(s), .over = UINT64_MAX, .client = client};
    return f;
}

bool sim_account_broken(const struct sim *s, const struct sim_server *home, uint64_t since)
{
    for (int i = 0; i < s->fault_count; i++) {
        const struct sim_fault *f = &s->faults[i];
        if (f->client == SIM_NOBODY && sim_account_concerns(f, home, home) && f->over >= since)
            return true;
    }
    return false;
}

/* Only a machine without power forgets a session before its time; and where the disk fails nothing
 * can be resumed, as the row of a session that slept has to go first. Who did not read, or tell the
 * truth of it, may lack what nobody has any more (src/sm/acks.c), or know too late that its stream
 * broke. */
void sim_account_refused(struct sim *s, const struct sim_client *c)
{
    uint64_t now = sim_now(s);
    if (!c->lost || c->home->power + MARGIN_MS >= c->lost ||
        now - c->lost + MARGIN_MS >= c->home->resume_ms || c->lie || c->read_again >= c->bound)
        return;
    for (int i = 0; i < s->fault_count; i++) {
        const struct sim_fault *f = &s->faults[i];
        if (f->disk && f->server == c->home && f->begun <= now && f->over >= c->lost)
            return;
    }
    sim_complain(s, "%s, whose stream broke at %" PRIu64 ", cannot resume its session", c->name,
                 c->lost);
}

/* --- the judgement --- */

bool sim_crosses(const struct sim *s, const struct sim_message *m)
{
    return s->clients[m->from].home != s->clients[m->to].home;
}

bool sim_account_concerns(const struct sim_fault *f, const struct sim_server *from,
                          const struct sim_server *to)
{
    return (!f->server || f->server == from || f->server == to) && (!f->abroad || from != to);
}

static bool concerns(const struct sim *s, const struct sim_fault *f, const struct sim_message *m)
{
    const struct sim_client *from = &s->clients[m->from], *to = &s->clients[m->to];
    int user = f->client == SIM_NOBODY ? SIM_NOBODY : s->clients[f->client].user;
    if (user == SIM_NOBODY)
        return sim_account_concerns(f, from->home, to->home);
    return user == from->user || user == m->to;
}

unsigned sim_account_faults(const struct sim *s, const struct sim_message *m, uint64_t end)
{
    unsigned count = 0;
    for (int i = 0; i < s->fault_count; i++)
        count += concerns(s, &s->faults[i], m) && m->sent <= s->faults[i].over &&
                 s->faults[i].begun <= end;
    return count;
}

/* Between servers of which one is not to speak XEP-0198 an acknowledgement says less
 * (docs/decisions/0077-s2s-ping.md): that of a ping, that the other one has read it, so that it may
 * be lost when that one breaks; without pings, too, none at all. */
static bool half_known(const struct sim *s, const struct sim_fault *f, const struct sim_message *m)
{
    const struct sim_server *from = s->clients[m->from].home, *to = s->clients[m->to].home;
    if (from == to || !concerns(s, f, m))
        return false;
    return from->s2s_acks ? !to->s2s_acks && f->server == to : f->wire || f->server == to;
}

/* That, or to a client without acknowledgements that went without reading: nobody can know. */
bool sim_account_unknown(const struct sim *s, const struct sim_message *m)
{
    for (int i = 0; i < s->fault_count; i++) {
        const struct sim_fault *f = &s->faults[i];
        const struct sim_client *c = f->mute ? &s->clients[f->client] : NULL;
        bool lost = c ? !c->acks && c->user == m->to : half_known(s, f, m);
        uint64_t unsafe = OUTCOME_MS + (c ? 0 : s->clients[m->to].home->outbox_ms);
        if (lost && m->sent <= f->over && (!m->acked || f->begun <= m->acked + unsafe))
            return true;
    }
    return false;
}

void sim_account_print(struct sim *s, const struct sim_message *m, const char *what)
{
    sim_complain(s,
                 "%s: m%d, %s to %s, sent %" PRIu64 ", acknowledged %" PRIu64 ", arrived %" PRIu64
                 " to %" PRIu64 " (%u times), returned %" PRIu64 " (%u times), archived %u and %u",
                 what, (int)(m - s->messages), name_of(s, m->from), user_name(s, m->to), m->sent,
                 m->acked, m->first, m->last, m->copies, m->returned, m->errors, m->kept[0],
                 m->kept[1]);
}

/* When the next of the same pair arrived. */
static uint64_t next_arrival(const struct sim *s, const struct sim_message *m)
{
    uint64_t next = UINT64_MAX;
    for (const struct sim_message *n = m + 1; n < s->messages + s->message_count; n++)
        if (n->from == m->from && n->to == m->to && n->copies && n->first < next)
            next = n->first;
    return next;
}

/* Copies that one client got, or carbons, whichever are most. */
static unsigned most_copies(const struct sim *s, const struct sim_message *m)
{
    unsigned most = 0;
    for (int i = 0; i < s->client_count; i++) {
        most = m->at[i].copies > most ? m->at[i].copies : most;
        most = m->at[i].sent > most ? m->at[i].sent : most;
    }
    return most;
}

/* When anything of it came for the last time. */
static uint64_t end_of(const struct sim_message *m)
{
    uint64_t end = m->last > m->returned ? m->last : m->returned;
    return m->heard > end ? m->heard : end;
}

/* Where nothing was broken, every client that was there has it once: those it is for, and by a
 * carbon (XEP-0280) those of who wrote it. */
static void check_everywhere(struct sim *s, const struct sim_message *m)
{
    if (sim_account_faults(s, m, m->sent + DELIVERED_MS))
        return;
    for (int i = 0; i < s->client_count; i++) {
        bool mine = s->clients[i].user == s->clients[m->from].user;
        unsigned wanted =
            m->at[i].expected && !(mine && i == m->from && s->clients[i].user != m->to);
        unsigned got = mine && s->clients[i].user != m->to ? m->at[i].sent : m->at[i].copies;
        if (got < wanted || (got > 1 && !sim_account_faults(s, m, end_of(m)))) {
            sim_account_print(s, m, "not once at each");
            sim_complain(s, "... %u times at %s", got, name_of(s, i));
        }
    }
}

/* A machine that loses its power forgets the ids of the last moment, and an sm that starts while
 * the disk fails makes some that nobody knows later (docs/decisions/0090-ids-that-survive.md). */
bool sim_account_forgets_ids(const struct sim *s, const struct sim_message *m,
                             const struct sim_server *home)
{
    for (int i = 0; i < s->fault_count; i++) {
        const struct sim_fault *f = &s->faults[i];
        if ((f->power || f->disk) && f->server == home && m->sent <= f->over)
            return true;
    }
    return false;
}

/* G3: what comes again bears the id that it had. What its sender sent again to a user of the other
 * server is a message of its own there, when its own server does not know it any more. */
static void check_ids(struct sim *s, const struct sim_message *m)
{
    bool anew = m->sent_again && sim_crosses(s, m) &&
                sim_account_forgets_ids(s, m, s->clients[m->from].home);
    if (m->ids[0].other && !anew && !sim_account_forgets_ids(s, m, s->clients[m->to].home))
        sim_account_print(s, m, "with another id");
    if (m->ids[1].other && !sim_account_forgets_ids(s, m, s->clients[m->from].home))
        sim_account_print(s, m, "sent with another id");
}

bool sim_account_left(const struct sim *s, const struct sim_message *m)
{
    return !m->copies && m->kept[0] && s->told_archive[m->to] >= m->sent;
}

static void check_message(struct sim *s, const struct sim_message *m)
{
    unsigned fates = m->copies + m->errors;
    uint64_t end = end_of(m);
    end = m->acked > end ? m->acked : end; /* carbons alone may have come again */
    if (m->acked && !fates && !sim_account_unknown(s, m) && !sim_account_left(s, m)) /* G1 */
        sim_account_print(s, m, "acknowledged and lost");
    if (!m->acked && !fates && !sim_account_faults(s, m, next_arrival(s, m)))
        sim_account_print(s, m, "lost without a fault");
    if (most_copies(s, m) + m->errors > 1 + sim_account_faults(s, m, end)) /* G3, G5 */
        sim_account_print(s, m, "too often");
    if (m->late_unmarked && !m->sent_again)
        sim_account_print(s, m, "a later copy does not say that it is late");
    check_everywhere(s, m);
    check_ids(s, m);
}

/* What is on its way to a client without acknowledgements that goes, or whose c2s dies, comes back
 * to the sm and is stored behind what came meanwhile. What a client never took goes to another of
 * its user when its session ends. What is for one client alone reaches it before its presence does,
 * and what an earlier session did not take waits in the queue (RFC 6121 section 8.5). While the
 * disk fails live messages go on, and what is stored has to wait. */
static bool may_come_late(const struct sim *s, const struct sim_message *m, int client)
{
    bool plain = !s->clients[client].acks, alone = true;
    for (int i = 0; i < s->client_count; i++)
        alone = alone && (i == client || s->clients[i].user != s->clients[client].user);
    for (int i = 0; i < s->fault_count; i++) {
        const struct sim_fault *f = &s->faults[i];
        bool its = f->client != SIM_NOBODY && s->clients[f->client].user == m->to;
        if (m->sent <= f->over && f->begun <= m->at[client].first &&
            (((f->disk || (plain && f->c2s)) && concerns(s, f, m)) || (plain && its) ||
             ((!alone || m->full) && (its || (f->client == SIM_NOBODY && concerns(s, f, m))))))
            return true;
    }
    return false;
}

/* G4: first copies of a pair come in the order they were sent. What is for one client alone reaches
 * it before its presence does, what is for the user then waits in the queue (RFC 6121 section 8.5).
 */
static void check_order(struct sim *s, int from, int client, bool full)
{
    const struct sim_message *before = NULL;
    for (const struct sim_message *m = s->messages; m < s->messages + s->message_count; m++) {
        if (m->from != from || m->full != full || !m->at[client].copies)
            continue;
        if (before && m->at[client].place < before->at[client].place && !before->at[client].read &&
            !may_come_late(s, before, client)) {
            sim_account_print(s, m, "has overtaken the next");
            sim_account_print(s, before, "which is this");
            continue;
        }
        before = m;
    }
}

void sim_account_check(struct sim *s)
{
    for (int i = 0; i < s->message_count; i++)
        check_message(s, &s->messages[i]);
    for (int i = 0; i < s->client_count; i++)
        for (int j = 0; j < s->client_count; j++)
            for (int full = 0; full < 2; full++)
                check_order(s, i, j, full);
}
