/* Datasets of pots and their snapshots. */
#include "cli/pot_cli.h"
#include "cli/table.h"
#include "pot/datasets.h"

#include <string.h>

#define GROUP "Files and snapshots"

/* -p or -f, one of them. */
static int
one_of_both(struct pot_call *c)
{
	if ((given_pot(c) != NULL) == given(c, 'f'))
		return fail_usage(c, "exactly one of -p and -f is needed");
	return 0;
}

static int
run_snapshot(struct pot_call *c)
{
	struct err e;

	if (one_of_both(c) != 0)
		return 1;
	int rc = given(c, 'f') ? pot_fscomp_snapshot(c->env, given_one(c, 'f'), given(c, 'r'), &e)
			       : pot_snapshot(c->env, given_pot(c), given(c, 'r'), &e);
	return rc < 0 ? fail(c, &e) : 0;
}

static const struct pot_option snapshot_options[] = {
	{ 'p', "pot", COMPLETE_POT, 0, "the pot; it must not run" },
	{ 'f', "fscomp", COMPLETE_FSCOMP, 0, "a file system component" },
	{ 'r', NULL, 0, 0, "in place of the oldest one" },
	{ 0 },
};
const struct pot_command pot_cmd_snapshot = { "snapshot", "snap", "take a snapshot of a pot",
	COMMAND_ROOT | COMMAND_NAME, snapshot_options, NULL, run_snapshot, GROUP };

static int
run_revert(struct pot_call *c)
{
	struct err e;

	if (one_of_both(c) != 0)
		return 1;
	int rc = given(c, 'f') ? pot_fscomp_revert(c->env, given_one(c, 'f'), &e)
			       : pot_revert(c->env, given_pot(c), &e);
	return rc < 0 ? fail(c, &e) : 0;
}

static const struct pot_option revert_options[] = {
	{ 'p', "pot", COMPLETE_POT, 0, "the pot; it must not run" },
	{ 'f', "fscomp", COMPLETE_FSCOMP, 0, "a file system component" },
	DRY_RUN_ROW,
	{ 0 },
};
const struct pot_command pot_cmd_revert = { "revert", "rollback",
	"go back to the newest snapshot, files and configuration", COMMAND_ROOT | COMMAND_NAME,
	revert_options, NULL, run_revert, GROUP };

static int
run_purge(struct pot_call *c)
{
	struct err e;
	size_t gone = 0;
	bool all = given(c, 'a');

	if (one_of_both(c) != 0)
		return 1;
	int rc = given(c, 'f')
		     ? pot_fscomp_purge_snapshots(c->env, given_one(c, 'f'), all, &gone, &e)
		     : pot_purge_snapshots(c->env, given_pot(c), all, &gone, &e);
	if (rc < 0)
		return fail(c, &e);
	if (!c->env->dry_run)
		say_debug(c, "%zu snapshots removed", gone);
	return 0;
}

static const struct pot_option purge_options[] = {
	{ 'p', "pot", COMPLETE_POT, 0, "the pot" },
	{ 'f', "fscomp", COMPLETE_FSCOMP, 0, "a file system component" },
	{ 'a', NULL, 0, 0, "the newest one as well" },
	DRY_RUN_ROW,
	{ 0 },
};
const struct pot_command pot_cmd_purge = { "purge-snapshots", NULL,
	"remove all snapshots but the newest", COMMAND_ROOT | COMMAND_NAME, purge_options, NULL,
	run_purge, GROUP };

/* ---- datasets ---- */

static const char *
or_dash(const char *text)
{
	return text != NULL && *text != '\0' ? text : "-";
}

static int
datasets_json(struct pot_call *c, const struct pot_dataset *rows, size_t n)
{
	struct jsonw w = json_begin(c);

	jsonw_array(&w);
	for (size_t i = 0; i < n; i++) {
		jsonw_object(&w);
		jsonw_kstr(&w, "name", rows[i].name);
		jsonw_kuint(&w, "used_bytes", rows[i].used_bytes);
		jsonw_kuint(&w, "available_bytes", rows[i].available_bytes);
		jsonw_kuint(&w, "referenced_bytes", rows[i].refer_bytes);
		jsonw_kstr(&w, "origin", rows[i].origin);
		jsonw_kstr(&w, "mountpoint", rows[i].mountpoint);
		json_strs(&w, "snapshots", &rows[i].snapshots);
		jsonw_end_object(&w);
	}
	jsonw_end_array(&w);
	return json_done(c);
}

/* The columns of `zfs list`; -c adds where clones come from. */
static void
datasets_table(struct pot_call *c, const struct pot_dataset *rows, size_t n)
{
	bool origin = given(c, 'c');
	autotable struct table t = TABLE_INIT(origin ? 6 : 5);
	char used[SIZE_TEXT], available[SIZE_TEXT], refer[SIZE_TEXT];

	table_row(
	    &t, "NAME", "USED", "AVAIL", "REFER", "MOUNTPOINT", origin ? "ORIGIN" : NULL, NULL);
	for (size_t i = 0; i < n; i++) {
		table_row(&t, rows[i].name, size_text(rows[i].used_bytes, used),
		    size_text(rows[i].available_bytes, available),
		    size_text(rows[i].refer_bytes, refer), rows[i].mountpoint,
		    origin ? or_dash(rows[i].origin) : NULL, NULL);
		for (size_t s = 0; given(c, 's') && s < rows[i].snapshots.n; s++) {
			table_cellf(&t, "%s@%s", rows[i].name, rows[i].snapshots.at[s]);
			for (size_t k = 1; k < t.columns; k++)
				table_cell(&t, "-");
		}
	}
	table_print(&t);
}

static void
datasets_names(struct pot_call *c, const struct pot_dataset *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		puts(rows[i].name);
		for (size_t s = 0; given(c, 's') && s < rows[i].snapshots.n; s++)
			printf("%s@%s\n", rows[i].name, rows[i].snapshots.at[s]);
	}
}

static int
run_datasets(struct pot_call *c)
{
	struct pot_dataset *rows;
	struct err e;
	size_t n;

	if (pot_datasets(c->env, given_pot(c), &c->mem, &rows, &n, &e) < 0)
		return fail(c, &e);
	if (given(c, 'q'))
		datasets_names(c, rows, n);
	else if (c->json)
		return datasets_json(c, rows, n);
	else
		datasets_table(c, rows, n);
	return 0;
}

static const struct pot_option datasets_options[] = {
	{ 'p', "pot", COMPLETE_POT, 0, "those of one pot; default: all" },
	{ 's', NULL, 0, 0, "with their snapshots" },
	{ 'c', NULL, 0, 0, "and what they are clones of" },
	{ 'q', NULL, 0, 0, "only names" },
	{ 0 },
};
const struct pot_command pot_cmd_datasets = { "datasets", NULL,
	"the datasets of bases, pots and file system components",
	COMMAND_ROOT | COMMAND_JSON | COMMAND_NAME, datasets_options, NULL, run_datasets,
	"Information" };
