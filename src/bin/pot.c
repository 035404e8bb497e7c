/* pot: container commands over libpot. */
#include "base/arena.h"
#include "base/str.h"
#include "cli/pot_cli.h"
#include "platform/facts.h"
#include "platform/proc.h"

/*
 * nomad-pot-driver holds a task for alive while `pgrep -f '/bin/sh /usr/local/bin/pot start NAME'`
 * finds one process: that is how the shell script of that name looks while it waits for its pot. A
 * start that waits shows itself the same way.
 */
static void
look_like_a_script(int argc, char **argv)
{
	struct arena mem = ARENA_INIT;
	const char *program = facts_program(&mem);
	const char **words = arena_array(&mem, (size_t)argc + 2, const char *);

	words[0] = "/bin/sh";
	words[1] = program != NULL ? program : argv[0];
	for (int i = 1; i < argc; i++)
		words[i + 1] = argv[i];
	words[argc + 1] = NULL;
	proc_command_line(words);
	arena_fini(&mem);
}

int
main(int argc, char **argv)
{
	if (argc == 3 && str_eq(argv[1], "start") && argv[2][0] != '-')
		look_like_a_script(argc, argv);
	return pot_cli_main(argc, argv);
}
