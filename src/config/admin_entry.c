/* One entry of server.admins. See admin_entry.h. */
#include "config/admin_entry.h"

struct jid *admin_entry_read(struct str entry, struct str *ret_domains)
{
    const char *at = entry.len ? memchr(entry.data, '@', entry.len) : NULL;
    const char *sign = at ? memchr(at, '=', entry.len - (size_t)(at - entry.data)) : NULL;
    struct str address = {entry.data, sign ? (size_t)(sign - entry.data) : entry.len};
    *ret_domains = sign ? (struct str){sign + 1, entry.len - address.len - 1} : STR_NULL;
    struct jid *jid = jid_parse(address);
    if (jid && jid->local_len && jid_is_bare(jid))
        return jid;
    jid_unref(jid);
    return NULL;
}
