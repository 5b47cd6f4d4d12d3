/* A query to an archive of messages (XEP-0313 section 4): form, paging, order. Reading alone; who
 * may ask and what is found is the session manager's. */
#ifndef JACKDAW_XMPP_MAM_QUERY_H
#define JACKDAW_XMPP_MAM_QUERY_H

#include "xmpp/data_form.h"
#include "xmpp/jid.h"
#include "xmpp/rsm.h"
#include "xmpp/stanza_error.h"

#define MAM_QUERY_MAX_IDS 200u /* UIDs asked for in one query */

/* Views into the stanza, but for `with`. */
struct mam_query {
    struct rsm_request rsm;
    struct str queryid;             /* data == NULL: none */
    struct jid *with;               /* NULL: everybody */
    int64_t start, end;             /* seconds since 1970, both included; INT64_MIN, INT64_MAX */
    struct str after_id, before_id; /* data == NULL: none */
    struct str words;               /* XEP-0431; data == NULL: none */
    struct data_form form;          /* with the ids */
    size_t id_count;
    bool has_ids; /* the field is there */
    bool flip;    /* section 4.3.4 */
    bool desc;    /* XEP-0413: the whole archive the other way round */
};

/* `query` is the payload. FEATURE_NOT_IMPLEMENTED for a field or an order that is not known
 * (section 4.1.5), BAD_REQUEST for what is malformed, RESOURCE_CONSTRAINT for too many ids;
 * otherwise NONE and the query is to be finished. */
enum stanza_condition mam_query_read(const struct stanza *s, stanza_el query,
                                     struct mam_query *ret);
struct str mam_query_id(const struct mam_query *q, size_t i); /* one of the ids */
void mam_query_finish(struct mam_query *q);
/* The form of section 4.1.5: every field there is. */
void mam_query_write_form(struct builder *b);

#endif
