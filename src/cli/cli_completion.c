/* `jackdaw completion bash|zsh`: a script made from commands.def. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

enum { WORDS_MAX = 64 };

struct words {
    struct str list[WORDS_MAX];
    size_t count;
};

static void add(struct words *w, struct str word)
{
    for (size_t i = 0; i < w->count; i++)
        if (str_eq(w->list[i], word))
            return;
    if (word.len && w->count < WORDS_MAX)
        w->list[w->count++] = word;
}

/* What is to be written as it stands: lower-case letters, then digits, too. */
static struct str word_at(const char *text)
{
    size_t len = 0;

    while ((text[len] >= 'a' && text[len] <= 'z') || text[len] == '-' ||
           (len && ((text[len] >= '0' && text[len] <= '9') || text[len] == '.')))
        len++;
    return (struct str){text, len};
}

/* From how a command's arguments are told: the first words of its alternatives, which may stand in
 * a bracket around all of them; and, for `options`, what begins with two hyphens anywhere. */
static struct words words_of(const char *arguments, bool options)
{
    struct words w = {.count = 0};
    int depth = 0, outside = *arguments == '[' ? 1 : 0;
    bool first = true;

    for (const char *at = arguments; *at; at++) {
        bool option = strncmp(at, "--", 2) == 0;
        depth += (*at == '[') - (*at == ']');
        if (*at == '|' && depth <= outside) {
            first = true;
        } else if (*at != ' ' && *at != '[') {
            if (option ? options : first && !options)
                add(&w, word_at(at));
            first = false;
            at += option; /* not the second hyphen again */
        }
    }
    return w;
}

static void print_words(const char *arguments, bool options)
{
    struct words w = words_of(arguments, options);

    for (size_t i = 0; i < w.count; i++)
        printf(" %.*s", STR_ARG(w.list[i]));
}

static const char common[] = "--config --data --domain --set --help";

static void print_names(void)
{
    for (const struct cli_command *c = cli_commands; c->name; c++)
        printf(" %s", c->name);
}

static void bash(void)
{
    puts("# jackdaw's completion for bash; made by `jackdaw completion bash`\n"
         "_jackdaw() {\n"
         "    local cur=${COMP_WORDS[COMP_CWORD]} words='' options=''\n"
         "    case ${COMP_WORDS[COMP_CWORD-1]} in\n"
         "    --config|--data) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
         "    esac\n"
         "    case ${COMP_WORDS[1]} in");
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        printf("    %s) words='", c->name);
        print_words(c->arguments, false);
        printf("' options='");
        print_words(c->arguments, true);
        puts("' ;;");
    }
    printf("    esac\n    if ((COMP_CWORD == 1)); then words='");
    print_names();
    printf("'\n    elif ((COMP_CWORD > 2)); then words=''\n    fi\n"
           "    [[ $cur == -* ]] && words=\"%s $options\"\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
           "}\n"
           "complete -o default -F _jackdaw jackdaw\n",
           common);
}

static void zsh(void)
{
    puts("#compdef jackdaw\n# jackdaw's completion for zsh; made by `jackdaw completion zsh`\n"
         "_jackdaw() {\n"
         "    local -a commands choices options\n    commands=(");
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
        print_words(c->arguments, false);
        printf(") options=(");
        print_words(c->arguments, true);
        puts(") ;;");
    }
    printf("    esac\n    ((CURRENT == 3)) && compadd -- $choices\n"
           "    compadd -- %s $options\n    _files\n}\n_jackdaw \"$@\"\n",
           common);
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
