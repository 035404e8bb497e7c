/*
 * hcl*.c: expressions, templates and bodies of HCL 2.
 */
#include "codec/hcl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The value as JSON, or "! " and the first problem. */
static const char *
evaluated(struct arena *a, const char *text)
{
	struct hcl_source *src = arena_new(a, struct hcl_source);
	struct hcl_diags d = { .mem = a };
	struct any *list = any_list(a), *map = any_map(a), *value = NULL;
	struct hcl_scope numbers = { .name = "list", .value = list },
			 scope = { .up = &numbers, .name = "m", .value = map };
	autobuf struct buf out = BUF_INIT;
	struct jsonw w = JSONW_INIT(&out);
	struct hcl_expr *x;

	for (int i = 1; i <= 3; i++)
		any_append(a, list, any_int(a, i));
	any_put(a, map, "b", any_str(a, "two"));
	any_put(a, map, "a", any_str(a, "one"));
	*src = (struct hcl_source){ .name = "x", .text = text, .len = strlen(text) };
	x = hcl_parse_expr(src, a, &d);
	if (x != NULL)
		value = hcl_eval(x, &scope, &d);
	if (d.n > 0)
		return arena_printf(a, "! %s", hcl_diag_line(&d, 0));
	any_to_json(value, &w);
	return arena_strdup(a, buf_str(&out));
}

struct row {
	const char *text, *expected;
};

static void
check(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		autoarena struct arena a = ARENA_INIT;
		const char *got = evaluated(&a, rows[i].text);

		if (strcmp(got, rows[i].expected) != 0)
			fail_msg(
			    "%s\n  gives   %s\n  not     %s", rows[i].text, got, rows[i].expected);
	}
}

static void
operators_bind_as_in_arithmetic(void **state)
{
	static const struct row rows[] = {
		{ "1 + 2 * 3", "7" },
		{ "(1 + 2) * 3", "9" },
		{ "10 - 4 - 3", "3" },
		{ "7 / 2", "3.5" },
		{ "6 / 2", "3" },
		{ "7 % 3", "1" },
		{ "-3 + 1", "-2" },
		{ "1 / 0", "! x:1,1-6: Division by zero; The divisor is zero." },
		{ "9223372036854775807", "9223372036854775807" },
		{ "1.5e3", "1500" },
		{ "0.1", "0.1" },
		{ "\"5\" + 1", "6" },
		{ "true && !false || false", "true" },
		{ "1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3", "true" },
		{ "1 == 1.0", "true" },
		{ "\"a\" != \"b\"", "true" },
		{ "[1, 2] == [1, 2]", "true" },
		{ "1 > 2 ? \"yes\" : \"no\"", "\"no\"" },
		{ "false ? 1 : true ? 2 : 3", "2" },
		{ "1 + true", "! x:1,5-9: Invalid operand; Unsuitable value for operand: a number "
			      "is required, not a bool." },
	};

	(void)state;
	check(rows, NELEM(rows));
}

static void
collections_and_loops(void **state)
{
	static const struct row rows[] = {
		{ "[1, \"a\", [true], null,]", "[1,\"a\",[true],null]" },
		{ "{ a = 1, \"b c\" : 2, (\"d\") = 3 }", "{\"a\":1,\"b c\":2,\"d\":3}" },
		{ "{\n a = 1\n b = 2 # two\n}", "{\"a\":1,\"b\":2}" },
		{ "list[0] + list[2]", "4" },
		{ "list.1", "2" },
		{ "m.a", "\"one\"" },
		{ "m[\"b\"]", "\"two\"" },
		{ "m.c", "! x:1,1-4: Unsupported attribute; This object does not have an attribute "
			 "named \"c\"." },
		{ "list[3]", "! x:1,1-8: Invalid index; The given key does not identify an element "
			     "in this collection value." },
		{ "[for n in list : n * 2]", "[2,4,6]" },
		{ "[for i, n in list : i if n != 2]", "[0,2]" },
		{ "{ for k, v in m : v => k }", "{\"two\":\"b\",\"one\":\"a\"}" },
		{ "{ for n in list : \"k\" => n... }", "{\"k\":[1,2,3]}" },
		{ "{ for n in list : \"k\" => n }",
		    "! x:1,19-22: Duplicate object key; Two different items produced the key \"k\" "
		    "in this 'for' expression. Use \"...\" after the value to group them." },
		{ "[{ a = 1 }, { a = 2 }][*].a", "[1,2]" },
		{ "[{ a = 1 }, { a = 2 }].*.a", "[1,2]" },
		{ "[{ a = [5] }, { a = [6] }][*].a[0]", "[5,6]" },
		{ "5[*]", "[5]" },
		{ "null[*]", "[]" },
		{ "[\n1,\n2\n]", "[1,2]" },
	};

	(void)state;
	check(rows, NELEM(rows));
}

