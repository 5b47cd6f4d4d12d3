/* JIDs: whatever is accepted is well-formed, bounded, and prepared for good; and the fast path
 * decides as ICU does. */
#include <stdint.h>
#include <stdlib.h>

#include "xmpp/jid.h"
#include "xmpp/precis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef bool prepare_fn(struct str in, char out[1024], size_t *ret_len);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static bool ascii(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] & 0x80)
            return false;
    return true;
}

static void check_prepare(prepare_fn *prepare, struct str in)
{
    char once[1024], twice[1024];
    size_t len = 0, again = 0;
    if (!prepare(in, once, &len))
        return;
    must(len >= 1 && len <= 1023);
    must(str_utf8_valid((struct str){once, len}));
    must(prepare((struct str){once, len}, twice, &again));
    must(str_eq((struct str){once, len}, (struct str){twice, again}));
}

static void check_fast(prepare_fn *fast, prepare_fn *slow, struct str in, const char *excluded)
{
    char a[1024], b[1024];
    size_t a_len = 0, b_len = 0;
    if (in.len == 0 || in.len > 1023 || !ascii(in))
        return;
    for (size_t i = 0; i < in.len; i++)
        if (in.data[i] == '\0' || strchr(excluded, in.data[i]))
            return;
    bool ok = fast(in, a, &a_len);
    must(ok == slow(in, b, &b_len));
    must(!ok || str_eq((struct str){a, a_len}, (struct str){b, b_len}));
}

static void check_parts(const struct jid *j)
{
    must(j->domain_len >= 1 && j->domain_len <= 1023);
    must(j->local_len <= 1023 && j->resource_len <= 1023);
    must(str_utf8_valid(jid_full(j)) && j->text[jid_full(j).len] == '\0');
    struct jid *again = jid_from_parts(jid_local(j), jid_domain(j), jid_resource(j));
    must(again && jid_eq(again, j));
    jid_unref(again);
    again = jid_parse(jid_full(j));
    must(again && jid_eq(again, j));
    struct jid *bare = jid_to_bare(again), *domain = jid_to_domain(again);
    must(jid_is_bare(bare) && jid_eq_bare(bare, j));
    must(str_eq(jid_full(domain), jid_domain(j)));
    jid_unref(bare);
    jid_unref(domain);
    jid_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    struct jid *j = jid_parse(in);
    if (j)
        check_parts(j);
    jid_unref(j);
    check_prepare(jid_prepare_local, in);
    check_prepare(jid_prepare_domain, in);
    check_prepare(jid_prepare_resource, in);
    check_prepare(jid_prepare_password, in);
    check_fast(jid_prepare_local, precis_local, in, "\"&'/:<>@");
    check_fast(jid_prepare_resource, precis_resource, in, "");
    if (size && data[0] != '[' && data[size - 1] != '.')
        check_fast(jid_prepare_domain, precis_domain, in, "");
    (void)jid_local_unconfusable(in);
    return 0;
}
