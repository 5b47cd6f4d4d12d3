/* Board: see board.h. A file is a page with the header, and chunks: a page with the numbers of all
 * slots of the chunk - together, so that a busy server dirties few pages - and the slots. Chunks
 * are mapped one by one and stay where they are. */
#include "base/board.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mapped.h"
#include "base/mem.h"

enum { FREE, BUSY, USED };

static const char magic[8] = "JDBORD1\n";

struct header {
    char magic[8];
    char boot[BOARD_BOOT];
    _Atomic uint64_t seen, word;
};

struct slot {
    _Atomic uint32_t state;
    uint32_t len, check, unused;
    char bytes[BOARD_BYTES];
};

struct chunk {
    _Atomic uint32_t numbers[BOARD_CHUNK];
    struct slot slots[BOARD_CHUNK];
};

struct mapping {
    struct chunk *chunk;
};

struct board {
    struct header *header;
    struct mapping *chunks;
    uint32_t count, most; /* of chunks */
    uint32_t *spare;      /* the slots that are free, the next one to be taken last */
    uint32_t spare_count;
    int fd; /* holds the lock; -1: memory of ours */
};

static size_t offset_of(uint32_t chunk)
{
    return MAPPED_PAGE + (size_t)chunk * sizeof(struct chunk);
}

static struct slot *slot_of(const struct board *b, uint32_t slot)
{
    return &b->chunks[slot / BOARD_CHUNK].chunk->slots[slot % BOARD_CHUNK];
}

static bool is_good(const struct slot *s, uint32_t number)
{
    return atomic_load(&s->state) == USED && s->len > 0 && s->len <= BOARD_BYTES &&
           mapped_check(s->bytes, s->len, number) == s->check;
}

static struct board *make(uint32_t most)
{
    struct board *b = MEM_NEW(struct board);

    b->most = (most + BOARD_CHUNK - 1) / BOARD_CHUNK;
    b->chunks = mem_alloc_array(b->most, sizeof(*b->chunks));
    b->fd = -1;
    return b;
}

struct board *board_create(uint32_t most)
{
    struct board *b = make(most);

    b->header = mem_alloc(MAPPED_PAGE);
    return b;
}

/* --- chunks --- */

/* What is torn, or nobody's, is free. */
static void recover(struct board *b, uint32_t chunk)
{
    for (uint32_t i = BOARD_CHUNK; i-- > 0;) {
        uint32_t slot = chunk * BOARD_CHUNK + i;
        struct slot *s = slot_of(b, slot);
        if (is_good(s, slot))
            continue;
        if (atomic_load(&s->state) != FREE) /* a page that nobody has used is not touched */
            atomic_store(&s->state, FREE);
        b->spare[b->spare_count++] = slot;
    }
}

/* The room on the disk is taken at once, since a full disk could not be told of later. */
static struct chunk *map(const struct board *b, uint32_t chunk)
{
    size_t at = offset_of(chunk);
    void *memory;

    if (b->fd < 0)
        return mem_alloc(sizeof(struct chunk));
    if (posix_fallocate(b->fd, (off_t)at, sizeof(struct chunk)) != 0)
        return NULL;
    memory = mmap(NULL, sizeof(struct chunk), PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, (off_t)at);
    return memory == MAP_FAILED ? NULL : memory;
}

static bool add_chunk(struct board *b)
{
    struct chunk *chunk = b->count < b->most ? map(b, b->count) : NULL;

    if (!chunk)
        return false;
    b->chunks[b->count++].chunk = chunk;
    b->spare = mem_realloc(b->spare, (size_t)b->count * BOARD_CHUNK * sizeof(*b->spare));
    recover(b, b->count - 1);
    return true;
}

/* --- files --- */

struct str board_boot(char out[BOARD_BOOT])
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    bool ok = f && fgets(out, BOARD_BOOT, f);

    if (f)
        fclose(f);
    return ok ? (struct str){out, strcspn(out, "\n")} : STR_NULL;
}

static bool is_board(const struct header *h, struct str boot)
{
    return boot.len > 0 && boot.len < BOARD_BOOT && memcmp(h->magic, magic, sizeof(magic)) == 0 &&
           memchr(h->boot, '\0', BOARD_BOOT) && str_is(boot, h->boot);
}

/* Room for the header at least. */
static bool have_header(int fd)
{
    errno = posix_fallocate(fd, 0, MAPPED_PAGE);
    return errno == 0;
}