static void
templates(void **state)
{
	static const struct row rows[] = {
		{ "\"a ${1 + 1} b\"", "\"a 2 b\"" },
		{ "\"${list}\"", "[1,2,3]" },
		{ "\"x${list}\"",
		    "! x:1,5-9: Invalid template interpolation value; Cannot include the given "
		    "value in a string template: string required, not a list." },
		{ "\"\\n\\t\\\"\\\\\\u00e9\\U0001F600\"",
		    "\"\\n\\t\\\"\\\\\xc3\xa9\xf0\x9f\x98\x80\"" },
		{ "\"$${a} %%{b} $x 100%\"", "\"${a} %{b} $x 100%\"" },
		{ "\"${\"nested ${m.a}\"}\"", "\"nested one\"" },
		{ "\"%{ if m.a == \"one\" }yes%{ else }no%{ endif }\"", "\"yes\"" },
		{ "\"%{ for k, v in m }${k}=${v};%{ endfor }\"", "\"b=two;a=one;\"" },
		{ "\"a  ${~ 1 ~}  b\"", "\"a1b\"" },
		{ "<<EOF\nline ${1}\n  two\nEOF\n", "\"line 1\\n  two\\n\"" },
		{ "<<-EOF\n    a\n      b\n\n    c\n    EOF\n", "\"a\\n  b\\n\\nc\\n\"" },
		{ "<<EOF\n%{ for n in list ~}\n${n}\n%{ endfor ~}\nEOF\n", "\"1\\n2\\n3\\n\"" },
		{ "<<EOF\nno \\n escape\nEOF\n", "\"no \\\\n escape\\n\"" },
		{ "\"open", "! x:1,1-6: Unterminated template string; A quoted text must end on "
			    "its line; a longer one is written as a heredoc (<<EOF)." },
		{ "\"%{ if true }x\"", "! x:1,2-14: Unterminated template directive; There is no "
				       "matching endif for this." },
		{ "\"\\q\"", "! x:1,2-4: Invalid escape sequence; The escapes are \\n, \\r, \\t, "
			     "\\\", \\\\, \\uNNNN and \\UNNNNNNNN." },
	};

	(void)state;
	check(rows, NELEM(rows));
}

static void
unknown_references_stay_as_written(void **state)
{
	static const struct row rows[] = {
		{ "node.class", "\"${node.class}\"" },
		{ "\"${node.class}\"", "\"${node.class}\"" },
		{ "\"http://${NOMAD_IP_http}:${NOMAD_PORT_http}/\"",
		    "\"http://${NOMAD_IP_http}:${NOMAD_PORT_http}/\"" },
		{ "\"${attr.kernel.name}\"", "\"${attr.kernel.name}\"" },
		{ "\"${env[\"HOME\"]}\"", "\"${env[\\\"HOME\\\"]}\"" },
		{ "[for n in list : \"${meta.x}-${n}\"]",
		    "[\"${meta.x}-1\",\"${meta.x}-2\",\"${meta.x}-3\"]" },
	};

	(void)state;
	check(rows, NELEM(rows));
}

