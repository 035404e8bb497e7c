/* Files of pots come and go: bases, import, export, prepare. */
#include "cli/pot_cli.h"

#include "base/str.h"
#include "cli/pot_import.h"
#include "cli/pot_release.h"
#include "pot/export.h"

#include <stdlib.h>

#define GROUP "Images"
#define END                                                                                        \
	{                                                                                          \
		0                                                                                  \
	}

/* ---- create-base ---- */

static int
fill_base(struct pot_call *c, const char *tarball, const char *dir, struct err *e)
{
	struct image_tool tool = call_image_tool(c);

	if (given(c, 'd'))
		return image_copy(&tool, given_one(c, 'd'), dir, e);
	if (tarball != NULL)
		return image_unpack(&tool, tarball, NULL, dir, e);
	return image_suite(&tool, given_one(c, 's'), given_one(c, 'm'), dir, e);
}

static int
make_base(struct pot_call *c, const char *name, const char *tarball, const char *release)
{
	struct pot_receive r;
	struct err e;

	say_info(c, "base %s: files come from %s", name,
	    given(c, 'd')     ? given_one(c, 'd')
	    : tarball != NULL ? tarball
			      : given_one(c, 's'));
	if (pot_base_begin(c->env, name, &r, &e) < 0)
		return fail(c, &e);
	if (fill_base(c, tarball, r.root_dir, &e) < 0) {
		pot_base_abort(c->env, &r);
		return fail(c, &e);
	}
	if (pot_base_commit(c->env, &r, release, &e) < 0 ||
	    (release != NULL && pot_base_pot(c->env, name, &e) < 0))
		return fail(c, &e);
	return 0;
}

static int
run_create_base(struct pot_call *c)
{
	struct err e;
	const char *name = given_one(c, 'b'), *release = given_one(c, 'r');
	char *tarball;

	if (given(c, 'd') + given(c, 't') + given(c, 's') == 0 && release != NULL) {
		const char *full = release_name(c, release);
		return release_tarball(c, full, &tarball, &e) < 0
			   ? fail(c, &e)
			   : make_base(c, name != NULL ? name : release, tarball, full);
	}
	if (given(c, 'd') + given(c, 't') + given(c, 's') != 1)
		return fail_usage(c, "exactly one of -d, -t and -s is needed");
	if (name == NULL && given(c, 's'))
		name = given_one(c, 's');
	if (name == NULL)
		return fail_usage(c, "option -b is mandatory with -d and -t");
	return make_base(c, name, given_one(c, 't'), release);
}

static const struct pot_option create_base_options[] = {
	{ 'b', "base", 0, 0, "its name; default with -s: the suite, with -r: the release" },
	{ 'd', "directory", COMPLETE_DIR, 0, "copy this directory" },
	{ 't', "tarball", COMPLETE_FILE, 0, "unpack this file, or http(s) URL" },
	{ 's', "suite", 0, 0, "install this Debian suite (needs the package debootstrap)" },
	{ 'm', "mirror", 0, 0, "where the suite comes from" },
	{ 'r', "release", 0, 0,
	    "on FreeBSD the release to fetch; with -t and -d what to note as their system's; with "
	    "a "
	    "pot of level 0, as pot 0.16 makes it" },
	END,
};
const struct pot_command pot_cmd_create_base = { "create-base", NULL,
	"make a base from a directory, a tarball or a Debian suite", COMMAND_ROOT,
	create_base_options, NULL, run_create_base, "Making and removing pots" };

/* ---- import ---- */

static bool
pot_is_there(struct pot_call *c, const char *name)
{
	struct pot_strs names = { NULL, 0 };
	struct err ignored;

	if (pot_names(c->env, POT_KIND_POT, &c->mem, &names, &ignored) < 0)
		return false;
	for (size_t i = 0; i < names.n; i++)
		if (str_eq(names.at[i], name))
			return true;
	return false;
}

/* An import as asked for on the command line. */
static int
import_asked(struct pot_call *c, const char *pot, const char *tag, struct err *e)
{
	struct image_tool tool = call_image_tool(c);
	const char *key;

	if (import_key(c->env, given_one(c, 'C'), &key, e) < 0)
		return -1;
	return import_image(
	    c->env, &tool, given(c, 'U') ? given_one(c, 'U') : "", key, pot, tag, e);
}

static int
tell_name(struct pot_call *c, const char *what, const char *name)
{
	if (c->json) {
		struct jsonw w = json_begin(c);

		jsonw_object(&w);
		jsonw_kstr(&w, "pot", name);
		jsonw_end_object(&w);
		return json_done(c);
	}
	say_info(c, "%s %s", name, what);
	return 0;
}

