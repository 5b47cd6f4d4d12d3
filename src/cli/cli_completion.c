/* `jackdaw completion bash|zsh`: a script made from commands.def. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

/* The words of a command: what stands first in each alternative of its arguments, when it is a word
 * to be written as it stands. */
static void print_words(const char *arguments)
{
    struct str rest = str_of(arguments), part;

    while (str_split(&rest, '|', &part)) {
        while (part.len && (*part.data == ' ' || *part.data == '[')) {
            part.data++;
            part.len--;
        }
        size_t len = 0;
        while (len < part.len && ((part.data[len] >= 'a' && part.data[len] <= 'z') ||
                                  (len && part.data[len] >= '0' && part.data[len] <= '9') ||
                                  part.data[len] == '.' || part.data[len] == '-'))
            len++;
        if (len)
            printf(" %.*s", (int)len, part.data);
    }
}

static const char options[] = "--config --data --domain --set --help";

static void print_names(void)
{
    for (const struct cli_command *c = cli_commands; c->name; c++)
        printf(" %s", c->name);
}

static void bash(void)
{
    puts("# jackdaw's completion for bash; made by `jackdaw completion bash`\n"
         "_jackdaw() {\n"
         "    local cur=${COMP_WORDS[COMP_CWORD]} words=''\n"
         "    case ${COMP_WORDS[COMP_CWORD-1]} in\n"
         "    --config|--data) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
         "    esac");
    printf("    if ((COMP_CWORD == 1)); then words='");
    print_names();
    puts("'\n    elif ((COMP_CWORD == 2)); then\n        case ${COMP_WORDS[1]} in");
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        printf("        %s) words='", c->name);
        print_words(c->arguments);
        puts("' ;;");
    }
    printf("        esac\n    fi\n"
           "    [[ $cur == -* ]] && words='%s'\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
           "}\n"
           "complete -o default -F _jackdaw jackdaw\n",
           options);
}

static void zsh(void)
{
    puts("#compdef jackdaw\n# jackdaw's completion for zsh; made by `jackdaw completion zsh`\n"
         "_jackdaw() {\n"
         "    local -a commands choices\n    commands=(");
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        printf("        '%s:", c->name);
        for (const char *at = c->help; *at; at++) /* as zsh quotes a quote; the colon separates */
            fputs(*at == '\'' ? "'\\''" : *at == ':' ? "\\:" : (char[]){*at, '\0'}, stdout);
        puts("'");
    }
    puts("    )\n    if ((CURRENT == 2)); then _describe command commands; return; fi\n"
         "    if [[ $words[CURRENT-1] == (--config|--data) ]]; then _files; return; fi\n"
         "    case $words[2] in");
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        printf("    %s) choices=(", c->name);
        print_words(c->arguments);
        puts(") ;;");
    }
    printf("    esac\n    ((CURRENT == 3)) && compadd -- $choices\n"
           "    compadd -- %s\n    _files\n}\n_jackdaw \"$@\"\n",
           options);
}

int cli_completion(struct cli_options *o)
{
    const char *shell = o->argc == 1 ? o->argv[0] : "";

    if (strcmp(shell, "bash") == 0)
        bash();
    else if (strcmp(shell, "zsh") == 0)
        zsh();
    else {
        cli_error("write `completion bash` or `completion zsh`");
        return 2;
    }
    return 0;
}
