/* The manual's reference of all settings, from the same table that the parser uses. */
#include <inttypes.h>

#include "config/setting.h"

/* In a Markdown table `|` separates cells. */
static void print_cell(FILE *to, const char *text)
{
    for (; *text; text++)
        fprintf(to, *text == '|' ? "\\|" : "%c", *text);
}

static void print_default(FILE *to, const struct setting *s)
{
    if (s->type == SETTING_NUMBER)
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

void config_print_reference(FILE *to)
{
    const char *section = "";
    for (int i = 0; i < SETTINGS; i++) {
        if (strcmp(section, settings[i].section) != 0) {
            section = settings[i].section;
            fprintf(to,
                    "%s## %s\n\n| Setting | Default | Value | SIGHUP | Meaning |\n"
                    "|---|---|---|---|---|\n",
                    i ? "\n" : "", section);
        }
        print_setting(to, &settings[i]);
    }
}
