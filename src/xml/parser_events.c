/* What expat reports: elements, attributes and text go into the lane's block writer, a finished
 * block goes to the stream's owner, and what XMPP does not allow ends the stream (RFC 6120
 * section 11.1). */
#include "xml/parser_impl.h"
#include <stdlib.h>
#include <strings.h>
#include "base/mem.h"

void parser_fail(struct parser *p, enum parser_status status, const char *why)
{
    if (p->status != PARSER_OK)
        return;
    p->status = status;
    p->why = why;
    if (p->feeding && p->lane)
        XML_StopParser(p->lane->expat, XML_FALSE); /* harmless outside an event */
}

/* The stream to report to; NULL when it hears no more (expat may still report the end of an empty
 * element). */
static struct parser *listener(const struct lane *lane)
{
    struct parser *p = lane->stream;
    return p && p->status == PARSER_OK && p->phase != PARSER_ENDED && !p->restart ? p : NULL;
}

/* "namespace<separator>name" or "name". */
static struct str split_name(const char *expat_name, struct str *ret_ns)
{
    const char *separator = strchr(expat_name, LANE_SEPARATOR);
    if (!separator) {
        *ret_ns = STR("");
        return str_of(expat_name);
    }
    *ret_ns = (struct str){expat_name, (size_t)(separator - expat_name)};
    return str_of(separator + 1);
}

/* Plain attributes first, then namespaced ones: the canonical order. */
static void write_attrs(struct block_writer *w, const XML_Char **attrs)
{
    struct str ns, name;
    bool namespaced = false;
    for (const XML_Char **a = attrs; *a; a += 2) {
        name = split_name(a[0], &ns);
        if (ns.len > 0)
            namespaced = true;
        else
            block_attr(w, name, str_of(a[1]));
    }
    for (const XML_Char **a = attrs; namespaced && *a; a += 2) {
        name = split_name(a[0], &ns);
        if (ns.len > 0)
            block_attr_ns(w, name, ns, str_of(a[1]));
    }
}

static void collect_tag(void *data, const XML_Char *bytes, int len)
{
    struct lane *lane = data;
    buffer_add(&lane->decls, bytes, (size_t)len);
}

/* The synthetic header of this stream's kind: the raw name from the start tag as it came, and its
 * declarations. */
static void take_key(struct parser *p, struct lane *lane)
{
    struct buffer *b = &lane->decls;
    size_t decls = buffer_len(b);
    XML_SetDefaultHandler(lane->expat, collect_tag);
    XML_DefaultCurrent(lane->expat);
    XML_SetDefaultHandler(lane->expat, NULL);
    struct str tag = buffer_str(b);
    size_t name = decls;
    while (name < tag.len && !strchr(" \t\r\n/>", tag.data[name]))
        name++;

    struct buffer header;
    buffer_init(&header, tag.len + 1);
    buffer_add(&header, tag.data + decls, name - decls);
    buffer_add(&header, tag.data, decls);
    buffer_add_char(&header, '>');
    struct str ns = lane->content_ns ? str_of(lane->content_ns) : STR("");
    p->key = lane->key = parser_pool_key(p->pool, buffer_str(&header), ns);
    buffer_finish(&header);
    buffer_finish(b);
    p->phase = PARSER_STREAM;
}

static void open_stream(struct parser *p, struct lane *lane, struct str name, struct str ns,
                        const XML_Char **attrs)
{
    lane->mark = lane_event_end(lane);
    if (lane->mark > p->limits.stanza_bytes) {
        parser_fail(p, PARSER_POLICY_VIOLATION, "stream header too large");
        return;
    }
    take_key(p, lane);
    block_open(&lane->writer, name, ns);
    if (lane->content_ns)
        block_attr(&lane->writer, STR("xmlns"), str_of(lane->content_ns));
    write_attrs(&lane->writer, attrs);
    block_close(&lane->writer);
    free(lane->content_ns);
    lane->content_ns = NULL;
    struct stanza *header = block_take(&lane->writer);
    p->in_event = true;
    p->events->stream_open(p->owner, header);
    p->in_event = false;
    stanza_unref(header);
}

