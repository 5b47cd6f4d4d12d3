/* Database: where each of the two stores is, from the settings store.url and store.accounts_url. */
#ifndef JACKDAW_COMPONENT_DATABASE_H
#define JACKDAW_COMPONENT_DATABASE_H

#include "config/config.h"
#include "store/store.h"

/* The URL for store_open. Without settings it is a SQLite file in `data_dir`, or in memory when
 * that is empty. One PostgreSQL database in store.url serves for both (in two schemas) unless
 * store.accounts_url names another or another role. */
void database_url(const struct config *config, const char *data_dir, enum store_kind kind,
                  char *out, size_t size);

#endif
