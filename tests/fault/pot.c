/*
 * Every call that libpot makes to its machine is refused once, the process is ended before it once
 * and after it once, and the power is cut after it once: for each way in which pots come and go.
 * Afterwards things are whole or gone, and nothing is left.
 */
#include "world.h"

#include "pot/export.h"
#include "pot/import.h"
#include "pot/run.h"
#include "pot/tree.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIP = 77, POINTS_MAX = 500 };

/* ---- what is done ---- */

static int
do_create(void)
{
	return make_pot("new");
}

static int
do_copy(void)
{
	struct pot_create_options o = { .name = "new", .potbase = "src" };

	return pot_create(env, &o, &e);
}

static int
do_clone(void)
{
	struct pot_clone_options o = { .name = "new", .source = "src" };

	return pot_clone(env, &o, &e);
}

static int
given_out(struct host *h, int fd, struct err *err)
{
	(void)h;
	(void)fd;
	if (fake_call(fake, "dataset.give_out", err) < 0)
		return -1;
	fake_done(fake);
	return 0;
}

/* As on a file system that keeps the order of things. */
static int
do_clone_in_order(void)
{
	static struct dataset_ops ordered;

	ordered = *host.dataset;
	ordered.give_out = given_out;
	host.dataset = &ordered;
	return do_clone();
}

static int
do_prepare(void)
{
	static const char *const ports[] = { "80", NULL };
	struct pot_prepare_options o = {
		.name = "new", .image = "src", .tag = "1", .alloc = "a", .ports = ports
	};
	struct pot_clone_options image = { .name = "src_1", .source = "src" };
	char name[POT_NAME_MAX + 1];

	if (pot_clone(env, &image, &e) < 0 || pot_snapshot(env, "src_1", false, &e) < 0)
		return -1;
	return pot_prepare(env, &o, name, &e);
}

static int
do_receive(void)
{
	static const char text[] =
	    "pot.type=single\npot.level=0\nnetwork_type=public-bridge\nip=10.0.0.9\n";
	struct pot_receive r;
	char path[PATH_SIZE];

	if (pot_receive_begin(env, "new", NULL, NULL, &r, &e) < 0)
		return -1;
	FILE *f = fopen(path_at(path, "%s/pot.conf", r.conf_dir), "we");
	if (f == NULL)
		abort();
	fputs(text, f);
	fclose(f);
	return pot_receive_commit(env, &r, NULL, &e);
}

/* An image "top" upon another, "low", by ops that know both. */
static int
look_at_image(void *ctx, const char *pot, const char *tag, bool streams, struct arena *mem,
    struct pot_image *out, struct err *err)
{
	(void)streams;
	(void)ctx;
	(void)tag;
	(void)mem;
	(void)err;
	if (strcmp(pot, "low") == 0) {
		strcpy(out->snapshot, "17");
		return 0;
	}
	strcpy(out->snapshot, "18");
	strcpy(out->below, "low");
	strcpy(out->below_tag, "1");
	strcpy(out->below_snapshot, "17");
	return 0;
}

static int
fill_image(void *ctx, const char *pot, const char *tag, const struct pot_image *image,
    const char *conf_dir, const char *root_dir, bool layer, struct err *err)
{
	char path[PATH_SIZE];

	(void)ctx;
	(void)pot;
	(void)tag;
	(void)image;
	(void)root_dir;
	(void)layer;
	FILE *f = fopen(path_at(path, "%s/pot.conf", conf_dir), "we");
	if (f == NULL)
		return err_sys(err, "make %s", path);
	fputs("pot.type=single\npot.level=0\nnetwork_type=public-bridge\n", f);
	fclose(f);
	return 0;
}

static int
do_import(void)
{
	static const struct pot_import_ops ops = { .look = look_at_image, .fill = fill_image };

	return pot_import(env, "top", "1", &ops, NULL, &e);
}

static int
pack_nothing(const struct pot_exported *x, void *ctx, struct err *err)
{
	(void)x;
	(void)ctx;
	(void)err;
	return 0;
}

static int
do_export(void)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_export_options o = { .name = "src", .tag = "2", .now = true };
	const char *tag;

	return pot_export(env, &o, pack_nothing, NULL, &mem, &tag, &e);
}

static int
do_base(void)
{
	return make_base("new");
}

static int
do_start(void)
{
	return start("src", true);
}

