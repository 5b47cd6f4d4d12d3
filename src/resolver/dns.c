/* What the drivers of DNS share. */
#include "resolver/dns.h"

void dns_ask(struct dns *d, struct dns_question *q, const char *name, enum dns_type type)
{
    q->dns = d;
    d->ops->ask(d, q, name, type);
}

void dns_cancel(struct dns_question *q)
{
    if (!q->dns)
        return;
    q->dns->ops->cancel(q);
    q->dns = NULL;
}

void dns_destroy(struct dns *d)
{
    if (d)
        d->ops->destroy(d);
}
