/* The simulated disk: see sim_disk.h. A file is two images: what a reader sees, and what has been
 * synced; between them stands the list of the writes since. */
#include "sim_disk.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "store/sqlite_db.h"

enum { SECTOR = 512, NAME_MAX_BYTES = 64, SHM_REGIONS = 16, LEVELS = SQLITE_LOCK_EXCLUSIVE + 1 };

struct image {
    char *data;
    size_t size, room;
};

/* Since the last sync. */
struct change {
    struct list node;
    bool truncates; /* to `at` */
    size_t at, len;
    char data[];
};

struct disk_file {
    struct list node;
    struct sim_disk *disk;
    char name[NAME_MAX_BYTES];
    bool exists;
    struct image seen, synced;
    struct list changes;
    void *shm[SHM_REGIONS]; /* the WAL's index: memory of the processes that have it open */
    unsigned handles;
    unsigned locks[LEVELS];                           /* handles that hold that level */
    unsigned shared[SQLITE_SHM_NLOCK];                /* handles that hold a lock of the index */
    const struct handle *exclusive[SQLITE_SHM_NLOCK]; /* who holds it alone; NULL: nobody */
};

struct sim_disk {
    sqlite3_vfs vfs;
    struct random *random;
    struct list files;
    uint32_t before, after;
    enum sim_disk_fault fault;
    bool refused; /* something, because of it */
    bool halted;
    char victim[NAME_MAX_BYTES]; /* the file over whose write; "": every writer is dead */
    uint32_t countdown;          /* writes until it halts; 0: it does not */
};

struct handle {
    sqlite3_file base;
    struct disk_file *file;
    int level;       /* SQLITE_LOCK_NONE and so on */
    unsigned shared; /* locks of the index: bits */
};

static struct disk_file *file_of(sqlite3_file *f)
{
    return ((struct handle *)f)->file;
}