/* Its start-up command is waited for. */
static int
do_start_ready(void)
{
	static const char *const argv[] = { "/bin/sh", "/etc/rc", NULL };
	struct pot_start_options o = {
		.detach = true, .stdio = POT_STDIO_NULL, .argv = argv, .ready_ms = 1000
	};
	struct pot_exit x;

	return pot_start(env, "src", &o, &x, &e);
}

static int
do_run(void)
{
	return start("src", false);
}

static int
do_start_stop(void)
{
	return start("src", true) < 0 || pot_stop(env, "src", NULL, &e) < 0 ||
		       start("src", true) < 0
		   ? -1
		   : 0;
}

static int
do_stop(void)
{
	return pot_stop(env, "src", NULL, &e);
}

static int
do_destroy(void)
{
	struct pot_destroy_options o = { .force = true };

	return pot_destroy(env, "src", &o, &e);
}

static int
do_destroy_base(void)
{
	return pot_destroy_base(env, "b", NULL, &e);
}

static int
do_prune(void)
{
	struct pot_prune_options o = { .grace = false };
	autoarena struct arena mem = ARENA_INIT;
	struct pot_strs gone;

	return pot_prune(env, &o, &mem, &gone, &e);
}

static int
do_snapshot(void)
{
	return pot_snapshot(env, "src", true, &e);
}

static int
do_revert(void)
{
	return pot_revert(env, "src", &e);
}

static int
make_multi(const char *name, const char *potbase, unsigned level)
{
	struct pot_create_options o = {
		.name = name, .type = "multi", .base = "b", .potbase = potbase, .level = &level
	};

	return pot_create(env, &o, &e);
}

static int
do_multi(void)
{
	return make_multi("new", NULL, 1);
}

static int
do_flavour(void)
{
	char path[PATH_SIZE];
	const char *const flavours[] = { path, NULL };
	struct pot_create_options o = { .name = "new", .base = "b", .flavours = flavours };
	static const char text[] = "set-env -E A=1\nexport-ports -e 80\nset-cmd -c serve\n"
				   "set-attribute -A persistent -V NO\nadd-dep -P src\n";

	FILE *f = fopen(path_at(path, "%s/recipe", dir), "we");
	if (f == NULL)
		abort();
	fputs(text, f);
	fclose(f);
	return pot_create(env, &o, &e);
}

static int
do_clone_multi(void)
{
	struct pot_clone_options o = { .name = "new", .source = "shared" };

	return pot_clone(env, &o, &e);
}

static int
do_rename(void)
{
	return pot_rename(env, "src", "other", &e);
}

static int
do_rename_multi(void)
{
	return pot_rename(env, "shared", "other", &e);
}

static int
do_fscomp(void)
{
	return pot_fscomp_create(env, "one", &e) < 0 ||
		       pot_fscomp_snapshot(env, "one", false, &e) < 0 ||
		       pot_fscomp_clone(env, "one", "two", &e) < 0 ||
		       pot_fscomp_destroy(env, "one", false, &e) < 0 ||
		       pot_fscomp_destroy(env, "two", false, &e) < 0
		   ? -1
		   : 0;
}

static int
do_destroy_users(void)
{
	struct pot_destroy_options o = { .recursive = true };

	return pot_destroy_base(env, "b", &o, &e);
}

static void
is_shared(void)
{
	MUST(make_multi("shared", NULL, 1));
	MUST(pot_snapshot(env, "shared", false, &e));
	MUST(make_multi("above", "shared", 2));
	MUST(pot_add_dep(env, "above", "shared", &e));
}

static void
is_needed(void)
{
	MUST(make_pot("user"));
	MUST(pot_add_dep(env, "user", "src", &e));
}

static int
do_purge(void)
{
	return pot_snapshot(env, "src", false, &e) < 0
		   ? -1
		   : pot_purge_snapshots(env, "src", true, NULL, &e);
}

static int
do_vnet(void)
{
	return pot_vnet_start(env, &e) < 0 || pot_vnet_stop(env, &e) < 0 ? -1 : 0;
}

static int
do_bridge(void)
{
	return pot_bridge_create(env, "br", 5, &e) < 0 ||
		       pot_vnet_start_private(env, "br", &e) < 0 ||
		       pot_bridge_destroy(env, "br", &e) < 0
		   ? -1
		   : 0;
}

static int
do_start_private(void)
{
	return start("private", true);
}

static int
do_start_alias(void)
{
	return start("alias", true) < 0 || pot_stop(env, "alias", NULL, &e) < 0 ||
		       start("alias", true) < 0
		   ? -1
		   : 0;
}

