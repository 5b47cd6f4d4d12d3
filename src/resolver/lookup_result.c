/* From what DNS answered to what is to be tried, in order. */
#include <stdio.h>
#include <string.h>

#include "resolver/lookup.h"

struct seen {
    bool bogus, failed;
};

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void note(struct seen *seen, enum dns_status status)
{
    seen->bogus |= status == DNS_BOGUS;
    seen->failed |= status == DNS_FAILED;
}

/* Where TLSA should say which certificate is right, but is false or does not come, connecting would
 * be what a forger wants (RFC 7673 section 3.4; RFC 7672 section 2.1.2). */
static bool tlsa_allows(const struct lookup_service *s, struct seen *seen)
{
    const struct lookup_host *h = s->host;
    bool secure =
        (h->count[0] > 0 && h->family[0].secure) || (h->count[1] > 0 && h->family[1].secure);

    if (!s->tlsa_asked || !secure)
        return true;
    if (s->tlsa_part.status == DNS_BOGUS || s->tlsa_part.status == DNS_FAILED) {
        note(seen, s->tlsa_part.status);
        return false;
    }
    if (s->tlsa_part.status == DNS_FOUND && s->tlsa_part.secure && s->tlsa_count == 0) {
        seen->bogus = true; /* records, but none that can be read */
        return false;
    }
    return true;
}

static void add_ip(struct lookup *l, const struct lookup_service *s, const char *ip, bool v6)
{
    const struct lookup_part *part = &s->host->family[v6 ? 0 : 1];
    struct lookup_ip *out = &l->ips[l->ip_count++];

    (void)snprintf(out->ip, sizeof(out->ip), "%s", ip);
    out->host = s->host->name;
    out->port = s->port;
    out->direct = s->direct;
    out->secure = s->secure && part->secure;
    out->ttl = min_u32(s->ttl, part->ttl);
    l->secure = l->secure && out->secure;
    l->ttl = min_u32(l->ttl, out->ttl);
}

static void add_service_ips(struct lookup *l, struct lookup_service *s)
{
    const struct lookup_host *h = s->host;
    size_t all = h->count[0] + h->count[1];

    for (size_t i = 0; i < all && l->ip_count < LOOKUP_MAX_IPS; i++) {
        bool v6;
        size_t at = order_family(h->count[0], h->count[1], i, &v6);
        add_ip(l, s, h->ips[v6 ? 0 : 1][at], v6);
        s->used = true;
    }
    if (s->tlsa_count > 0 && s->used)
        l->ttl = min_u32(l->ttl, s->tlsa_part.ttl);
}

void lookup_result(struct lookup *l)
{
    struct seen seen = {false, false};

    l->secure = true;
    l->ttl = UINT32_MAX;
    for (size_t i = 0; i < l->service_count; i++) {
        struct lookup_service *s = &l->services[i];
        note(&seen, s->host->family[0].status);
        note(&seen, s->host->family[1].status);
        if (tlsa_allows(s, &seen))
            add_service_ips(l, s);
    }
    if (l->ip_count > 0)
        l->error = LOOKUP_OK;
    else
        lookup_result_none(l, seen.bogus    ? LOOKUP_BOGUS
                              : seen.failed ? LOOKUP_TIMEOUT
                                            : LOOKUP_NOT_FOUND);
}

/* RFC 2308: a denial has a TTL, too. Failures have none. */
static void count_in(struct lookup *l, const struct lookup_part *part)
{
    if (part->status == DNS_FOUND || part->status == DNS_ABSENT)
        l->ttl = min_u32(l->ttl, part->ttl);
}

void lookup_result_none(struct lookup *l, enum lookup_error error)
{
    l->error = error;
    l->secure = false;
    l->ip_count = 0;
    l->ttl = UINT32_MAX;
    for (size_t i = 0; i < 2; i++)
        count_in(l, &l->srv[i]);
    for (size_t i = 0; i < l->host_count; i++) {
        count_in(l, &l->hosts[i].family[0]);
        count_in(l, &l->hosts[i].family[1]);
    }
    if (error == LOOKUP_TIMEOUT || error == LOOKUP_BOGUS || l->ttl == UINT32_MAX)
        l->ttl = 0;
}
