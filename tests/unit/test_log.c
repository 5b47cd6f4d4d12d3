/* base/log: one event one line, whatever strangers put in it. */
#include "unit.h"

#include <jansson.h>

#include "base/log.h"

static char output[20000];

/* Runs `write` against a sink of this format and leaves what came out in `output`. */
static void capture(enum log_format format, enum log_level level, void (*write)(const struct log *))
{
    memset(output, 0, sizeof output);
    FILE *to = fmemopen(output, sizeof output - 1, "w");
    struct log_sink *sink = log_sink_create(to, level, format);
    struct log log = {.sink = sink,
                      .component = "c2s",
                      .session = "juliet@capulet.lit/\x1b[2J",
                      .peer = "192.0.2.1"};
    write(&log);
    log_sink_destroy(sink);
    fclose(to);
}

static void write_hostile(const struct log *log)
{
    log_warn(log, "said \"%s\" and left",
             "a\nb\r\t\x1b]0;x\x07\\ \xc2\x9b \xe2\x80\xae \xff \xc3\xa9");
}

static size_t lines(void)
{
    size_t n = 0;
    for (const char *p = output; *p; p++)
        n += *p == '\n';
    return n;
}

static void text_is_one_safe_line(void **state)
{
    capture(LOG_TEXT, LOG_INFO, write_hostile);
    assert_int_equal(lines(), 1);
    for (const char *p = output; *p && *p != '\n'; p++)
        assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
    assert_non_null(
        strstr(output, " warning c2s session=juliet@capulet.lit/\\x1b[2J peer=192.0.2.1: "));
    assert_non_null(strstr(
        output, "a\\x0ab\\x0d\\x09\\x1b]0;x\\x07\\\\ \\xc2\\x9b \\xe2\\x80\\xae \\xff \xc3\xa9"));
}

static void json_is_json(void **state)
{
    capture(LOG_JSON, LOG_INFO, write_hostile);
    assert_int_equal(lines(), 1);
    json_t *line = json_loads(output, 0, NULL);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "level")), "warning");
    assert_string_equal(json_string_value(json_object_get(line, "component")), "c2s");
    assert_string_equal(json_string_value(json_object_get(line, "session")),
                        "juliet@capulet.lit/\x1b[2J");
    assert_non_null(strstr(json_string_value(json_object_get(line, "message")), "\"a\nb\r\t"));
    json_decref(line);
}

static void write_long(const struct log *log)
{
    char *text = malloc(10001);
    memset(text, '"', 10000);
    text[10000] = '\0';
    log_error(log, "%s", text);
    free(text);
}

static void long_lines_are_cut_and_closed(void **state)
{
    capture(LOG_JSON, LOG_INFO, write_long);
    assert_int_equal(lines(), 1);
    assert_true(strlen(output) <= 4096);
    json_t *line = json_loads(output, 0, NULL);
    assert_non_null(line);
    json_decref(line);
    capture(LOG_TEXT, LOG_INFO, write_long);
    assert_int_equal(lines(), 1);
    assert_true(output[strlen(output) - 1] == '\n');
}

static void write_all_levels(const struct log *log)
{
    log_error(log, "one");
    log_warn(log, "two");
    log_info(log, "three");
    log_debug(log, "four");
}

static void levels(void **state)
{
    enum log_level level = LOG_INFO;
    capture(LOG_TEXT, LOG_WARNING, write_all_levels);
    assert_int_equal(lines(), 2);
    capture(LOG_TEXT, LOG_DEBUG, write_all_levels);
    assert_int_equal(lines(), 4);
    assert_true(log_level_parse("debug", &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_false(log_level_parse("loud", &level));
    assert_int_equal(level, LOG_DEBUG);
    const struct log nowhere = {0};
    write_all_levels(&nowhere);
    assert_false(log_wants(&nowhere, LOG_ERROR));
}

static void write_flood(const struct log *log)
{
    struct log_limit limit = {0};
    for (uint64_t now = 1000; now < 1100; now++)
        if (log_limit_pass(&limit, now, log))
            log_warn(log, "again");
    if (log_limit_pass(&limit, 70000, log))
        log_warn(log, "later");
}

static void floods_are_counted(void **state)
{
    capture(LOG_TEXT, LOG_INFO, write_flood);
    assert_int_equal(lines(), 12);
    assert_non_null(strstr(output, ": 90 more"));
    assert_non_null(strstr(output, "later"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_one_safe_line),
        cmocka_unit_test(json_is_json),
        cmocka_unit_test(long_lines_are_cut_and_closed),
        cmocka_unit_test(levels),
        cmocka_unit_test(floods_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