static int
run_import(struct pot_call *c)
{
	const char *pot = given_one(c, 'p'), *tag = given_one(c, 't');
	struct err e;

	if (pot_name_check(pot, &e) < 0 || pot_word_check("tag", tag, &e) < 0)
		return fail(c, &e);
	const char *name = pot_image_name(pot, tag, &c->mem);
	if (import_asked(c, pot, tag, &e) < 0)
		return fail(c, &e);
	return tell_name(c, "imported", name);
}

static const struct pot_option import_options[] = {
	{ 'p', "pot", 0, OPTION_MUST, "the image's name" },
	{ 't', "tag", 0, OPTION_MUST, "its tag" },
	{ 'U', "URL", COMPLETE_DIR, 0,
	    "the registry: http, https, file or a directory; default: the current one" },
	{ 'C', "key", COMPLETE_FILE, 0,
	    "the public key (signify) it must be signed with; \"\": none is asked for" },
	END,
};
const struct pot_command pot_cmd_import = { "import", NULL,
	"make a pot of an image from a registry", COMMAND_ROOT | COMMAND_JSON, import_options, NULL,
	run_import, GROUP };

/* ---- export ---- */

struct exporting {
	const struct image_tool *tool;
	const char *out_dir, *pot, *key;
	int level;
};

static int
export_files(const struct pot_exported *x, void *ctx, struct err *e)
{
	const struct exporting *o = ctx;
	struct image_to to = { .dir = o->out_dir,
		.pot = o->pot,
		.tag = x->tag,
		.level = o->level,
		.snapshot = x->snapshot,
		.below = x->below,
		.key = o->key };

	if (x->is_stream)
		return image_pack_stream(o->tool, &to, x->stream, e);
	return image_pack(o->tool, &to, x->conf_dir, x->root_dir, x->below_root, e);
}

/* An absolute path in the arena: pot-image runs elsewhere. */
static int
absolute(struct pot_call *c, const char *what, const char *given, const char **out, struct err *e)
{
	char *path = realpath(given, NULL);

	if (path == NULL)
		return err_sys(e, "%s %s", what, given);
	*out = arena_strdup(&c->mem, path);
	free(path);
	return 0;
}

static int
tell_export(struct pot_call *c, const char *path)
{
	if (c->json) {
		struct jsonw w = json_begin(c);

		jsonw_object(&w);
		jsonw_kstr(&w, "path", path);
		jsonw_end_object(&w);
		return json_done(c);
	}
	say_info(c, "exported to %s", path);
	return 0;
}

static int
run_export(struct pot_call *c)
{
	struct image_tool tool = call_image_tool(c);
	struct exporting x = {
		.tool = &tool, .pot = given_pot(c), .key = given_one(c, 'S'), .level = 6
	};
	struct pot_export_options opt = { .name = x.pot,
		.tag = given_one(c, 't'),
		.take = given(c, 'A'),
		.several = given(c, 'F'),
		.now = given(c, 'n'),
		.check = given(c, 'c'),
		.whole = given(c, 'w'),
		.portable = given(c, 'x') };
	const char *tag;
	uint64_t level = 6;
	struct err e;

	if (given(c, 'l') && !str_u64(given_one(c, 'l'), 9, &level))
		return fail_usage(c, "-l %s: must be 0 to 9", given_one(c, 'l'));
	x.level = (int)level;
	if (absolute(c, "directory", given(c, 'D') ? given_one(c, 'D') : ".", &x.out_dir, &e) < 0 ||
	    (x.key != NULL && absolute(c, "key", x.key, &x.key, &e) < 0) ||
	    pot_export(c->env, &opt, export_files, &x, &c->mem, &tag, &e) < 0)
		return fail(c, &e);
	return tell_export(c, arena_printf(&c->mem, "%s/%s_%s.xz", x.out_dir, x.pot, tag));
}

