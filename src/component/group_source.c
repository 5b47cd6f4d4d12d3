/* See group_source.h. */
#include "component/group_source.h"

#include <stdio.h>

bool group_source_path(const char *data_dir, const char *sm_id, char *ret, size_t size)
{
    int len = snprintf(ret, size, "unix:%s/run/groups-%s.helper", data_dir, sm_id);

    return len > 0 && (size_t)len < size;
}
