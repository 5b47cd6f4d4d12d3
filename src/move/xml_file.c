/* One document by expat into a builder. */
#include "move/xml_file.h"

#include <errno.h>
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "xml/builder.h"

struct reading {
    XML_Parser expat;
    struct builder *b;
    unsigned depth;
    const char *problem;
};

static void stop(struct reading *r, const char *problem)
{
    r->problem = problem;
    (void)XML_StopParser(r->expat, XML_FALSE);
}

/* Namespaces mean nothing in these files: prefixes stay part of the names, which are then none. */
static void on_start(void *data, const XML_Char *name, const XML_Char **attrs)
{
    struct reading *r = data;
    if (++r->depth > XML_FILE_DEPTH) {
        stop(r, "elements are nested too deep");
        return;
    }
    if (!r->b)
        r->b = builder_create(str_of(name), STR(""));
    else
        builder_start(r->b, str_of(name), STR_NULL);
    for (; *attrs; attrs += 2)
        if (strcmp(attrs[0], "xmlns") != 0 && !strchr(attrs[0], ':'))
            builder_attr(r->b, str_of(attrs[0]), str_of(attrs[1]));
}

static void on_end(void *data, const XML_Char *name)
{
    struct reading *r = data;
    (void)name;
    if (--r->depth > 0) /* builder_finish ends the root */
        builder_end(r->b);
}

static void on_text(void *data, const XML_Char *text, int len)
{
    struct reading *r = data;
    if (r->depth)
        builder_text(r->b, (struct str){text, (size_t)len});
}

static void on_doctype(void *data, const XML_Char *name, const XML_Char *system,
                       const XML_Char *public, int internal)
{
    (void)name, (void)system, (void)public, (void)internal;
    stop(data, "there is a DTD; it is not taken");
}

static enum error parse(const char *path, const char *text, size_t len, struct stanza **ret,
                        struct move_why why)
{
    struct reading r = {.expat = XML_ParserCreate(NULL)};
    enum error e = ERR_OK;
    if (!r.expat)
        abort();
    XML_SetUserData(r.expat, &r);
    XML_SetElementHandler(r.expat, on_start, on_end);
    XML_SetCharacterDataHandler(r.expat, on_text);
    XML_SetStartDoctypeDeclHandler(r.expat, on_doctype);
    if (XML_Parse(r.expat, text, (int)len, XML_TRUE) != XML_STATUS_OK)
        e = move_fail(why, ERR_MALFORMED, "%s, line %lu: %s", path,
                      (unsigned long)XML_GetCurrentLineNumber(r.expat),
                      r.problem ? r.problem : XML_ErrorString(XML_GetErrorCode(r.expat)));
    if (e == ERR_OK)
        *ret = builder_finish(r.b);
    else
        builder_destroy(r.b);
    XML_ParserFree(r.expat);
    return e;
}

enum error xml_file_read(const char *path, struct stanza **ret, struct move_why why)
{
    struct stat st;
    FILE *file = fopen(path, "re");
    if (!file)
        return move_fail(why, errno == ENOENT ? ERR_NOT_FOUND : error_from_errno(errno),
                         "cannot read %s: %s", path, error_errno_text(errno));
    enum error e = ERR_OK;
    if (fstat(fileno(file), &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > XML_FILE_MAX) {
        e = move_fail(why, ERR_TOO_BIG, "%s is no file, or larger than 16 MiB", path);
    } else {
        char *text = mem_alloc((size_t)st.st_size + 1);
        size_t len = fread(text, 1, (size_t)st.st_size, file);
        e = parse(path, text, len, ret, why);
        mem_wipe(text, len); /* a secret, perhaps */
        free(text);
    }
    (void)fclose(file);
    return e;
}
