/* Configuration: defaults, then the file, then --set, all through one function that checks and
 * stores a value. Each domain with a section of its own has a configuration of its own, which
 * shares whatever the section does not say. */
#include "config/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/mem.h"
#include "config/config_file.h"
#include "config/setting.h"
#include "xmpp/jid.h"

/* What stands behind a struct config: where each value came from. */
struct config_impl {
    struct config values;
    char *origins[SETTINGS]; /* "FILE:LINE:COLUMN", "--set"; NULL: the default */
    /* Of domains, in the configuration of all. */
    struct config_impl **domains;
    size_t domain_count;
    /* In the configuration of one. */
    const struct config_impl *all;
    char *domain, *section_origin;
};

struct load {
    struct config_file_reader reader;
    struct config_impl *config;
    struct config_impl *section; /* of the domain being read; NULL: its name is wrong */
    const char *file;
    config_report_fn report;
    void *arg;
    bool failed;
};

static void complain(struct load *l, const char *where, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void complain(struct load *l, const char *where, const char *fmt, ...)
{
    char message[1024];
    size_t used = (size_t)snprintf(message, sizeof message, "%s: ", where);
    va_list args;
    if (used >= sizeof message)
        used = sizeof message - 1;
    va_start(args, fmt);
    vsnprintf(message + used, sizeof message - used, fmt, args);
    va_end(args);
    l->failed = true;
    l->report(l->arg, message);
}

/* --- one value --- */

static void *member(struct config *c, const struct setting *s)
{
    return (char *)c + s->offset;
}

static const void *member_of(const struct config *c, const struct setting *s)
{
    return (const char *)c + s->offset;
}

static void list_free(struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct config_list){0};
}

static void list_set(struct config_list *list, char *const *texts, size_t count)
{
    struct config_list made = {mem_alloc_array(count + 1, sizeof *made.items), count};
    for (size_t i = 0; i < count; i++)
        made.items[i] = mem_strdup(texts[i]);
    list_free(list);
    *list = made;
}

static bool parse_number(struct str text, const struct setting *s, int64_t *ret)
{
    uint64_t number;
    bool negative = text.len > 1 && text.data[0] == '-';
    if (negative)
        text = (struct str){text.data + 1, text.len - 1};
    if (!str_to_u64(text, INT64_MAX, &number))
        return false;
    int64_t value = negative ? -(int64_t)number : (int64_t)number;
    if (value < s->min || value > s->max)
        return false;
    *ret = value;
    return true;
}

