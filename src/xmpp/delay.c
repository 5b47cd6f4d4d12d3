/* Delayed delivery: see delay.h. */
#include "xmpp/delay.h"

#include <time.h>

#include "xml/builder.h"
#include "xmpp/namespaces.h"

struct stanza *delay_create(struct str from, int64_t wall_ms, const char *reason)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char stamp[32];
    size_t len = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
    struct builder *b = builder_create(STR("delay"), NS_DELAY);

    builder_attr(b, STR("from"), from);
    builder_attr(b, STR("stamp"), (struct str){stamp, len});
    if (reason)
        builder_text(b, str_of(reason));
    return builder_finish(b);
}
