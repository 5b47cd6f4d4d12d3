/* Rings: records there and back, the round, the next life of the file, what a kill or a power cut
 * leaves, and several threads. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ring.h"

#define BYTES  (8 * 256) /* eight places */
#define PLACES 8u
#define HEADER 4096
#define PLACE  256

struct place {
    char folder[64], path[96];
    struct ring *ring;
};

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));

    (void)snprintf(p->folder, sizeof(p->folder), "/tmp/jackdaw-ring-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    (void)snprintf(p->path, sizeof(p->path), "%s/it.ring", p->folder);
    assert_int_equal(ring_open(p->path, BYTES, RING_RECORD, &p->ring), ERR_OK);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;

    ring_close(p->ring);
    (void)unlink(p->path);
    (void)rmdir(p->folder);
    free(p);
    return 0;
}

static void add_bytes(struct ring *r, const void *bytes, size_t len)
{
    uint64_t number;
    void *room = ring_begin(r, &number);

    if (!room)
        return;
    memcpy(room, bytes, len);
    ring_end(r, number, len);
}

static void add(struct ring *r, const char *text)
{
    add_bytes(r, text, strlen(text));
}

static void add_numbers(struct ring *r, unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "record %u", i);
        add(r, text);
    }
}

/* NULL: it is not there. */
static const char *get(const struct ring *r, uint64_t number)
{
    static char text[RING_RECORD + 1];
    size_t len = ring_get(r, number, text);

    text[len] = '\0';
    return len ? text : NULL;
}

static void is(const struct ring *r, uint64_t number, const char *expected)
{
    const char *got = get(r, number);

    if (!got)
        fail_msg("record %d is not there", (int)number);
    assert_string_equal(got, expected);
}

static void reopen(struct place *p, size_t bytes)
{
    ring_close(p->ring);
    assert_int_equal(ring_open(p->path, bytes, RING_RECORD, &p->ring), ERR_OK);
}

static void write_at(const struct place *p, long at, const void *bytes, size_t len)
{
    int fd = open(p->path, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
    close(fd);
}

static void round_and_round(void **state)
{
    struct place *p = *state;

    assert_int_equal(ring_next(p->ring), 1);
    assert_null(get(p->ring, 1));
    add_numbers(p->ring, 1, 5);
    assert_int_equal(ring_first(p->ring), 1);
    is(p->ring, 1, "record 1");
    is(p->ring, 5, "record 5");
    assert_null(get(p->ring, 6));
    add_numbers(p->ring, 6, 20);
    assert_int_equal(ring_next(p->ring), 21);
    assert_int_equal(ring_first(p->ring), 21 - PLACES);
    assert_null(get(p->ring, 12)); /* overwritten */
    for (unsigned i = 13; i <= 20; i++) {
        char expected[32];
        (void)snprintf(expected, sizeof(expected), "record %u", i);
        is(p->ring, i, expected);
    }
}

static void of_any_length(void **state)
{
    struct place *p = *state;
    char text[RING_RECORD];

    memset(text, 'x', sizeof(text));
    for (size_t len = 1; len <= RING_RECORD; len++) {
        char out[RING_RECORD];
        add_bytes(p->ring, text, len);
        assert_int_equal(ring_get(p->ring, len, out), len);
        assert_memory_equal(out, text, len);
    }
}

static void read_by_another_process(void **state)
{
    struct place *p = *state;
    struct ring *reader;
    char none[128];

    add_numbers(p->ring, 1, 2);
    assert_int_equal(ring_read(p->path, &reader), ERR_OK);
    is(reader, 2, "record 2");
    add(p->ring, "written meanwhile");
    is(reader, 3, "written meanwhile");
    ring_close(reader);
    (void)snprintf(none, sizeof(none), "%s/none", p->folder);
    assert_int_equal(ring_read(none, &reader), ERR_NOT_FOUND);
    assert_null(reader);
}

static void one_writer_alone(void **state)
{
    struct place *p = *state;
    struct ring *second;

    add(p->ring, "first");
    assert_int_equal(ring_open(p->path, BYTES, RING_RECORD, &second), ERR_SYSTEM);
    assert_int_equal(errno, EWOULDBLOCK);
    assert_int_equal(ring_open(p->path, 2 * BYTES, RING_RECORD, &second), ERR_SYSTEM);
    is(p->ring, 1, "first");
}

static void goes_on_in_its_next_life(void **state)
{
    struct place *p = *state;

    add_numbers(p->ring, 1, 11);
    reopen(p, BYTES);
    assert_int_equal(ring_next(p->ring), 12);
    is(p->ring, 11, "record 11");
    add(p->ring, "new");
    is(p->ring, 12, "new");
}

static void another_size_is_another_ring(void **state)
{
    struct place *p = *state;
    struct ring *reader;
    struct stat st;

    add(p->ring, "old");
    assert_int_equal(ring_read(p->path, &reader), ERR_OK);
    reopen(p, 2 * BYTES + 100); /* the power of two below */
    assert_int_equal(ring_next(p->ring), 1);
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_size, HEADER + 2 * BYTES);
    assert_true(st.st_blocks * 512 >= st.st_size); /* no holes */
    is(reader, 1, "old");                          /* who reads keeps what he has */
    ring_close(reader);
}

