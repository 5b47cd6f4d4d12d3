/* PLAIN, server side (RFC 4616): [authzid] NUL authcid NUL passwd. */
#include "base/mem.h"
#include "xmpp/sasl_impl.h"

enum sasl_action sasl_plain_first(struct sasl *s, struct str in)
{
    struct str authzid, name;
    if (!in.data || !str_split(&in, '\0', &authzid) || !in.data || !str_split(&in, '\0', &name) ||
        !in.data)
        return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST, "PLAIN message without two NULs");
    /* RFC 4616 section 2: neither may be empty, and a NUL in the password is a third one. */
    if (name.len == 0 || in.len == 0 || memchr(in.data, '\0', in.len))
        return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST,
                         "PLAIN name or password empty or with NUL");
    if (!sasl_set_username(s, name))
        return sasl_fail(s, SASL_FAIL_NOT_AUTHORIZED, "the name is no localpart");
    if (!sasl_authzid_ok(s, authzid))
        return sasl_fail(s, SASL_FAIL_INVALID_AUTHZID, "authorization identity of somebody else");
    s->password = mem_strndup(in.data, in.len);
    s->password_len = in.len;
    s->state = SASL_STATE_LOOKUP;
    return SASL_LOOKUP;
}