static bool parse_bool(struct str text, bool *ret)
{
    static const char *const words[][2] = {
        {"true", "false"}, {"yes", "no"}, {"on", "off"}, {"1", "0"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (str_is(text, words[i][0]) || str_is(text, words[i][1])) {
            *ret = str_is(text, words[i][0]);
            return true;
        }
    }
    return false;
}

/* The struct owns a copy of the choice. */
static bool parse_choice(struct str text, const struct setting *s, char **ret)
{
    struct str rest = str_of(s->choices), choice;
    while (str_split(&rest, '|', &choice)) {
        if (str_eq(choice, text)) {
            free(*ret);
            *ret = str_dup(choice);
            return true;
        }
    }
    return false;
}

/* False when the text is no value of this setting. */
static bool store_text(struct config *c, const struct setting *s, const char *text)
{
    void *to = member(c, s);
    switch (s->type) {
    case SETTING_STRING:
        free(*(char **)to);
        *(char **)to = mem_strdup(text);
        return true;
    case SETTING_NUMBER:
        return parse_number(str_of(text), s, to);
    case SETTING_BOOL:
        return parse_bool(str_of(text), to);
    case SETTING_CHOICE:
        return parse_choice(str_of(text), s, to);
    case SETTING_LIST:
        break;
    }
    return false;
}

static void complain_value(struct load *l, const struct setting *s, const char *where,
                           const char *text)
{
    char want[256], hint[80] = "";
    setting_describe(s, want, sizeof want);
    struct str near =
        s->type == SETTING_CHOICE ? setting_nearest_choice(s->choices, str_of(text)) : STR_NULL;
    if (near.data)
        snprintf(hint, sizeof hint, "; did you mean %.*s?", STR_ARG(near));
    complain(l, where, "%s.%s cannot be \"%.80s\": write %s%s", s->section, s->key, text, want,
             hint);
}

static void assign(struct load *l, struct config_impl *to, const struct setting *s,
                   char *const *texts, size_t count, const char *where)
{
    struct config *c = &to->values;
    if (s->type == SETTING_LIST) {
        list_set(member(c, s), texts, count);
    } else if (count != 1) {
        complain(l, where, "%s.%s takes one value", s->section, s->key);
        return;
    } else if (!store_text(c, s, texts[0])) {
        complain_value(l, s, where, texts[0]);
        return;
    }
    char **origin = &to->origins[s - settings];
    free(*origin);
    *origin = mem_strdup(where);
}

/* "a, b" as a list; an empty text is the empty list. */
static void assign_comma_text(struct load *l, struct config_impl *to, const struct setting *s,
                              const char *text, const char *where)
{
    struct str rest = str_of(text), part;
    char **texts = mem_alloc_array(strlen(text) + 1, sizeof *texts);
    size_t count = 0;
    while (rest.data && *text && str_split(&rest, ',', &part)) {
        while (part.len && part.data[0] == ' ')
            part = (struct str){part.data + 1, part.len - 1};
        while (part.len && part.data[part.len - 1] == ' ')
            part.len--;
        if (part.len)
            texts[count++] = str_dup(part);
    }
    assign(l, to, s, texts, count, where);
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
}

/* --- the three sources --- */

static void set_default(struct config *c, const struct setting *s, struct load *l)
{
    void *to = member(c, s);
    switch (s->type) {
    case SETTING_STRING:
    case SETTING_CHOICE:
        *(char **)to = mem_strdup(s->text);
        break;
    case SETTING_NUMBER:
        *(int64_t *)to = s->number;
        break;
    case SETTING_BOOL:
        *(bool *)to = s->number != 0;
        break;
    case SETTING_LIST:
        assign_comma_text(l, l->config, s, s->text, "");
        free(l->config->origins[s - settings]);
        l->config->origins[s - settings] = NULL;
        break;
    }
}

static void where_in_file(const struct load *l, struct config_place at, char *out, size_t size)
{
    if (at.line)
        snprintf(out, size, "%s:%u:%u", l->file, at.line, at.column);
    else
        snprintf(out, size, "%s", l->file);
}

/* The configuration of a domain, made when there is none; NULL after a complaint. */
static struct config_impl *domain_get(struct load *l, struct str name, const char *where)
{
    struct config_impl *all = l->config, *d;
    char prepared[1024];
    size_t len;
    if (!jid_prepare_domain(name, prepared, &len)) {
        complain(l, where, "\"%.*s\" is no domain name: write one like \"example.org\"",
                 (int)(name.len < 80 ? name.len : 80), name.data);
        return NULL;
    }
    for (size_t i = 0; i < all->domain_count; i++)
        if (str_is((struct str){prepared, len}, all->domains[i]->domain))
            return all->domains[i];
    if (all->domain_count == CONFIG_DOMAINS_MAX) {
        complain(l, where, "there are more than %d domains", CONFIG_DOMAINS_MAX);
        return NULL;
    }
    d = MEM_NEW(struct config_impl);
    d->all = all;
    d->domain = mem_strndup(prepared, len);
    d->section_origin = mem_strdup(where);
    if ((all->domain_count & (all->domain_count - 1)) == 0)
        all->domains = mem_realloc(all->domains, (all->domain_count * 2 + 1) * sizeof(void *));
    all->domains[all->domain_count++] = d;
    return d;
}

static void on_domain(struct config_file_reader *r, const char *name, struct config_place at)
{
    struct load *l = MEM_CONTAINER(r, struct load, reader);
    char where[512];
    where_in_file(l, at, where, sizeof where);
    l->section = domain_get(l, str_of(name), where);
}

static void on_value(struct config_file_reader *r, const char *domain, const struct setting *s,
                     char *const *texts, size_t count, struct config_place at)
{
    struct load *l = MEM_CONTAINER(r, struct load, reader);
    char where[512];
    struct config_impl *to = domain ? l->section : l->config;
    where_in_file(l, at, where, sizeof where);
    if (to)
        assign(l, to, s, texts, count, where);
}

static void on_problem(struct config_file_reader *r, struct config_place at, const char *message)
{
    struct load *l = MEM_CONTAINER(r, struct load, reader);
    char where[512];
    where_in_file(l, at, where, sizeof where);
    complain(l, where, "%s", message);
}

static void load_file(struct load *l)
{
    FILE *f = fopen(l->file, "rbe");
    if (!f) {
        complain(l, l->file, "cannot be read: %s; name another file with --config",
                 strerror(errno));
        return;
    }
    char *text = mem_alloc(CONFIG_FILE_MAX + 2);
    size_t len = fread(text, 1, CONFIG_FILE_MAX + 1, f);
    if (ferror(f))
        complain(l, l->file, "cannot be read: %s", strerror(errno));
    else
        config_file_read(text, len, &l->reader);
    fclose(f);
    free(text);
}

/* "domain.example.org.register" is "domain.register" of example.org; data == NULL: of no domain. */
static struct str split_domain(struct str *name, char out[80])
{
    static const struct str prefix = STR("domain.");
    const char *key = name->len ? memrchr(name->data, '.', name->len) : NULL;
    struct str domain;
    if (!str_starts(*name, prefix) || key <= name->data + prefix.len)
        return STR_NULL;
    domain = (struct str){name->data + prefix.len, (size_t)(key - name->data) - prefix.len};
    snprintf(out, 80, "domain%.*s", (int)(name->len - prefix.len - domain.len), key);
    *name = str_of(out);
    return domain;
}

static void load_set(struct load *l, const char *set)
{
    const char *equals = strchr(set, '=');
    struct str name = {set, equals ? (size_t)(equals - set) : strlen(set)};
    char near[128], where[300], key[80];
    struct str domain = split_domain(&name, key);
    const struct setting *s = setting_find(name);
    struct config_impl *to = l->config;
    snprintf(where, sizeof where, "--set %.200s", set);
    if (!s) {
        bool found = setting_nearest(NULL, name, near, sizeof near);
        complain(l, where, "there is no setting \"%.*s\"; %s%s%s",
                 (int)(name.len < 64 ? name.len : 64), name.data,
                 found ? "write --set " : "`jackdaw check --reference` lists all settings",
                 found ? near : "", found ? "=VALUE" : "");
        return;
    }
    if (!equals) {
        complain(l, where, "a value is missing: write --set %s.%s=VALUE", s->section, s->key);
        return;
    }
    if (domain.data && !(to = domain_get(l, domain, where)))
        return;
    char *text = mem_strdup(equals + 1);
    if (s->type == SETTING_LIST)
        assign_comma_text(l, to, s, text, where);
    else
        assign(l, to, s, &text, 1, where);
    free(text);
}

static void load_begin(struct load *l, const char *file, config_report_fn report, void *arg)
{
    *l = (struct load){.reader = {on_domain, on_value, on_problem, NULL},
                       .config = MEM_NEW(struct config_impl),
                       .file = file,
                       .report = report,
                       .arg = arg};
    l->config->values.impl = l->config;
    for (int i = 0; i < SETTINGS; i++)
        set_default(&l->config->values, &settings[i], l);
}

/* --- domains --- */

static const struct {
    int key, from;
} inherited[] = {
#define X(key, section, setting) {SETTING_INDEX_domain_##key, SETTING_INDEX_##section##_##setting},
#include "config/inherited.def"
#undef X
};

/* A copy of its own. */
static void copy_value(struct config *to, const struct setting *s, const struct config *from,
                       const struct setting *from_setting)
{
    void *out = member(to, s);
    const void *in = member_of(from, from_setting);
    switch (s->type) {
    case SETTING_STRING:
    case SETTING_CHOICE:
        free(*(char **)out);
        *(char **)out = mem_strdup(*(char *const *)in);
        break;
    case SETTING_NUMBER:
        *(int64_t *)out = *(const int64_t *)in;
        break;
    case SETTING_BOOL:
        *(bool *)out = *(const bool *)in;
        break;
    case SETTING_LIST:
        list_set(out, ((const struct config_list *)in)->items,
                 ((const struct config_list *)in)->count);
        break;
    }
}

static size_t value_size(const struct setting *s)
{
    switch (s->type) {
    case SETTING_STRING:
    case SETTING_CHOICE:
        return sizeof(char *);
    case SETTING_NUMBER:
        return sizeof(int64_t);
    case SETTING_BOOL:
        return sizeof(bool);
    case SETTING_LIST:
        return sizeof(struct config_list);
    }
    return 0;
}

/* What a domain's section does not say is shared with the configuration of all. */
static void complete_domain(struct config_impl *d)
{
    struct config own = d->values;
    d->values = d->all->values;
    d->values.impl = d;
    for (int i = 0; i < SETTINGS; i++)
        if (d->origins[i])
            memcpy(member(&d->values, &settings[i]), member_of(&own, &settings[i]),
                   value_size(&settings[i]));
}

static bool list_has(const struct config_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], text) == 0)
            return true;
    return false;
}

