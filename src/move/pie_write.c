/* Persons as XEP-0227: an element on a line. */
#include "move/pie.h"

#include "xml/builder.h"
#include "xmpp/namespaces.h"

void pie_write_begin(struct buffer *out)
{
    buffer_add_str(out, STR("<?xml version='1.0' encoding='UTF-8'?>\n"
                            "<server-data xmlns='urn:xmpp:pie:0'>\n"));
}

void pie_write_host(struct buffer *out, struct str domain)
{
    buffer_add_str(out, STR("<host"));
    builder_write_attr(out, "jid", domain);
    buffer_add_str(out, STR(">\n"));
}

void pie_write_host_end(struct buffer *out)
{
    buffer_add_str(out, STR("</host>\n"));
}

void pie_write_end(struct buffer *out)
{
    buffer_add_str(out, STR("</server-data>\n"));
}

/* Elements around all facts of a kind; PRIVACY_DEFAULT and PRIVACY have one together. */
static const struct {
    enum person_kind kind;
    const char *name;
    const struct str *ns; /* NULL: that of the file */
} wrappers[PERSON_KINDS] = {
    [PERSON_ROSTER] = {PERSON_ROSTER, "query", &NS_ROSTER},
    [PERSON_PRIVATE] = {PERSON_PRIVATE, "query", &NS_PRIVATE},
    [PERSON_PRIVACY_DEFAULT] = {PERSON_PRIVACY, "query", &NS_PRIVACY},
    [PERSON_PRIVACY] = {PERSON_PRIVACY, "query", &NS_PRIVACY},
    [PERSON_QUEUE] = {PERSON_QUEUE, "offline-messages", NULL},
};

static void open_wrapper(struct buffer *out, enum person_kind kind)
{
    buffer_printf(out, "<%s", wrappers[kind].name);
    if (wrappers[kind].ns)
        buffer_printf(out, " xmlns='%.*s'", STR_ARG(*wrappers[kind].ns));
    buffer_add_str(out, STR(">\n"));
}

static void write_fact(struct buffer *out, const struct fact *f)
{
    const struct str *around = wrappers[f->kind].ns;
    struct str ns = stanza_ns(f->xml, STANZA_ROOT);
    struct stanza_stamp stamp = {.xmlns = around && str_eq(*around, ns) ? STR_NULL : ns};
    if (f->kind == PERSON_QUEUE) /* its place, for whom it concerns */
        buffer_printf(out, "<queue-id xmlns='%.*s'>%llu</queue-id>\n", STR_ARG(NS_JACKDAW_PIE),
                      (unsigned long long)facts_id(f));
    if (f->kind == PERSON_PRIVATE) /* the fact has the wrapper around it already */
        buffer_add_str(out, stanza_inner(f->xml, STANZA_ROOT));
    else
        (void)stanza_write(f->xml, &stamp, out);
    buffer_add_char(out, '\n');
}

void pie_write_person(struct buffer *out, const struct person *p)
{
    const char *open = NULL;
    enum person_kind group = PERSON_KINDS;
    bool domain = !p->jid->local_len;
    if (domain) {
        buffer_printf(out, "<domain xmlns='%.*s'>\n", STR_ARG(NS_JACKDAW_PIE));
    } else {
        buffer_add_str(out, STR("<user name='"));
        builder_escape_attr(out, jid_local(p->jid));
        buffer_add_str(out, STR("'>\n"));
    }
    for (size_t i = 0; i < p->count; i++) {
        const struct fact *f = &p->facts[i];
        const char *wrapper = wrappers[f->kind].name;
        if (open && (!wrapper || wrappers[f->kind].kind != group)) {
            buffer_printf(out, "</%s>\n", open);
            open = NULL;
        }
        if (wrapper && !open) {
            open_wrapper(out, f->kind);
            open = wrapper;
            group = wrappers[f->kind].kind;
        }
        write_fact(out, f);
    }
    if (open)
        buffer_printf(out, "</%s>\n", open);
    buffer_add_str(out, domain ? STR("</domain>\n") : STR("</user>\n"));
}
