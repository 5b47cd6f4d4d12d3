/* The runner of path.def: see path.h. */
#include "sm/path.h"

const struct feature *const path_features[FEATURES] = {
#define X(id) [FEATURE_##id] = &id##_feature,
#include "sm/features.def"
#undef X
};

static bool belongs(const struct feature *feature, enum path_point point, const struct sm *sm)
{
    return feature->at[point] &&
           (point < PATH_FROM_CLIENT || !feature->wanted || feature->wanted(sm));
}

void path_init(struct path *path, const struct sm *sm)
{
    for (int point = 0; point < PATH_POINTS; point++) {
        path->counts[point] = 0;
        for (int f = 0; f < FEATURES; f++)
            if (belongs(path_features[f], (enum path_point)point, sm))
                path->fns[point][path->counts[point]++] = path_features[f]->at[point];
    }
}

enum path_result path_run(struct path *path, enum path_point point, struct path_event *e)
{
    for (unsigned i = 0; i < path->counts[point]; i++)
        if (path->fns[point][i](e) == PATH_DONE)
            return PATH_DONE;
    return PATH_PASS;
}

const struct iq_handler *path_iq(struct str ns, struct str name, unsigned to, unsigned type)
{
    for (int f = 0; f < FEATURES; f++) {
        const struct iq_handler *h = path_features[f]->iqs;
        for (; h && h->ns; h++)
            if ((h->flags & to) && (h->flags & type) && str_eq(ns, *h->ns) && str_is(name, h->name))
                return h;
    }
    return NULL;
}
