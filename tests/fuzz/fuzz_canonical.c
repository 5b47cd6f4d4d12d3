/* Differential: a plain expat must see in our canonical bytes exactly what a plain expat sees in
 * the input; what it refuses we refuse; and what it accepts we accept, unless it holds what XMPP
 * forbids. */
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include "xml/parser.h"

static const struct parser_limits limits = {1 << 20, 0, 1000, 1000, 1000, 100000};

struct plain {
    struct buffer log;
    bool forbidden; /* comment, PI, DOCTYPE, declaration, prefix xml on an element */
    bool text;      /* the last thing logged: pieces of text count as one */
};

static void add(struct plain *p, const char *kind, const char *name, const char *value)
{
    buffer_add_str(&p->log, str_of(kind));
    buffer_add_str(&p->log, str_of(name));
    buffer_add_char(&p->log, '\1');
    buffer_add_str(&p->log, str_of(value));
    p->text = false;
}

static void on_start(void *data, const char *name, const char **attrs)
{
    struct plain *p = data;
    add(p, "\2start ", name, "");
    if (strncmp(name, "http://www.w3.org/XML/1998/namespace\xFF", 37) == 0)
        p->forbidden = true;
    for (int namespaced = 0; namespaced < 2; namespaced++) {
        for (const char **a = attrs; *a; a += 2) {
            if ((strchr(a[0], '\xFF') != NULL) == namespaced)
                add(p, "\2attr ", a[0], a[1]);
        }
    }
}

static void on_end(void *data, const char *name)
{
    add(data, "\2end ", name, "");
}

static void on_text(void *data, const char *text, int len)
{
    struct plain *p = data;
    if (!p->text)
        add(p, "\2text", "", "");
    p->text = true;
    buffer_add(&p->log, text, (size_t)len);
}

static void on_comment(void *data, const char *text)
{
    ((struct plain *)data)->forbidden = true;
}

static void on_instruction(void *data, const char *target, const char *text)
{
    ((struct plain *)data)->forbidden = true;
}

static void on_doctype(void *data, const char *name, const char *system, const char *public,
                       int subset)
{
    ((struct plain *)data)->forbidden = true;
}

static void on_declaration(void *data, const char *version, const char *encoding, int standalone)
{
    ((struct plain *)data)->forbidden = true;
}

static bool plain_parse(struct plain *p, struct str xml)
{
    XML_Parser expat = XML_ParserCreateNS("UTF-8", '\xFF');
    XML_SetUserData(expat, p);
    XML_SetElementHandler(expat, on_start, on_end);
    XML_SetCharacterDataHandler(expat, on_text);
    XML_SetCommentHandler(expat, on_comment);
    XML_SetProcessingInstructionHandler(expat, on_instruction);
    XML_SetStartDoctypeDeclHandler(expat, on_doctype);
    XML_SetXmlDeclHandler(expat, on_declaration);
    buffer_init(&p->log, 1 << 26);
    bool good = XML_Parse(expat, xml.data, (int)xml.len, XML_TRUE) == XML_STATUS_OK;
    XML_ParserFree(expat);
    return good;
}

static void require(bool right, const char *what, enum parser_status status)
{
    if (!right) {
        fprintf(stderr, "%s (status %d)\n", what, (int)status);
        abort();
    }
}

static void check(struct parser_pool *pool, struct str xml)
{
    struct plain before = {0}, after = {0};
    enum parser_status status = PARSER_OK;
    bool good = plain_parse(&before, xml);
    struct stanza *s = parser_document(pool, xml, &limits, &status);
    bool marked =
        str_starts(xml, STR("\xEF\xBB\xBF")); /* a byte order mark is text inside a stream */
    if (s) {
        struct stanza_stamp stamp = {.xmlns = stanza_ns(s, STANZA_ROOT)};
        struct buffer out;
        buffer_init(&out, 1 << 26);
        require(stanza_write(s, &stamp, &out), "not written", status);
        require(good && !before.forbidden, "accepted what expat refuses or XMPP forbids", status);
        require(plain_parse(&after, buffer_str(&out)), "canonical bytes are not well-formed",
                status);
        require(str_eq(buffer_str(&before.log), buffer_str(&after.log)), "events differ", status);
        buffer_finish(&out);
        buffer_finish(&after.log);
    } else {
        require(!good || before.forbidden || marked || status == PARSER_POLICY_VIOLATION,
                "refused what expat accepts", status);
    }
    buffer_finish(&before.log);
    stanza_unref(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct random *random = random_create_seeded(size);
    struct parser_pool *pool = parser_pool_create(random);
    check(pool, (struct str){(const char *)data, size});
    parser_pool_destroy(pool);
    random_destroy(random);
    return 0;
}