/* Empty, but for its header. */
static bool begin(const struct board *b, struct str boot)
{
    bool ours = memcmp(b->header->magic, magic, sizeof(magic)) == 0;
    uint64_t word = ours ? atomic_load(&b->header->word) : 0;

    if (ftruncate(b->fd, 0) != 0 || !have_header(b->fd))
        return false;
    memset(b->header, 0, MAPPED_PAGE);
    atomic_store(&b->header->word, word);
    if (boot.len > 0 && boot.len < BOARD_BOOT)
        memcpy(b->header->boot, boot.data, boot.len);
    memcpy(b->header->magic, magic, sizeof(magic));
    return true;
}

static bool open_file(struct board *b, struct str boot)
{
    struct stat st;
    void *memory;

    if (!have_header(b->fd) || fstat(b->fd, &st) != 0)
        return false;
    memory = mmap(NULL, MAPPED_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
    if (memory == MAP_FAILED)
        return false;
    b->header = memory;
    if (!is_board(b->header, boot))
        return begin(b, boot);
    /* The last chunk may be half there: whoever made it was killed over it. */
    while (b->count < b->most && offset_of(b->count) < (size_t)st.st_size)
        if (!add_chunk(b))
            return false;
    return true;
}

enum error board_open(const char *path, struct str boot, uint32_t most, struct board **ret)
{
    int fd = mapped_open(path), e;

    *ret = NULL;
    if (fd < 0)
        return ERR_SYSTEM;
    *ret = make(most);
    (*ret)->fd = fd;
    if (open_file(*ret, boot))
        return ERR_OK;
    e = errno;
    board_close(*ret);
    *ret = NULL;
    errno = e;
    return ERR_SYSTEM;
}

static void unmap(const struct board *b, void *memory, size_t size)
{
    if (b->fd < 0)
        free(memory);
    else if (memory)
        (void)munmap(memory, size);
}

void board_close(struct board *b)
{
    if (!b)
        return;
    for (uint32_t i = 0; i < b->count; i++)
        unmap(b, b->chunks[i].chunk, sizeof(struct chunk));
    unmap(b, b->header, MAPPED_PAGE);
    if (b->fd >= 0)
        close(b->fd);
    free(b->chunks);
    free(b->spare);
    free(b);
}

void board_clear(struct board *b)
{
    for (uint32_t slot = 0; slot < board_room(b); slot++)
        if (atomic_load(&slot_of(b, slot)->state) == USED)
            board_free(b, slot);
}

/* --- slots --- */

uint32_t board_take(struct board *b)
{
    if (b->spare_count == 0 && !add_chunk(b))
        return BOARD_NONE;
    return b->spare[--b->spare_count];
}

/* Whoever is killed in between leaves a slot that is none. */
void board_put(struct board *b, uint32_t slot, const void *bytes, size_t len)
{
    struct slot *s = slot_of(b, slot);
    size_t whole = (len + 15) & ~(size_t)15;

    atomic_store_explicit(&s->state, BUSY, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    memcpy(s->bytes, bytes, len);
    memset(s->bytes + len, 0, whole - len);
    s->len = (uint32_t)len;
    s->check = mapped_check(s->bytes, len, slot);
    atomic_store_explicit(&s->state, USED, memory_order_release);
}

void board_free(struct board *b, uint32_t slot)
{
    atomic_store_explicit(&slot_of(b, slot)->state, FREE, memory_order_release);
    b->spare[b->spare_count++] = slot;
}

void board_set(struct board *b, uint32_t slot, uint32_t number)
{
    atomic_store_explicit(&b->chunks[slot / BOARD_CHUNK].chunk->numbers[slot % BOARD_CHUNK], number,
                          memory_order_release);
}

uint32_t board_number(const struct board *b, uint32_t slot)
{
    return atomic_load_explicit(&b->chunks[slot / BOARD_CHUNK].chunk->numbers[slot % BOARD_CHUNK],
                                memory_order_acquire);
}

uint32_t board_room(const struct board *b)
{
    return b->count * BOARD_CHUNK;
}

size_t board_get(const struct board *b, uint32_t slot, void *out)
{
    const struct slot *s = slot_of(b, slot);

    if (!is_good(s, slot))
        return 0;
    memcpy(out, s->bytes, s->len);
    return s->len;
}

void board_note(struct board *b, uint64_t seen, uint64_t word)
{
    atomic_store(&b->header->seen, seen);
    atomic_store(&b->header->word, word);
}

uint64_t board_seen(const struct board *b)
{
    return atomic_load(&b->header->seen);
}

uint64_t board_word(const struct board *b)
{
    return atomic_load(&b->header->word);
}
