/* What has to be kept: the archive (reliability.md C.1, G2) and what an iq has changed (G8), which
 * is here the roster. Everybody's are read at the end and compared with what was sent. */
#include "sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "xmpp/namespaces.h"

enum { ARCHIVE_LOOKED_AT = 256 }; /* rows: src/sm/mam_recent.c */

/* --- the roster --- */

int sim_kept_set(struct sim *s, int from)
{
    if (s->iq_count == SIM_IQS)
        return -1;
    int index = s->iq_count++;
    s->iqs[index] = (struct sim_iq){.from = from, .sent = sim_now(s)};
    sim_trace(s, "%s sets c%d", s->clients[from].name, index);
    return index;
}

/* "cN", perhaps with more behind it. */
static struct sim_iq *iq_of(struct sim *s, struct str id)
{
    uint64_t index;
    struct str number = id.len > 1 ? (struct str){id.data + 1, id.len - 1} : STR_NULL, word;
    if (!number.data || id.data[0] != 'c' || !str_split(&number, '@', &word) ||
        !str_to_u64(word, UINT32_MAX, &index) || index >= (uint64_t)s->iq_count)
        return NULL;
    return &s->iqs[index];
}

void sim_kept_answered(struct sim *s, int client, const struct stanza *stanza)
{
    struct str type = stanza_attr(stanza, STANZA_ROOT, STR("type"));
    struct sim_iq *iq = iq_of(s, stanza_attr(stanza, STANZA_ROOT, STR("id")));
    if (!iq)
        return;
    if (client != iq->from)
        sim_complain(s, "%s gets the answer to c%d, which it did not ask", s->clients[client].name,
                     (int)(iq - s->iqs));
    iq->last = sim_now(s);
    if (str_is(type, "result"))
        iq->results++;
    else
        iq->errors++;
    sim_trace(s, "%s: c%d is answered", s->clients[client].name, (int)(iq - s->iqs));
}

void sim_kept_roster(struct sim *s, int user, const struct stanza *result)
{
    stanza_el query = stanza_child(result, STANZA_ROOT, STR("query"), NS_ROSTER);
    if (query == STANZA_NONE)
        return;
    for (stanza_el el = stanza_first(result, query); el != STANZA_NONE;
         el = stanza_next(result, el)) {
        struct sim_iq *iq = iq_of(s, stanza_attr(result, el, STR("jid")));
        if (!iq || s->clients[iq->from].user != user)
            sim_complain(s, "%s has a contact that it did not set", s->clients[user].local);
        else
            iq->kept = true;
    }
}

static bool broken_between(const struct sim *s, uint64_t from, uint64_t to, int client)
{
    for (int i = 0; i < s->fault_count; i++) {
        const struct sim_fault *f = &s->faults[i];
        bool its = f->client == SIM_NOBODY
                       ? sim_account_concerns(f, s->clients[client].home, s->clients[client].home)
                       : f->client == client;
        if (its && from <= f->over && f->begun <= to)
            return true;
    }
    return false;
}

/* An answer comes once; without a fault it does come. What `h` did not cover its client sends again
 * after a fault, however late, and is answered again (XEP-0198 section 5). What was said to be done
 * is done. */
static void check_iq(struct sim *s, const struct sim_iq *iq)
{
    int n = (int)(iq - s->iqs);
    unsigned answers = iq->results + iq->errors;
    uint64_t end = iq->acked > iq->sent + 2000 ? iq->acked : iq->sent + 2000;
    end = iq->last > end ? iq->last : end;
    bool broken = broken_between(s, iq->sent, end, iq->from);
    if (!broken && answers != 1)
        sim_complain(s, "c%d of %s, sent %" PRIu64 ", is answered %u times", n,
                     s->clients[iq->from].name, iq->sent, answers);
    if ((iq->results || (iq->acked && !iq->errors)) && !iq->kept)
        sim_complain(s,
                     "c%d of %s, sent %" PRIu64 ", acknowledged %" PRIu64 ", is lost (%u results)",
                     n, s->clients[iq->from].name, iq->sent, iq->acked, iq->results);
}

