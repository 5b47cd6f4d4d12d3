/* How long a stored message is worth delivering, by its sender's own word. */
#include "sm/offline.h"
#include "xmpp/datetime.h"
#include "xmpp/namespaces.h"

/* XEP-0023 */
static bool too_old(const struct stanza *s, uint64_t stored_us, int64_t now)
{
    stanza_el x = stanza_child(s, STANZA_ROOT, STR("x"), NS_EXPIRE);
    uint64_t seconds;
    return x != STANZA_NONE && str_to_u64(stanza_attr(s, x, STR("seconds")), INT32_MAX, &seconds) &&
           (int64_t)(stored_us / 1000000 + seconds) <= now;
}

/* XEP-0079 */
static bool past_its_time(const struct stanza *s, int64_t now)
{
    stanza_el amp = stanza_child(s, STANZA_ROOT, STR("amp"), NS_AMP);
    stanza_el rule = amp == STANZA_NONE ? STANZA_NONE : stanza_first(s, amp);
    for (; rule != STANZA_NONE; rule = stanza_next(s, rule)) {
        int64_t end;
        if (stanza_is(s, rule, STR("rule"), NS_AMP) &&
            str_is(stanza_attr(s, rule, STR("condition")), "expire-at") &&
            str_is(stanza_attr(s, rule, STR("action")), "drop") &&
            datetime_parse(stanza_attr(s, rule, STR("value")), &end) && end <= now)
            return true;
    }
    return false;
}

bool offline_expired(const struct stanza *message, uint64_t stored_us, int64_t now)
{
    return too_old(message, stored_us, now) || past_its_time(message, now);
}
