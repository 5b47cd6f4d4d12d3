/* DOMAIN/echo sends every message back to who wrote it, as jabberd2's did: for people who try out a
 * client. */
#include "sm/send.h"

static enum path_result at_domain_message(struct path_event *e)
{
    const struct packet *p = e->packet;
    if (!str_is(jid_resource(p->to), "echo"))
        return PATH_PASS;
    /* Never to another server's echo, and no error is answered (RFC 6120 section 8.3.1). */
    if (p->from->local_len && !str_is(send_type(p->stanza), "error"))
        send_route(e->sm, p->stanza, p->to, p->from);
    fate_obeyed(e->sm, e->packet);
    return PATH_DONE;
}

const struct feature echo_feature = {
    .name = "echo",
    .at = {[PATH_DOMAIN_MESSAGE] = at_domain_message},
};
