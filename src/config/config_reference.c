/* The manual's reference of all settings, from the same table that the parser uses. */
#include <inttypes.h>

#include "config/setting.h"

/* In a Markdown table `|` separates cells. */
static void print_cell(FILE *to, const char *text)
{
    for (; *text; text++)
        fprintf(to, *text == '|' ? "\\|" : "%c", *text);
}

/* The setting that holds where this one, a domain's, is not given; NULL: none. */
static const char *inherits(const struct setting *s)
{
#define X(key, section, setting)                                                                   \
    if (s == &settings[SETTING_INDEX_domain_##key])                                                \
        return #section "." #setting;
#include "config/inherited.def"
#undef X
    return NULL;
}

static void print_default(FILE *to, const struct setting *s)
{
    if (inherits(s))
        fprintf(to, "that of `%s`", inherits(s));
    else if (s->type == SETTING_NUMBER)
        fprintf(to, "`%" PRId64 "`", s->number);
    else if (s->type == SETTING_BOOL)
        fprintf(to, "`%s`", s->number ? "true" : "false");
    else if (*s->text)
        fprintf(to, "`%s`", s->text);
    else
        fprintf(to, "%s", "empty");
}

static void print_setting(FILE *to, const struct setting *s)
{
    char want[256];
    setting_describe(s, want, sizeof want);
    fprintf(to, "| `%s` | ", s->key);
    print_default(to, s);
    fprintf(to, " | %s | %s | ", want, s->live ? "yes" : "restart");
    print_cell(to, s->help);
    fprintf(to, " |\n");
}

static const char introduction[] =
    "# Configuration reference\n"
    "\n"
    "Jackdaw needs no configuration file. With `--config FILE` it reads one, and `--set "
    "SECTION.KEY=VALUE` wins over it\n"
    "(lists then are separated by commas). `jackdaw check` says what is wrong with either, where, "
    "and "
    "what to write instead.\n"
    "\n"
    "```\n"
    "# a comment\n"
    "admins = {\"juliet@example.org\"}      # the one setting that may stand outside a section\n"
    "server {\n"
    "    domains = {\"example.org\"}\n"
    "}\n"
    "c2s {\n"
    "    port = 5222\n"
    "    tls = required\n"
    "}\n"
    "domain \"example.net\" {               # served too, with settings of its own\n"
    "    register = true\n"
    "}\n"
    "```\n"
    "\n"
    "Texts with spaces or signs stand in \"quotes\" (with \\\" for a quote and \\\\ for a "
    "backslash) or "
    "in 'single quotes' (where\n"
    "nothing has a special meaning but \\' and \\\\). Environment variables are not read. A "
    "setting "
    "marked *restart* takes effect when\n"
    "the server starts, all others also at `SIGHUP`.\n"
    "\n"
    "This page is made by `jackdaw check --reference`.\n";

void config_print_reference(FILE *to)
{
    const char *section = "";
    fputs(introduction, to);
    for (int i = 0; i < SETTINGS; i++) {
        if (strcmp(section, settings[i].section) != 0) {
            section = settings[i].section;
            fprintf(to,
                    "\n## %s\n\n| Setting | Default | Value | SIGHUP | Meaning |\n"
                    "|---|---|---|---|---|\n",
                    section);
        }
        print_setting(to, &settings[i]);
    }
}

void config_print_settings(FILE *to, void (*put)(const char *text))
{
    const char *section = "";
    char want[256];
    for (int i = 0; i < SETTINGS; i++) {
        const struct setting *s = &settings[i];
        if (strcmp(section, s->section) != 0) {
            section = s->section;
            fprintf(to, ".SH SECTION %s\n", section);
        }
        setting_describe(s, want, sizeof want);
        fprintf(to, ".TP\n.B ");
        put(s->key);
        fprintf(to, "\n");
        put(s->help);
        fprintf(to, "\n.br\n");
        put(want);
        fprintf(to, ". Default: ");
        print_default(to, s);
        fprintf(to, ".%s\n", s->live ? "" : " (restart)");
    }
}
