/* Announcements as the users get them. See announcement.h. */
#include "xmpp/announcement.h"

#include "xmpp/namespaces.h"

struct stanza *announcement_create(struct str domain, const char *subject, const char *body)
{
    struct builder *b = builder_create(STR("message"), NS_CLIENT);

    builder_attr(b, STR("type"), STR("headline"));
    builder_attr(b, STR("from"), domain);
    if (subject && *subject)
        builder_leaf(b, STR("subject"), STR_NULL, str_of(subject));
    builder_leaf(b, STR("body"), STR_NULL, str_of(body));
    return builder_finish(b);
}