static void
functions_on_numbers_lists_and_maps(void **state)
{
	static const struct row rows[] = {
		{ "abs(-3)", "3" },
		{ "ceil(1.2)", "2" },
		{ "floor(-1.2)", "-2" },
		{ "signum(-5)", "-1" },
		{ "pow(2, 10)", "1024" },
		{ "log(8, 2)", "3" },
		{ "max(1, 3, 2)", "3" },
		{ "min(list...)", "1" },
		{ "parseint(\"ff\", 16)", "255" },
		{ "range(3)", "[0,1,2]" },
		{ "range(1, 7, 2)", "[1,3,5]" },
		{ "range(3, 0)", "[3,2,1]" },
		{ "chunklist(list, 2)", "[[1,2],[3]]" },
		{ "coalesce(null, \"a\")", "\"a\"" },
		{ "coalescelist([], [1])", "[1]" },
		{ "compact([\"a\", \"\", null])", "[\"a\"]" },
		{ "concat([1], [2, 3])", "[1,2,3]" },
		{ "contains(list, 2)", "true" },
		{ "distinct([1, 2, 1])", "[1,2]" },
		{ "element(list, 4)", "2" },
		{ "flatten([1, [2, [3]]])", "[1,2,3]" },
		{ "keys(m)", "[\"a\",\"b\"]" },
		{ "values(m)", "[\"one\",\"two\"]" },
		{ "length(m)", "2" },
		{ "lookup(m, \"z\", \"none\")", "\"none\"" },
		{ "lookup(m, \"z\")", "! x:1,1-15: Error in function call; Call to function "
				      "\"lookup\" failed: lookup failed to find key \"z\"." },
		{ "merge(m, { a = 1 })", "{\"b\":\"two\",\"a\":1}" },
		{ "reverse(list)", "[3,2,1]" },
		{ "setintersection([1, 2], [2, 3])", "[2]" },
		{ "setproduct([1, 2], [\"a\"])", "[[1,\"a\"],[2,\"a\"]]" },
		{ "setunion([1], [1, 2])", "[1,2]" },
		{ "slice(list, 1, 3)", "[2,3]" },
		{ "sort([\"b\", \"a\"])", "[\"a\",\"b\"]" },
		{ "zipmap([\"a\", \"b\"], [1, 2])", "{\"a\":1,\"b\":2}" },
		{ "can(m.z)", "false" },
		{ "try(m.z, \"fallback\")", "\"fallback\"" },
		{ "maxx(1)", "! x:1,1-5: Call to unknown function; There is no function named "
			     "\"maxx\". Did you mean \"max\"?" },
		{ "file(\"/etc/passwd\")",
		    "! x:1,1-5: Function not available; The function \"file\" is not available: "
		    "job files do not read the file system; pass the text with -var." },
		{ "abs()", "! x:1,1-6: Not enough function arguments; Function \"abs\" expects 1 "
			   "argument(s), and was given 0." },
	};

	(void)state;
	check(rows, NELEM(rows));
}

static void
functions_on_text(void **state)
{
	static const struct row rows[] = {
		{ "upper(\"aé\")", "\"A\xc3\xa9\"" },
		{ "lower(\"AB\")", "\"ab\"" },
		{ "title(\"ab cd\")", "\"Ab Cd\"" },
		{ "chomp(\"a\\n\\n\")", "\"a\"" },
		{ "indent(2, \"a\\nb\")", "\"a\\n  b\"" },
		{ "join(\", \", [\"a\", 1], [\"b\"])", "\"a, 1, b\"" },
		{ "split(\",\", \"a,b,,c\")", "[\"a\",\"b\",\"\",\"c\"]" },
		{ "replace(\"a-b-c\", \"-\", \"+\")", "\"a+b+c\"" },
		{ "regex_replace(\"port 80\", \"(\\\\d+)\", \"<$1>\")", "\"port <80>\"" },
		{ "regex_replace(\"aaa\", \"a*?\", \"\")",
		    "! x:1,1-32: Error in function call; Call to function \"regex_replace\" "
		    "failed: groups with (?\xe2\x80\xa6) and lazy repetition (*?) are not "
		    "supported." },
		{ "strrev(\"aé\")", "\"\xc3\xa9"
				    "a\"" },
		{ "strlen(\"aé\")", "2" },
		{ "substr(\"hello\", 1, 3)", "\"ell\"" },
		{ "substr(\"hello\", -2, -1)", "\"lo\"" },
		{ "trim(\"xxaxx\", \"x\")", "\"a\"" },
		{ "trimspace(\"  a \")", "\"a\"" },
		{ "trimprefix(\"foobar\", \"foo\")", "\"bar\"" },
		{ "trimsuffix(\"foobar\", \"bar\")", "\"foo\"" },
		{ "format(\"%s-%03d %.2f %5s|%-5s| %q %v %t %x %%\", \"a\", 7, 1.5, \"r\", \"l\", "
		  "\"q\", [1], true, 255)",
		    "\"a-007 1.50     r|l    | \\\"q\\\" [1] true ff %\"" },
		{ "format(\"%[2]s %[1]s\", \"a\", \"b\")", "\"b a\"" },
		{ "format(\"%d\", \"x\")",
		    "! x:1,1-18: Error in function call; Call to function \"format\" failed: "
		    "unsupported value for \"%d\": a number is required." },
		{ "formatlist(\"%s=%d\", [\"a\", \"b\"], 1)", "[\"a=1\",\"b=1\"]" },
	};

	(void)state;
	check(rows, NELEM(rows));
}