/* What a start tag may be refused for; NULL when it is fine. */
static const char *over_limit(const struct parser *p, const struct lane *lane,
                              const XML_Char **attrs)
{
    uint32_t count = 0;
    while (attrs[2 * count])
        count++;
    if (count > p->limits.attributes)
        return "too many attributes in one element";
    if (lane->depth > p->limits.depth)
        return "elements nested too deeply";
    if (lane->writer.element_count > p->limits.children)
        return "too many elements in one stanza";
    return NULL;
}

/* The canonical form may be longer than the input (a prefix for a long namespace, used often): the
 * limit is for both. */
static void check_size(struct parser *p, const struct lane *lane)
{
    if (lane->writer.bytes.len > p->limits.stanza_bytes)
        parser_fail(p, PARSER_POLICY_VIOLATION, "stanza too large");
}

static void XMLCALL on_start(void *data, const XML_Char *expat_name, const XML_Char **attrs)
{
    struct lane *lane = data;
    struct parser *p = listener(lane);
    if (!p)
        return;
    struct str ns, name = split_name(expat_name, &ns);
    const char *limit = over_limit(p, lane, attrs);
    lane->namespaces = 0;
    if (limit) {
        parser_fail(p, PARSER_POLICY_VIOLATION, limit);
    } else if (str_eq(ns, STR(BLOCK_NS_XML))) {
        /* It cannot be written without its prefix, and no other may be bound to it. */
        parser_fail(p, PARSER_BAD_NAMESPACE_PREFIX, "prefix xml on an element");
    } else if (lane->depth == 1 && p->phase == PARSER_STREAM && str_eq(name, STR("stream")) &&
               str_eq(ns, STR(PLAIN_NS_STREAMS))) {
        parser_fail(p, PARSER_BAD_FORMAT, "stream header inside a stream");
    } else if (lane->depth++ == 0) {
        open_stream(p, lane, name, ns, attrs);
    } else {
        block_open(&lane->writer, name, ns);
        write_attrs(&lane->writer, attrs);
        check_size(p, lane);
    }
}

static void end_stanza(struct parser *p, struct lane *lane)
{
    uint64_t start = lane->mark;
    lane->mark = lane_event_end(lane);
    check_size(p, lane);
    if (p->status != PARSER_OK)
        return;
    if (lane->mark - start > p->limits.stanza_bytes) {
        parser_fail(p, PARSER_POLICY_VIOLATION, "stanza too large");
        return;
    }
    struct stanza *s = block_take(&lane->writer);
    p->in_event = true;
    p->events->stanza(p->owner, s);
    p->in_event = false;
}

static void end_stream(struct parser *p, struct lane *lane)
{
    if (p->phase == PARSER_DOCUMENT) {
        parser_fail(p, PARSER_NOT_WELL_FORMED, "end tag without a start tag");
        return;
    }
    p->phase = PARSER_ENDED;
    lane->mark = lane_event_end(lane);
    XML_StopParser(lane->expat, XML_FALSE);
    p->in_event = true;
    p->events->stream_close(p->owner);
    p->in_event = false;
}

static void XMLCALL on_end(void *data, const XML_Char *expat_name)
{
    struct lane *lane = data;
    struct parser *p = listener(lane);
    lane->depth--;
    if (!p)
        return;
    if (lane->depth == 0) {
        end_stream(p, lane);
        return;
    }
    block_close(&lane->writer);
    if (lane->depth == 1)
        end_stanza(p, lane);
}

