/* The folders: one for each host, in it one for each store, in it a file for each user. Names are
 * percent-encoded. What is in folders that are not known is not carried, and said. */
#include "move/prosody.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "move/person.h"

enum { PATH_LEN = 4096 };

struct prosody {
    struct move_source source;
    char *dir;
    char **users; /* "HOST/USER", as in the names of the files; sorted */
    size_t count, cap, next;
    struct arena *arena;
};

static struct prosody *of(struct move_source *s)
{
    return MEM_CONTAINER(s, struct prosody, source);
}

/* --- finding users --- */

static const struct prosody_store *store_of(const char *name)
{
    for (const struct prosody_store *s = prosody_stores; s->name; s++)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

static void add_user(struct prosody *p, const char *host, const char *file, size_t len)
{
    if (p->count >= PROSODY_USERS_MAX)
        return;
    if (p->count == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 256;
        p->users = mem_realloc(p->users, p->cap * sizeof *p->users);
    }
    size_t size = strlen(host) + len + 2;
    char *user = p->users[p->count++] = mem_alloc(size);
    snprintf(user, size, "%s/%.*s", host, (int)len, file);
}

/* Files of a store that is known; how many others. */
static size_t scan_store(struct prosody *p, const char *host, const char *name)
{
    char path[PATH_LEN];
    const struct prosody_store *store = store_of(name);
    const char *suffix = store && store->list ? ".list" : ".dat";
    size_t others = 0;
    snprintf(path, sizeof path, "%s/%s/%s", p->dir, host, name);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t len = strlen(e->d_name), end = strlen(suffix);
        if (e->d_name[0] == '.')
            continue;
        if (store && len > end && strcmp(e->d_name + len - end, suffix) == 0)
            add_user(p, host, e->d_name, len - end);
        else
            others++;
    }
    if (d)
        closedir(d);
    return store ? 0 : others;
}

static void scan_host(struct prosody *p, const char *host)
{
    char path[PATH_LEN];
    snprintf(path, sizeof path, "%s/%s", p->dir, host);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t others = e->d_name[0] == '.' ? 0 : scan_store(p, host, e->d_name);
        if (others)
            move_leave_out(p->source.notes, NULL, "%s/%s (%zu files) is not carried", host,
                           e->d_name, others);
    }
    if (d)
        closedir(d);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool scan(struct prosody *p)
{
    DIR *d = opendir(p->dir);
    size_t kept = 0;
    if (!d) {
        move_fail(p->source.why, error_from_errno(errno), "cannot read %s: %s", p->dir,
                  error_errno_text(errno));
        return false;
    }
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            scan_host(p, e->d_name);
    closedir(d);
    if (p->count)
        qsort(p->users, p->count, sizeof *p->users, compare);
    for (size_t i = 0; i < p->count; i++) {
        if (kept && strcmp(p->users[kept - 1], p->users[i]) == 0)
            free(p->users[i]);
        else
            p->users[kept++] = p->users[i];
    }
    p->count = p->source.total = kept;
    if (kept)
        return true;
    move_fail(p->source.why, ERR_NOT_FOUND,
              "there are no users below %s: name Prosody's data_path, which has a folder for each "
              "host (example%%2eorg/accounts/USER.dat)",
              p->dir);
    return false;
}

/* --- reading one --- */

static struct str decode(const char *text, size_t len, char out[1024])
{
    size_t n = 0;
    for (size_t i = 0; i < len && n < 1023; i++) {
        unsigned byte;
        if (text[i] == '%' && i + 2 < len && sscanf(text + i + 1, "%2x", &byte) == 1) {
            out[n++] = (char)byte;
            i += 2;
        } else {
            out[n++] = text[i];
        }
    }
    return (struct str){out, n};
}

