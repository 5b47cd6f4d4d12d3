/* Ring: see ring.h. A file is a page with the header, and places of equal size. A place is
 * taken by writing BUSY into it, and is good when its number is in it and the checksum is that of
 * this number with these bytes. */
#include "base/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mapped.h"
#include "base/mem.h"

#define BUSY UINT64_MAX

static const char magic[8] = "JDRING1\n";

struct header {
    char magic[8];
    uint64_t places;
    _Atomic uint64_t next;
};

struct place {
    _Atomic uint64_t number; /* 0: never written */
    uint32_t check;
    uint32_t len;
    char bytes[];
};

struct ring {
    struct header *header;
    char *places; /* struct place */
    uint64_t count;
    size_t record;
    size_t mapped; /* 0: memory of ours */
    int fd;        /* holds the lock; -1: none */
};

static bool is_good(const struct ring *r, const char *bytes, size_t len, uint64_t number,
                    uint32_t check)
{
    return len > 0 && len <= r->record && mapped_check(bytes, len, number) == check;
}

/* A power of two: then a record's place is found without a division. */
static uint64_t places_in(size_t bytes, size_t record)
{
    uint64_t count = 1;

    while (2 * count * (sizeof(struct place) + record) <= bytes)
        count *= 2;
    return count;
}

static struct place *place_of(const struct ring *r, uint64_t number)
{
    uint64_t i = number & (r->count - 1);

    return (struct place *)(void *)(r->places + i * (sizeof(struct place) + r->record));
}

static size_t size_of(uint64_t count, size_t record)
{
    return MAPPED_PAGE + count * (sizeof(struct place) + record);
}

static struct ring *make(void *memory, uint64_t count, size_t record, size_t mapped)
{
    struct ring *r = MEM_NEW(struct ring);

    r->header = memory;
    r->places = (char *)memory + MAPPED_PAGE;
    r->count = count;
    r->record = record;
    r->mapped = mapped;
    r->fd = -1;
    return r;
}

static void begin(struct ring *r)
{
    memcpy(r->header->magic, magic, sizeof(magic));
    r->header->places = r->count;
    atomic_store(&r->header->next, 1);
}

struct ring *ring_create(size_t bytes, size_t record)
{
    uint64_t count = places_in(bytes, record);
    struct ring *r = make(mem_alloc(size_of(count, record)), count, record, 0);

    begin(r);
    return r;
}

void ring_clear(struct ring *r)
{
    memset(r->header, 0, size_of(r->count, r->record));
    begin(r);
}

/* After the death of the machine the header may be older than the places, and some of these torn.
 */
static void recover(struct ring *r)
{
    uint64_t next = atomic_load(&r->header->next);

    for (uint64_t i = 0; i < r->count; i++) {
        struct place *p = place_of(r, i);
        uint64_t number = atomic_load(&p->number);
        if (!number)
            continue;
        if (number == BUSY || (number & (r->count - 1)) != i ||
            !is_good(r, p->bytes, p->len, number, p->check))
            atomic_store(&p->number, 0);
        else if (number >= next)
            next = number + 1;
    }
    atomic_store(&r->header->next, next ? next : 1);
}

static bool is_ring(const struct header *h, size_t size, size_t record)
{
    return memcmp(h->magic, magic, sizeof(magic)) == 0 &&
           h->places == (size - MAPPED_PAGE) / (sizeof(struct place) + record) && h->places > 0 &&
           (h->places & (h->places - 1)) == 0;
}

/* A file of another size is left to those who read it, and a new one takes its place. */
static int open_sized(const char *path, size_t size, bool *ret_fresh)
{
    int fd = mapped_open(path), e;
    struct stat st;

    *ret_fresh = fd >= 0 && (fstat(fd, &st) != 0 || (size_t)st.st_size != size);
    if (*ret_fresh) {
        close(fd);
        (void)unlink(path);
        fd = mapped_open(path);
    }
    if (fd < 0)
        return -1;
    e = posix_fallocate(fd, 0, (off_t)size);
    if (e == 0)
        return fd;
    close(fd);
    (void)unlink(path);
    errno = e;
    return -1;
}

enum error ring_open(const char *path, size_t bytes, size_t record, struct ring **ret)
{
    uint64_t count = places_in(bytes, record);
    size_t size = size_of(count, record);
    bool fresh;
    int fd = open_sized(path, size, &fresh);
    void *memory =
        fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    *ret = NULL;
    if (memory == MAP_FAILED) {
        int e = errno;
        if (fd >= 0)
            close(fd);
        errno = e;
        return ERR_SYSTEM;
    }
    *ret = make(memory, count, record, size);
    (*ret)->fd = fd;
    if (!fresh && is_ring(memory, size, record)) {
        recover(*ret);
    } else {
        memset(memory, 0, size);
        begin(*ret);
    }
    return ERR_OK;
}

enum error ring_read(const char *path, struct ring **ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    void *memory = MAP_FAILED;

    *ret = NULL;
    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM;
    if (fstat(fd, &st) == 0 && (size_t)st.st_size >= size_of(1, RING_RECORD))
        memory = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (memory == MAP_FAILED)
        return ERR_MALFORMED;
    if (!is_ring(memory, (size_t)st.st_size, RING_RECORD)) {
        (void)munmap(memory, (size_t)st.st_size);
        return ERR_MALFORMED;
    }
    *ret = make(memory, ((const struct header *)memory)->places, RING_RECORD, (size_t)st.st_size);
    return ERR_OK;
}

void ring_close(struct ring *r)
{
    if (!r)
        return;
    if (r->mapped)
        (void)munmap(r->header, r->mapped);
    else
        free(r->header);
    if (r->fd >= 0)
        close(r->fd);
    free(r);
}

/* Who finds the place busy is a whole round ahead of another thread that is still writing there:
 * then this record is the one that is lost. */
void *ring_begin(struct ring *r, uint64_t *ret_number)
{
    uint64_t number = atomic_fetch_add_explicit(&r->header->next, 1, memory_order_relaxed);
    struct place *p = place_of(r, number), *next = place_of(r, number + 1);

    *ret_number = number;
    __builtin_prefetch(next, 1); /* it is out of the cache since the last round */
    __builtin_prefetch((const char *)next + 64, 1);
    if (atomic_exchange_explicit(&p->number, BUSY, memory_order_acq_rel) == BUSY)
        return NULL;
    return p->bytes;
}

void ring_end(struct ring *r, uint64_t number, size_t len)
{
    struct place *p = place_of(r, number);
    size_t whole = (len + 15) & ~(size_t)15;

    memset(p->bytes + len, 0, whole - len);
    p->len = (uint32_t)len;
    p->check = mapped_check(p->bytes, len, number);
    atomic_store_explicit(&p->number, number, memory_order_release);
}

uint64_t ring_next(const struct ring *r)
{
    return atomic_load_explicit(&r->header->next, memory_order_acquire);
}

uint64_t ring_first(const struct ring *r)
{
    uint64_t next = ring_next(r);

    return next > r->count ? next - r->count : 1;
}

size_t ring_get(const struct ring *r, uint64_t number, void *out)
{
    const struct place *p = place_of(r, number);
    char bytes[RING_RECORD];

    if (atomic_load_explicit(&p->number, memory_order_acquire) != number)
        return 0;
    uint32_t len = p->len, check = p->check;
    memcpy(bytes, p->bytes, r->record);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&p->number, memory_order_relaxed) != number ||
        !is_good(r, bytes, len, number, check))
        return 0;
    memcpy(out, bytes, len);
    return len;
}