static void XMLCALL on_text(void *data, const XML_Char *bytes, int len)
{
    struct lane *lane = data;
    struct parser *p = listener(lane);
    if (!p)
        return;
    struct str text = {bytes, (size_t)len};
    if (lane->depth > 1) {
        block_text(&lane->writer, text);
        check_size(p, lane);
        return;
    }
    /* White space between stanzas is a keepalive (RFC 6120 section 4.6.1); raw, at most CR LF has
     * become one byte. */
    bool raw = XML_GetCurrentByteCount(lane->expat) <= len + 1;
    for (size_t i = 0; i < text.len; i++) {
        if (!raw || !strchr(" \t\r\n", text.data[i])) {
            parser_fail(p, PARSER_BAD_FORMAT, "text between stanzas");
            return;
        }
    }
    lane->mark = lane_event_end(lane);
    if (p->events->space)
        p->events->space(p->owner);
}

static void XMLCALL on_cdata(void *data)
{
    struct lane *lane = data;
    struct parser *p = listener(lane);
    /* Also because a lane must never go back to the pool inside a section. */
    if (p && lane->depth <= 1)
        parser_fail(p, PARSER_BAD_FORMAT, "CDATA section between stanzas");
}

static void XMLCALL on_namespace(void *data, const XML_Char *prefix, const XML_Char *uri)
{
    struct lane *lane = data;
    struct parser *p = listener(lane);
    if (!p)
        return;
    if (++lane->namespaces > p->limits.namespaces) {
        parser_fail(p, PARSER_POLICY_VIOLATION, "too many namespace declarations in one element");
        return;
    }
    if (lane->depth > 0)
        return;
    struct buffer *b = &lane->decls;
    buffer_add_str(b, STR(" xmlns"));
    if (prefix) {
        buffer_add_char(b, ':');
        buffer_add_str(b, str_of(prefix));
    } else {
        free(lane->content_ns);
        lane->content_ns = mem_strdup(uri ? uri : "");
    }
    buffer_add_str(b, STR("='"));
    struct str value = str_of(uri ? uri : "");
    size_t size = escape_size(ESCAPE_ATTR, value);
    char *out = buffer_reserve(b, size);
    if (out) {
        escape_put(ESCAPE_ATTR, value, out);
        buffer_commit(b, size);
    }
    buffer_add_char(b, '\'');
}

/* RFC 6120 section 11.5 and 11.6: version 1.0, UTF-8, if it says so at all. */
static void XMLCALL on_declaration(void *data, const XML_Char *version, const XML_Char *encoding,
                                   int standalone)
{
    struct lane *lane = data;
    struct parser *p = listener(lane);
    if (!p)
        return;
    if (encoding && strcasecmp(encoding, "UTF-8") != 0)
        parser_fail(p, PARSER_UNSUPPORTED_ENCODING,
                    "XML declaration with an encoding other than UTF-8");
    else if (version && strcmp(version, "1.0") != 0)
        parser_fail(p, PARSER_NOT_WELL_FORMED, "XML declaration with a version other than 1.0");
}

static void restricted(struct lane *lane, const char *why)
{
    struct parser *p = listener(lane);
    if (p)
        parser_fail(p, PARSER_RESTRICTED_XML, why);
}

static void XMLCALL on_comment(void *data, const XML_Char *text)
{
    restricted(data, "comment");
}

static void XMLCALL on_instruction(void *data, const XML_Char *target, const XML_Char *text)
{
    restricted(data, "processing instruction");
}

/* Ends the stream before expat reads any declaration in it. */
static void XMLCALL on_doctype(void *data, const XML_Char *name, const XML_Char *system,
                               const XML_Char *public, int internal_subset)
{
    restricted(data, "document type declaration");
}

void parser_events_install(XML_Parser expat)
{
    XML_SetElementHandler(expat, on_start, on_end);
    XML_SetCharacterDataHandler(expat, on_text);
    XML_SetStartCdataSectionHandler(expat, on_cdata);
    XML_SetStartNamespaceDeclHandler(expat, on_namespace);
    XML_SetXmlDeclHandler(expat, on_declaration);
    XML_SetCommentHandler(expat, on_comment);
    XML_SetProcessingInstructionHandler(expat, on_instruction);
    XML_SetStartDoctypeDeclHandler(expat, on_doctype);
}
