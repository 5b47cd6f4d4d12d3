/* Requests and results as blocks of bytes: statements with their values in, rows of cells out. One
 * allocation carries a typical request, so that an offline message costs one malloc on its way to
 * the disk. */
#include "store/driver.h"

#include <stdlib.h>

#include "base/mem.h"

enum { TAG_STATEMENT = 0x80 }; /* else a value_type */

const char *const store_statement_sql[SQL_STATEMENTS] = {
#define X(id, unchanged, sql) [SQL_##id] = (sql),
#include "store/statements.def"
#undef X
};

const enum error store_statement_unchanged[SQL_STATEMENTS] = {
#define X(id, unchanged, sql) [SQL_##id] = ERR_##unchanged,
#include "store/statements.def"
#undef X
};

/* Room for `len` bytes, or NULL once the request has outgrown REQUEST_MAX: then it fails at its
 * submission. */
static char *reserve(struct store_txn *t, size_t len)
{
    if (t->result != ERR_OK)
        return NULL;
    if (len > REQUEST_MAX - t->used) {
        t->result = ERR_TOO_BIG;
        return NULL;
    }
    if (len > t->cap - t->used) {
        size_t cap = t->cap;
        while (cap < t->used + len)
            cap *= 2;
        char *data = mem_realloc(t->data == t->fixed ? NULL : t->data, cap);
        if (t->data == t->fixed)
            memcpy(data, t->fixed, t->used);
        t->data = data;
        t->cap = (uint32_t)cap;
    }
    char *room = t->data + t->used;
    t->used += (uint32_t)len;
    return room;
}

struct store_txn *store_add(struct store_txn *t, enum store_statement statement)
{
    uint16_t number = (uint16_t)statement;
    char *room = reserve(t, 1 + sizeof number);
    if (room) {
        room[0] = (char)TAG_STATEMENT;
        memcpy(room + 1, &number, sizeof number);
        t->statements++;
    }
    return t;
}

static struct store_txn *add_bytes(struct store_txn *t, enum value_type type, const char *bytes,
                                   size_t len)
{
    if (len > REQUEST_MAX)
        len = REQUEST_MAX; /* more than fits in any case: reserve refuses it */
    uint32_t length = (uint32_t)len;
    char *room = reserve(t, 1 + sizeof length + len);
    if (room) {
        room[0] = (char)type;
        memcpy(room + 1, &length, sizeof length);
        if (len)
            memcpy(room + 1 + sizeof length, bytes, len);
    }
    return t;
}

struct store_txn *store_add_text(struct store_txn *t, struct str text)
{
    return add_bytes(t, text.data ? VALUE_TEXT : VALUE_NULL, text.data, text.data ? text.len : 0);
}

struct store_txn *store_add_blob(struct store_txn *t, const void *bytes, size_t len)
{
    return add_bytes(t, VALUE_BLOB, bytes, len);
}

struct store_txn *store_add_int(struct store_txn *t, int64_t number)
{
    char *room = reserve(t, 1 + sizeof number);
    if (room) {
        room[0] = VALUE_INT;
        memcpy(room + 1, &number, sizeof number);
    }
    return t;
}

void store_set_int(struct store_txn *t, size_t behind, int64_t number)
{
    memcpy(t->data + t->used - behind * (1 + sizeof number) - sizeof number, &number,
           sizeof number);
}

void request_cursor_init(struct request_cursor *c, const struct store_txn *t)
{
    *c = (struct request_cursor){t->data, t->data + t->used};
}

bool request_next_statement(struct request_cursor *c, enum store_statement *ret)
{
    uint16_t number;
    if (c->at == c->end)
        return false;
    memcpy(&number, c->at + 1, sizeof number);
    c->at += 1 + sizeof number;
    *ret = (enum store_statement)number;
    return true;
}

bool request_next_value(struct request_cursor *c, struct value *ret)
{
    if (c->at == c->end || (unsigned char)*c->at == TAG_STATEMENT)
        return false;
    ret->type = (enum value_type) * c->at++;
    if (ret->type == VALUE_INT) {
        memcpy(&ret->number, c->at, sizeof ret->number);
        c->at += sizeof ret->number;
        return true;
    }
    uint32_t len;
    memcpy(&len, c->at, sizeof len);
    ret->bytes = (struct str){c->at + sizeof len, len};
    c->at += sizeof len + len;
    return true;
}

/* --- results --- */

struct cell {
    enum value_type type;
    uint32_t len;
    union {
        int64_t number;
        size_t offset; /* into bytes */
    };
};

struct store_rows {
    unsigned columns;
    size_t cells_used, cells_cap;
    size_t bytes_used, bytes_cap;
    struct cell *cells;
    char *bytes;
};

struct store_rows *store_rows_create(unsigned columns)
{
    struct store_rows *r = MEM_NEW(struct store_rows);
    r->columns = columns;
    return r;
}

void store_rows_destroy(struct store_rows *r)
{
    if (!r)
        return;
    free(r->cells);
    free(r->bytes);
    free(r);
}

bool store_rows_add(struct store_rows *r, const struct value *value)
{
    bool bytes = value->type == VALUE_TEXT || value->type == VALUE_BLOB;
    size_t len = bytes ? value->bytes.len : 0;
    if ((r->cells_used + 1) * sizeof(struct cell) + r->bytes_used + len > STORE_RESULT_MAX)
        return false;
    if (r->cells_used == r->cells_cap) {
        r->cells_cap = r->cells_cap ? r->cells_cap * 2 : (size_t)r->columns * 4;
        r->cells = mem_realloc(r->cells, r->cells_cap * sizeof *r->cells);
    }
    if (len > r->bytes_cap - r->bytes_used) {
        if (!r->bytes_cap)
            r->bytes_cap = 512;
        while (r->bytes_cap < r->bytes_used + len)
            r->bytes_cap *= 2;
        r->bytes = mem_realloc(r->bytes, r->bytes_cap);
    }
    struct cell *cell = &r->cells[r->cells_used++];
    *cell = (struct cell){.type = value->type, .len = (uint32_t)len};
    if (bytes) {
        cell->offset = r->bytes_used;
        if (len)
            memcpy(r->bytes + r->bytes_used, value->bytes.data, len);
        r->bytes_used += len;
    } else {
        cell->number = value->number;
    }
    return true;
}

size_t store_rows_count(const struct store_rows *r)
{
    return r && r->columns ? r->cells_used / r->columns : 0;
}

static const struct cell *cell_at(const struct store_rows *r, size_t row, unsigned column)
{
    if (!r || column >= r->columns || row >= store_rows_count(r))
        return NULL;
    return &r->cells[row * r->columns + column];
}

struct str store_text(const struct store_rows *r, size_t row, unsigned column)
{
    const struct cell *cell = cell_at(r, row, column);
    if (!cell || (cell->type != VALUE_TEXT && cell->type != VALUE_BLOB))
        return STR_NULL;
    return (struct str){cell->len ? r->bytes + cell->offset : "", cell->len};
}

int64_t store_int(const struct store_rows *r, size_t row, unsigned column)
{
    const struct cell *cell = cell_at(r, row, column);
    return cell && cell->type == VALUE_INT ? cell->number : 0;
}