static void
functions_that_encode_and_digest(void **state)
{
	static const struct row rows[] = {
		{ "base64encode(\"Man\")", "\"TWFu\"" },
		{ "base64decode(\"TWE=\")", "\"Ma\"" },
		{ "base64decode(\"TWEx\")", "\"Ma1\"" },
		{ "base64decode(\"T\")", "! x:1,1-18: Error in function call; Call to function "
					 "\"base64decode\" failed: this is no base64 text." },
		{ "urlencode(\"a b/c\")", "\"a+b%2Fc\"" },
		{ "jsonencode({ b = [1, null], a = \"x\" })",
		    "\"{\\\"a\\\":\\\"x\\\",\\\"b\\\":[1,null]}\"" },
		{ "jsondecode(\"{\\\"a\\\":[1,2.5]}\")", "{\"a\":[1,2.5]}" },
		{ "csvdecode(\"a,b\\n1,\\\"x,\\\"\\\"y\\\"\\n\")",
		    "[{\"a\":\"1\",\"b\":\"x,\\\"y\"}]" },
		{ "md5(\"abc\")", "\"900150983cd24fb0d6963f7d28e17f72\"" },
		{ "sha1(\"abc\")", "\"a9993e364706816aba3e25717850c26c9cd0d89d\"" },
		{ "sha256(\"abc\")",
		    "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"" },
		{ "sha512(\"abc\")",
		    "\"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274f"
		    "c1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f\"" },
		{ "sha256(format(\"%0100d\", 0))",
		    "\"134e6543ddc35b40abb4f2f8aaaa2d0513a27e267beaf9081e29d84eba94017d\"" },
		{ "sha512(format(\"%0120d\", 0))",
		    "\"65cb627a90fa527d9e9e452721a8a0d4353b668db573a17eca06b28e7f42678d2396a0f1c965"
		    "a4c0e828b22b6e1ef6acc9bc22584631858c9e09794fdb34db5c\"" },
		{ "uuidv5(\"dns\", \"www.example.com\")",
		    "\"2ed6657d-e927-568b-95e1-2665a8aea6a2\"" },
		{ "length(split(\"-\", uuidv4()))", "5" },
		{ "convert(\"3\", number) + 1", "4" },
		{ "convert([1, 2], list(string))", "[\"1\",\"2\"]" },
		{ "convert({ a = 1, b = 2 }, object({ a = string }))", "{\"a\":\"1\"}" },
		{ "convert([], number)", "! x:1,1-20: Error in function call; Call to function "
					 "\"convert\" failed: the list does not fit the type." },
	};

	(void)state;
	check(rows, NELEM(rows));
}

static void
functions_on_times_and_addresses(void **state)
{
	static const struct row rows[] = {
		{ "timeadd(\"2021-02-03T04:05:06Z\", \"1h\")", "\"2021-02-03T05:05:06Z\"" },
		{ "formatdate(\"DD MMM YYYY hh:mm:ss ZZZ\", \"2021-02-03T04:05:06Z\")",
		    "\"03 Feb 2021 04:05:06 UTC\"" },
		{ "formatdate(\"EEEE, M/D/YY H'h' aa\", \"2021-02-03T14:05:06Z\")",
		    "\"Wednesday, 2/3/21 2h pm\"" },
		{ "cidrhost(\"10.12.127.0/20\", 16)", "\"10.12.112.16\"" },
		{ "cidrhost(\"10.12.127.0/20\", -1)", "\"10.12.127.255\"" },
		{ "cidrhost(\"fd00:fd12:3456:7890:00a2::/72\", 34)",
		    "\"fd00:fd12:3456:7890::22\"" },
		{ "cidrnetmask(\"172.16.0.0/12\")", "\"255.240.0.0\"" },
		{ "cidrsubnet(\"172.16.0.0/12\", 4, 2)", "\"172.18.0.0/16\"" },
		{ "cidrsubnet(\"fd00:fd12:3456:7890::/56\", 16, 162)",
		    "\"fd00:fd12:3456:7800:a200::/72\"" },
		{ "cidrsubnets(\"10.1.0.0/16\", 4, 4, 8, 4)",
		    "[\"10.1.0.0/20\",\"10.1.16.0/20\",\"10.1.32.0/24\",\"10.1.48.0/20\"]" },
		{ "cidrsubnets(\"0.0.0.0/0\", 1, 1, 1)",
		    "! x:1,1-34: Error in function call; Call to function \"cidrsubnets\" failed: "
		    "not enough remaining address space for subnet 3." },
		{ "cidrhost(\"10.0.0.0/33\", 1)",
		    "! x:1,1-27: Error in function call; Call to function \"cidrhost\" failed: "
		    "invalid CIDR expression: \"10.0.0.0/33\"." },
	};

	(void)state;
	check(rows, NELEM(rows));
}

static void
syntax_errors_say_where(void **state)
{
	static const struct row rows[] = {
		{ "1 +", "! x:1,4-5: Invalid expression; Expected the start of an expression, but "
			 "found the end of the file." },
		{ "[1 2]", "! x:1,4-5: Missing item separator; Expected a comma to mark the "
			   "beginning of the next item." },
		{ "(1", "! x:1,3-4: Unbalanced parentheses; Expected a closing parenthesis to "
			"terminate the expression." },
		{ "{ a 1 }", "! x:1,5-6: Missing attribute value; Expected an attribute value, "
			     "introduced by an equals sign (\"=\")." },
		{ "max(1 2)", "! x:1,7-8: Missing argument separator; A comma is required to "
			      "separate each function argument from the next." },
		{ "\"${1\"", "! x:1,2-5: Invalid template sequence; Expected a closing brace to "
			     "end this template sequence." },
		{ "1 2", "! x:1,3-4: Extra characters after expression; An expression was "
			 "successfully parsed, but extra characters were found after it." },
	};

	(void)state;
	check(rows, NELEM(rows));
}

static void
what_is_too_deep_or_too_long_is_refused(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	autobuf struct buf deep = BUF_INIT, wide = BUF_INIT;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		buf_addc(&deep, '[');
		buf_adds(&wide, "1+");
	}
	buf_addc(&wide, '1');
	assert_true(strstr(evaluated(&a, buf_str(&deep)), "Expression too deep") != NULL);
	assert_true(strstr(evaluated(&a, buf_str(&wide)), "Expression too large") != NULL);
	assert_true(
	    strstr(evaluated(&a,
		       "[for a in range(1000): [for b in range(1000): [for c in range(1000): c]]]"),
		"Expression too large") != NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operators_bind_as_in_arithmetic),
		cmocka_unit_test(collections_and_loops),
		cmocka_unit_test(templates),
		cmocka_unit_test(unknown_references_stay_as_written),
		cmocka_unit_test(functions_on_numbers_lists_and_maps),
		cmocka_unit_test(functions_on_text),
		cmocka_unit_test(functions_that_encode_and_digest),
		cmocka_unit_test(functions_on_times_and_addresses),
		cmocka_unit_test(syntax_errors_say_where),
		cmocka_unit_test(what_is_too_deep_or_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
