/* Result set management: see rsm.h. */
#include "xmpp/rsm.h"

#include <stdio.h>
#include "xmpp/namespaces.h"

static struct str text_of(const struct stanza *s, stanza_el set, struct str name)
{
    stanza_el el = stanza_child(s, set, name, NS_RSM);
    return el == STANZA_NONE ? STR_NULL : stanza_text(s, el);
}

bool rsm_read(const struct stanza *s, stanza_el parent, struct rsm_request *ret)
{
    stanza_el set = stanza_child(s, parent, STR("set"), NS_RSM);
    uint64_t number = UINT32_MAX;
    *ret = (struct rsm_request){.max = UINT32_MAX};
    if (set == STANZA_NONE)
        return true;
    struct str max = text_of(s, set, STR("max")), index = text_of(s, set, STR("index"));
    if (max.data && !str_to_u64(max, UINT32_MAX, &number))
        return false;
    ret->max = (uint32_t)number;
    if (index.data && !str_to_u64(index, UINT32_MAX, &number))
        return false;
    ret->index = index.data && number > 0; /* section 2.6: 0 is the first page */
    ret->after = text_of(s, set, STR("after"));
    if (!ret->after.len) /* behind nothing: from the beginning */
        ret->after = STR_NULL;
    ret->before = text_of(s, set, STR("before"));
    return !ret->after.data || !ret->before.data;
}

void rsm_write(struct builder *b, struct str first, struct str last, bool from_start,
               uint64_t count)
{
    char digits[24];
    builder_start(b, STR("set"), NS_RSM);
    if (first.data) {
        builder_start(b, STR("first"), STR_NULL);
        if (from_start) /* section 2.2 */
            builder_attr(b, STR("index"), STR("0"));
        builder_text(b, first);
        builder_end(b);
        builder_leaf(b, STR("last"), STR_NULL, last);
    }
    if (count != RSM_NO_COUNT) {
        int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
        builder_leaf(b, STR("count"), STR_NULL, (struct str){digits, (size_t)len});
    }
    builder_end(b);
}
