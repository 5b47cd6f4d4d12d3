/* What both drivers of tables share. */
#include "store/tables.h"

#include <stdarg.h>
#include <stdio.h>

const struct tables_driver *tables_driver_of(const char *url)
{
    static const struct tables_driver *const drivers[] = {&tables_sqlite, &tables_postgres};
    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
        if (str_starts(str_of(url), str_of(drivers[i]->scheme)))
            return drivers[i];
    return NULL;
}

void tables_add_columns(struct buffer *to, const struct table *table)
{
    for (unsigned i = 0; i < table->columns; i++)
        buffer_printf(to, "%s\"%s\"", i ? ", " : "", table->column[i]);
}

void tables_select(struct buffer *to, const struct table *table)
{
    buffer_add_str(to, STR("SELECT "));
    tables_add_columns(to, table);
    buffer_printf(to, " FROM \"%s\"", table->name);
    buffer_add_char(to, '\0');
}

enum error tables_fail(const struct tables_why *why, enum error e, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why->text, why->size, fmt, args);
    va_end(args);
    return e;
}
