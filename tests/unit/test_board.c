/* Boards: slots there and back, growth and its end, the next life of the file, what a kill leaves,
 * another boot of the machine, and two writers. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/board.h"

#define HEADER 4096
#define SLOTS  (HEADER + 4096) /* of the first chunk */
#define SLOT   1024

static const struct str boot = {"boot-1", 6};

struct place {
    char folder[64], path[96];
    struct board *board;
};

static enum error open_board(struct place *p, struct str in_boot)
{
    return board_open(p->path, in_boot, 3 * BOARD_CHUNK, &p->board);
}

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));

    (void)snprintf(p->folder, sizeof(p->folder), "/tmp/jackdaw-board-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    (void)snprintf(p->path, sizeof(p->path), "%s/it.board", p->folder);
    assert_int_equal(open_board(p, boot), ERR_OK);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;

    board_close(p->board);
    (void)unlink(p->path);
    (void)rmdir(p->folder);
    free(p);
    return 0;
}

static void reopen(struct place *p, struct str in_boot)
{
    board_close(p->board);
    assert_int_equal(open_board(p, in_boot), ERR_OK);
}

static uint32_t add(struct board *b, const char *text, uint32_t number)
{
    uint32_t slot = board_take(b);

    assert_int_not_equal(slot, BOARD_NONE);
    board_set(b, slot, number);
    board_put(b, slot, text, strlen(text));
    return slot;
}

static void has(const struct board *b, uint32_t slot, const char *text, uint32_t number)
{
    char bytes[BOARD_BYTES];
    size_t len = board_get(b, slot, bytes);

    assert_int_equal(len, strlen(text));
    assert_memory_equal(bytes, text, len);
    assert_int_equal(board_number(b, slot), number);
}

static uint32_t count(const struct board *b)
{
    char bytes[BOARD_BYTES];
    uint32_t n = 0;

    for (uint32_t slot = 0; slot < board_room(b); slot++)
        n += board_get(b, slot, bytes) > 0;
    return n;
}

static void there_and_back(void **state)
{
    struct place *p = *state;
    struct stat st;
    char most[BOARD_BYTES];
    uint32_t a = add(p->board, "romeo", 7), b = add(p->board, "juliet", 8);

    memset(most, 'x', sizeof(most));
    board_put(p->board, b, most, sizeof(most));
    board_set(p->board, a, 9);
    board_note(p->board, 1234, 5);
    reopen(p, boot);
    has(p->board, a, "romeo", 9);
    assert_int_equal(board_get(p->board, b, most), BOARD_BYTES);
    assert_int_equal(board_seen(p->board), 1234);
    assert_int_equal(board_word(p->board), 5);
    board_free(p->board, a);
    reopen(p, boot);
    assert_int_equal(count(p->board), 1);
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    board_clear(p->board);
    assert_int_equal(count(p->board), 0);
}

/* What is taken again and again is the same room. */
static void grows_and_ends(void **state)
{
    struct place *p = *state;
    uint32_t slot = 0;

    for (uint32_t i = 0; i < 3 * BOARD_CHUNK; i++)
        slot = add(p->board, "x", i);
    assert_int_equal(board_take(p->board), BOARD_NONE);
    board_free(p->board, slot);
    assert_int_equal(board_take(p->board), slot);
    board_put(p->board, slot, "y", 1);
    reopen(p, boot);
    assert_int_equal(count(p->board), 3 * BOARD_CHUNK);
    assert_int_equal(board_take(p->board), BOARD_NONE);
}

static void another_boot(void **state)
{
    struct place *p = *state;

    (void)add(p->board, "romeo", 7);
    board_note(p->board, 1234, 5);
    reopen(p, STR("boot-2"));
    assert_int_equal(count(p->board), 0);
    assert_int_equal(board_seen(p->board), 0);
    assert_int_equal(board_word(p->board), 5);
    (void)add(p->board, "romeo", 7);
    reopen(p, STR_NULL); /* the system does not say: nothing is believed */
    assert_int_equal(count(p->board), 0);
    (void)add(p->board, "romeo", 7);
    reopen(p, STR_NULL);
    assert_int_equal(count(p->board), 0);
}

