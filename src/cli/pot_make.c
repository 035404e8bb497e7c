/* Pots come and go: create, clone, destroy, prune. */
#include "cli/pot_cli.h"

#include "base/str.h"
#include "cli/pot_release.h"

#define GROUP "Making and removing pots"
#define END                                                                                        \
	{                                                                                          \
		0                                                                                  \
	}

#define NET_ROWS(inherit)                                                                          \
	{ 'N', "network", COMPLETE_NETWORK, 0,                                                     \
		"inherit, public-bridge, alias or private-bridge; default: " inherit },            \
	    { 'i', "address", 0, OPTION_MANY, "an address, or auto; alias: [interface|]address" }, \
	    { 'm', "MAC", 0, 0, "the MAC address of its interface" },                              \
	    { 'B', "bridge", COMPLETE_BRIDGE, 0, "the private bridge" },                           \
	    { 'S', "stack", COMPLETE_STACK, 0, "ipv4, ipv6 or dual" },                             \
	{                                                                                          \
		'd', "dns", COMPLETE_DNS, 0, "inherit, pot, off or custom:FILE"                    \
	}

static struct pot_net_options
net_options(const struct pot_call *c)
{
	return (struct pot_net_options){
		.net = given_one(c, 'N'),
		.stack = given_one(c, 'S'),
		.ip = given_all(c, 'i'),
		.bridge = given_one(c, 'B'),
		.mac = given_one(c, 'm'),
		.dns = given_one(c, 'd'),
	};
}

/* Without -t: as the pot of -P, else pot's own default. */
static const char *
type_wanted(struct pot_call *c)
{
	struct pot_spec *spec;
	struct err ignored;

	if (given(c, 't'))
		return given_one(c, 't');
	if (given(c, 'P') &&
	    pot_spec_load(c->env, given_one(c, 'P'), &c->mem, &spec, &ignored) == 0)
		return pot_type_text(spec->type);
	return "multi";
}

struct release {
	struct pot_call *call;
	char *tarball;
};

static int
unpack_release(void *ctx, const char *dir, struct err *e)
{
	const struct release *r = ctx;
	struct image_tool tool = call_image_tool(r->call);

	return image_unpack(&tool, r->tarball, NULL, dir, e);
}

/* pot makes single pots from releases without a base; a base of that name saves the unpacking. */
static int
from_release(struct pot_call *c, struct pot_create_options *opt, struct release *r, struct err *e)
{
	struct pot_strs bases = { NULL, 0 };

	if (opt->base == NULL || opt->potbase != NULL || !str_eq(opt->type, "single"))
		return 0;
	if (pot_names(c->env, POT_KIND_BASE, &c->mem, &bases, e) < 0)
		return -1;
	for (size_t i = 0; i < bases.n; i++)
		if (str_eq(bases.at[i], opt->base) &&
		    (opt->base_snapshot = pot_base_pristine(c->env, opt->base, &c->mem)) != NULL)
			return 0;
	opt->release = release_name(c, opt->base);
	if (release_tarball(c, opt->release, &r->tarball, e) < 0) {
		opt->release = NULL;
		/* then it has to be a base, and who makes the pot says if there is none */
		return e->kind == ERR_UNSUPPORTED || e->kind == ERR_ABSENT ? 0 : -1;
	}
	opt->fill = unpack_release;
	opt->fill_ctx = r;
	return 0;
}

static int
run_create(struct pot_call *c)
{
	struct release release = { .call = c };
	struct pot_create_options opt = {
		.name = given_one(c, 'p'),
		.type = type_wanted(c),
		.base = given_one(c, 'b'),
		.potbase = given_one(c, 'P'),
		.net = net_options(c),
		.flavours = given_all(c, 'f'),
		.keep = given(c, 'k'),
	};
	unsigned level = 0;
	uint64_t number;
	struct err e;

	if (given(c, 'l')) {
		if (!str_u64(given_one(c, 'l'), 2, &number))
			return fail_usage(c, "-l %s: a level is 0, 1 or 2", given_one(c, 'l'));
		level = (unsigned)number;
		opt.level = &level;
	}
	if (opt.flavours != NULL)
		call_catch_for(c);
	if (from_release(c, &opt, &release, &e) < 0 || pot_create(c->env, &opt, &e) < 0)
		return fail(c, &e);
	return 0;
}

static const struct pot_option create_options[] = {
	{ 'p', "pot", 0, OPTION_MUST, "its name" },
	{ 't', "type", COMPLETE_TYPE, 0,
	    "single: files of its own; multi: a base's, shared (default, or as the pot of -P)" },
	{ 'b', "base", COMPLETE_BASE, 0, "the base that its files come from" },
	{ 'P', "pot", COMPLETE_POT, 0, "the pot that its files come from" },
	NET_ROWS("inherit"),
	{ 'f', "flavour", COMPLETE_FLAVOUR, OPTION_MANY, "a flavour to apply" },
	{ 'l', "level", COMPLETE_LEVEL, 0,
	    "of a multi pot: 0 the base itself, 1 private packages and configuration (default), 2 "
	    "packages of the pot of -P" },
	{ 'k', NULL, 0, 0, "keep what was made when it fails" },
	END,
};
const struct pot_command pot_cmd_create = { "create", NULL, "make a pot from a base or a pot",
	COMMAND_ROOT, create_options, NULL, run_create, GROUP };

