/* libconfuse reads, we judge. Every option is a CFGT_PTR whose value is the text with its line, so
 * that all messages are ours; libconfuse's own complaints are kept in the `comment` of the section
 * they are about, which nothing else uses and which frees us from a global, and are put into our
 * words. Nothing is printed by libconfuse. It knows lines; columns are looked up in the text. */
#include "config/config_file.h"

#include <confuse.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "config/config_scan.h"

struct found {
    unsigned line;
    char text[];
};

static int parse_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
    size_t len = strlen(value);
    struct found *f = mem_alloc(sizeof *f + len + 1);
    f->line = cfg->line > 0 ? (unsigned)cfg->line : 0;
    memcpy(f->text, value, len);
    *(void **)result = f;
    return 0;
}

static void free_value(void *value)
{
    free(value);
}

static void keep_error(cfg_t *cfg, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));
static void keep_error(cfg_t *cfg, const char *fmt, va_list args)
{
    char text[256];
    vsnprintf(text, sizeof text, fmt, args);
    if (!cfg->comment)
        cfg->comment = mem_strdup(text);
}

static cfg_opt_t option(const struct setting *s)
{
    cfg_opt_t o = CFG_PTR_CB(s->key, NULL, s->type == SETTING_LIST ? CFGF_LIST : CFGF_NONE,
                             parse_value, free_value);
    o.flags |= CFGF_NODEFAULT;
    return o;
}

/* --- places --- */

/* Of `word` in that line, else of the first thing there. */
static struct config_place place_of(const struct config_file_reader *r, unsigned line,
                                    struct str word)
{
    const char *start = r->text, *end, *at;
    if (line == 0)
        return (struct config_place){0};
    for (unsigned n = 1; n < line && strchr(start, '\n'); n++)
        start = strchr(start, '\n') + 1;
    end = start + strcspn(start, "\n");
    at = word.len ? memmem(start, (size_t)(end - start), word.data, word.len) : NULL;
    if (!at)
        at = start + strspn(start, " \t\r");
    return (struct config_place){line, (unsigned)(at - start) + 1};
}

static void tell_at(struct config_file_reader *r, const cfg_t *cfg, struct str word,
                    const char *message)
{
    r->problem(r, place_of(r, cfg->line > 0 ? (unsigned)cfg->line : 0, word), message);
}

/* --- libconfuse's complaints in our words --- */

static const struct {
    const char *starts, *advice;
} complaints[] = {
    {"premature end of file",
     "the file ends inside a section or a value: a } or a value is missing"},
    {"missing equal sign", "write KEY = VALUE"},
    {"missing title", "the section of a domain is written domain \"example.org\" { ... }"},
    {"missing opening brace", "a section is written NAME { ... }"},
    {"attempt to append", "this setting takes one value: write = instead of +="},
    {"unexpected token",
     "a value is missing or there is one too many: write KEY = VALUE, and lists as "
     "KEY = {\"a\", \"b\"}"},
};

/* What to write instead of `name`; `section` NULL: it stood at the top. */
static void advise(const char *section, struct str name, char *out, size_t size)
{
    char near[128];
    const char *near_section = section ? NULL : setting_nearest_section(name);
    char *dot = NULL;
    if (near_section) {
        snprintf(out, size, "did you mean %s { ... }?", near_section);
        return;
    }
    if (setting_nearest(section, name, near, sizeof near) && (dot = strchr(near, '.')))
        *dot++ = '\0';
    if (!dot)
        snprintf(out, size, "`jackdaw check --reference` lists all settings");
    else if (section && strcmp(section, near) == 0)
        snprintf(out, size, "did you mean %s?", dot);
    else
        snprintf(out, size, "did you mean %s { %s = ... }?", near, dot);
}

static void tell_unknown(struct config_file_reader *r, const cfg_t *cfg, bool top, struct str name)
{
    char advice[256], message[512];
    const char *section = top ? NULL : cfg->name;
    if (name.len > 64)
        name.len = 64;
    advise(section, name, advice, sizeof advice);
    if (top)
        snprintf(message, sizeof message, "there is no section or setting \"%.*s\"; %s",
                 STR_ARG(name), advice);
    else
        snprintf(message, sizeof message, "section %s has no setting \"%.*s\"; %s", section,
                 STR_ARG(name), advice);
    tell_at(r, cfg, name, message);
}

static void tell(struct config_file_reader *r, const cfg_t *cfg, bool top)
{
    static const char unknown[] = "no such option '";
    const char *text = cfg->comment;
    if (strncmp(text, unknown, sizeof unknown - 1) == 0) {
        struct str name = str_of(text + sizeof unknown - 1);
        name.len -= name.len > 0;
        tell_unknown(r, cfg, top, name);
        return;
    }
    for (size_t i = 0; i < sizeof complaints / sizeof *complaints; i++) {
        if (strncmp(text, complaints[i].starts, strlen(complaints[i].starts)) == 0) {
            tell_at(r, cfg, STR_NULL, complaints[i].advice);
            return;
        }
    }
    tell_at(r, cfg, STR_NULL, text);
}

/* --- walking what was read --- */