static void torn(void **state)
{
    struct place *p = *state;
    uint32_t whole = add(p->board, "a rose by any other name", 1),
             halved = add(p->board, "would smell as sweet", 2),
             busy = add(p->board, "so Romeo would", 3);
    uint32_t state_busy = 1;
    int fd;

    board_close(p->board);
    fd = open(p->path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "XXXX", 4, SLOTS + SLOT * (off_t)halved + 16 + 4), 4);
    assert_int_equal(pwrite(fd, &state_busy, 4, SLOTS + SLOT * (off_t)busy), 4);
    close(fd);
    assert_int_equal(open_board(p, boot), ERR_OK);
    assert_int_equal(count(p->board), 1);
    has(p->board, whole, "a rose by any other name", 1);
    assert_int_not_equal(board_take(p->board), whole);
}

/* Killed while a chunk was added: what is there of it is made whole. */
static void half_a_chunk(void **state)
{
    struct place *p = *state;
    uint32_t slot = add(p->board, "romeo", 7);
    struct stat st;

    board_close(p->board);
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(truncate(p->path, st.st_size + 5000), 0);
    assert_int_equal(open_board(p, boot), ERR_OK);
    has(p->board, slot, "romeo", 7);
    assert_int_equal(board_room(p->board), 2 * BOARD_CHUNK);
    for (uint32_t i = 1; i < 2 * BOARD_CHUNK; i++)
        (void)add(p->board, "x", i);
    reopen(p, boot);
    assert_int_equal(count(p->board), 2 * BOARD_CHUNK);
}

static void none_of_ours(void **state)
{
    struct place *p = *state;
    int fd;

    board_close(p->board);
    fd = open(p->path, O_RDWR | O_TRUNC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "something else", 14), 14);
    close(fd);
    assert_int_equal(open_board(p, boot), ERR_OK);
    assert_int_equal(count(p->board), 0);
    (void)add(p->board, "romeo", 7);
    reopen(p, boot);
    assert_int_equal(count(p->board), 1);
}

static void one_writer(void **state)
{
    struct place *p = *state;
    struct board *other;

    assert_int_equal(board_open(p->path, boot, BOARD_CHUNK, &other), ERR_SYSTEM);
    assert_int_equal(errno, EWOULDBLOCK);
    assert_null(other);
}

/* A disk that is full is told at once, not by SIGBUS; what there is stays good. */
static void full(void **state)
{
    struct place *p = *state;
    struct rlimit before, limit;

    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = HEADER + 4096 + 1024 * SLOT;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (uint32_t i = 0; i < BOARD_CHUNK; i++)
        (void)add(p->board, "x", i);
    assert_int_equal(board_take(p->board), BOARD_NONE);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)add(p->board, "y", 1);
    assert_int_equal(count(p->board), BOARD_CHUNK + 1);
}

static void count_on(struct place *p, uint32_t slot, _Atomic uint32_t *said)
{
    if (open_board(p, boot) != ERR_OK)
        _exit(1);
    for (uint32_t n = *said + 1;; n++) {
        board_set(p->board, slot, n);
        if (n % 64 == 1)
            board_put(p->board, slot, "romeo", 5);
        *said = n;
    }
}

/* A child counts, says how far it is, and is killed over it: what it said is there. */
static void killed(void **state)
{
    struct place *p = *state;
    _Atomic uint32_t *said =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint32_t slot = add(p->board, "romeo", 0);

    assert_ptr_not_equal(said, MAP_FAILED);
    for (int round = 0; round < 20; round++) {
        uint32_t begun = *said;
        pid_t child;

        board_close(p->board);
        p->board = NULL;
        child = fork();
        if (child == 0)
            count_on(p, slot, said);
        while (*said < begun + 1000)
            assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
        (void)kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        assert_int_equal(open_board(p, boot), ERR_OK);
        assert_in_range(board_number(p->board, slot), *said, *said + 1);
        assert_true(count(p->board) <= 1); /* torn, when it died over its words */
    }
    (void)munmap((void *)said, 4096);
}

static void in_memory(void **state)
{
    struct board *b = board_create(10);
    uint32_t slot = add(b, "romeo", 7);

    has(b, slot, "romeo", 7);
    board_free(b, slot);
    assert_int_equal(count(b), 0);
    board_close(b);
    board_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(there_and_back, setup, teardown),
        cmocka_unit_test_setup_teardown(grows_and_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(another_boot, setup, teardown),
        cmocka_unit_test_setup_teardown(torn, setup, teardown),
        cmocka_unit_test_setup_teardown(half_a_chunk, setup, teardown),
        cmocka_unit_test_setup_teardown(none_of_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(one_writer, setup, teardown),
        cmocka_unit_test_setup_teardown(full, setup, teardown),
        cmocka_unit_test_setup_teardown(killed, setup, teardown),
        cmocka_unit_test(in_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
