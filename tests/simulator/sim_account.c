/* The account: every message's fate, and what must hold for it in the end (reliability.md C.1). */
#include "sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "xmpp/namespaces.h"

/* What a component lost with a fault it may take so long to get right again. */
enum { OUTCOME_MS = 1000 };

static const char *name_of(const struct sim *s, int client)
{
    return s->clients[client].local;
}

/* --- entries --- */

int sim_account_sent(struct sim *s, int from, int to)
{
    if (s->message_count == SIM_MESSAGES)
        return -1;
    int index = s->message_count++;
    s->messages[index] = (struct sim_message){
        .from = from, .to = to, .number = ++s->numbers[from][to], .sent = sim_now(s)};
    sim_trace(s, "%s sends m%d to %s, no. %" PRIu32, name_of(s, from), index, name_of(s, to),
              s->messages[index].number);
    return index;
}

static struct sim_message *message_of(struct sim *s, const struct stanza *stanza)
{
    struct str id = stanza_attr(stanza, STANZA_ROOT, STR("id"));
    uint64_t index;
    if (id.len < 2 || id.data[0] != 'm' ||
        !str_to_u64((struct str){id.data + 1, id.len - 1}, UINT32_MAX, &index) ||
        index >= (uint64_t)s->message_count)
        return NULL;
    return &s->messages[index];
}

static void arrived(struct sim *s, struct sim_message *m, const struct stanza *stanza)
{
    bool marked = stanza_child(stanza, STANZA_ROOT, STR("delay"), NS_DELAY) != STANZA_NONE;
    if (!m->copies) {
        m->first = sim_now(s);
        m->place = ++s->places;
    } else if (!marked) {
        m->late_unmarked = true;
    }
    m->last = sim_now(s);
    m->copies++;
    sim_trace(s, "%s gets m%d of %s%s%s", name_of(s, m->to), (int)(m - s->messages),
              name_of(s, m->from), marked ? ", delayed" : "", m->copies > 1 ? ", again" : "");
}

void sim_account_came(struct sim *s, int client, const struct stanza *stanza)
{
    struct sim_message *m = message_of(s, stanza);
    if (!m) {
        sim_complain(s, "%s gets what nobody sent", name_of(s, client));
        return;
    }
    if (str_is(stanza_attr(stanza, STANZA_ROOT, STR("type")), "error")) {
        if (client != m->from)
            sim_complain(s, "%s gets an error for m%d, which it did not send", name_of(s, client),
                         (int)(m - s->messages));
        m->errors++;
        m->returned = sim_now(s);
        sim_trace(s, "%s gets an error for m%d", name_of(s, client), (int)(m - s->messages));
    } else if (client != m->to) {
        sim_complain(s, "%s gets m%d, which is for %s", name_of(s, client), (int)(m - s->messages),
                     name_of(s, m->to));
    } else {
        arrived(s, m, stanza);
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

/* --- the judgement --- */

static bool concerns(const struct sim_fault *f, const struct sim_message *m)
{
    return f->client == SIM_NOBODY || f->client == m->from || f->client == m->to;
}

static unsigned faults_between(const struct sim *s, const struct sim_message *m, uint64_t end)
{
    unsigned count = 0;
    for (int i = 0; i < s->fault_count; i++)
        count +=
            concerns(&s->faults[i], m) && m->sent <= s->faults[i].over && s->faults[i].begun <= end;
    return count;
}

/* To a client without acknowledgements that went without reading: nobody can know. */
static bool went_unread(const struct sim *s, const struct sim_message *m)
{
    if (s->clients[m->to].acks)
        return false;
    for (int i = 0; i < s->fault_count; i++) {
        const struct sim_fault *f = &s->faults[i];
        if (f->mute && f->client == m->to && m->sent <= f->over &&
            (!m->acked || f->begun <= m->acked + OUTCOME_MS))
            return true;
    }
    return false;
}

static void print(struct sim *s, const struct sim_message *m, const char *what)
{
    sim_complain(s,
                 "%s: m%d, %s to %s, sent %" PRIu64 ", acknowledged %" PRIu64 ", arrived %" PRIu64
                 " to %" PRIu64 " (%u times), returned %" PRIu64 " (%u times)",
                 what, (int)(m - s->messages), name_of(s, m->from), name_of(s, m->to), m->sent,
                 m->acked, m->first, m->last, m->copies, m->returned, m->errors);
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

static void check_message(struct sim *s, const struct sim_message *m)
{
    unsigned fates = m->copies + m->errors;
    uint64_t end = m->last > m->returned ? m->last : m->returned;
    if (m->acked && !fates && !went_unread(s, m)) /* G1 */
        print(s, m, "acknowledged and lost");
    if (!m->acked && !fates && !faults_between(s, m, next_arrival(s, m)))
        print(s, m, "lost without a fault");
    if (fates > 1 + faults_between(s, m, end)) /* G3, G5 */
        print(s, m, "too often");
    if (m->copies > 1 && m->late_unmarked && !m->sent_again)
        print(s, m, "a later copy does not say that it is late");
}

/* What is on its way to a client without acknowledgements that goes, or whose c2s dies, comes back
 * to the sm and is stored behind what came meanwhile. While the disk fails live messages go on, and
 * what is stored has to wait. */
static bool may_come_late(const struct sim *s, const struct sim_message *m)
{
    bool plain = !s->clients[m->to].acks;
    for (int i = 0; i < s->fault_count; i++) {
        const struct sim_fault *f = &s->faults[i];
        if (m->sent <= f->over && f->begun <= m->first &&
            (f->disk || (plain && (f->client == m->to || f->c2s))))
            return true;
    }
    return false;
}

/* G4: first copies of a pair come in the order they were sent. */
static void check_order(struct sim *s, int from, int to)
{
    const struct sim_message *before = NULL;
    for (const struct sim_message *m = s->messages; m < s->messages + s->message_count; m++) {
        if (m->from != from || m->to != to || !m->copies)
            continue;
        if (before && m->place < before->place && !may_come_late(s, before)) {
            print(s, m, "has overtaken the next");
            print(s, before, "which is this");
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
            check_order(s, i, j);
}