static const struct pot_option export_options[] = {
	{ 'p', "pot", COMPLETE_POT, OPTION_MUST, "the pot, of type single" },
	{ 't', "tag", 0, 0, "the image's tag; default: the snapshot's name" },
	{ 'D', "directory", COMPLETE_DIR, 0,
	    "where the image's files go; default: the current directory" },
	{ 'l', "level", 0, 0, "how hard to compress, 0 to 9; default 6" },
	{ 'A', NULL, 0, 0,
	    "take a snapshot when there is none; of several only the newest is kept" },
	{ 'F', NULL, 0, 0, "export the newest of several snapshots" },
	{ 'n', NULL, 0, 0, "take a snapshot now, and export that" },
	{ 'c', NULL, 0, 0, "refuse a tag that is older than the last one of this pot" },
	{ 'w', NULL, 0, 0, "a whole image, also of a clone, which otherwise becomes a layer" },
	{ 'x', NULL, 0, 0, "an archive, where it would be a ZFS stream" },
	{ 'S', "key", COMPLETE_FILE, 0,
	    "sign it with this secret key of signify(1), which asks for a passphrase if there is "
	    "one" },
	END,
};
const struct pot_command pot_cmd_export = { "export", NULL, "make an image of a pot's snapshot",
	COMMAND_ROOT | COMMAND_JSON | COMMAND_NAME, export_options, NULL, run_export, GROUP };

/* ---- prepare ---- */

static int
prepare_start(struct pot_call *c, const char *name)
{
	struct pot_start_options opt = { .detach = true, .stdio = POT_STDIO_NULL };
	struct pot_exit x;
	struct err e;

	return pot_start(c->env, name, &opt, &x, &e) < 0 ? fail(c, &e) : 0;
}

static int
run_prepare(struct pot_call *c)
{
	const char *pot = given_one(c, 'p'), *tag = given_one(c, 't'), *net = given_one(c, 'N');
	struct pot_prepare_options opt = {
		.name = given_one(c, 'n'),
		.image = pot,
		.tag = tag,
		.alloc = given_one(c, 'a'),
		.cmd = given(c, 'c') ? unquote_cmd(c, given_one(c, 'c')) : NULL,
		.ports = given_all(c, 'e'),
		.net = { .net = str_eq(net, "host") ? "inherit" : net,
		    .stack = given_one(c, 'S'),
		    .ip = given_all(c, 'i'),
		    .bridge = given_one(c, 'B'),
		    .dns = given_one(c, 'd') },
	};
	char new_name[POT_NAME_MAX + 1];
	struct err e;

	if (pot_name_check(pot, &e) < 0 || pot_word_check("tag", tag, &e) < 0 ||
	    pot_prepare_check(c->env, &opt, &e) < 0)
		return fail(c, &e);
	const char *image = pot_image_name(pot, tag, &c->mem);
	/* Another prepare may have brought the image meanwhile: then it is there, which is all we
	 * want. */
	if (!pot_is_there(c, image) && import_asked(c, pot, tag, &e) < 0 &&
	    (e.kind != ERR_EXISTS || !pot_is_there(c, image)))
		return fail(c, &e);
	if (pot_prepare(c->env, &opt, new_name, &e) < 0)
		return fail(c, &e);
	if (given(c, 's') && prepare_start(c, new_name) != 0)
		return 1;
	return tell_name(c, given(c, 's') ? "started" : "prepared", new_name);
}

static const struct pot_option prepare_options[] = {
	{ 'p', "pot", 0, OPTION_MUST, "the image's name" },
	{ 't', "tag", 0, OPTION_MUST, "its tag" },
	{ 'a', "allocation", 0, OPTION_MUST, "goes into the new pot's name" },
	{ 'U', "URL", COMPLETE_DIR, 0, "the registry" },
	{ 'n', "name", 0, 0, "the new pot's name before the allocation; default: image and tag" },
	{ 'c', "command", 0, 0, "its command" },
	{ 'e', "[tcp:|udp:]potport[:hostport]", 0, OPTION_MANY, "a port to export" },
	{ 'N', "network", COMPLETE_NETWORK, 0, "network type; host means inherit" },
	{ 'i', "address", 0, OPTION_MANY, "an address, or auto" },
	{ 'B', "bridge", COMPLETE_BRIDGE, 0, "the private bridge" },
	{ 'S', "stack", COMPLETE_STACK, 0, "ipv4, ipv6 or dual" },
	{ 'd', "dns", COMPLETE_DNS, 0, "inherit, pot, off or custom:FILE" },
	{ 'C', "key", COMPLETE_FILE, 0,
	    "the public key (signify) it must be signed with; \"\": none is asked for" },
	{ 's', NULL, 0, 0, "start it" },
	END,
};
const struct pot_command pot_cmd_prepare = { "prepare", NULL,
	"import an image and make a pot of it, ready to start", COMMAND_ROOT | COMMAND_JSON,
	prepare_options, NULL, run_prepare, GROUP };
