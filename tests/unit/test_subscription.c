/* Every cell of RFC 6121 appendix A, expectations written by hand from the RFC's tables - not from
 * subscription.def. */
#include "unit.h"

#include "sm/subscription.h"

/* One row of a table of the RFC: existing state, is it routed or delivered, new state (NULL: "no
 * state change"). */
struct row {
    const char *state;
    enum subscription_action action;
    const char *next;
};

#define ROWS 9

static enum subscription_state state_named(const char *name)
{
    for (int s = 0; s < SUB_STATES; s++)
        if (strcmp(subscription_state_name((enum subscription_state)s), name) == 0)
            return (enum subscription_state)s;
    fail_msg("no state is called %s", name);
    return SUB_NONE;
}

static void check(const struct row rows[ROWS], bool outbound, enum subscription_event e,
                  bool approved)
{
    assert_int_equal(SUB_STATES, ROWS);
    for (int i = 0; i < ROWS; i++) {
        enum subscription_state state = state_named(rows[i].state);
        enum subscription_state next = rows[i].next ? state_named(rows[i].next) : state;
        struct subscription_step step =
            outbound ? subscription_out(state, e) : subscription_in(state, e, approved);
        if (step.action != rows[i].action || step.next != next)
            fail_msg("%s, %s: action %d, next %s", subscription_event_type(e).data, rows[i].state,
                     step.action, subscription_state_name(step.next));
    }
}

static void outbound_subscribe(void **state) /* table 1 */
{
    static const struct row rows[ROWS] = {
        {"None", SUB_DO_ROUTE, "None + Pending Out"},
        {"None + Pending Out", SUB_DO_ROUTE, NULL},
        {"None + Pending In", SUB_DO_ROUTE, "None + Pending Out+In"},
        {"None + Pending Out+In", SUB_DO_ROUTE, NULL},
        {"To", SUB_DO_ROUTE, NULL},
        {"To + Pending In", SUB_DO_ROUTE, NULL},
        {"From", SUB_DO_ROUTE, "From + Pending Out"},
        {"From + Pending Out", SUB_DO_ROUTE, NULL},
        {"Both", SUB_DO_ROUTE, NULL},
    };
    check(rows, true, SUB_SUBSCRIBE, false);
}

static void outbound_unsubscribe(void **state) /* table 2 */
{
    static const struct row rows[ROWS] = {
        {"None", SUB_DO_ROUTE, NULL},
        {"None + Pending Out", SUB_DO_ROUTE, "None"},
        {"None + Pending In", SUB_DO_ROUTE, NULL},
        {"None + Pending Out+In", SUB_DO_ROUTE, "None + Pending In"},
        {"To", SUB_DO_ROUTE, "None"},
        {"To + Pending In", SUB_DO_ROUTE, "None + Pending In"},
        {"From", SUB_DO_ROUTE, NULL},
        {"From + Pending Out", SUB_DO_ROUTE, "From"},
        {"Both", SUB_DO_ROUTE, "From"},
    };
    check(rows, true, SUB_UNSUBSCRIBE, false);
}

static void outbound_subscribed(
    void **state) /* table 3; MUST NOT route, pre-approval where it can be one (3.4.2) */
{
    static const struct row rows[ROWS] = {
        {"None", SUB_DO_APPROVE, NULL},
        {"None + Pending Out", SUB_DO_APPROVE, NULL},
        {"None + Pending In", SUB_DO_ROUTE, "From"},
        {"None + Pending Out+In", SUB_DO_ROUTE, "From + Pending Out"},
        {"To", SUB_DO_APPROVE, NULL},
        {"To + Pending In", SUB_DO_ROUTE, "Both"},
        {"From", SUB_DO_IGNORE, NULL},
        {"From + Pending Out", SUB_DO_IGNORE, NULL},
        {"Both", SUB_DO_IGNORE, NULL},
    };
    check(rows, true, SUB_SUBSCRIBED, false);
}

static void
outbound_unsubscribed(void **state) /* table 4; MUST NOT route, a pre-approval may end */
{
    static const struct row rows[ROWS] = {
        {"None", SUB_DO_UNAPPROVE, NULL},
        {"None + Pending Out", SUB_DO_UNAPPROVE, NULL},
        {"None + Pending In", SUB_DO_ROUTE, "None"},
        {"None + Pending Out+In", SUB_DO_ROUTE, "None + Pending Out"},
        {"To", SUB_DO_UNAPPROVE, NULL},
        {"To + Pending In", SUB_DO_ROUTE, "To"},
        {"From", SUB_DO_ROUTE, "None"},
        {"From + Pending Out", SUB_DO_ROUTE, "None + Pending Out"},
        {"Both", SUB_DO_ROUTE, "To"},
    };
    check(rows, true, SUB_UNSUBSCRIBED, false);
}

static void inbound_subscribe(void **state) /* table 5 */
{
    static const struct row rows[ROWS] = {
        {"None", SUB_DO_DELIVER, "None + Pending In"},
        {"None + Pending Out", SUB_DO_DELIVER, "None + Pending Out+In"},
        {"None + Pending In", SUB_DO_IGNORE, NULL},
        {"None + Pending Out+In", SUB_DO_IGNORE, NULL},
        {"To", SUB_DO_DELIVER, "To + Pending In"},
        {"To + Pending In", SUB_DO_IGNORE, NULL},
        {"From", SUB_DO_REPLY, NULL},
        {"From + Pending Out", SUB_DO_REPLY, NULL},
        {"Both", SUB_DO_REPLY, NULL},
    };
    check(rows, false, SUB_SUBSCRIBE, false);
}

