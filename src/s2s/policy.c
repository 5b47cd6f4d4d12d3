/* What the configuration says about a domain: whether we speak with it, what it must show, where it
 * is found without asking DNS. Read anew each time it matters - once a stream, not once a stanza -
 * so that a reload needs nothing here. */
#include <stdlib.h>
#include <string.h>

#include "s2s/s2s.h"

/* "example.com" is that domain, "*.example.com" whatever is below it, "*" everything. */
static bool pattern_matches(const char *pattern, struct str domain)
{
    struct str suffix;

    if (strcmp(pattern, "*") == 0)
        return true;
    if (strncmp(pattern, "*.", 2) != 0)
        return str_is(domain, pattern);
    suffix = str_of(pattern + 1);
    return domain.len > suffix.len &&
           memcmp(domain.data + domain.len - suffix.len, suffix.data, suffix.len) == 0;
}

static bool listed(const struct config_list *list, struct str domain)
{
    for (size_t i = 0; i < list->count; i++)
        if (pattern_matches(list->items[i], domain))
            return true;
    return false;
}

static bool apply_word(struct policy *p, struct str word)
{
    if (str_is(word, "tls"))
        p->tls = true;
    else if (str_is(word, "no-tls"))
        p->tls = p->certificate = false; /* no certificate without TLS */
    else if (str_is(word, "certificate"))
        p->certificate = p->tls = true;
    else if (str_is(word, "no-certificate"))
        p->certificate = false;
    else
        return false;
    return true;
}

/* False when a word is unknown. */
static bool apply_words(struct policy *p, const char *words)
{
    struct str rest = str_of(words), word;
    bool known = true;

    while (str_split(&rest, '+', &word))
        known &= apply_word(p, word);
    return known;
}

/* The words behind "domain=" when the row is about it. */
static const char *row_for(const char *row, struct str domain)
{
    const char *sign = strchr(row, '=');
    char pattern[1024];
    size_t len = sign ? (size_t)(sign - row) : 0;

    if (len == 0 || len >= sizeof(pattern))
        return NULL;
    memcpy(pattern, row, len);
    pattern[len] = '\0';
    return pattern_matches(pattern, domain) ? sign + 1 : NULL;
}

struct policy policy_of(const struct s2s *s, struct str domain)
{
    const struct config *config = s2s_config(s);
    struct policy p = {.tls = strcmp(config->s2s_tls, "required") == 0,
                       .certificate = config->s2s_require_certificate};

    p.allowed = !listed(&config->s2s_deny, domain) &&
                (config->s2s_allow.count == 0 || listed(&config->s2s_allow, domain)) &&
                s2s_peers_allow(s, domain);
    if (strcmp(config->s2s_tls, "off") == 0)
        return p;
    for (size_t i = 0; i < config->s2s_policies.count; i++) {
        const char *words = row_for(config->s2s_policies.items[i], domain);
        if (words)
            (void)apply_words(&p, words);
    }
    return p;
}

/* "address:port", the address of IPv6 in brackets; "tls:" before it for direct TLS. */
static bool parse_target(const char *text, struct target *ret)
{
    const char *colon;
    uint64_t port;
    size_t len;

    memset(ret, 0, sizeof(*ret));
    ret->direct_tls = strncmp(text, "tls:", 4) == 0;
    if (ret->direct_tls)
        text += 4;
    colon = strrchr(text, ':');
    len = colon ? (size_t)(colon - text) : 0;
    if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof(ret->at.ip) || !str_to_u64(str_of(colon + 1), 65535, &port) ||
        port == 0)
        return false;
    memcpy(ret->at.ip, text, len);
    ret->at.port = (uint16_t)port;
    return true;
}

size_t policy_hosts(const struct s2s *s, struct str domain, struct target *ret, size_t max)
{
    const struct config_list *rows = &s2s_config(s)->s2s_hosts;
    size_t count = 0;

    for (size_t i = 0; i < rows->count && count < max; i++) {
        const char *where = row_for(rows->items[i], domain);
        count += where && parse_target(where, &ret[count]);
    }
    return count;
}

bool policy_federates(const struct s2s *s, struct str local)
{
    if (!domains_find(&s->domains, local))
        return true;
    return config_for(s2s_config(s), local)->domain_s2s &&
           (!s->by_default || domains_public(local));
}

bool policy_check(const struct s2s *s)
{
    const struct config *config = s2s_config(s);
    const struct log *log = &s->component->log;
    struct policy p;
    struct target t;

    for (size_t i = 0; i < config->s2s_policies.count; i++) {
        const char *row = config->s2s_policies.items[i], *sign = strchr(row, '=');
        if (sign && sign > row && apply_words(&p, sign + 1))
            continue;
        log_error(log,
                  "s2s.policies: '%s' is not understood; write domain=word+word with words of "
                  "tls, no-tls, certificate, no-certificate",
                  row);
        return false;
    }
    for (size_t i = 0; i < config->s2s_hosts.count; i++) {
        const char *row = config->s2s_hosts.items[i], *sign = strchr(row, '=');
        if (sign && sign > row && parse_target(sign + 1, &t))
            continue;
        log_error(log,
                  "s2s.hosts: '%s' is not understood; write domain=address:port, like "
                  "example.com=192.0.2.1:5269 or example.com=[2001:db8::1]:5269",
                  row);
        return false;
    }
    return true;
}
