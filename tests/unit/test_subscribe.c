/* Every cell of RFC 6121 appendix A on the running session manager: a user is brought into each of
 * the nine states towards a contact on another server, the event happens, and then it is seen what
 * was routed or delivered and what the roster has become. The expectations are written by hand from
 * the RFC's tables. */
#include "sm_world.h"

enum state { NONE, NONE_OUT, NONE_IN, NONE_OUT_IN, TO, TO_IN, FROM, FROM_OUT, BOTH, STATES };

static const char *const names[STATES] = {"None",
                                          "None + Pending Out",
                                          "None + Pending In",
                                          "None + Pending Out+In",
                                          "To",
                                          "To + Pending In",
                                          "From",
                                          "From + Pending Out",
                                          "Both"};

static void out(struct client *c, const char *type)
{
    char xml[128];
    snprintf(xml, sizeof xml, "<presence type='%s' to='romeo@remote.example'/>", type);
    client_send(c, xml);
}

static void in(struct client *c, const char *type)
{
    char xml[128];
    snprintf(xml, sizeof xml,
             "<presence type='%s' from='romeo@remote.example' to='juliet@example.net'/>", type);
    remote_send(c->world, xml);
}

/* From "None" with the item in the roster. */
static void bring(struct client *c, enum state s)
{
    client_send(c, "<iq type='set' id='x'><query xmlns='jabber:iq:roster'><item "
                   "jid='romeo@remote.example'/></query></iq>");
    if (s == FROM || s == FROM_OUT || s == BOTH) {
        in(c, "subscribe");
        out(c, "subscribed");
    }
    if (s == TO || s == TO_IN || s == BOTH) {
        out(c, "subscribe");
        in(c, "subscribed");
    }
    if (s == NONE_OUT || s == NONE_OUT_IN || s == FROM_OUT)
        out(c, "subscribe");
    if (s == NONE_IN || s == NONE_OUT_IN || s == TO_IN)
        in(c, "subscribe");
    world_forget(c->world);
}

/* The state as it can be seen: the roster, and whether a request is delivered to a new resource. */
static void check_state(struct client *c, enum state s, const char *cell)
{
    static const char *const attributes[STATES] = {
        "subscription='none'", "subscription='none' ask='subscribe'",
        "subscription='none'", "subscription='none' ask='subscribe'",
        "subscription='to'",   "subscription='to'",
        "subscription='from'", "subscription='from' ask='subscribe'",
        "subscription='both'"};
    char expected[256];
    client_forget(c);
    client_send(c, "<iq type='get' id='q'><query xmlns='jabber:iq:roster'/></iq>");
    snprintf(expected, sizeof expected, "<item jid='romeo@remote.example' %s/>", attributes[s]);
    if (!strstr(c->in.texts[c->in.taken], expected))
        fail_msg("%s: %s is not %s", cell, c->in.texts[c->in.taken], names[s]);
    struct client *other = client_start(c->world, "juliet@example.net/other", NULL);
    client_send(other, "<presence/>");
    bool pending = false;
    for (size_t i = 0; i < other->in.count; i++)
        pending = pending || strstr(other->in.texts[i], "type='subscribe'");
    if (pending != (s == NONE_IN || s == NONE_OUT_IN || s == TO_IN))
        fail_msg("%s: pending in is wrong for %s", cell, names[s]);
    client_end(other);
}

static bool inbox_has(const struct inbox *inbox, const char *what)
{
    for (size_t i = inbox->taken; i < inbox->count; i++)
        if (strncmp(inbox->texts[i], "<presence", 9) == 0 && strstr(inbox->texts[i], what))
            return true;
    return false;
}

/* What is to be seen: R routed or delivered, '-' not, 'A' answered by `subscribed` from the server.
 */
struct cell {
    char seen;
    enum state next;
};