static void inbound_subscribe_approved(void **state) /* table 5, its note: pre-approved */
{
    static const struct row rows[ROWS] = {
        {"None", SUB_DO_REPLY, "From"},
        {"None + Pending Out", SUB_DO_REPLY, "From + Pending Out"},
        {"None + Pending In", SUB_DO_IGNORE, NULL},
        {"None + Pending Out+In", SUB_DO_IGNORE, NULL},
        {"To", SUB_DO_REPLY, "Both"},
        {"To + Pending In", SUB_DO_IGNORE, NULL},
        {"From", SUB_DO_REPLY, NULL},
        {"From + Pending Out", SUB_DO_REPLY, NULL},
        {"Both", SUB_DO_REPLY, NULL},
    };
    check(rows, false, SUB_SUBSCRIBE, true);
}

static void inbound_unsubscribe(void **state) /* table 6 */
{
    static const struct row rows[ROWS] = {
        {"None", SUB_DO_IGNORE, NULL},
        {"None + Pending Out", SUB_DO_IGNORE, NULL},
        {"None + Pending In", SUB_DO_DELIVER, "None"},
        {"None + Pending Out+In", SUB_DO_DELIVER, "None + Pending Out"},
        {"To", SUB_DO_IGNORE, NULL},
        {"To + Pending In", SUB_DO_DELIVER, "To"},
        {"From", SUB_DO_DELIVER, "None"},
        {"From + Pending Out", SUB_DO_DELIVER, "None + Pending Out"},
        {"Both", SUB_DO_DELIVER, "To"},
    };
    check(rows, false, SUB_UNSUBSCRIBE, false);
    check(rows, false, SUB_UNSUBSCRIBE, true);
}

static void inbound_subscribed(void **state) /* table 7 */
{
    static const struct row rows[ROWS] = {
        {"None", SUB_DO_IGNORE, NULL},
        {"None + Pending Out", SUB_DO_DELIVER, "To"},
        {"None + Pending In", SUB_DO_IGNORE, NULL},
        {"None + Pending Out+In", SUB_DO_DELIVER, "To + Pending In"},
        {"To", SUB_DO_IGNORE, NULL},
        {"To + Pending In", SUB_DO_IGNORE, NULL},
        {"From", SUB_DO_IGNORE, NULL},
        {"From + Pending Out", SUB_DO_DELIVER, "Both"},
        {"Both", SUB_DO_IGNORE, NULL},
    };
    check(rows, false, SUB_SUBSCRIBED, false);
    check(rows, false, SUB_SUBSCRIBED, true);
}

static void inbound_unsubscribed(void **state) /* table 8 */
{
    static const struct row rows[ROWS] = {
        {"None", SUB_DO_IGNORE, NULL},
        {"None + Pending Out", SUB_DO_DELIVER, "None"},
        {"None + Pending In", SUB_DO_IGNORE, NULL},
        {"None + Pending Out+In", SUB_DO_DELIVER, "None + Pending In"},
        {"To", SUB_DO_DELIVER, "None"},
        {"To + Pending In", SUB_DO_DELIVER, "None + Pending In"},
        {"From", SUB_DO_IGNORE, NULL},
        {"From + Pending Out", SUB_DO_DELIVER, "From"},
        {"Both", SUB_DO_DELIVER, "From"},
    };
    check(rows, false, SUB_UNSUBSCRIBED, false);
    check(rows, false, SUB_UNSUBSCRIBED, true);
}

static void states_and_flags(void **state) /* A.1 */
{
    for (int i = 0; i < SUB_STATES; i++) {
        enum subscription_state s = (enum subscription_state)i;
        assert_int_equal(subscription_state_of(subscription_to(s), subscription_from(s),
                                               subscription_pending_out(s),
                                               subscription_pending_in(s)),
                         s);
    }
    assert_int_equal(subscription_state_of(true, true, true, true), SUB_BOTH);
    assert_int_equal(subscription_state_of(true, false, true, false), SUB_TO);
    assert_true(str_is(subscription_attr(SUB_NONE_OUT_IN), "none"));
    assert_true(str_is(subscription_attr(SUB_TO_IN), "to"));
    assert_true(str_is(subscription_attr(SUB_FROM_OUT), "from"));
    assert_true(str_is(subscription_attr(SUB_BOTH), "both"));
}

static void events(void **state)
{
    enum subscription_event e = SUB_EVENTS;
    assert_true(subscription_event_parse(STR("unsubscribed"), &e));
    assert_int_equal(e, SUB_UNSUBSCRIBED);
    assert_false(subscription_event_parse(STR("probe"), &e));
    assert_false(subscription_event_parse(STR_NULL, &e));
    assert_int_equal(e, SUB_UNSUBSCRIBED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outbound_subscribe),
        cmocka_unit_test(outbound_unsubscribe),
        cmocka_unit_test(outbound_subscribed),
        cmocka_unit_test(outbound_unsubscribed),
        cmocka_unit_test(inbound_subscribe),
        cmocka_unit_test(inbound_subscribe_approved),
        cmocka_unit_test(inbound_unsubscribe),
        cmocka_unit_test(inbound_subscribed),
        cmocka_unit_test(inbound_unsubscribed),
        cmocka_unit_test(states_and_flags),
        cmocka_unit_test(events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
