/* Elements back into values, for our store. */
#include "move/facts.h"

#include "base/mem.h"
#include "xmpp/datetime.h"
#include "xmpp/namespaces.h"
#include "xmpp/sasl.h"

struct str facts_attr(const struct fact *f, const char *name)
{
    return stanza_attr(f->xml, STANZA_ROOT, str_of(name));
}

struct str facts_text(const struct fact *f)
{
    return stanza_text(f->xml, STANZA_ROOT);
}

struct str facts_whole(const struct stanza *s)
{
    struct stanza_stamp stamp = {.xmlns = stanza_ns(s, STANZA_ROOT)};
    char *text = mem_alloc(stanza_write_size(s, &stamp));
    return (struct str){text, stanza_write_to(s, &stamp, text)};
}

int64_t facts_time(const struct fact *f, struct str attribute)
{
    int64_t time = -1;
    (void)datetime_parse(stanza_attr(f->xml, STANZA_ROOT, attribute), &time);
    return time;
}

bool facts_disabled(const struct fact *f)
{
    return str_is(facts_attr(f, "disabled"), "true");
}

static struct str child_text(const struct stanza *s, struct str name)
{
    stanza_el el = stanza_child(s, STANZA_ROOT, name, STR_NULL);
    return el == STANZA_NONE ? STR_NULL : stanza_text(s, el);
}

/* Base64, `times` over, of at least `least` and at most `most` bytes; how many, 0 for anything
 * else.
 */
static size_t take_base64(struct str text, int times, unsigned char *to, size_t least, size_t most)
{
    struct buffer bytes;
    size_t len = 0;
    buffer_init(&bytes, times > 1 ? 4 * most : most);
    bool ok = text.len && sasl_base64_decode(text, &bytes);
    if (ok && times > 1) {
        len = take_base64(buffer_str(&bytes), times - 1, to, least, most);
    } else if (ok && buffer_len(&bytes) >= least) {
        len = buffer_len(&bytes);
        memcpy(to, buffer_str(&bytes).data, len);
    }
    buffer_finish(&bytes);
    return len;
}

static bool take_keys(const struct stanza *s, int times, struct scram_keys *ret)
{
    size_t size = scram_hash_size(ret->hash);
    ret->salt_len = take_base64(child_text(s, STR("salt")), times, ret->salt, 1, sizeof ret->salt);
    return ret->salt_len &&
           take_base64(child_text(s, STR("stored-key")), times, ret->stored_key, size, size) &&
           take_base64(child_text(s, STR("server-key")), times, ret->server_key, size, size);
}

bool facts_scram(const struct fact *f, struct scram_keys *ret)
{
    uint64_t iterations;
    int hash = 0;
    while (hash < SCRAM_HASHES && !str_is(facts_attr(f, "mechanism"), scram_hash_name(hash)))
        hash++;
    if (hash == SCRAM_HASHES ||
        !str_to_u64(child_text(f->xml, STR("iter-count")), UINT32_MAX, &iterations) || !iterations)
        return false;
    *ret = (struct scram_keys){.hash = (enum scram_hash)hash, .iterations = (uint32_t)iterations};
    /* ejabberd 23.01 writes the base64 of base64. */
    return take_keys(f->xml, 1, ret) || take_keys(f->xml, 2, ret);
}

size_t facts_roster(const struct fact *f, struct roster_row *ret, struct str *groups, size_t max)
{
    struct str subscription = facts_attr(f, "subscription");
    bool both = str_is(subscription, "both");
    size_t count = 0;
    *ret = (struct roster_row){.jid = facts_attr(f, "jid"),
                               .name = facts_attr(f, "name"),
                               .to = both || str_is(subscription, "to"),
                               .from = both || str_is(subscription, "from"),
                               .ask = facts_attr(f, "ask").data ? 1 : 0,
                               .approved = facts_attr(f, "approved").data != NULL};
    for (stanza_el el = stanza_first(f->xml, STANZA_ROOT); el != STANZA_NONE && count < max;
         el = stanza_next(f->xml, el))
        groups[count++] = stanza_text(f->xml, el);
    return count;
}

struct privacy_row *facts_privacy(const struct fact *f, size_t *ret_count)
{
    size_t count = 0;
    struct privacy_row *rows =
        mem_alloc_array(stanza_children(f->xml, STANZA_ROOT) + 1, sizeof *rows);
    for (stanza_el el = stanza_first(f->xml, STANZA_ROOT); el != STANZA_NONE;
         el = stanza_next(f->xml, el)) {
        struct privacy_row *row = &rows[count];
        uint64_t order = 0;
        if (!str_is(stanza_name(f->xml, el), "item") ||
            !str_to_u64(stanza_attr(f->xml, el, STR("order")), UINT32_MAX, &order))
            continue;
        *row = (struct privacy_row){.list = facts_attr(f, "name"),
                                    .type = stanza_attr(f->xml, el, STR("type")),
                                    .value = stanza_attr(f->xml, el, STR("value")),
                                    .deny = str_is(stanza_attr(f->xml, el, STR("action")), "deny"),
                                    .order = (uint32_t)order};
        for (unsigned i = 0; i < FACTS_PRIVACY_KINDS; i++)
            if (stanza_child(f->xml, el, str_of(facts_privacy_kinds[i]), STR_NULL) != STANZA_NONE)
                row->block |= (uint8_t)(1u << i);
        count++;
    }
    *ret_count = count;
    return rows;
}

void facts_vacation(const struct fact *f, struct vacation_row *ret)
{
    *ret = (struct vacation_row){.message = child_text(f->xml, STR("message"))};
    if (!ret->message.data)
        ret->message = STR("");
    (void)datetime_parse(child_text(f->xml, STR("start")), &ret->start);
    if (!datetime_parse(child_text(f->xml, STR("end")), &ret->end))
        ret->end = DATETIME_MAX;
}

void facts_disco(const struct fact *f, struct disco_row *ret)
{
    stanza_el item = stanza_first(f->xml, STANZA_ROOT);
    struct str parent = facts_attr(f, "node"), node = stanza_attr(f->xml, item, STR("node"));
    *ret = (struct disco_row){.parent = parent.data ? parent : STR(""),
                              .jid = stanza_attr(f->xml, item, STR("jid")),
                              .node = node.data ? node : STR(""),
                              .name = stanza_attr(f->xml, item, STR("name"))};
}

uint64_t facts_id(const struct fact *f)
{
    uint64_t id = 0;
    const char *digits = f->key;
    while (*digits == '0' && digits[1])
        digits++;
    (void)str_to_u64(str_of(digits), UINT64_MAX, &id);
    return id;
}
