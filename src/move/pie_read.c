/* The files: expat with one <user> at a time. A file that includes another waits until that one is
 * at its end. No DTD is taken, so nothing expands and nothing but what <include/> names is read. */
#include "move/pie.h"

#include <errno.h>
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "xml/builder.h"
#include "xmpp/namespaces.h"

enum { CHUNK = 65536, PATH_MAX_LEN = 4096 };
/* No UTF-8 holds this byte, so no namespace can smuggle it. */
#define SEPARATOR '\xFF'

/* What ejabberd up to 2.x wrote. */
static const struct str old_ns = {"http://www.xmpp.org/extensions/xep-0227.html#ns", 47};

struct file {
    struct pie *pie;
    FILE *from;
    XML_Parser expat;
    char *path;
    bool waiting; /* suspended in the middle of a buffer */
    bool last;    /* the end of the file has been given to expat */
};

struct pie {
    struct move_source source;
    struct file files[PIE_FILES_MAX];
    size_t depth_files;
    unsigned level; /* open elements that are no user's: server-data, host */
    unsigned skip;  /* open elements that mean nothing here */
    char *host;
    unsigned host_level;
    struct builder *user; /* being read */
    unsigned user_depth;  /* open elements in it */
    size_t user_bytes;
    char *include;         /* to be opened when expat has come to a stop */
    struct person *person; /* complete */
    enum error error;
};

static struct file *top(struct pie *p)
{
    return &p->files[p->depth_files - 1];
}

static void stop(struct pie *p, bool resumable)
{
    (void)XML_StopParser(top(p)->expat, resumable ? XML_TRUE : XML_FALSE);
}

static void fail(struct pie *p, const char *what)
{
    if (p->error != ERR_OK)
        return;
    p->error = move_fail(p->source.why, ERR_MALFORMED, "%s, line %lu: %s", top(p)->path,
                         (unsigned long)XML_GetCurrentLineNumber(top(p)->expat), what);
    stop(p, false);
}

/* --- elements --- */

static struct str split_name(const char *name, struct str *ret_ns)
{
    const char *at = strchr(name, SEPARATOR);
    *ret_ns = at ? (struct str){name, (size_t)(at - name)} : STR("");
    return str_of(at ? at + 1 : name);
}

static const char *find_attr(const XML_Char **attrs, const char *name)
{
    for (; *attrs; attrs += 2)
        if (strcmp(attrs[0], name) == 0)
            return attrs[1];
    return NULL;
}

static void add_attrs(struct pie *p, const XML_Char **attrs)
{
    for (const XML_Char **a = attrs; *a; a += 2) {
        struct str ns, name = split_name(a[0], &ns);
        p->user_bytes += name.len + strlen(a[1]);
        if (ns.len)
            builder_attr_ns(p->user, name, ns, str_of(a[1]));
        else
            builder_attr(p->user, name, str_of(a[1]));
    }
}

/* Section "Use of XInclude": a relative URI, nothing else. Percent-encoding is undone. */
static void include(struct pie *p, const XML_Char **attrs)
{
    const char *href = find_attr(attrs, "href");
    char name[PATH_MAX_LEN];
    size_t n = 0;
    if (!href || find_attr(attrs, "parse") || find_attr(attrs, "xpointer")) {
        fail(p, "an <include/> needs href, and neither parse nor xpointer");
        return;
    }
    for (; *href && n < sizeof name - 1; href++) {
        unsigned byte;
        if (*href == '%' && sscanf(href + 1, "%2x", &byte) == 1 && byte && href[1] && href[2]) {
            name[n++] = (char)byte;
            href += 2;
        } else {
            name[n++] = *href;
        }
    }
    name[n] = '\0';
    if (*href || !n || name[0] == '/' || strchr(name, ':') || strstr(name, "..")) {
        fail(p, "an <include/> may name a file below the folder of this one, and no other");
        return;
    }
    free(p->include);
    p->include = mem_strdup(name);
    stop(p, true);
}

