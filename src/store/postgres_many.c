/* Many rows in one statement: see postgres_many.h. */
#include "store/postgres_many.h"

enum {
    ROWS_MAX = 512,
    BYTES_MAX = 4 << 20,
    OID_INT8 = 20, /* pg_type.dat */
    OID_TEXT = 25
};

/* Of MAM_ADD's values: which are numbers. A request with any other type goes alone. */
static const bool numbers[POSTGRES_MANY_COLUMNS] = {
    [5] = true, [7] = true, [8] = true, [9] = true, [10] = true};

static bool next_value(struct request_cursor *c, int column, struct value *v)
{
    return request_next_value(c, v) && v->type == (numbers[column] ? VALUE_INT : VALUE_TEXT);
}

static bool suits(const struct store_txn *t)
{
    struct request_cursor cursor;
    enum store_statement id;
    struct value v;
    if (t->read || t->statements != 1)
        return false;
    request_cursor_init(&cursor, t);
    if (!request_next_statement(&cursor, &id) || id != SQL_MAM_ADD)
        return false;
    for (int column = 0; column < POSTGRES_MANY_COLUMNS; column++)
        if (!next_value(&cursor, column, &v))
            return false;
    return true;
}

static void add_number(struct buffer *b, uint64_t n, int bytes)
{
    while (bytes--)
        buffer_add_char(b, (char)(n >> 8 * bytes & 0xff));
}

/* array_recv: dimensions, whether there are NULLs, the elements' type, how many, from which
 * index. */
static void begin_array(struct buffer *b, bool number, size_t rows)
{
    buffer_init(b, 2 * BYTES_MAX);
    add_number(b, 1, 4);
    add_number(b, 0, 4);
    add_number(b, number ? OID_INT8 : OID_TEXT, 4);
    add_number(b, rows, 4);
    add_number(b, 1, 4);
}

static void add_row(struct postgres_many *m, const struct store_txn *t)
{
    struct request_cursor cursor;
    enum store_statement id;
    struct value v;
    request_cursor_init(&cursor, t);
    request_next_statement(&cursor, &id);
    for (int column = 0; column < POSTGRES_MANY_COLUMNS; column++) {
        struct buffer *b = &m->columns[column];
        request_next_value(&cursor, &v);
        if (numbers[column]) {
            add_number(b, 8, 4);
            add_number(b, (uint64_t)v.number, 8);
        } else {
            add_number(b, v.bytes.len, 4);
            buffer_add_str(b, v.bytes);
        }
    }
}

size_t postgres_many_take(struct postgres_many *m, const struct store_txn *t)
{
    size_t rows = 0, bytes = 0;
    for (const struct store_txn *at = t; at && rows < ROWS_MAX && suits(at); at = at->next) {
        bytes += at->used;
        if (bytes > BYTES_MAX)
            break;
        rows++;
    }
    if (rows < 2)
        return 0;
    m->statement = SQL_MAM_ADD_MANY;
    for (int column = 0; column < POSTGRES_MANY_COLUMNS; column++)
        begin_array(&m->columns[column], numbers[column], rows);
    for (size_t i = 0; i < rows; i++, t = t->next)
        add_row(m, t);
    return rows;
}

void postgres_many_finish(struct postgres_many *m)
{
    for (int column = 0; column < POSTGRES_MANY_COLUMNS; column++)
        buffer_finish(&m->columns[column]);
}
