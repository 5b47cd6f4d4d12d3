/* Inside config/ only: a configuration file as a series of values with their lines, read by
 * libconfuse. */
#ifndef JACKDAW_CONFIG_CONFIG_FILE_H
#define JACKDAW_CONFIG_CONFIG_FILE_H

#include "config/setting.h"

enum { CONFIG_FILE_MAX = 1 << 20 };

struct config_file_reader {
    /* One setting of the file. Texts are borrowed. `line` is 0 when not known (an empty list). */
    void (*value)(struct config_file_reader *r, const struct setting *s, char *const *texts,
                  size_t count, unsigned line);
    void (*problem)(struct config_file_reader *r, unsigned line, const char *message);
};

/* `text` is changed. False when reading stopped at a problem (told to r->problem). */
bool config_file_read(char *text, size_t len, struct config_file_reader *r);

#endif