static void run_table(bool outbound, const char *type, const struct cell cells[STATES])
{
    for (int s = 0; s < STATES; s++) {
        void *state;
        char cell[128], what[64];
        world_setup(&state);
        struct sm_world *w = state;
        struct client *c = client_online(w, "juliet@example.net/balcony");
        bring(c, (enum state)s);
        snprintf(cell, sizeof cell, "%s %s in %s", outbound ? "outbound" : "inbound", type,
                 names[s]);
        snprintf(what, sizeof what, "type='%s'", type);
        if (outbound)
            out(c, type);
        else
            in(c, type);
        bool moved = inbox_has(outbound ? &w->from_sm : &c->in, what);
        bool answered = !outbound && inbox_has(&w->from_sm, "type='subscribed'");
        if (moved != (cells[s].seen == 'R') || answered != (cells[s].seen == 'A'))
            fail_msg("%s: moved %d, answered %d", cell, moved, answered);
        if (strcmp(type, "subscribed") != 0 || !outbound ||
            cells[s].seen == 'R') /* else it is a pre-approval */
            check_state(c, cells[s].next, cell);
        world_teardown(&state);
    }
}

static void a_2_1(void **state)
{
    run_table(true, "subscribe",
              (const struct cell[STATES]){{'R', NONE_OUT},
                                          {'R', NONE_OUT},
                                          {'R', NONE_OUT_IN},
                                          {'R', NONE_OUT_IN},
                                          {'R', TO},
                                          {'R', TO_IN},
                                          {'R', FROM_OUT},
                                          {'R', FROM_OUT},
                                          {'R', BOTH}});
}

static void a_2_2(void **state)
{
    run_table(true, "unsubscribe",
              (const struct cell[STATES]){{'R', NONE},
                                          {'R', NONE},
                                          {'R', NONE_IN},
                                          {'R', NONE_IN},
                                          {'R', NONE},
                                          {'R', NONE_IN},
                                          {'R', FROM},
                                          {'R', FROM},
                                          {'R', FROM}});
}

static void a_2_3(void **state)
{
    run_table(true, "subscribed",
              (const struct cell[STATES]){{'-', NONE},
                                          {'-', NONE_OUT},
                                          {'R', FROM},
                                          {'R', FROM_OUT},
                                          {'-', TO},
                                          {'R', BOTH},
                                          {'-', FROM},
                                          {'-', FROM_OUT},
                                          {'-', BOTH}});
}

static void a_2_4(void **state)
{
    run_table(true, "unsubscribed",
              (const struct cell[STATES]){{'-', NONE},
                                          {'-', NONE_OUT},
                                          {'R', NONE},
                                          {'R', NONE_OUT},
                                          {'-', TO},
                                          {'R', TO},
                                          {'R', NONE},
                                          {'R', NONE_OUT},
                                          {'R', TO}});
}

static void a_3_1(void **state)
{
    run_table(false, "subscribe",
              (const struct cell[STATES]){{'R', NONE_IN},
                                          {'R', NONE_OUT_IN},
                                          {'-', NONE_IN},
                                          {'-', NONE_OUT_IN},
                                          {'R', TO_IN},
                                          {'-', TO_IN},
                                          {'A', FROM},
                                          {'A', FROM_OUT},
                                          {'A', BOTH}});
}

static void a_3_2(void **state)
{
    run_table(false, "unsubscribe",
              (const struct cell[STATES]){{'-', NONE},
                                          {'-', NONE_OUT},
                                          {'R', NONE},
                                          {'R', NONE_OUT},
                                          {'-', TO},
                                          {'R', TO},
                                          {'R', NONE},
                                          {'R', NONE_OUT},
                                          {'R', TO}});
}

static void a_3_3(void **state)
{
    run_table(false, "subscribed",
              (const struct cell[STATES]){{'-', NONE},
                                          {'R', TO},
                                          {'-', NONE_IN},
                                          {'R', TO_IN},
                                          {'-', TO},
                                          {'-', TO_IN},
                                          {'-', FROM},
                                          {'R', BOTH},
                                          {'-', BOTH}});
}

static void a_3_4(void **state)
{
    run_table(false, "unsubscribed",
              (const struct cell[STATES]){{'-', NONE},
                                          {'R', NONE},
                                          {'-', NONE_IN},
                                          {'R', NONE_IN},
                                          {'R', NONE},
                                          {'R', NONE_IN},
                                          {'-', FROM},
                                          {'R', FROM},
                                          {'R', FROM}});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_2_1), cmocka_unit_test(a_2_2), cmocka_unit_test(a_2_3),
        cmocka_unit_test(a_2_4), cmocka_unit_test(a_3_1), cmocka_unit_test(a_3_2),
        cmocka_unit_test(a_3_3), cmocka_unit_test(a_3_4),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