/* A domain with a section is served; the default (localhost) is for those who name none. */
static void add_domains(struct config_impl *all)
{
    const struct config_list *given = &all->values.server_domains;
    char **names = mem_alloc_array(given->count + all->domain_count + 1, sizeof(*names));
    char **origin = &all->origins[SETTING_INDEX_server_domains];
    size_t count = 0;
    for (size_t i = 0; *origin && i < given->count; i++)
        names[count++] = given->items[i];
    for (size_t i = 0; i < all->domain_count; i++)
        if (!*origin || !list_has(given, all->domains[i]->domain))
            names[count++] = all->domains[i]->domain;
    list_set(&all->values.server_domains, names, count);
    if (!*origin)
        *origin = mem_strdup(all->domains[0]->section_origin);
    free(names);
}

static void complete(struct config_impl *all)
{
    for (size_t i = 0; i < sizeof inherited / sizeof *inherited; i++)
        if (!all->origins[inherited[i].key])
            copy_value(&all->values, &settings[inherited[i].key], &all->values,
                       &settings[inherited[i].from]);
    if (all->domain_count > 0)
        add_domains(all);
    for (size_t i = 0; i < all->domain_count; i++)
        complete_domain(all->domains[i]);
}

const struct config *config_for(const struct config *c, struct str domain)
{
    const struct config_impl *all = c->impl;
    for (size_t i = 0; all && i < all->domain_count; i++)
        if (str_is(domain, all->domains[i]->domain))
            return &all->domains[i]->values;
    return c;
}