static struct sim_disk *disk_of(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

/* --- images --- */

static void image_resize(struct image *i, size_t size)
{
    if (size > i->room) {
        i->room = size + size / 2 + 4096;
        i->data = mem_realloc(i->data, i->room);
    }
    if (size > i->size)
        memset(i->data + i->size, 0, size - i->size);
    i->size = size;
}

static void image_write(struct image *i, size_t at, const char *data, size_t len)
{
    if (!len)
        return;
    if (at + len > i->size)
        image_resize(i, at + len);
    memcpy(i->data + at, data, len);
}

static void image_finish(struct image *i)
{
    free(i->data);
    *i = (struct image){0};
}

static void apply(struct image *i, const struct change *c, size_t len)
{
    if (c->truncates)
        image_resize(i, c->at);
    else
        image_write(i, c->at, c->data, len);
}

static void remember(struct disk_file *f, bool truncates, size_t at, const void *data, size_t len)
{
    struct change *c = mem_alloc(sizeof(*c) + len);
    c->truncates = truncates;
    c->at = at;
    c->len = len;
    if (len)
        memcpy(c->data, data, len);
    list_push(&f->changes, &c->node);
    apply(&f->seen, c, len);
}

static void settle(struct disk_file *f)
{
    struct list *node;
    while ((node = list_pop(&f->changes))) {
        struct change *c = LIST_ENTRY(node, struct change, node);
        apply(&f->synced, c, c->len);
        free(c);
    }
}

/* Each write is there, or not, or its first sectors are; in which order they went to the disk
 * nobody knows. */
static void lose_power(struct disk_file *f)
{
    struct random *random = f->disk->random;
    struct list *node;
    while ((node = list_pop(&f->changes))) {
        struct change *c = LIST_ENTRY(node, struct change, node);
        uint32_t dice = random_below(random, 3);
        if (dice == 0)
            apply(&f->synced, c, c->len);
        else if (dice == 1 && c->len > SECTOR)
            apply(&f->synced, c, random_below(random, (uint32_t)(c->len / SECTOR)) * SECTOR);
        free(c);
    }
    image_resize(&f->seen, 0);
    image_write(&f->seen, 0, f->synced.data, f->synced.size);
}

/* --- files --- */

static struct disk_file *find(struct sim_disk *d, const char *name)
{
    LIST_EACH (it, &d->files) {
        struct disk_file *f = LIST_ENTRY(it, struct disk_file, node);
        if (strcmp(f->name, name) == 0)
            return f;
    }
    return NULL;
}

static struct disk_file *make(struct sim_disk *d, const char *name)
{
    struct disk_file *f = MEM_NEW(struct disk_file);
    f->disk = d;
    strncpy(f->name, name, sizeof(f->name) - 1);
    list_init(&f->changes);
    list_push(&d->files, &f->node);
    return f;
}

static bool of_accounts(const char *name)
{
    return strncmp(name, "/accounts", strlen("/accounts")) == 0;
}

/* Whoever has that database open is. */
static bool is_dead(const struct disk_file *f)
{
    const struct sim_disk *d = f->disk;
    return d->halted && (!d->victim[0] || of_accounts(d->victim) == of_accounts(f->name));
}

/* What a write or sync meets. */
static int trouble(struct disk_file *f, bool sync)
{
    struct sim_disk *d = f->disk;
    if (d->countdown && --d->countdown == 0) {
        d->halted = true;
        memcpy(d->victim, f->name, sizeof(d->victim));
    }
    if (is_dead(f))
        return sync ? SQLITE_IOERR_FSYNC : SQLITE_IOERR_WRITE;
    bool refuses = d->fault == (sync ? SIM_DISK_SYNC_FAILS : SIM_DISK_FULL);
    d->refused = d->refused || refuses;
    return !refuses ? SQLITE_OK : sync ? SQLITE_IOERR_FSYNC : SQLITE_FULL;
}

static void forget_shm(struct disk_file *f)
{
    for (int i = 0; i < SHM_REGIONS; i++) {
        free(f->shm[i]);
        f->shm[i] = NULL;
    }
}

/* --- locks: https://sqlite.org/lockingv3.html; between handles, whichever process has them --- */

/* Others that hold this level or a higher one. */
static unsigned others_at(const struct handle *h, int level)
{
    unsigned count = 0;
    for (int i = level; i < LEVELS; i++)
        count += h->file->locks[i] - (h->level == i);
    return count;
}

static int io_lock(sqlite3_file *file, int level)
{
    struct handle *h = (struct handle *)file;
    if (level <= h->level)
        return SQLITE_OK;
    int against = level == SQLITE_LOCK_SHARED      ? SQLITE_LOCK_PENDING
                  : level == SQLITE_LOCK_EXCLUSIVE ? SQLITE_LOCK_SHARED
                                                   : SQLITE_LOCK_RESERVED;
    if (others_at(h, against))
        return SQLITE_BUSY;
    h->file->locks[h->level]--;
    h->level = level;
    h->file->locks[h->level]++;
    return SQLITE_OK;
}

static int io_unlock(sqlite3_file *file, int level)
{
    struct handle *h = (struct handle *)file;
    if (level < h->level) {
        h->file->locks[h->level]--;
        h->level = level;
        h->file->locks[h->level]++;
    }
    return SQLITE_OK;
}

static int io_reserved(sqlite3_file *file, int *ret)
{
    *ret = file_of(file)->locks[SQLITE_LOCK_RESERVED] + file_of(file)->locks[SQLITE_LOCK_PENDING] +
               file_of(file)->locks[SQLITE_LOCK_EXCLUSIVE] >
           0;
    return SQLITE_OK;
}

static bool shm_free(const struct handle *h, int i, bool alone)
{
    const struct disk_file *f = h->file;
    if (f->exclusive[i] && f->exclusive[i] != h)
        return false;
    return !alone || f->shared[i] == (h->shared >> i & 1u);
}

static void shm_unlock(struct handle *h, int i)
{
    struct disk_file *f = h->file;
    if (f->exclusive[i] == h)
        f->exclusive[i] = NULL;
    f->shared[i] -= h->shared >> i & 1u;
    h->shared &= ~(1u << i);
}

/* Of the index of the log: https://sqlite.org/walformat.html section 2.3. */
static int io_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    struct handle *h = (struct handle *)file;
    bool alone = flags & SQLITE_SHM_EXCLUSIVE;
    for (int i = offset; !(flags & SQLITE_SHM_UNLOCK) && i < offset + count; i++)
        if (!shm_free(h, i, alone))
            return SQLITE_BUSY;
    for (int i = offset; i < offset + count; i++) {
        if (flags & SQLITE_SHM_UNLOCK) {
            shm_unlock(h, i);
        } else if (alone) {
            h->file->exclusive[i] = h;
        } else if (!(h->shared >> i & 1u)) {
            h->file->shared[i]++;
            h->shared |= 1u << i;
        }
    }
    return SQLITE_OK;
}

