/* Answers: see answers.h. */
#include "component/answers.h"

#include <stdio.h>
#include <string.h>

static bool has(const json_t *array, const json_t *element)
{
    size_t i;
    json_t *there;

    json_array_foreach((json_t *)array, i, there)
    {
        if (json_equal(there, element))
            return true;
    }
    return false;
}

static void merge_arrays(json_t *into, const json_t *from, bool distinct)
{
    size_t i;
    json_t *element;

    json_array_foreach((json_t *)from, i, element)
    {
        if (!distinct || !has(into, element))
            json_array_append(into, element);
    }
}

/* Adds `from` to `into`, both objects: numbers add up, objects merge, members only one of them has
 * stay. Of arrays the second's elements come behind the first's - with `distinct` only those that
 * are not there yet: for short ones. Anything else is the first's. */
static void merge(json_t *into, const json_t *from, bool distinct)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)from, key, value)
    {
        json_t *first = json_object_get(into, key);

        if (!first)
            json_object_set_new(into, key, json_deep_copy(value));
        else if (json_is_integer(first) && json_is_integer(value))
            json_integer_set(first, json_integer_value(first) + json_integer_value(value));
        else if (json_is_object(first) && json_is_object(value))
            merge(first, value, distinct);
        else if (json_is_array(first) && json_is_array(value))
            merge_arrays(first, value, distinct);
    }
}

/* --- status --- */

/* "sm" of "sm-2", when there are several. */
static const char *common_name(const struct component *c, char *out, size_t size)
{
    const char *dash = c->env->seats > 1 && c->ops->per_loop ? strrchr(c->id, '-') : NULL;

    if (!dash)
        return c->id;
    (void)snprintf(out, size, "%.*s", (int)(dash - c->id), c->id);
    return out;
}

static void add_status(json_t *into, const struct component *c, json_t *status)
{
    char name[256];
    const char *common = common_name(c, name, sizeof(name));
    json_t *all = json_object_get(into, common), *uptime;

    if (common == c->id) {
        json_object_set_new(into, common, status);
        return;
    }
    if (!all) {
        all = json_deep_copy(status);
        json_object_set_new(into, common, all);
        json_object_set_new(all, "instances", json_object());
    } else {
        uptime = json_incref(json_object_get(status, "uptime"));
        merge(all, status, true);
        json_object_set(all, "pid",
                        json_object_get(status, "pid")); /* no sum makes sense of these */
        json_object_set_new(all, "uptime", uptime);
    }
    json_object_set_new(json_object_get(all, "instances"), c->id, status);
}

json_t *answers_status(const struct answers_source *source)
{
    json_t *all = json_object();

    for (size_t i = 0; i < source->count; i++)
        add_status(all, source->components[i], component_status(source->components[i]));
    return all;
}

json_t *answers_command(const struct answers_source *source, const json_t *request)
{
    const struct component_ops *answered = NULL;
    json_t *all = NULL;

    for (size_t i = 0; i < source->count; i++) {
        struct component *c = source->components[i];
        json_t *answer = c->ops->command ? c->ops->command(c, request) : NULL;
        if (!answer)
            continue;
        if (!all) {
            all = answer;
            answered = c->ops;
            continue;
        }
        if (c->ops == answered)
            merge(all, answer, false);
        json_decref(answer);
    }
    return all;
}