static bool pie_ns(struct str ns)
{
    return str_eq(ns, NS_PIE) || str_eq(ns, old_ns);
}

static void outer_start(struct pie *p, struct str name, struct str ns, const XML_Char **attrs)
{
    const char *jid = find_attr(attrs, "jid");
    bool user = pie_ns(ns) && str_is(name, "user"),
         domain = str_eq(ns, NS_JACKDAW_PIE) && str_is(name, "domain");
    if ((user || domain) && p->host) {
        p->user = builder_create(name, domain ? NS_JACKDAW_PIE : NS_PIE);
        p->user_depth = 0;
        p->user_bytes = 0;
        add_attrs(p, attrs);
    } else if (pie_ns(ns) && str_is(name, "host") && !p->host && jid) {
        p->host = mem_strdup(jid);
        p->host_level = p->level++;
    } else if (pie_ns(ns) && str_is(name, "server-data") && !p->level) {
        p->level++;
    } else if (!p->level) {
        fail(p, "this is no <server-data xmlns='urn:xmpp:pie:0'> (XEP-0227)");
    } else {
        move_leave_out(p->source.notes, NULL, "<%.*s xmlns='%.*s'> has no place here; left out",
                       STR_ARG(name), STR_ARG(ns));
        p->skip++;
    }
}

static void on_start(void *data, const XML_Char *expat_name, const XML_Char **attrs)
{
    struct pie *p = data;
    struct str ns, name = split_name(expat_name, &ns);
    bool is_include = str_is(name, "include") && str_eq(ns, NS_XINCLUDE);
    if (p->skip) {
        p->skip++;
    } else if (is_include && (!p->user || p->user_depth == 0)) {
        p->skip++;
        include(p, attrs);
    } else if (!p->user) {
        outer_start(p, name, ns, attrs);
    } else {
        p->user_bytes += name.len + ns.len;
        if (++p->user_depth > PIE_DEPTH_MAX || p->user_bytes > PIE_USER_MAX) {
            fail(p, "a user has more than 512 MiB, or elements nested more than 256 deep");
            return;
        }
        /* Children of the user in the namespace of the file, whichever it is. */
        builder_start(p->user, name, pie_ns(ns) ? NS_PIE : ns);
        add_attrs(p, attrs);
    }
}

static void on_end(void *data, const XML_Char *name)
{
    struct pie *p = data;
    (void)name;
    if (p->skip) {
        p->skip--;
    } else if (p->user && p->user_depth) {
        p->user_depth--;
        builder_end(p->user);
    } else if (p->user) {
        struct stanza *user = builder_finish(p->user);
        p->user = NULL;
        p->person = pie_person(user, str_of(p->host), p->source.notes);
        stanza_unref(user);
        if (p->person)
            stop(p, true);
    } else if (p->level) {
        p->level--;
        if (p->host && p->level == p->host_level) {
            free(p->host);
            p->host = NULL;
        }
    }
}

static void on_text(void *data, const XML_Char *text, int len)
{
    struct pie *p = data;
    if (p->skip || !p->user || !p->user_depth)
        return;
    p->user_bytes += (size_t)len;
    if (p->user_bytes > PIE_USER_MAX)
        fail(p, "a user has more than 512 MiB");
    else
        builder_text(p->user, (struct str){text, (size_t)len});
}

static void on_doctype(void *data, const XML_Char *name, const XML_Char *system,
                       const XML_Char *public, int internal)
{
    (void)name, (void)system, (void)public, (void)internal;
    fail(data, "there is a DTD; it is not taken");
}

/* --- files --- */

static void close_top(struct pie *p)
{
    struct file *f = top(p);
    XML_ParserFree(f->expat);
    (void)fclose(f->from);
    free(f->path);
    *f = (struct file){0};
    p->depth_files--;
}

