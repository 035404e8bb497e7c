/* Files and mounts of a pot. */
#include "cli/pot_cli.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GROUP "Files and snapshots"
#define END                                                                                        \
	{                                                                                          \
		0                                                                                  \
	}

static int
done(struct pot_call *c, int rc, const struct err *e)
{
	return rc < 0 ? fail(c, e) : 0;
}

/* With -v each entry is listed; who copies writes past the buffers of this process. */
static int
listed(const struct pot_call *c)
{
	if (c->verbosity < 2)
		return 0;
	fflush(stdout);
	return STDOUT_FILENO;
}

static int
run_copy_in(struct pot_call *c)
{
	struct pot_copy_in_options opt = { .source = given_one(c, 's'),
		.dest = given_one(c, 'd'),
		.force_running = given(c, 'F'),
		.make_parent = given(c, 'c'),
		.tell = listed(c) };
	struct err e;

	return done(c, pot_copy_in(c->env, given_one(c, 'p'), &opt, &e), &e);
}

static const struct pot_option copy_in_options[] = {
	{ 'p', "pot", COMPLETE_POT, OPTION_MUST, "the pot" },
	{ 's', "source", COMPLETE_FILE, OPTION_MUST, "a file or directory of the host" },
	{ 'd', "destination", 0, OPTION_MUST, "an absolute path in the pot" },
	{ 'F', NULL, 0, 0, "also when it runs" },
	{ 'c', NULL, 0, 0, "make the directory that the destination lies in" },
	END,
};
const struct pot_command pot_cmd_copy_in = { "copy-in", NULL, "copy files into a pot", COMMAND_ROOT,
	copy_in_options, NULL, run_copy_in, GROUP };

static int
run_copy_out(struct pot_call *c)
{
	struct pot_copy_out_options opt = { .source = given_one(c, 's'),
		.dest = given_one(c, 'd'),
		.force_running = given(c, 'F'),
		.tell = listed(c) };
	struct err e;

	return done(c, pot_copy_out(c->env, given_one(c, 'p'), &opt, &e), &e);
}

static const struct pot_option copy_out_options[] = {
	{ 'p', "pot", COMPLETE_POT, OPTION_MUST, "the pot" },
	{ 's', "source", 0, OPTION_MUST, "an absolute path in the pot" },
	{ 'd', "destination", COMPLETE_DIR, OPTION_MUST, "a directory of the host" },
	{ 'F', NULL, 0, 0, "also when it runs" },
	END,
};
const struct pot_command pot_cmd_copy_out = { "copy-out", NULL, "copy files out of a pot",
	COMMAND_ROOT, copy_out_options, NULL, run_copy_out, GROUP };

static int
run_mount_in(struct pot_call *c)
{
	struct pot_mount_in_options opt = { .fscomp = given_one(c, 'f'),
		.dir = given_one(c, 'd'),
		.dataset = given_one(c, 'z'),
		.target = given_one(c, 'm'),
		.read_only = given(c, 'r'),
		.remount = given(c, 'w') && !given(c, 'r') };
	struct err e;

	if (given(c, 'f') + given(c, 'd') + given(c, 'z') != 1)
		return fail_usage(c, "exactly one of -f, -d and -z is needed");
	if (given(c, 'w') && given(c, 'r'))
		say_info(c, "-r wins over -w");
	if (given(c, 'd')) {
		char *dir = realpath(given_one(c, 'd'), NULL);

		if (dir == NULL) {
			err_sys(&e, "directory %s", given_one(c, 'd'));
			return fail(c, &e);
		}
		opt.dir = arena_strdup(&c->mem, dir);
		free(dir);
	}
	return done(c, pot_mount_in(c->env, given_one(c, 'p'), &opt, &e), &e);
}

static const struct pot_option mount_in_options[] = {
	{ 'p', "pot", COMPLETE_POT, OPTION_MUST, "the pot" },
	{ 'm', "mountpoint", 0, OPTION_MUST, "an absolute path in the pot" },
	{ 'd', "directory", COMPLETE_DIR, 0, "a directory of the host" },
	{ 'f', "fscomp", COMPLETE_FSCOMP, 0, "a file system component" },
	{ 'z', "dataset", 0, 0, "a dataset" },
	{ 'r', NULL, 0, 0, "read-only" },
	{ 'w', NULL, 0, 0,
	    "note that the dataset itself is remounted (-f, -z); it is private to the pot here "
	    "anyway" },
	END,
};
const struct pot_command pot_cmd_mount_in = { "mount-in", NULL,
	"mount a directory or a component in a pot, now and at each start", COMMAND_ROOT,
	mount_in_options, NULL, run_mount_in, GROUP };

static int
run_mount_out(struct pot_call *c)
{
	struct err e;

	return done(c, pot_mount_out(c->env, given_one(c, 'p'), given_one(c, 'm'), &e), &e);
}

static const struct pot_option mount_out_options[] = {
	{ 'p', "pot", COMPLETE_POT, OPTION_MUST, "the pot" },
	{ 'm', "mountpoint", 0, OPTION_MUST, "where it is mounted" },
	END,
};
const struct pot_command pot_cmd_mount_out = { "mount-out", "umount", "take back what mount-in did",
	COMMAND_ROOT, mount_out_options, NULL, run_mount_out, GROUP };
