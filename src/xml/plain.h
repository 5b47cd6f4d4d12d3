/* Plain: reads an element without expat, when it lies there as a whole and uses nothing of XML but
 * what nearly every stanza does: names without prefixes (but xml:lang), xmlns as the first
 * attribute, quoted values without references, text with the five named references.
 *
 * It never judges. What it takes is exactly what expat would have reported, within the limits; all
 * else - unfinished, unusual or wrong - it leaves to expat, from the first byte on
 * (docs/decisions/0075-plain.md). Internal to xml/.
 */
#ifndef JACKDAW_XML_PLAIN_H
#define JACKDAW_XML_PLAIN_H

#include "xml/block.h"
#include "xml/parser.h"

#define PLAIN_NS_STREAMS "http://etherx.jabber.org/streams"

/* The element that begins at `bytes`, in the default namespace `ns`, into the writer, which is
 * empty before. Returns how many bytes it takes; 0 when it is left to expat (the writer is empty
 * again). */
size_t plain_read(struct block_writer *w, struct str bytes, struct str ns,
                  const struct parser_limits *limits);

#endif
