/* `jackdaw man jackdaw|jackdaw.conf`: the manual pages, made from the tables that the program
 * itself uses. `make install` writes them to jackdaw(1) and jackdaw.conf(5). */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "config/config.h"

/* A line of text must not begin with a dot or a quote; a hyphen and a backslash are written so that
 * they can be copied. */
static void put(const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", stdout);
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else
            putchar(*text);
    }
}

static void command_page(void)
{
    puts(".TH JACKDAW 1 \"\" \"jackdaw " JACKDAW_VERSION "\" \"User Commands\"\n"
         ".SH NAME\njackdaw \\- an XMPP server\n"
         ".SH SYNOPSIS\n.B jackdaw\n.I COMMAND\n[options]\n"
         ".SH DESCRIPTION\nJackdaw serves instant messages and presence over XMPP. One program is "
         "the server, all of its components, and the command that administers it.\n"
         ".SH COMMANDS");
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        printf(".TP\n.B ");
        put(c->name);
        printf(" ");
        put(c->arguments);
        puts("");
        put(c->help);
        puts("");
    }
    puts(".SH OPTIONS\nThese are taken by every command.\n.PP\n.nf");
    put(cli_common_options);
    puts(
        ".fi\n"
        ".SH EXIT STATUS\n0: done. 1: it failed, and standard error says why. 2: wrong usage.\n"
        ".SH SIGNALS\nSIGTERM ends the server in order; SIGHUP makes it read its configuration and "
        "certificates again.\n"
        ".SH SEE ALSO\n.BR jackdaw.conf (5)");
}

static void configuration_page(void)
{
    puts(
        ".TH JACKDAW.CONF 5 \"\" \"jackdaw " JACKDAW_VERSION "\" \"File Formats\"\n"
        ".SH NAME\njackdaw.conf \\- configuration of the XMPP server jackdaw\n"
        ".SH DESCRIPTION\nNo file is needed: every setting has a default. A file is named with "
        "\\-\\-config; \\-\\-set SECTION.KEY=VALUE wins over it. jackdaw check says what is wrong "
        "with either. A setting marked \"restart\" takes effect when the server starts, all others "
        "also at SIGHUP.");
    config_print_settings(stdout, put);
    puts(".SH SEE ALSO\n.BR jackdaw (1)");
}

int cli_man(struct cli_options *o)
{
    const char *page = o->argc == 1 ? o->argv[0] : "";

    if (strcmp(page, "jackdaw") == 0)
        command_page();
    else if (strcmp(page, "jackdaw.conf") == 0)
        configuration_page();
    else {
        cli_error("write `man jackdaw` or `man jackdaw.conf`");
        return 2;
    }
    return 0;
}