static void no_ring(void **state)
{
    struct place *p = *state;
    struct ring *reader;

    write_at(p, 0, "something", 9);
    assert_int_equal(ring_read(p->path, &reader), ERR_MALFORMED);
    reopen(p, BYTES);
    assert_int_equal(ring_next(p->ring), 1);
    assert_int_equal(truncate(p->path, 100), 0);
    assert_int_equal(ring_read(p->path, &reader), ERR_MALFORMED);
}

/* kill -9 in the middle of a record: its place is marked as busy for ever. */
static void killed_while_writing(void **state)
{
    struct place *p = *state;
    uint64_t busy = UINT64_MAX;

    add_numbers(p->ring, 1, 3);
    write_at(p, HEADER + 2 * PLACE, &busy, sizeof(busy));
    assert_null(get(p->ring, 2));
    is(p->ring, 3, "record 3");
    reopen(p, BYTES);
    add_numbers(p->ring, 4, 10); /* the tenth takes the place of the second */
    is(p->ring, 10, "record 10");
}

/* The disk has some pages of the time before the power went, and not others. */
static void torn_by_a_power_cut(void **state)
{
    struct place *p = *state;
    uint64_t next = 2, foreign = 12345;

    add_numbers(p->ring, 1, 6);
    write_at(p, 16, &next, sizeof(next));                             /* an old header */
    write_at(p, HEADER + 3 * PLACE + 20, "RECORD", 6);                /* half of another record */
    write_at(p, HEADER + 4 * PLACE, &foreign, sizeof(foreign));       /* a number of elsewhere */
    write_at(p, HEADER + 5 * PLACE + 12, &foreign, sizeof(uint32_t)); /* a length out of bounds */
    reopen(p, BYTES);
    assert_int_equal(ring_next(p->ring), 7);
    assert_null(get(p->ring, 3));
    assert_null(get(p->ring, 4));
    assert_null(get(p->ring, 5));
    is(p->ring, 2, "record 2");
    is(p->ring, 6, "record 6");
}

enum { THREADS = 4, EACH = 20000 };

static void *write_many(void *arg)
{
    struct ring *r = arg;

    for (uint32_t i = 0; i < EACH; i++) {
        uint32_t same[12];
        for (int k = 0; k < 12; k++)
            same[k] = i;
        add_bytes(r, same, sizeof(same));
    }
    return NULL;
}

/* Whatever a reader gets is whole, and nothing is lost but where one thread is a round ahead. */
static void threads_at_once(void **state)
{
    struct ring *r = ring_create(1024 * PLACE, RING_RECORD);
    pthread_t threads[THREADS];
    uint32_t record[RING_RECORD / 4];
    unsigned there = 0;

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, r), 0);
    for (uint64_t n = 1; n < THREADS * EACH; n += 7) {
        size_t len = ring_get(r, ring_first(r) + n % 1024, record);
        for (size_t k = 1; k < len / 4; k++)
            assert_int_equal(record[k], record[0]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(ring_next(r), THREADS * EACH + 1);
    for (uint64_t n = ring_first(r); n < ring_next(r); n++)
        there += ring_get(r, n, record) == 48;
    assert_true(there >= 1024 - THREADS);
    ring_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(round_and_round, setup, teardown),
        cmocka_unit_test_setup_teardown(of_any_length, setup, teardown),
        cmocka_unit_test_setup_teardown(read_by_another_process, setup, teardown),
        cmocka_unit_test_setup_teardown(one_writer_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(goes_on_in_its_next_life, setup, teardown),
        cmocka_unit_test_setup_teardown(another_size_is_another_ring, setup, teardown),
        cmocka_unit_test_setup_teardown(no_ring, setup, teardown),
        cmocka_unit_test_setup_teardown(killed_while_writing, setup, teardown),
        cmocka_unit_test_setup_teardown(torn_by_a_power_cut, setup, teardown),
        cmocka_unit_test(threads_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
