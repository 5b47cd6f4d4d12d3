/* Answers: see answers.h. */
#include "component/answers.h"

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

static void add_status(json_t *into, const struct component *c, json_t *status)
{
    struct str common = component_common_name(c);
    json_t *all = json_object_getn(into, common.data, common.len), *uptime;

    if (str_is(common, c->id)) {
        json_object_set_new(into, c->id, status);
        return;
    }
    if (!all) {
        all = json_deep_copy(status);
        json_object_setn_new(into, common.data, common.len, all);
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