/* The names again, without encoding; the host part is in front of the slash. */
static struct jid *user_jid(const char *user)
{
    char local[1024], domain[1024], prepared[2][1024];
    size_t lens[2];
    const char *slash = strchr(user, '/');
    struct str host = decode(user, (size_t)(slash - user), domain);
    struct str name = decode(slash + 1, strlen(slash + 1), local);
    if (!jid_prepare_local(name, prepared[0], &lens[0]) || !lens[0] ||
        !jid_prepare_domain(host, prepared[1], &lens[1]))
        return NULL;
    return jid_from_parts((struct str){prepared[0], lens[0]}, (struct str){prepared[1], lens[1]},
                          STR_NULL);
}

/* The whole file; data == NULL when it is not there, or after a note. */
static struct str read_file(struct prosody *p, const char *path)
{
    struct stat st;
    FILE *file = fopen(path, "re");
    if (!file) {
        if (errno != ENOENT)
            move_leave_out(p->source.notes, NULL, "cannot read %s: %s", path,
                           error_errno_text(errno));
        return STR_NULL;
    }
    struct str text = STR_NULL;
    if (fstat(fileno(file), &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= PROSODY_FILE_MAX) {
        size_t size = (size_t)st.st_size;
        char *bytes = mem_alloc(size + 1);
        text = (struct str){bytes, fread(bytes, 1, size, file)};
    } else {
        move_leave_out(p->source.notes, NULL, "%s is no file, or larger than 256 MiB", path);
    }
    (void)fclose(file);
    return text;
}

static void read_store(struct prosody *p, const struct prosody_store *store, const char *user,
                       struct person *person)
{
    char path[PATH_LEN];
    const char *slash = strchr(user, '/');
    struct lua_value data;
    struct lua_error error;
    snprintf(path, sizeof path, "%s/%.*s/%s/%s%s", p->dir, (int)(slash - user), user, store->name,
             slash + 1, store->list ? ".list" : ".dat");
    struct str text = read_file(p, path);
    if (!text.data)
        return;
    bool ok = (store->list ? lua_parse_list : lua_parse)(p->arena, text, &data, &error);
    if (!ok)
        move_leave_out(p->source.notes, NULL, "%s, line %u: %s; left out", path, error.line,
                       error.what);
    else if (data.type != LUA_TABLE)
        move_leave_out(p->source.notes, NULL, "%s holds no table; left out", path);
    else
        store->take(person, &data, p->source.notes);
    arena_reset(p->arena);
    mem_wipe((char *)(uintptr_t)text.data, text.len); /* a password, perhaps */
    free((char *)(uintptr_t)text.data);
}

static enum error prosody_next(struct move_source *source, struct person **ret)
{
    struct prosody *p = of(source);
    *ret = NULL;
    while (!*ret && p->next < p->count) {
        const char *user = p->users[p->next++];
        struct jid *jid = user_jid(user);
        p->source.done = p->next;
        if (!jid) {
            move_leave_out(p->source.notes, NULL, "%s is no name of an account; left out", user);
            continue;
        }
        struct person *person = person_create(jid);
        for (const struct prosody_store *s = prosody_stores; s->name; s++)
            read_store(p, s, user, person);
        *ret = person;
    }
    return ERR_OK;
}

static void prosody_close(struct move_source *source)
{
    struct prosody *p = of(source);
    for (size_t i = 0; i < p->count; i++)
        free(p->users[i]);
    free(p->users);
    free(p->dir);
    arena_destroy(p->arena);
    free(p);
}

static const struct move_source_ops ops = {prosody_next, prosody_close};

struct move_source *prosody_open(const char *dir, struct move_notes *notes, struct move_why why)
{
    struct prosody *p = MEM_NEW(struct prosody);
    p->source = (struct move_source){.ops = &ops, .notes = notes, .why = why};
    p->dir = mem_strdup(dir);
    p->arena = arena_create(PERSON_BYTES_MAX);
    if (scan(p))
        return &p->source;
    prosody_close(&p->source);
    return NULL;
}
