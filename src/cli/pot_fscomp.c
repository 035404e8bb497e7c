/* File system components. */
#include "cli/pot_cli.h"

#define GROUP "Files and snapshots"
#define END                                                                                        \
	{                                                                                          \
		0                                                                                  \
	}

static int
run_create_fscomp(struct pot_call *c)
{
	const char *name = given_one(c, 'f');
	struct err e;
	int rc = pot_fscomp_create(c->env, name, &e);

	if (rc < 0)
		return fail(c, &e);
	if (rc > 0)
		say_info(c, "fscomp %s exists already", name);
	return 0;
}

static const struct pot_option create_fscomp_options[] = {
	{ 'f', "fscomp", 0, OPTION_MUST, "its name" },
	END,
};
const struct pot_command pot_cmd_create_fscomp = { "create-fscomp", NULL,
	"make a file system component, a dataset for any number of pots", COMMAND_ROOT,
	create_fscomp_options, NULL, run_create_fscomp, GROUP };

static int
run_clone_fscomp(struct pot_call *c)
{
	struct err e;

	return pot_fscomp_clone(c->env, given_one(c, 'F'), given_one(c, 'f'), &e) < 0 ? fail(c, &e)
										      : 0;
}

static const struct pot_option clone_fscomp_options[] = {
	{ 'f', "fscomp", 0, OPTION_MUST, "the new component's name" },
	{ 'F', "fscomp", COMPLETE_FSCOMP, OPTION_MUST, "the component to clone" },
	END,
};
const struct pot_command pot_cmd_clone_fscomp = { "clone-fscomp", NULL,
	"make a component from the newest snapshot of another", COMMAND_ROOT, clone_fscomp_options,
	NULL, run_clone_fscomp, GROUP };
