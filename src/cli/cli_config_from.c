/* `jackdaw config from-jabberd2 DIR`: a configuration file of ours on stdout. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "move/jabberd2_config.h"

static void say(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "note: %s\n", text);
}

static void report(void *arg, const char *message)
{
    (void)arg;
    cli_error("%s", message);
}

/* What was made must be taken by the server. */
static bool usable(struct str text)
{
    struct config *config = config_load_text("what was made", text, report, NULL);
    bool ok = config != NULL;
    config_destroy(config);
    return ok;
}

int cli_config_from(struct cli_options *o)
{
    char why[1024] = "";
    struct buffer out;
    struct move_notes notes = {.say = say};
    if (o->argc != 2 || strcmp(o->argv[0], "from-jabberd2") != 0) {
        cli_error("write: jackdaw config from-jabberd2 DIR > jackdaw.conf");
        return 2;
    }
    buffer_init(&out, 1 << 24);
    enum error e = jabberd2_config(o->argv[1], &out, &notes, (struct move_why){why, sizeof why});
    bool ok = e == ERR_OK;
    if (!ok)
        cli_error("%s", why);
    else if (!usable(buffer_str(&out)))
        cli_error("the values above cannot be used here: correct them in what is printed");
    if (ok)
        (void)fwrite(buffer_str(&out).data, 1, buffer_len(&out), stdout);
    if (ok && notes.left_out)
        fprintf(stderr, "note: %llu settings above were not carried over\n",
                (unsigned long long)notes.left_out);
    buffer_finish(&out);
    return ok ? 0 : 1;
}
