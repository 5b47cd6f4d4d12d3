/* Configuration: settings.def, read by libconfuse. One struct with one member per row; immutable
 * once made. Members domain_* are what holds for a domain: ask config_for. */
#ifndef JACKDAW_CONFIG_CONFIG_H
#define JACKDAW_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/str.h"

#define CONFIG_DOMAINS_MAX 10000

struct config_list {
    char **items; /* NUL-terminated texts */
    size_t count;
};

struct config_impl;

struct config {
    struct config_impl *impl; /* config/'s own; NULL in one that a test made by hand */
#define STRING(section, key, def, reload, help)           char *section##_##key;
#define LIST(section, key, def, reload, help)             struct config_list section##_##key;
#define NUMBER(section, key, def, min, max, reload, help) int64_t section##_##key;
#define BOOL(section, key, def, reload, help)             bool section##_##key;
#define CHOICE(section, key, def, choices, reload, help)  const char *section##_##key;
#include "config/settings.def"
#undef STRING
#undef LIST
#undef NUMBER
#undef BOOL
#undef CHOICE
};

/* `file` NULL: defaults only. `sets`: SECTION.KEY=VALUE texts that win over the file. Every problem
 * is told to `report` (file, line, what is wrong, what to write instead); NULL is returned when
 * there was any. */
typedef void (*config_report_fn)(void *arg, const char *message);
struct config *config_load(const char *file, const char *const *sets, size_t set_count,
                           config_report_fn report, void *arg);
/* The same from memory; `name` stands for the file in messages. */
struct config *config_load_text(const char *name, struct str text, config_report_fn report,
                                void *arg);
void config_destroy(struct config *c); /* NULL is fine */
/* The values for one served domain (prepared): those of its section `domain "NAME"` over all
 * others. `c` itself when it has no section. Lives as long as `c`. */
const struct config *config_for(const struct config *c, struct str domain);
/* Names of RESTART settings that differ, for the reload's log line; returns how many, prints each
 * to `report`. */
size_t config_diff_restart(const struct config *old, const struct config *new_config,
                           config_report_fn report, void *arg);
/* Where a setting ("c2s.port") was given: "FILE:LINE:COLUMN", "--set c2s.port=1" or "the default";
 * for messages about values that only their user can judge. Lives as long as the configuration. */
const char *config_origin(const struct config *c, const char *name);
bool config_given(const struct config *c, const char *name); /* anywhere but by default */
/* The settings as sections of a manual page (roff); `put` writes text so that roff leaves it alone.
 */
void config_print_settings(FILE *to, void (*put)(const char *text));
void config_print_reference(FILE *to); /* the manual's table, Markdown */

#endif