static int
do_init(void)
{
	return pot_init(env, NULL, &e);
}

static int
do_doctor(void)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_finding *f;
	size_t n;

	return pot_doctor(env, true, &mem, &f, &n, &e);
}

static char *
script(const char *name, const char *text)
{
	char *path = arena_printf(&conf_mem, "%s/%s", dir, name);
	FILE *f = fopen(path, "we");

	if (f == NULL || fputs(text, f) == EOF || fchmod(fileno(f), 0755) < 0 || fclose(f) != 0)
		abort();
	return path;
}

static int
do_set_hooks(void)
{
	const char *hook = script("hook", "#!/bin/sh\nexit 0\n");

	return pot_set_hooks(env, "src", (const char *[POT_HOOKS]){ hook, hook, hook, hook }, &e);
}

static void
has_hooks(void)
{
	MUST(do_set_hooks());
}

/* The last one fails, which is told, and must leave nothing. */
static void
has_failing_hook(void)
{
	const char *files[POT_HOOKS] = { [POT_HOOK_POSTSTOP] =
					     script("failing", "#!/bin/sh\nexit 3\n") };

	MUST(pot_set_hooks(env, "src", files, &e));
}

/* As versions before 0.15 wrote it. */
static void
is_of_old(void)
{
	static const char old[] = "ip4=inherit\npot.export.static.ports=80\npot.rss.cpuset=0\n";
	char path[PATH_SIZE];
	FILE *f = fopen(path_at(path, "%s/jails/src/conf/pot.conf", fake->fs_root), "ae");

	if (f == NULL || fputs(old, f) == EOF || fclose(f) != 0)
		abort();
}

static int
do_update(void)
{
	bool changed;

	return pot_update_config(env, "src", &changed, &e);
}

static void
is_for_boot(void)
{
	MUST(make_pot("needed"));
	MUST(pot_set_cmd(env, "needed", "serve", NULL, &e));
	MUST(pot_add_dep(env, "src", "needed", &e));
	MUST(pot_set_attr(env, "src", "start-at-boot", "YES", &e));
}

static int
do_boot(void)
{
	const struct pot_boot_options o = { .jobs = 1 };

	return pot_boot_start(env, &o, &e) == 0 ? 0 : -1;
}

static int
do_boot_and_shutdown(void)
{
	const struct pot_boot_options o = { .jobs = 1, .all = true };

	return do_boot() == 0 && pot_boot_stop(env, &o, &e) == 0 ? 0 : -1;
}

/* Somebody emptied the packet filter while a pot with ports runs. */
static void
has_lost_table(void)
{
	MUST(start("src", true));
	fake->table = false;
	fake->ports_n = 0;
}

static void
has_private_pot(void)
{
	struct pot_create_options o = {
		.name = "private", .base = "b", .net = { .net = "private-bridge", .bridge = "br" }
	};

	MUST(pot_bridge_create(env, "br", 5, &e));
	MUST(pot_create(env, &o, &e));
}

static void
has_alias_pot(void)
{
	static const char *const ip[] = { "192.0.2.9", "ext0|2001:db8::9", NULL };
	struct pot_create_options o = {
		.name = "alias", .base = "b", .net = { .net = "alias", .stack = "dual", .ip = ip }
	};

	MUST(pot_create(env, &o, &e));
}

static void
is_running(void)
{
	MUST(start("src", true));
}

static void
has_run(void)
{
	MUST(start("src", false));
}

/* Its keeper and it were killed: residue for the doctor. */
static void
has_died(void)
{
	MUST(start("src", true));
	first_keeper_ends();
}

/* All or nothing: a refused one leaves nothing even before anybody looks. What was interrupted is
 * asked for again before all must work. A start whose command ran has not failed, whatever becomes
 * of clearing up after it. */
enum { WHOLE = 1, AGAIN = 2, RAN = 4 };