static int io_close(sqlite3_file *file)
{
    struct disk_file *f = file_of(file);
    (void)io_unlock(file, SQLITE_LOCK_NONE);
    (void)io_shm_lock(file, 0, SQLITE_SHM_NLOCK, SQLITE_SHM_UNLOCK);
    f->locks[SQLITE_LOCK_NONE]--;
    if (--f->handles == 0)
        forget_shm(f);
    return SQLITE_OK;
}

static int io_read(sqlite3_file *file, void *to, int amount, sqlite3_int64 offset)
{
    const struct image *i = &file_of(file)->seen;
    size_t at = (size_t)offset, len = (size_t)amount;
    size_t there = at < i->size ? i->size - at : 0;
    if (there >= len) {
        memcpy(to, i->data + at, len);
        return SQLITE_OK;
    }
    if (there)
        memcpy(to, i->data + at, there);
    memset((char *)to + there, 0, len - there);
    return SQLITE_IOERR_SHORT_READ;
}

static int io_write(sqlite3_file *file, const void *data, int amount, sqlite3_int64 offset)
{
    struct disk_file *f = file_of(file);
    int code = trouble(f, false);
    if (code == SQLITE_OK)
        remember(f, false, (size_t)offset, data, (size_t)amount);
    return code;
}

static int io_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct disk_file *f = file_of(file);
    int code = trouble(f, false);
    if (code == SQLITE_OK && (size_t)size < f->seen.size)
        remember(f, true, (size_t)size, NULL, 0);
    return code;
}

static int io_sync(sqlite3_file *file, int flags)
{
    struct disk_file *f = file_of(file);
    int code = trouble(f, true);
    (void)flags;
    if (code == SQLITE_OK)
        settle(f);
    return code;
}

static int io_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    *ret = (sqlite3_int64)file_of(file)->seen.size;
    return SQLITE_OK;
}

static int io_control(sqlite3_file *file, int op, void *arg)
{
    struct sim_disk *d = file_of(file)->disk;
    if (op == SQLITE_DB_DEAD && is_dead(file_of(file)))
        return SQLITE_OK;
    if (op != SQLITE_DB_DELAY)
        return SQLITE_NOTFOUND;
    struct sqlite_delay *delay = arg;
    delay->before = d->before ? random_below(d->random, d->before + 1) : 0;
    delay->after = d->after ? random_below(d->random, d->after + 1) : 0;
    return SQLITE_OK;
}

static int io_sector(sqlite3_file *file)
{
    (void)file;
    return SECTOR;
}

static int io_characteristics(sqlite3_file *file)
{
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int io_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **ret)
{
    struct disk_file *f = file_of(file);
    *ret = NULL;
    if (region >= SHM_REGIONS)
        return SQLITE_IOERR_SHMMAP;
    if (!f->shm[region] && extend)
        f->shm[region] = mem_alloc((size_t)size);
    *ret = f->shm[region];
    return SQLITE_OK;
}

static void io_shm_barrier(sqlite3_file *file)
{
    (void)file;
}

static int io_shm_unmap(sqlite3_file *file, int delete_it)
{
    (void)io_shm_lock(file, 0, SQLITE_SHM_NLOCK, SQLITE_SHM_UNLOCK);
    if (delete_it && file_of(file)->handles == 1)
        forget_shm(file_of(file));
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = io_close,
    .xRead = io_read,
    .xWrite = io_write,
    .xTruncate = io_truncate,
    .xSync = io_sync,
    .xFileSize = io_size,
    .xLock = io_lock,
    .xUnlock = io_unlock,
    .xCheckReservedLock = io_reserved,
    .xFileControl = io_control,
    .xSectorSize = io_sector,
    .xDeviceCharacteristics = io_characteristics,
    .xShmMap = io_shm_map,
    .xShmLock = io_shm_lock,
    .xShmBarrier = io_shm_barrier,
    .xShmUnmap = io_shm_unmap,
};

