/* The black list and the white list that an administrator has set (XEP-0133 sections 4.11 and 4.12;
 * sm/features/peer_lists.c keeps them): the domains in them, as if they stood in s2s.deny and
 * s2s.allow. A session manager tells them, when they change and when we ask because one has come.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "s2s/s2s_conn.h"
#include "xmpp/namespaces.h"

static int compare(const void *a, const void *b)
{
    return str_cmp(str_of(*(char *const *)a), str_of(*(char *const *)b));
}

static void take_list(struct s2s_names *names, const struct stanza *s, struct str element)
{
    for (stanza_el el = stanza_first(s, STANZA_ROOT); el != STANZA_NONE; el = stanza_next(s, el)) {
        struct str domain = stanza_attr(s, el, STR("domain"));
        if (!str_eq(stanza_name(s, el), element) || !domain.len)
            continue;
        if (names->count == names->cap) {
            names->cap = names->cap ? 2 * names->cap : 16;
            names->items = mem_realloc(names->items, names->cap * sizeof(char *));
        }
        names->items[names->count++] = str_dup(domain);
    }
    if (names->count)
        qsort(names->items, names->count, sizeof(char *), compare);
}

static void drop_list(struct s2s_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct s2s_names){.items = NULL};
}

static int compare_name(const void *key, const void *item)
{
    return str_cmp(*(const struct str *)key, str_of(*(char *const *)item));
}

static bool has(const struct s2s_names *names, struct str domain)
{
    return names->count &&
           bsearch(&domain, names->items, names->count, sizeof(char *), compare_name);
}

bool s2s_peers_allow(const struct s2s *s, struct str domain)
{
    return !has(&s->black, domain) && (s->white.count == 0 || has(&s->white, domain));
}

bool s2s_peers_told(struct s2s *s, const struct packet *p)
{
    if (p->kind != PACKET_BROADCAST || p->error || !p->stanza ||
        !stanza_is(p->stanza, STANZA_ROOT, STR("peers"), NS_INTERNAL))
        return false;
    s2s_peers_finish(s);
    take_list(&s->black, p->stanza, STR("black"));
    take_list(&s->white, p->stanza, STR("white"));
    s2s_judge_reload(s);
    return true;
}

void s2s_peers_ask(struct s2s *s, struct str name)
{
    struct packet *p;

    if (!domains_find(&s->domains, name))
        return;
    p = packet_create(PACKET_BROADCAST, STR_NULL, str_of(s->component->id));
    p->stanza = builder_finish(builder_create(STR("peers-wanted"), NS_INTERNAL));
    component_send(s->component, p);
}

void s2s_peers_finish(struct s2s *s)
{
    drop_list(&s->black);
    drop_list(&s->white);
}