static enum error open_file(struct pie *p, const char *path)
{
    struct stat st;
    if (p->depth_files == PIE_FILES_MAX)
        return move_fail(p->source.why, ERR_TOO_BIG, "%s: more than %d files include each other",
                         path, PIE_FILES_MAX);
    FILE *from = fopen(path, "re");
    if (!from || fstat(fileno(from), &st) != 0 || !S_ISREG(st.st_mode)) {
        int code = errno;
        if (from)
            (void)fclose(from);
        return move_fail(p->source.why, error_from_errno(code), "cannot read %s: %s", path,
                         from ? "it is no file" : error_errno_text(code));
    }
    p->source.total += (uint64_t)st.st_size;
    struct file *f = &p->files[p->depth_files++];
    *f = (struct file){.pie = p,
                       .from = from,
                       .expat = XML_ParserCreateNS(NULL, SEPARATOR),
                       .path = mem_strdup(path)};
    if (!f->expat)
        abort();
    XML_SetUserData(f->expat, p);
    XML_SetElementHandler(f->expat, on_start, on_end);
    XML_SetCharacterDataHandler(f->expat, on_text);
    XML_SetStartDoctypeDeclHandler(f->expat, on_doctype);
    return ERR_OK;
}

/* The file that <include/> named, beside the one that names it. */
static enum error open_included(struct pie *p)
{
    const char *slash = strrchr(top(p)->path, '/');
    size_t dir = slash ? (size_t)(slash - top(p)->path) + 1 : 0, size;
    char *path;
    size = dir + strlen(p->include) + 1;
    path = mem_alloc(size);
    snprintf(path, size, "%.*s%s", (int)dir, top(p)->path, p->include);
    free(p->include);
    p->include = NULL;
    enum error e = open_file(p, path);
    free(path);
    return e;
}

static enum error parse_error(struct pie *p)
{
    const struct file *f = top(p);
    if (p->error != ERR_OK)
        return p->error;
    return p->error = move_fail(p->source.why, ERR_MALFORMED, "%s, line %lu: %s", f->path,
                                (unsigned long)XML_GetCurrentLineNumber(f->expat),
                                XML_ErrorString(XML_GetErrorCode(f->expat)));
}

/* One step in the innermost file. */
static enum error advance(struct pie *p)
{
    struct file *f = top(p);
    enum XML_Status status;
    if (f->waiting) {
        f->waiting = false;
        status = XML_ResumeParser(f->expat);
    } else if (f->last) {
        close_top(p);
        return ERR_OK;
    } else {
        void *room = XML_GetBuffer(f->expat, CHUNK);
        size_t len = room ? fread(room, 1, CHUNK, f->from) : 0;
        if (!room || ferror(f->from))
            return p->error = move_fail(p->source.why, ERR_IO, "cannot read %s", f->path);
        p->source.done += len;
        f->last = len == 0;
        status = XML_ParseBuffer(f->expat, (int)len, f->last);
    }
    f->waiting = status == XML_STATUS_SUSPENDED;
    if (status == XML_STATUS_ERROR)
        return parse_error(p);
    return p->include ? p->error = open_included(p) : ERR_OK;
}

static enum error pie_next(struct move_source *source, struct person **ret)
{
    struct pie *p = MEM_CONTAINER(source, struct pie, source);
    *ret = NULL;
    while (p->error == ERR_OK && !p->person && p->depth_files)
        (void)advance(p);
    *ret = p->person;
    p->person = NULL;
    return p->error;
}

static void pie_close(struct move_source *source)
{
    struct pie *p = MEM_CONTAINER(source, struct pie, source);
    while (p->depth_files)
        close_top(p);
    builder_destroy(p->user);
    person_destroy(p->person);
    free(p->include);
    free(p->host);
    free(p);
}

static const struct move_source_ops ops = {pie_next, pie_close};

struct move_source *pie_open(const char *file, struct move_notes *notes, struct move_why why)
{
    struct pie *p = MEM_NEW(struct pie);
    p->source = (struct move_source){.ops = &ops, .notes = notes, .why = why};
    if (open_file(p, file) == ERR_OK)
        return &p->source;
    pie_close(&p->source);
    return NULL;
}