/* --- all --- */

static struct config *load_end(struct load *l)
{
    if (!l->failed) {
        complete(l->config);
        return &l->config->values;
    }
    config_destroy(&l->config->values);
    return NULL;
}

struct config *config_load(const char *file, const char *const *sets, size_t set_count,
                           config_report_fn report, void *arg)
{
    struct load l;
    load_begin(&l, file, report, arg);
    if (file)
        load_file(&l);
    for (size_t i = 0; i < set_count; i++)
        load_set(&l, sets[i]);
    return load_end(&l);
}

struct config *config_load_text(const char *name, struct str text, config_report_fn report,
                                void *arg)
{
    struct load l;
    char *copy = str_dup(text);
    load_begin(&l, name, report, arg);
    config_file_read(copy, text.len, &l.reader);
    free(copy);
    return load_end(&l);
}

/* Before complete(), what is not its own is empty; behind it, it is another's. */
static void destroy_impl(struct config_impl *impl)
{
    for (int i = 0; i < SETTINGS; i++) {
        void *value = member(&impl->values, &settings[i]);
        if (impl->all && !impl->origins[i])
            continue;
        if (settings[i].type == SETTING_LIST)
            list_free(value);
        else if (settings[i].type == SETTING_STRING || settings[i].type == SETTING_CHOICE)
            free(*(char **)value);
        free(impl->origins[i]);
    }
    for (size_t i = 0; i < impl->domain_count; i++)
        destroy_impl(impl->domains[i]);
    free(impl->domains);
    free(impl->domain);
    free(impl->section_origin);
    free(impl);
}

void config_destroy(struct config *c)
{
    if (c)
        destroy_impl(c->impl);
}

static const char *find_origin(const struct config *c, const char *name)
{
    const struct config_impl *impl = c->impl;
    const struct setting *s = setting_find(str_of(name));
    const char *origin = s && impl ? impl->origins[s - settings] : NULL;
    if (!origin && s && impl && impl->all)
        origin = impl->all->origins[s - settings];
    return origin;
}

const char *config_origin(const struct config *c, const char *name)
{
    const char *origin = find_origin(c, name);
    return origin ? origin : "the default";
}

bool config_given(const struct config *c, const char *name)
{
    return find_origin(c, name) != NULL;
}

/* --- comparing --- */

static bool lists_equal(const struct config_list *a, const struct config_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

static bool equal(const struct setting *s, const void *a, const void *b)
{
    switch (s->type) {
    case SETTING_STRING:
    case SETTING_CHOICE:
        return strcmp(*(char *const *)a, *(char *const *)b) == 0;
    case SETTING_NUMBER:
        return *(const int64_t *)a == *(const int64_t *)b;
    case SETTING_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case SETTING_LIST:
        return lists_equal(a, b);
    }
    return false;
}

size_t config_diff_restart(const struct config *old, const struct config *new_config,
                           config_report_fn report, void *arg)
{
    size_t count = 0;
    for (int i = 0; i < SETTINGS; i++) {
        const struct setting *s = &settings[i];
        char name[128];
        if (s->live || equal(s, member_of(old, s), member_of(new_config, s)))
            continue;
        snprintf(name, sizeof name, "%s.%s", s->section, s->key);
        report(arg, name);
        count++;
    }
    return count;
}