static bool is_first_of_section(int i)
{
    for (int j = 0; j < i; j++)
        if (strcmp(settings[j].section, settings[i].section) == 0)
            return false;
    return true;
}

static void report_option(struct config_file_reader *r, const char *domain, const struct setting *s,
                          cfg_opt_t *opt)
{
    unsigned count = cfg_opt_size(opt);
    if (!(opt->flags & CFGF_MODIFIED) || (count == 0 && s->type != SETTING_LIST))
        return; /* not given, or given up at */
    char **texts = mem_alloc_array(count + 1, sizeof *texts);
    unsigned line = 0;
    for (unsigned i = 0; i < count; i++) {
        struct found *f = cfg_opt_getnptr(opt, i);
        texts[i] = f->text;
        line = line ? line : f->line;
    }
    r->value(r, domain, s, texts, count, place_of(r, line, str_of(count ? texts[0] : "")));
    free(texts);
}

/* The settings of one section, or with `domain` of one domain's. */
static void walk_section(struct config_file_reader *r, const char *domain, cfg_t *section)
{
    for (int i = 0; i < SETTINGS; i++)
        if (strcmp(settings[i].section, section->name) == 0)
            report_option(r, domain, &settings[i], cfg_getopt(section, settings[i].key));
}

static bool is_domain_section(int i)
{
    return strcmp(settings[i].section, "domain") == 0;
}

static void walk(struct config_file_reader *r, cfg_t *root)
{
    cfg_opt_t *admins = cfg_getopt(root, "admins");
    report_option(r, NULL, setting_find(STR("admins")), admins);
    for (int i = 0; i < SETTINGS; i++)
        if (is_first_of_section(i) && !is_domain_section(i))
            walk_section(r, NULL, cfg_getsec(root, settings[i].section));
    for (unsigned i = 0; i < cfg_size(root, "domain"); i++) {
        cfg_t *section = cfg_getnsec(root, "domain", i);
        const char *name = cfg_title(section);
        r->domain(r, name,
                  place_of(r, section->line > 0 ? (unsigned)section->line : 0, str_of(name)));
        walk_section(r, name, section);
    }
}

/* The complaint is where reading stopped: in a section or at the top. */
static void tell_complaint(struct config_file_reader *r, cfg_t *root)
{
    for (int i = 0; i < SETTINGS; i++) {
        cfg_t *section = NULL;
        if (!is_domain_section(i) && (section = cfg_getsec(root, settings[i].section)) &&
            section->comment) {
            tell(r, section, false);
            return;
        }
    }
    for (unsigned i = 0; i < cfg_size(root, "domain"); i++) {
        if (cfg_getnsec(root, "domain", i)->comment) {
            tell(r, cfg_getnsec(root, "domain", i), false);
            return;
        }
    }
    if (root->comment)
        tell(r, root, true);
    else
        tell_at(r, root, STR_NULL,
                "this cannot be read; `jackdaw check --reference` shows how settings are written");
}

static bool parse(cfg_opt_t *options, const char *text, struct config_file_reader *r)
{
    cfg_t *root = cfg_init(options, CFGF_NONE);
    if (!root)
        return false;
    cfg_set_error_function(root, keep_error);
    bool read = cfg_parse_buf(root, text) == CFG_SUCCESS;
    if (!read)
        tell_complaint(r, root);
    walk(r, root);
    cfg_free(root);
    return read;
}

/* The options of one section, from its first setting on; returns behind them. */
static cfg_opt_t *add_section(cfg_opt_t *to, int first)
{
    for (int i = first; i < SETTINGS; i++)
        if (strcmp(settings[i].section, settings[first].section) == 0)
            *to++ = option(&settings[i]);
    *to++ = (cfg_opt_t)CFG_END();
    return to;
}

/* settings.def as libconfuse's tables. */
static bool read_with_tables(const char *text, struct config_file_reader *r)
{
    cfg_opt_t *options = mem_alloc_array((size_t)SETTINGS * 2, sizeof *options), *end = options;
    cfg_opt_t *top = mem_alloc_array(SETTINGS + 2, sizeof *top);
    int sections = 0;
    for (int i = 0; i < SETTINGS; i++) {
        if (!is_first_of_section(i))
            continue;
        top[sections++] = (cfg_opt_t)CFG_SEC(
            settings[i].section, end, is_domain_section(i) ? CFGF_MULTI | CFGF_TITLE : CFGF_NONE);
        end = add_section(end, i);
    }
    top[sections] = option(setting_find(STR("admins")));
    top[sections].name = "admins";
    top[sections + 1] = (cfg_opt_t)CFG_END();
    bool read = parse(top, text, r);
    free(top);
    free(options);
    return read;
}

bool config_file_read(char *text, size_t len, struct config_file_reader *r)
{
    struct config_scan_error e;
    if (len > CONFIG_FILE_MAX) {
        r->problem(r, (struct config_place){0},
                   "the file is larger than 1 MB: this is not a configuration");
        return false;
    }
    if (!config_scan(text, len, &e)) {
        r->problem(r, (struct config_place){e.line, e.column}, e.message);
        return false;
    }
    r->text = text;
    return read_with_tables(text, r);
}