static int
run_clone(struct pot_call *c)
{
	struct pot_clone_options opt = {
		.name = given_one(c, 'p'),
		.source = given_one(c, 'P'),
		.snapshot = given_one(c, 's'),
		.take_snapshot = given(c, 'F'),
		.net = net_options(c),
		.flavours = given_all(c, 'f'),
		.keep = given(c, 'k'),
	};
	struct err e;

	if (opt.snapshot != NULL && opt.take_snapshot)
		return fail_usage(c, "-s and -F exclude each other");
	if (opt.flavours != NULL)
		call_catch_for(c);
	return pot_clone(c->env, &opt, &e) < 0 ? fail(c, &e) : 0;
}

static const struct pot_option clone_options[] = {
	{ 'p', "pot", 0, OPTION_MUST, "the new pot's name" },
	{ 'P', "pot", COMPLETE_POT, OPTION_MUST, "the pot to clone" },
	{ 's', "snapshot", 0, 0, "the snapshot to clone; default: the newest" },
	{ 'F', NULL, 0, 0, "take a snapshot when there is none" },
	NET_ROWS("as the source"),
	{ 'f', "flavour", COMPLETE_FLAVOUR, OPTION_MANY, "a flavour to apply" },
	{ 'k', NULL, 0, 0, "keep what was made when it fails" },
	END,
};
const struct pot_command pot_cmd_clone = { "clone", NULL, "make a pot that shares another's files",
	COMMAND_ROOT, clone_options, NULL, run_clone, GROUP };

static int
run_destroy(struct pot_call *c)
{
	struct pot_destroy_options opt = { .force = given(c, 'F'), .recursive = given(c, 'r') };
	const char *name = given_pot(c);
	struct err e;
	int rc;

	if (given(c, 'q'))
		c->verbosity = 0;
	if ((name != NULL) + given(c, 'b') + given(c, 'f') + given(c, 'B') != 1)
		return fail_usage(c, "exactly one of -p, -b, -f and -B is needed");
	if (given(c, 'b'))
		rc = pot_destroy_base(c->env, given_one(c, 'b'), &opt, &e);
	else if (given(c, 'f'))
		rc = pot_fscomp_destroy(c->env, given_one(c, 'f'), opt.force, &e);
	else if (given(c, 'B'))
		rc = pot_bridge_destroy(c->env, given_one(c, 'B'), &e);
	else
		rc = pot_destroy(c->env, name, &opt, &e);
	return rc < 0 ? fail(c, &e) : 0;
}

static const struct pot_option destroy_options[] = {
	{ 'p', "pot", COMPLETE_POT, 0, "the pot" },
	{ 'b', "base", COMPLETE_BASE, 0, "a base" },
	{ 'f', "fscomp", COMPLETE_FSCOMP, 0, "a file system component" },
	{ 'B', "bridge", COMPLETE_BRIDGE, 0, "a private bridge" },
	{ 'F', NULL, 0, 0, "stop it when it runs, accept a corrupted one" },
	{ 'r', NULL, 0, 0, "with what was made from it" },
	{ 'q', NULL, 0, 0, "say errors only" },
	DRY_RUN_ROW,
	END,
};
const struct pot_command pot_cmd_destroy = { "destroy", NULL,
	"remove a pot, a base or a file system component", COMMAND_ROOT | COMMAND_NAME,
	destroy_options, NULL, run_destroy, GROUP };

static int
run_rename(struct pot_call *c)
{
	struct err e;

	return pot_rename(c->env, given_one(c, 'p'), given_one(c, 'n'), &e) < 0 ? fail(c, &e) : 0;
}

static const struct pot_option rename_options[] = {
	{ 'p', "pot", COMPLETE_POT, OPTION_MUST, "the pot; it must not run" },
	{ 'n', "name", 0, OPTION_MUST, "its new name" },
	END,
};
const struct pot_command pot_cmd_rename = { "rename", NULL, "give a pot another name", COMMAND_ROOT,
	rename_options, NULL, run_rename, GROUP };

static int
run_prune(struct pot_call *c)
{
	struct pot_prune_options opt = { .dry_run = given(c, 'n'), .grace = given(c, 'g') };
	struct pot_strs gone = { NULL, 0 };
	struct err e;

	if (given(c, 'q'))
		c->verbosity = 0;
	if (pot_prune(c->env, &opt, &c->mem, &gone, &e) < 0)
		return fail(c, &e);
	if (c->json) {
		struct jsonw w = json_begin(c);

		jsonw_object(&w);
		jsonw_kbool(&w, "dry_run", opt.dry_run);
		json_strs(&w, "pruned", &gone);
		jsonw_end_object(&w);
		return json_done(c);
	}
	for (size_t i = 0; i < gone.n; i++)
		say_info(c, opt.dry_run ? "%s would be pruned" : "%s pruned", gone.at[i]);
	return 0;
}

static const struct pot_option prune_options[] = {
	{ 'n', NULL, 0, 0, "only say which", "dry-run" },
	{ 'g', NULL, 0, 0, "spare pots whose last run ended less than a minute ago" },
	{ 'q', NULL, 0, 0, "say errors only" },
	END,
};
const struct pot_command pot_cmd_prune = { "prune", NULL,
	"remove prunable pots that have run and stopped", COMMAND_ROOT | COMMAND_JSON,
	prune_options, NULL, run_prune, GROUP };
