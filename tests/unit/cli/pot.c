/* Unit tests of the pot command: options as its users' scripts write them, help, completion. */
#include "cli/pot_cli.h"
#include "cli/table.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h> /* last: it takes the name fail() */

/* Runs pot with these words; what it printed is in said. */
static char said[1 << 18];

static int
run(const char *const *words, int n)
{
	char *argv[32];
	int pipe_ends[2], saved = dup(STDOUT_FILENO);

	for (int i = 0; i < n; i++)
		argv[i] = (char *)(uintptr_t)words[i]; /* getopt() looks back at the last call's */
	argv[n] = NULL;
	fflush(stdout);
	FILE *file = tmpfile();
	assert_non_null(file);
	pipe_ends[0] = fileno(file);
	dup2(pipe_ends[0], STDOUT_FILENO);
	int rc = pot_cli_main(n, argv);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	rewind(file);
	said[fread(said, 1, sizeof(said) - 1, file)] = '\0';
	fclose(file);
	return rc;
}

#define POT(...)                                                                                   \
	run((const char *const[]){ "pot", __VA_ARGS__ },                                           \
	    (int)NELEM(((const char *const[]){ "pot", __VA_ARGS__ })))

static void
says(const char *text)
{
	if (strstr(said, text) == NULL)
		fail_msg("\"%s\" is not in:\n%s", text, said);
}

static void
the_version_needs_nothing(void **state)
{
	(void)state;
	assert_int_equal(POT("version"), 0);
	assert_string_equal(said, "pot version: 0.16.0\n");
	assert_int_equal(POT("version", "-q"), 0);
	assert_string_equal(said, "0.16.0\n");
	assert_int_equal(POT("version", "-qv"), 0);
	says("0.16.0\n");
}

static void
no_command_and_unknown_ones_show_the_usage(void **state)
{
	(void)state;
	assert_int_equal(run((const char *const[]){ "pot" }, 1), 1);
	says("usage: pot command");
	assert_int_equal(POT("crate"), 1);
	says("did you mean \"create\"?");
	says("usage: pot command");
	assert_int_equal(POT("help"), 0);
	assert_int_equal(POT("help", "nonsense"), 1);
}

static void
every_command_has_help(void **state)
{
	(void)state;
	for (size_t i = 0; pot_commands[i] != NULL; i++) {
		bool empty = (pot_commands[i]->flags & COMMAND_EMPTY) != 0;

		assert_int_equal(POT("help", pot_commands[i]->name), empty ? 1 : 0);
		says(pot_commands[i]->name);
		assert_ptr_equal(pot_command_named(pot_commands[i]->name), pot_commands[i]);
	}
	assert_int_equal(POT("create", "-h"), 0);
	says("-b base");
}

static void
aliases_lead_to_the_same_command(void **state)
{
	static const char *const pairs[][2] = { { "ls", "list" }, { "rollback", "revert" },
		{ "snap", "snapshot" }, { "set-attr", "set-attribute" },
		{ "get-attr", "get-attribute" }, { "vnet-init", "vnet-start" } };

	(void)state;
	for (size_t i = 0; i < NELEM(pairs); i++) {
		assert_non_null(pot_command_named(pairs[i][0]));
		assert_string_equal(pot_command_named(pairs[i][0])->name, pairs[i][1]);
	}
	assert_null(pot_command_named("l"));
	assert_null(pot_command_named(""));
}

static void
a_verb_that_pot_names_without_having_it_says_so(void **state)
{
	(void)state;
	assert_int_equal(POT("promote"), 1);
	says("###>  promote: pot 0.16 knows the word and does nothing for it either");
}

static void
wrong_options_show_the_help_on_standard_output(void **state)
{
	(void)state;
	assert_int_equal(POT("create", "-p", "web", "-Z"), 1);
	says("###>  create: option -Z is unknown");
	says("pot create -p pot");
	assert_int_equal(POT("create", "-p"), 1);
	says("option -p needs an argument");
	assert_int_equal(POT("rename", "-p", "web"), 1);
	says("option -n is mandatory");
	assert_int_equal(POT("destroy", "a", "b"), 1);
	says("too many arguments");
	assert_int_equal(POT("start", "--json"), 1);
	says("\"kind\": \"input\"");
}

static void
completion_is_written_for_three_shells(void **state)
{
	(void)state;
	assert_int_equal(POT("completion", "bash"), 0);
	says("complete -F _pot pot");
	assert_int_equal(POT("completion", "zsh"), 0);
	says("#compdef pot");
	assert_int_equal(POT("completion", "fish"), 0);
	says("complete -c pot");
	assert_int_equal(POT("completion", "tcsh"), 1);
	says("only bash, zsh and fish");
}

static void
tables_line_up(void **state)
{
	autotable struct table t = TABLE_INIT(3);
	autobuf struct buf b = BUF_INIT;
	char text[SIZE_TEXT];

	(void)state;
	table_row(&t, "ID", "Näme", "Path", NULL);
	table_row(&t, "12345", "x", NULL);
	table_row(&t, "1", "much longer", "/p", NULL);
	table_text(&t, &b);
	assert_string_equal(
	    buf_str(&b), "ID     Näme         Path\n12345  x\n1      much longer  /p\n");
	assert_string_equal(size_text(0, text), "0B");
	assert_string_equal(size_text(999, text), "999B");
	assert_string_equal(size_text(1536, text), "1.50K");
	assert_string_equal(size_text(123ULL << 20, text), "123M");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_version_needs_nothing),
		cmocka_unit_test(no_command_and_unknown_ones_show_the_usage),
		cmocka_unit_test(every_command_has_help),
		cmocka_unit_test(aliases_lead_to_the_same_command),
		cmocka_unit_test(a_verb_that_pot_names_without_having_it_says_so),
		cmocka_unit_test(wrong_options_show_the_help_on_standard_output),
		cmocka_unit_test(completion_is_written_for_three_shells),
		cmocka_unit_test(tables_line_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