/* --- the VFS --- */

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    struct sim_disk *d = disk_of(vfs);
    struct disk_file *f = name ? find(d, name) : NULL;
    file->pMethods = NULL;
    if (!name || strlen(name) >= NAME_MAX_BYTES || (!(f && f->exists) && d->halted))
        return SQLITE_CANTOPEN;
    if (!f)
        f = make(d, name);
    f->exists = true;
    f->handles++;
    *(struct handle *)file = (struct handle){.file = f};
    f->locks[SQLITE_LOCK_NONE]++;
    file->pMethods = &methods;
    if (out)
        *out = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    struct sim_disk *d = disk_of(vfs);
    struct disk_file *f = find(d, name);
    (void)sync_folder;
    if (!f || !f->exists)
        return SQLITE_IOERR_DELETE_NOENT;
    if (trouble(f, false) == SQLITE_IOERR_WRITE)
        return SQLITE_IOERR_DELETE;
    f->exists = false;
    remember(f, true, 0, NULL, 0);
    settle(f);
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    const struct disk_file *f = find(disk_of(vfs), name);
    (void)flags;
    *ret = f && f->exists;
    return SQLITE_OK;
}

static int vfs_full_name(sqlite3_vfs *vfs, const char *name, int room, char *out)
{
    (void)vfs;
    if (strlen(name) >= (size_t)room)
        return SQLITE_CANTOPEN;
    memcpy(out, name, strlen(name) + 1);
    return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *vfs, int count, char *out)
{
    random_fill(disk_of(vfs)->random, out, (size_t)count);
    return count;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    (void)vfs;
    return us;
}

/* No statement asks SQLite for the time. */
static int vfs_time(sqlite3_vfs *vfs, double *ret)
{
    (void)vfs;
    *ret = 2461000;
    return SQLITE_OK;
}

struct sim_disk *sim_disk_create(const char *name, struct random *random)
{
    struct sim_disk *d = MEM_NEW(struct sim_disk);
    list_init(&d->files);
    d->random = random;
    d->vfs = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = sizeof(struct handle),
        .mxPathname = NAME_MAX_BYTES,
        .zName = mem_strdup(name),
        .pAppData = d,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_name,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
    };
    sqlite3_vfs_register(&d->vfs, 0);
    return d;
}

void sim_disk_destroy(struct sim_disk *d)
{
    struct list *node;
    if (!d)
        return;
    sqlite3_vfs_unregister(&d->vfs);
    while ((node = list_pop(&d->files))) {
        struct disk_file *f = LIST_ENTRY(node, struct disk_file, node);
        settle(f);
        forget_shm(f);
        image_finish(&f->seen);
        image_finish(&f->synced);
        free(f);
    }
    free((char *)d->vfs.zName);
    free(d);
}

/* --- faults --- */

void sim_disk_set_delay(struct sim_disk *d, uint32_t before, uint32_t after)
{
    d->before = before;
    d->after = after;
}

void sim_disk_set_fault(struct sim_disk *d, enum sim_disk_fault fault)
{
    d->fault = fault;
    d->refused = false;
}

bool sim_disk_refused(const struct sim_disk *d)
{
    return d->refused;
}

void sim_disk_halt(struct sim_disk *d, uint32_t after_writes)
{
    d->countdown = after_writes;
    d->victim[0] = '\0';
    if (!after_writes)
        d->halted = true;
}

bool sim_disk_halted(const struct sim_disk *d)
{
    return d->halted;
}

bool sim_disk_halted_accounts(const struct sim_disk *d)
{
    return d->halted && of_accounts(d->victim);
}

void sim_disk_restart(struct sim_disk *d, bool power_lost)
{
    d->halted = false;
    d->countdown = 0;
    if (power_lost)
        LIST_EACH (it, &d->files)
            lose_power(LIST_ENTRY(it, struct disk_file, node));
}
