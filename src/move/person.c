/* Facts: a sorted array. */
#include "move/person.h"

#include <stdlib.h>

#include "base/mem.h"

const char *const person_kind_names[PERSON_KINDS] = {
#define X(id, name) name,
#include "move/person_kinds.def"
#undef X
};

struct person *person_create(struct jid *jid)
{
    struct person *p = MEM_NEW(struct person);
    p->jid = jid;
    return p;
}

static void drop(struct fact *f)
{
    free(f->key);
    stanza_unref(f->xml);
}

void person_destroy(struct person *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        drop(&p->facts[i]);
    if (p->password)
        mem_wipe(p->password, strlen(p->password));
    free(p->password);
    free(p->facts);
    jid_unref(p->jid);
    free(p);
}

bool person_add(struct person *p, enum person_kind kind, struct str key, struct stanza *xml)
{
    size_t size = stanza_size(xml) + key.len;
    if (p->bytes + size > PERSON_BYTES_MAX || p->count >= PERSON_FACTS_MAX) {
        stanza_unref(xml);
        return false;
    }
    if (p->count == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 16;
        p->facts = mem_realloc(p->facts, p->cap * sizeof *p->facts);
    }
    p->facts[p->count++] = (struct fact){kind, str_dup(key), xml};
    p->bytes += size;
    return true;
}

static int compare(const void *a, const void *b)
{
    const struct fact *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return strcmp(x->key, y->key);
}

/* Stable, so that the last of equals stays the last. */
static void merge_sort(struct fact *facts, struct fact *room, size_t count)
{
    size_t half = count / 2, i = 0, j = half, n = 0;
    if (count < 2)
        return;
    merge_sort(facts, room, half);
    merge_sort(facts + half, room, count - half);
    if (compare(&facts[half - 1], &facts[half]) <= 0)
        return;
    while (i < half && j < count)
        room[n++] = compare(&facts[j], &facts[i]) < 0 ? facts[j++] : facts[i++];
    while (i < half)
        room[n++] = facts[i++];
    memcpy(facts, room, n * sizeof *facts); /* what is left of the second half is in its place */
}

size_t person_sort(struct person *p)
{
    size_t kept = 0, count = p->count;
    struct fact *room = mem_alloc_array(count + 1, sizeof *room);
    merge_sort(p->facts, room, count);
    free(room);
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && compare(&p->facts[i], &p->facts[i + 1]) == 0)
            drop(&p->facts[i]);
        else
            p->facts[kept++] = p->facts[i];
    }
    p->count = kept;
    return count - kept;
}

const struct fact *person_find(const struct person *p, enum person_kind kind, struct str key)
{
    char *text = str_dup(key);
    struct fact wanted = {kind, text, NULL};
    const struct fact *found =
        p->count ? bsearch(&wanted, p->facts, p->count, sizeof *p->facts, compare) : NULL;
    free(text);
    return found;
}

const struct fact *person_first(const struct person *p, enum person_kind kind)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->facts[i].kind == kind)
            return &p->facts[i];
    return NULL;
}

/* The whole element with its namespace. */
static void write_whole(const struct stanza *s, struct buffer *out)
{
    struct stanza_stamp stamp = {.xmlns = stanza_ns(s, STANZA_ROOT)};
    (void)stanza_write(s, &stamp, out);
}

bool person_same(const struct fact *a, const struct fact *b)
{
    struct buffer x, y;
    buffer_init(&x, PERSON_BYTES_MAX);
    buffer_init(&y, PERSON_BYTES_MAX);
    write_whole(a->xml, &x);
    write_whole(b->xml, &y);
    bool same = str_eq(buffer_str(&x), buffer_str(&y));
    buffer_finish(&x);
    buffer_finish(&y);
    return same;
}

void person_tally(struct tally *t, const struct person *p, const struct fact *fact)
{
    struct buffer row;
    buffer_init(&row, 2u * PERSON_BYTES_MAX);
    buffer_add(&row, p->jid->text, strlen(p->jid->text) + 1);
    buffer_add(&row, person_kind_names[fact->kind], strlen(person_kind_names[fact->kind]) + 1);
    buffer_add(&row, fact->key, strlen(fact->key) + 1);
    write_whole(fact->xml, &row);
    row_hash_add(t->hash, buffer_str(&row));
    buffer_finish(&row);
    t->rows++;
}
