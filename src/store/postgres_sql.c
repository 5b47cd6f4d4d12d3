/* Our portable SQL in PostgreSQL's words, and PostgreSQL's errors in ours. Pure text. */
#include "store/postgres_sql.h"

#include <ctype.h>
#include <string.h>

/* Copies a quoted name or string as it is; returns what follows it. */
static const char *copy_quoted(struct buffer *to, const char *at)
{
    const char *start = at;
    char quote = *at++;
    while (*at && *at != quote)
        at++;
    if (*at)
        at++;
    buffer_add(to, start, (size_t)(at - start));
    return at;
}

/* Where the text goes on: what a statement says to SQLite alone is left out, and what stands in the
 * comment for PostgreSQL is part of it (migrations.def). */
static const char *skip_dialect(const char *sql)
{
    static const char sqlite[] = "/*sqlite*/", postgres[] = "/*postgres ";
    if (strncmp(sql, sqlite, sizeof sqlite - 1) == 0)
        sql = strstr(sql, postgres);
    if (strncmp(sql, postgres, sizeof postgres - 1) == 0)
        return sql + sizeof postgres - 1;
    return strncmp(sql, "*/", 2) == 0 ? sql + 2 : sql;
}

void postgres_sql_statement(struct buffer *to, const char *sql, bool must_change)
{
    if (must_change)
        buffer_add_str(to, STR("WITH c AS ("));
    while (*(sql = skip_dialect(sql))) {
        if (*sql == '"' || *sql == '\'')
            sql = copy_quoted(to, sql);
        else if (*sql == '?')
            buffer_add_char(to, '$'), sql++;
        else
            buffer_add_char(to, *sql++);
    }
    if (must_change) /* no row: division by zero */
        buffer_add_str(to, STR(" RETURNING 1) SELECT 1 / count(*) FROM c"));
    buffer_add_char(to, '\0');
}

/* Words of SQLite's dialect, outside quotes. */
static const struct {
    const char *sqlite, *postgres;
} words[] = {
    {"TEXT", "TEXT COLLATE \"C\""},
    {"BLOB", "BYTEA"},
    {"INTEGER", "BIGINT"},
    {"WITHOUT", ""},
    {"ROWID", ""},
};

static const char *copy_word(struct buffer *to, const char *at)
{
    const char *end = at;
    while (isalnum((unsigned char)*end) || *end == '_')
        end++;
    struct str word = {at, (size_t)(end - at)};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (str_is(word, words[i].sqlite)) {
            buffer_add_str(to, str_of(words[i].postgres));
            return end;
        }
    }
    buffer_add_str(to, word);
    return end;
}

void postgres_sql_schema(struct buffer *to, const char *sql)
{
    while (*(sql = skip_dialect(sql))) {
        if (*sql == '"' || *sql == '\'')
            sql = copy_quoted(to, sql);
        else if (isalnum((unsigned char)*sql))
            sql = copy_word(to, sql);
        else
            buffer_add_char(to, *sql++);
    }
    buffer_add_char(to, '\0');
}

/* Prefixes of SQLSTATE (PostgreSQL manual, appendix A); the first that fits counts. */
static const struct {
    const char *state;
    enum postgres_fault fault;
    enum error error;
} faults[] = {
    {"22012", POSTGRES_UNCHANGED, ERR_STORE},    /* division_by_zero: our own test */
    {"40", POSTGRES_AGAIN, ERR_STORE},           /* serialization_failure, deadlock_detected */
    {"55P03", POSTGRES_AGAIN, ERR_STORE},        /* lock_not_available */
    {"57014", POSTGRES_AGAIN, ERR_STORE},        /* query_canceled: statement_timeout */
    {"26000", POSTGRES_AWAY, ERR_STORE},         /* a prepared statement is gone */
    {"25006", POSTGRES_AWAY, ERR_STORE},         /* read_only_sql_transaction: a standby now */
    {"57P", POSTGRES_AWAY, ERR_STORE},           /* shutting down, starting up */
    {"08", POSTGRES_AWAY, ERR_STORE},            /* connection exceptions */
    {"25P03", POSTGRES_AWAY, ERR_STORE},         /* idle_in_transaction_session_timeout */
    {"53100", POSTGRES_REFUSED, ERR_STORE_FULL}, /* disk_full */
    {"54", POSTGRES_REFUSED, ERR_TOO_BIG},       /* program_limit_exceeded */
};

enum postgres_fault postgres_sql_fault(const char *sqlstate)
{
    if (!sqlstate || !*sqlstate)
        return POSTGRES_AWAY;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if (str_starts(str_of(sqlstate), str_of(faults[i].state)))
            return faults[i].fault;
    return POSTGRES_REFUSED;
}

enum error postgres_sql_error(const char *sqlstate)
{
    for (size_t i = 0; sqlstate && i < sizeof faults / sizeof *faults; i++)
        if (str_starts(str_of(sqlstate), str_of(faults[i].state)))
            return faults[i].error;
    return ERR_STORE;
}
