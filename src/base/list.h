/* Intrusive doubly linked list: a head and the node that members embed. */
#ifndef JACKDAW_BASE_LIST_H
#define JACKDAW_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include "base/mem.h"

struct list {
    struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}
static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}
/* Adds at the end. */
static inline void list_push(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}
/* Leaves the node a valid empty list, so that removing twice is harmless. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}
static inline struct list *list_pop(struct list *head)
{
    struct list *node = head->next;
    if (node == head)
        return NULL;
    list_remove(node);
    return node;
}
/* Moves everything to the end of `to`; `from` is empty afterwards. */
static inline void list_move_all(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define LIST_ENTRY(node, type, member) MEM_CONTAINER(node, type, member)
/* NOLINTBEGIN(bugprone-macro-parentheses): `it` is a name that these declare */
#define LIST_EACH(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
/* The current node may be removed. */
#define LIST_EACH_SAFE(it, head)                                                                   \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                      \
         it = it##_next, it##_next = it->next)
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