static const struct deed {
	const char *name;
	int (*act)(void);
	void (*before)(void);
	unsigned flags;
} deeds[] = {
	{ "create from a base", do_create, NULL, WHOLE },
	{ "create from a pot", do_copy, NULL, WHOLE },
	{ "clone", do_clone, NULL, WHOLE },
	{ "clone, order kept", do_clone_in_order, NULL, WHOLE },
	{ "prepare", do_prepare, NULL, 0 },
	{ "receive an image", do_receive, NULL, WHOLE },
	{ "import an image and the one below", do_import, NULL, 0 },
	{ "export", do_export, NULL, 0 },
	{ "make a base", do_base, NULL, WHOLE },
	{ "start", do_start, NULL, WHOLE },
	{ "start what ends at once", do_start, commands_end_at_once, RAN },
	{ "start until it is ready", do_start_ready, NULL, RAN },
	{ "start and wait", do_run, NULL, 0 },
	{ "start, stop, start", do_start_stop, NULL, 0 },
	{ "start what has died", do_start, has_died, 0 },
	{ "start on a private bridge", do_start_private, has_private_pot, WHOLE },
	{ "start, stop, start an alias", do_start_alias, has_alias_pot, 0 },
	{ "private bridge", do_bridge, NULL, 0 },
	{ "stop", do_stop, is_running, 0 },
	{ "set hooks", do_set_hooks, NULL, 0 },
	{ "start, stop, start with hooks", do_start_stop, has_hooks, 0 },
	{ "a hook that fails", do_start_stop, has_failing_hook, 0 },
	{ "update-config", do_update, is_of_old, AGAIN },
	{ "boot", do_boot, is_for_boot, 0 },
	{ "boot and shutdown", do_boot_and_shutdown, is_for_boot, 0 },
	{ "destroy", do_destroy, NULL, 0 },
	{ "destroy while it runs", do_destroy, is_running, 0 },
	{ "destroy a base", do_destroy_base, NULL, 0 },
	{ "prune", do_prune, has_run, 0 },
	{ "snapshot", do_snapshot, NULL, 0 },
	{ "revert", do_revert, NULL, 0 },
	{ "purge snapshots", do_purge, NULL, 0 },
	{ "create a multi pot", do_multi, NULL, WHOLE },
	{ "create with a flavour", do_flavour, NULL, WHOLE },
	{ "clone a multi pot", do_clone_multi, is_shared, WHOLE },
	{ "rename", do_rename, is_needed, 0 },
	{ "rename a shared pot", do_rename_multi, is_shared, 0 },
	{ "components", do_fscomp, NULL, 0 },
	{ "destroy a base and its pots", do_destroy_users, is_shared, 0 },
	{ "network up and down", do_vnet, NULL, 0 },
	{ "init again", do_init, NULL, 0 },
	{ "doctor", do_doctor, has_died, 0 },
	{ "doctor, rules lost", do_doctor, has_lost_table, 0 },
};

/* ---- afterwards ---- */

struct trial {
	const struct deed *deed;
	enum fake_mode mode;
	bool power;
	int n;
};

static const char *const mode_names[] = { "nothing", "refused", "crash before", "crash after" };
static unsigned failures;

static void
complain(const struct trial *t, const char *what, const char *more)
{
	fprintf(stderr, "%s, call %d (%s) %s%s: %s %s\n", t->deed->name, t->n, fake->where,
	    mode_names[t->mode], t->power ? " with a power cut" : "", what, more);
	failures++;
}

static size_t
entries(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	size_t n = 0;

	while (d != NULL && (entry = readdir(d)) != NULL)
		n += entry->d_name[0] != '.';
	if (d != NULL)
		closedir(d);
	return n;
}

static bool
no_intents(void)
{
	char path[PATH_SIZE];

	return entries(path_at(path, "%s/.intents", fake->fs_root)) == 0;
}

/* Who is there is whole: it can be read, its files are there, it starts and stops. */
static void
all_work(const struct trial *t)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_strs names;

	MUST(pot_names(env, POT_KIND_POT, &mem, &names, &e));
	for (size_t i = 0; i < names.n; i++) {
		struct pot_tree tree;
		struct pot_spec *spec;
		if (pot_spec_load(env, names.at[i], &mem, &spec, &e) < 0 ||
		    tree_of(env, spec, &mem, &tree, &e) < 0 || start(names.at[i], true) < 0 ||
		    pot_stop(env, names.at[i], NULL, &e) < 0)
			complain(t, "a pot does not work:", e.text);
		for (size_t k = 0; k < spec->depend.n; k++)
			if (!list_has(&names, spec->depend.at[k]))
				complain(t, "a pot depends on nobody:", spec->depend.at[k]);
	}
}