/* --- the archive --- */

/* What its sm, in its next life, has no note of (docs/decisions/0090-ids-that-survive.md) and does
 * not look at in the archive any more (0083-once.md), may be there again. */
static void note_row(struct sim *s, struct sim_message *m, int user, int side)
{
    uint32_t row = ++s->rows[user];
    if (!m->kept[side]++)
        m->row[side] = row;
    else if (row - m->row[side] > ARCHIVE_LOOKED_AT &&
             sim_account_forgets_ids(s, m, s->clients[user].home))
        m->forgotten[side] = true;
}

bool sim_kept_archived(struct sim *s, int user, const struct stanza *stanza)
{
    stanza_el el = stanza_child(stanza, STANZA_ROOT, STR("result"), NS_MAM);
    if (el == STANZA_NONE)
        return false;
    struct str id = stanza_attr(stanza, el, STR("id"));
    el = stanza_child(stanza, el, STR("forwarded"), NS_FORWARD);
    el = el == STANZA_NONE ? el : stanza_child(stanza, el, STR("message"), NS_CLIENT);
    struct sim_message *m = el == STANZA_NONE ? NULL : sim_account_find(s, stanza, el);
    bool to = m && m->to == user;
    if (!m || (!to && s->clients[m->from].user != user)) {
        sim_complain(s, "%s has in its archive what is not its", s->clients[user].local);
        return true;
    }
    /* Of a pair in the order they were sent; the last one seen is kept for the next. */
    uint32_t *last = &s->archived[to][m->from][m->to];
    if (!m->kept[!to] && m->number < *last)
        m->misplaced = true;
    if (m->number > *last)
        *last = m->number;
    note_row(s, m, user, !to);
    sim_account_id(s, m, !to, id);
    return true;
}

/* What could not be synced may be on the disk all the same, and an sm that starts while the disk
 * fails cannot read the key of its ids (docs/decisions/0083-once.md). */
static bool disk_failed(const struct sim *s, const struct sim_message *m)
{
    for (int i = 0; i < s->fault_count; i++)
        if (s->faults[i].disk &&
            sim_account_concerns(&s->faults[i], s->clients[m->from].home, s->clients[m->to].home) &&
            s->faults[i].begun <= m->last && m->sent <= s->faults[i].over)
            return true;
    return false;
}

/* How often it may be there. */
static unsigned may_be_kept(const struct sim *s, const struct sim_message *m, bool senders)
{
    uint64_t end = sim_account_left(s, m) ? s->told_archive[m->to] : m->last;
    unsigned faults = sim_account_faults(s, m, end);
    return 1 + disk_failed(s, m) + (m->forgotten[senders] ? faults : 0);
}

/* G2: what was acknowledged is in the archives of both exactly once. What its sender sent again may
 * be a message of its own; what came back is not kept for its recipient. */
static void check_archived(struct sim *s, const struct sim_message *m)
{
    bool own = s->clients[m->from].user == m->to;
    for (int i = 0; i < (own ? 1 : 2); i++) {
        if (m->acked && !m->errors && !m->kept[i] && !(i == 0 && sim_account_unknown(s, m)))
            sim_account_print(s, m, i ? "not in its sender's archive" : "not archived");
        if (m->kept[i] > may_be_kept(s, m, i) && !m->sent_again)
            sim_account_print(
                s, m, i ? "more than once in its sender's archive" : "archived more than once");
    }
    if (m->misplaced && !sim_account_faults(s, m, m->sent + 2000))
        sim_account_print(s, m, "archived in another order");
}

void sim_kept_check(struct sim *s)
{
    for (int i = 0; i < s->message_count; i++)
        check_archived(s, &s->messages[i]);
    for (int i = 0; i < s->iq_count; i++)
        check_iq(s, &s->iqs[i]);
}
