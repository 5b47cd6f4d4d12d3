/* CSV: RFC 4180 section 2, and bad lines that do not take the next one with them. */
#include "unit.h"

#include "cli/csv.h"

/* The whole file as "field|field;field" with "!LINE" for bad records. */
static void read_all(const char *text, size_t len, char *out, size_t size)
{
    struct csv c;
    size_t used = 0;
    FILE *f = len ? fmemopen((void *)(uintptr_t)text, len, "r") : fopen("/dev/null", "r");
    assert_non_null(f);
    csv_init(&c, f);
    for (enum csv_result r; (r = csv_next(&c)) != CSV_END;) {
        if (r == CSV_BAD) {
            assert_non_null(c.problem);
            used += (size_t)snprintf(out + used, size - used, "!%u;", c.line);
            continue;
        }
        used += (size_t)snprintf(out + used, size - used, "%u:", c.line);
        for (size_t i = 0; i < c.count; i++)
            used += (size_t)snprintf(out + used, size - used, "%s%.*s", i ? "|" : "",
                                     STR_ARG(csv_field(&c, i)));
        assert_null(csv_field(&c, c.count).data);
        used += (size_t)snprintf(out + used, size - used, ";");
    }
    csv_finish(&c);
    fclose(f);
    out[used] = '\0';
}

static void check(const char *text, const char *expected)
{
    char out[1024];
    read_all(text, strlen(text), out, sizeof out);
    assert_string_equal(out, expected);
}

static void test_records(void **state)
{
    (void)state;
    check("", "");
    check("a,b\n", "1:a|b;");
    check("a,b", "1:a|b;");
    check("a,b\r\nc,d\r\n", "1:a|b;2:c|d;");
    check("a,b\r\nc,d\r", "1:a|b;2:c|d;");
    check(",\n", "1:|;");
    check("a,\nb", "1:a|;2:b;");
    check("\n\r\n\na\n\n", "4:a;");
    check(" a , b \n", "1: a | b ;");
}

static void test_quotes(void **state)
{
    (void)state;
    check("\"a\",\"b\"\n", "1:a|b;");
    check("\"a,b\",c\r\n", "1:a,b|c;");
    check("\"a \"\"b\"\"\",c\n", "1:a \"b\"|c;");
    check("\"\",\"\"\n", "1:|;");
    check("\"two\nlines\",x\ny,z\n", "1:two\nlines|x;3:y|z;");
    check("\"a\"", "1:a;");
    check("a\rb,c\n", "1:a\rb|c;");
}

static void test_bad_lines(void **state)
{
    (void)state;
    check("a,\"b\" c\nd,e\n", "!1;2:d|e;");
    check("a,b\"c\nd,e\n", "!1;2:d|e;");
    check("a\n\"never closed\nb\n", "1:a;!2;");
    check("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17\nb\n", "!1;2:b;");
    char out[1024], nul[] = "a\0b,c\nd\n";
    read_all(nul, sizeof nul - 1, out, sizeof out);
    assert_string_equal(out, "!1;2:d;");
}

static void test_long_line(void **state)
{
    size_t len = 70000;
    char *text = malloc(len + 8), out[1024];
    (void)state;
    memset(text, 'x', len);
    memcpy(text + len, "\nb,c\n", 6);
    read_all(text, len + 5, out, sizeof out);
    assert_string_equal(out, "!1;2:b|c;");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_long_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
