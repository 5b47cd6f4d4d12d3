/* The balance of messages (docs/decisions/0082-balance.md), as `jackdaw status` shows it: of every
 * session manager that runs, at any moment between two turns. */
#include <inttypes.h>
#include <stdlib.h>

#include "scenario.h"

static int64_t number(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static int64_t missing(const json_t *balance)
{
    return number(balance, "accepted") - number(balance, "delivered") - number(balance, "stored") -
           number(balance, "sent_on") - number(balance, "bounced") - number(balance, "dropped") -
           number(balance, "in_flight");
}

static bool check(const struct process *p, char *why, size_t size)
{
    json_t *status = component_status(p->component), *balance = json_object_get(status, "balance");
    bool ok = !balance || missing(balance) == 0;

    if (!ok) {
        char *text = json_dumps(balance, JSON_COMPACT);
        (void)snprintf(why, size, "%s: %" PRId64 " messages are missing: %s", p->name,
                       missing(balance), text);
        free(text);
    }
    json_decref(status);
    return ok;
}

bool world_balances(const struct world *w, char *why, size_t size)
{
    for (size_t i = 0; i < w->process_count; i++)
        if (w->processes[i].component && !check(&w->processes[i], why, size))
            return false;
    return !w->abroad || world_balances(w->abroad, why, size);
}
