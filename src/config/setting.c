/* The table of settings, and help for those who mistype one. */
#include "config/setting.h"

#include <stdio.h>
#include <string.h>

enum { NAME_MAX_LEN = 64 };

const struct setting settings[SETTINGS] = {
#define LIVE                    true
#define RESTART                 false
#define OFFSET(section, key)    offsetof(struct config, section##_##key)
#define STRING(s, k, def, r, h) {SETTING_STRING, #s, #k, def, 0, 0, 0, NULL, r, h, OFFSET(s, k)},
#define LIST(s, k, def, r, h)   {SETTING_LIST, #s, #k, def, 0, 0, 0, NULL, r, h, OFFSET(s, k)},
#define NUMBER(s, k, def, min, max, r, h)                                                          \
    {SETTING_NUMBER, #s, #k, NULL, def, min, max, NULL, r, h, OFFSET(s, k)},
#define BOOL(s, k, def, r, h) {SETTING_BOOL, #s, #k, NULL, def, 0, 1, NULL, r, h, OFFSET(s, k)},
#define CHOICE(s, k, def, choices, r, h)                                                           \
    {SETTING_CHOICE, #s, #k, def, 0, 0, 0, choices, r, h, OFFSET(s, k)},
#include "config/settings.def"
#undef STRING
#undef LIST
#undef NUMBER
#undef BOOL
#undef CHOICE
};

/* Names that also stand at the top of the file, without a section. */
static const struct {
    const char *alias, *section, *key;
} aliases[] = {{"admins", "server", "admins"}};

static bool matches(const struct setting *s, struct str section, struct str key)
{
    return str_is(section, s->section) && str_is(key, s->key);
}

const struct setting *setting_find(struct str name)
{
    struct str section = STR_NULL, key = name;
    if (!name.data)
        return NULL;
    const char *dot = memchr(name.data, '.', name.len);
    if (dot) {
        section = (struct str){name.data, (size_t)(dot - name.data)};
        key = (struct str){dot + 1, name.len - section.len - 1};
    }
    for (size_t i = 0; !dot && i < sizeof aliases / sizeof *aliases; i++) {
        if (str_is(name, aliases[i].alias)) {
            section = str_of(aliases[i].section);
            key = str_of(aliases[i].key);
        }
    }
    for (int i = 0; i < SETTINGS; i++)
        if (matches(&settings[i], section, key))
            return &settings[i];
    return NULL;
}

/* Levenshtein's distance; names longer than any of ours are far from all of them. */
static unsigned distance(struct str a, struct str b)
{
    unsigned row[NAME_MAX_LEN + 1];
    if (a.len > NAME_MAX_LEN || b.len > NAME_MAX_LEN)
        return NAME_MAX_LEN;
    for (unsigned j = 0; j <= b.len; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned above = row[j], best = diagonal + (a.data[i - 1] != b.data[j - 1]);
            if (above + 1 < best)
                best = above + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[b.len];
}

static unsigned near_enough(struct str name)
{
    return name.len < 6 ? 2 : (unsigned)name.len / 3 + 1;
}

/* Where nobody wrote about a domain, its section is not meant. */
static bool of_domain(const char *section)
{
    return strcmp(section, "domain") == 0;
}

bool setting_nearest(const char *section, struct str name, char *out, size_t size)
{
    struct str key = name, written = section ? str_of(section) : STR_NULL;
    const char *dot = name.data ? memchr(name.data, '.', name.len) : NULL;
    if (dot) {
        written = (struct str){name.data, (size_t)(dot - name.data)};
        key = (struct str){dot + 1, name.len - written.len - 1};
    }
    unsigned best = UINT32_MAX;
    const struct setting *found = NULL;
    for (int i = 0; i < SETTINGS; i++) {
        const struct setting *s = &settings[i];
        unsigned d = distance(key, str_of(s->key));
        if (d > near_enough(key) || (of_domain(s->section) && !(section && of_domain(section))))
            continue;
        d *= 2; /* a mistyped key in the right section beats the right key elsewhere by a little */
        if (written.data)
            d += distance(written, str_of(s->section));
        if (d < best) {
            best = d;
            found = s;
        }
    }
    if (found)
        snprintf(out, size, "%s.%s", found->section, found->key);
    return found != NULL;
}

struct str setting_nearest_choice(const char *choices, struct str text)
{
    struct str rest = str_of(choices), choice, found = STR_NULL;
    unsigned best = near_enough(text) + 1;
    while (str_split(&rest, '|', &choice)) {
        unsigned d = distance(text, choice);
        if (d < best) {
            best = d;
            found = choice;
        }
    }
    return found;
}

const char *setting_nearest_section(struct str name)
{
    const char *found = NULL;
    unsigned best = near_enough(name) + 1;
    for (int i = 0; i < SETTINGS; i++) {
        unsigned d = distance(name, str_of(settings[i].section));
        if (d < best) {
            best = d;
            found = settings[i].section;
        }
    }
    return found;
}

/* "a|b|c" as "a, b or c". */
static void describe_choices(const char *choices, char *out, size_t size)
{
    struct str rest = str_of(choices), choice;
    size_t used = 0;
    while (str_split(&rest, '|', &choice) && used < size) {
        const char *before = used == 0 ? "" : rest.data ? ", " : " or ";
        int n = snprintf(out + used, size - used, "%s%.*s", before, STR_ARG(choice));
        used += n > 0 ? (size_t)n : 0;
    }
}

void setting_describe(const struct setting *s, char *out, size_t size)
{
    switch (s->type) {
    case SETTING_STRING:
        snprintf(out, size, "a text");
        break;
    case SETTING_LIST:
        snprintf(out, size, "a list of texts");
        break;
    case SETTING_NUMBER:
        snprintf(out, size, "a number from %lld to %lld", (long long)s->min, (long long)s->max);
        break;
    case SETTING_BOOL:
        snprintf(out, size, "true or false");
        break;
    case SETTING_CHOICE:
        describe_choices(s->choices, out, size);
        break;
    }
}
