/* Lua tables: every form of constant, what is wrong and in which line, and elements made of them.
 */
#include "unit.h"

#include "move/prosody.h"

static struct arena *arena;

static int setup(void **state)
{
    arena = arena_create(1 << 20);
    return 0;
}

static int teardown(void **state)
{
    arena_destroy(arena);
    return 0;
}

static struct lua_value parse(const char *text)
{
    struct lua_value v;
    struct lua_error error;
    if (!lua_parse(arena, str_of(text), &v, &error))
        fail_msg("%s: line %u: %s", text, error.line, error.what);
    return v;
}

static void test_strings(void **state)
{
    static const struct {
        const char *text, *value;
    } rows[] = {
        {"return \"a\\\"b\"", "a\"b"},
        {"return 'a\"b'", "a\"b"},
        {"return \"\\65\\066\\x43\\u{44}\\z  \n  \\195\\188\"", "ABCD\xc3\xbc"},
        {"return \"\\a\\b\\f\\n\\r\\t\\v\\\\\"", "\a\b\f\n\r\t\v\\"},
        {"return \"a\\\nb\"", "a\nb"},
        {"return \"\\u{20AC}\\u{1F49B}\"", "\xe2\x82\xac\xf0\x9f\x92\x9b"},
        {"return [[\na]b]]", "a]b"},
        {"return [==[a]=]b]==];", "a]=]b"},
        {"return [[]]", ""},
        {" --x\n--[[ y\n]] return --[=[ ]] ]=] '' -- z", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct lua_value v = parse(rows[i].text);
        assert_int_equal(v.type, LUA_STRING);
        assert_true(str_is(v.text, rows[i].value));
    }
    assert_int_equal(parse("return \"a\\0b\"").text.len, 3);
}

static void test_other_values(void **state)
{
    struct lua_value v =
        parse("return { 1, -2.5e3; [\"x y\"] = true, z = { }, [false] = nil, 0x10, (1/0), [[s]] }");
    static const double numbers[] = {1, -2500, 16, 0};
    size_t n = 0;
    for (const struct lua_pair *p = v.first; p; p = p->next)
        if (p->value.type == LUA_NUMBER) {
            assert_true(p->key.type == LUA_NUMBER && p->key.number == (double)(n + 1));
            assert_true(p->value.number == numbers[n++]);
        }
    assert_int_equal(n, 4);
    assert_true(lua_true(lua_get(&v, "x y")));
    assert_int_equal(lua_get(&v, "z")->type, LUA_TABLE);
    assert_non_null(lua_get_false(&v));
    assert_false(lua_true(lua_get_false(&v)));
    assert_null(lua_get(&v, "nothing"));
    assert_null(lua_text(&v, "z").data);
    assert_true(lua_number(&v, "z", 7) == 7);
}

static void test_what_is_wrong(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *what;
    } rows[] = {
        {"", 1, "no Lua table"},
        {"x = 1", 1, "no Lua table"},
        {"return", 1, "missing at the end"},
        {"return {\n\n", 3, "no end"},
        {"return {\n[1] }", 2, "a key wants"},
        {"return { 1 2 }", 1, "; or }"},
        {"return \"a\nb\"", 1, "end of its line"},
        {"return \"a", 1, "no end"},
        {"return \"\\300\"", 1, "larger than 255"},
        {"return \"\\q\"", 1, "unknown"},
        {"return \"\\x4\"", 1, "two digits"},
        {"return \"\\u{110000}\"", 1, "no character"},
        {"return \"\\u{d800}\"", 1, "no character"},
        {"return [==[ ]=]", 1, "no end"},
        {"return --[[ ", 1, "no end"},
        {"return os.exit()", 1, "where a value should"},
        {"return function() end", 1, "where a value should"},
        {"return 1 + 1", 1, "behind the table"},
        {"return (2)", 1, "calculations"},
        {"return {}; return {}", 1, "behind the table"},
        {"return 1x", 1, "neither a string"},
        {"return #t", 1, "neither a string"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct lua_value v;
        struct lua_error error = {0, ""};
        assert_false(lua_parse(arena, str_of(rows[i].text), &v, &error));
        assert_int_equal(error.line, rows[i].line);
        if (!strstr(error.what, rows[i].what))
            fail_msg("%s: %s", rows[i].text, error.what);
    }
}

static void test_depth(void **state)
{
    char text[2 * LUA_DEPTH_MAX + 64] = "return ";
    struct lua_value v;
    struct lua_error error;
    size_t n = strlen(text);
    memset(text + n, '{', LUA_DEPTH_MAX);
    memset(text + n + LUA_DEPTH_MAX, '}', LUA_DEPTH_MAX);
    (void)parse(text);
    memset(text + n, '{', LUA_DEPTH_MAX + 1);
    assert_false(lua_parse(arena, str_of(text), &v, &error));
    assert_non_null(strstr(error.what, "too deep"));
}

static void test_lists(void **state)
{
    struct lua_value v;
    struct lua_error error;
    assert_true(lua_parse_list(arena, STR("item({ 1 });\nitem(2)\n-- end"), &v, &error));
    assert_int_equal(v.first->value.type, LUA_TABLE);
    assert_true(v.first->next->value.number == 2 && v.first->next->key.number == 2);
    assert_true(lua_parse_list(arena, STR(""), &v, &error));
    assert_null(v.first);
    assert_false(lua_parse_list(arena, STR("item(1)\nitem 2"), &v, &error));
    assert_int_equal(error.line, 2);
}

static void check_stanza(const char *text, const char *xml)
{
    struct lua_value v = parse(text);
    struct stanza *s = prosody_stanza(&v, STR("jabber:client"));
    if (!xml) {
        assert_null(s);
        return;
    }
    assert_non_null(s);
    struct str whole = facts_whole(s);
    if (!str_is(whole, xml))
        fail_msg("%.*s", STR_ARG(whole));
    free((char *)(uintptr_t)whole.data);
    stanza_unref(s);
}

static void test_elements(void **state)
{
    check_stanza("return { name = 'a' }", "<a xmlns='jabber:client'/>");
    check_stanza("return { name = 'a', attr = { xmlns = 'x', b = '<\\'' }, 'te&xt', { name = 'c', "
                 "attr = {} } }",
                 "<a xmlns='x' b='&lt;&apos;'>te&amp;xt<c/></a>");
    check_stanza("return { name = 'a', attr = { ['xml:lang'] = 'de', ['urn:q\\1r'] = 's' } }",
                 "<a xmlns='jabber:client' xml:lang='de' xmlns:ns0='urn:q' ns0:r='s'/>");
    check_stanza("return { name = 'a', attr = { b = '1', b = '2' } }",
                 "<a xmlns='jabber:client' b='2'/>");
    check_stanza("return { name = 'a b' }", NULL);
    check_stanza("return { name = '1a' }", NULL);
    check_stanza("return { name = '' }", NULL);
    check_stanza("return { name = 'a', attr = { ['b='] = 'c' } }", NULL);
    check_stanza("return { name = 'a', { name = 'x><y' } }", NULL);
    check_stanza("return { name = 'a', attr = { ['\\255\\1b'] = 'c' } }", NULL);
    check_stanza("return { name = 'a', attr = { xmlns = '\\255' } }", NULL);
    check_stanza("return { name = 'a', attr = { xmlns = 'http://www.w3.org/XML/1998/namespace' } }",
                 NULL);
    check_stanza("return { name = 'a', 5 }", NULL);
    check_stanza("return 'a'", NULL);
}

#define ARENA(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ARENA(test_strings), ARENA(test_other_values), ARENA(test_what_is_wrong),
        ARENA(test_depth),   ARENA(test_lists),        ARENA(test_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