static void
all_go(const struct trial *t)
{
	autoarena struct arena mem = ARENA_INIT;
	autobuf struct buf left = BUF_INIT;
	struct pot_destroy_options force = { .force = true, .recursive = true };
	struct pot_strs names;
	char path[PATH_SIZE];

	MUST(pot_names(env, POT_KIND_POT, &mem, &names, &e));
	for (size_t i = 0; i < names.n; i++)
		if (pot_destroy(env, names.at[i], &force, &e) < 0 && e.kind != ERR_ABSENT)
			complain(t, "a pot cannot be destroyed:", e.text);
	MUST(pot_names(env, POT_KIND_BASE, &mem, &names, &e));
	for (size_t i = 0; i < names.n; i++)
		if (pot_destroy_base(env, names.at[i], &force, &e) < 0)
			complain(t, "a base cannot be destroyed:", e.text);
	if (fake_leftovers(fake, &left) > 0)
		complain(t, "left behind:", buf_str(&left));
	if (entries(path_at(path, "%s/runs", fake->run_dir)) > 0 || !no_intents() ||
	    entries(path_at(path, "%s/jails", fake->fs_root)) > 0)
		complain(t, "files are left", "");
	if (pot_deinit(env, false, NULL, &e) < 0)
		complain(t, "de-init:", e.text);
	if (fake->bridges_n > 0 || fake->table)
		complain(t, "the network is left", "");
}

static void
recover(const struct trial *t)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_finding *f;
	size_t n;

	MUST(pot_doctor(env, true, &mem, &f, &n, &e));
	for (size_t i = 0; i < n; i++)
		if (!f[i].mended)
			complain(t, f[i].what, f[i].error != NULL ? f[i].error : f[i].why);
	MUST(pot_doctor(env, true, &mem, &f, &n, &e));
	if (n > 0)
		complain(t, "the doctor was not through:", f[0].what);
}

/* What a refusal leaves before anybody mends. */
static void
check_refused(const struct trial *t, int rc)
{
	autobuf struct buf left = BUF_INIT;
	char path[PATH_SIZE];

	if (rc == 0 || (t->deed->flags & WHOLE) == 0)
		return;
	if (!no_intents() || access(path_at(path, "%s/jails/new", fake->fs_root), F_OK) == 0 ||
	    access(path_at(path, "%s/bases/new", fake->fs_root), F_OK) == 0 ||
	    fake_leftovers(fake, &left) > 0)
		complain(t, "refused, and something is left:", buf_str(&left));
}

/* True: the call was hit. */
static bool
run_trial(const struct trial *t)
{
	int status, rc;

	world_new();
	if (t->deed->before != NULL)
		t->deed->before();
	fake_arm(fake, t->mode, t->n);
	pid_t pid = fork();
	if (pid == 0)
		_exit(t->deed->act() < 0);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		abort();
	fake_disarm(fake);
	bool fired = fake->fired;
	rc = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	if (rc != 0 && rc != 1 && rc != FAKE_CRASHED)
		complain(t, "the process broke", "");
	if (!fired && rc != 0)
		complain(t, "fails without a fault", "");
	if (t->mode == FAKE_REFUSE && fired)
		check_refused(t, rc);
	if ((t->deed->flags & RAN) != 0 && rc == 1 && end_was_told())
		complain(t, "its command ran, and the start failed", "");
	keepers_notice();
	if (t->power && fired)
		fake_power_cut(fake);
	recover(t);
	if ((t->deed->flags & AGAIN) != 0 && t->deed->act() < 0)
		complain(t, "cannot be done again:", e.text);
	all_work(t);
	all_go(t);
	world_free();
	return fired;
}

static int
sweep(const struct deed *deed)
{
	static const struct {
		enum fake_mode mode;
		bool power;
	} ways[] = { { FAKE_REFUSE, false }, { FAKE_CRASH_BEFORE, false },
		{ FAKE_CRASH_AFTER, false }, { FAKE_CRASH_AFTER, true } };
	int points = 0;

	for (size_t i = 0; i < NELEM(ways); i++) {
		struct trial t = { .deed = deed, .mode = ways[i].mode, .power = ways[i].power };
		while (run_trial(&t) && ++t.n < POINTS_MAX)
			;
		points += t.n;
	}
	printf("%-24s %4d faults\n", deed->name, points);
	return points;
}

int
main(int argc, char **argv)
{
	int points = 0;

	if (geteuid() != 0) {
		printf("needs root: it owns files as root does\n");
		return SKIP;
	}
	setbuf(stdout, NULL);
	if (world_begin() < 0)
		return 1;
	for (size_t i = 0; i < NELEM(deeds); i++)
		if (argc < 2 || strstr(deeds[i].name, argv[1]) != NULL)
			points += sweep(&deeds[i]);
	printf("%d faults, %u failures\n", points, failures);
	return failures > 0;
}
