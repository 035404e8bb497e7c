/* Files of pots come and go: bases, import, export, prepare. */
#include "cli/pot_cli.h"

#include "base/str.h"
#include "pot/export.h"

#include <stdlib.h>

#define GROUP "Images"
#define END                                                                                        \
	{                                                                                          \
		0                                                                                  \
	}

/* ---- create-base ---- */

static int
fill_base(struct pot_call *c, const char *dir, struct err *e)
{
	struct image_tool tool = call_image_tool(c);

	if (given(c, 'd'))
		return image_copy(&tool, given_one(c, 'd'), dir, e);
	if (given(c, 't'))
		return image_unpack(&tool, given_one(c, 't'), NULL, dir, e);
	return image_suite(&tool, given_one(c, 's'), given_one(c, 'm'), dir, e);
}

static int
run_create_base(struct pot_call *c)
{
	struct pot_receive r;
	struct err e;
	const char *name = given_one(c, 'b');

	if (given(c, 'd') + given(c, 't') + given(c, 's') != 1) {
		if (!given(c, 'r'))
			return fail_usage(c, "exactly one of -d, -t and -s is needed");
		err_new(&e, ERR_UNSUPPORTED,
		    "-r %s: FreeBSD releases do not run on this system: use -s SUITE (Debian), -t "
		    "TARBALL or -d DIRECTORY",
		    given_one(c, 'r'));
		return fail(c, &e);
	}
	if (name == NULL && given(c, 's'))
		name = given_one(c, 's');
	if (name == NULL)
		return fail_usage(c, "option -b is mandatory with -d and -t");
	say_info(c, "base %s: files come from %s", name,
	    given(c, 'd')   ? given_one(c, 'd')
	    : given(c, 't') ? given_one(c, 't')
			    : given_one(c, 's'));
	if (pot_base_begin(c->env, name, &r, &e) < 0)
		return fail(c, &e);
	if (fill_base(c, r.root_dir, &e) < 0) {
		pot_base_abort(c->env, &r);
		return fail(c, &e);
	}
	return pot_base_commit(c->env, &r, given(c, 'r') ? given_one(c, 'r') : NULL, &e) < 0
		   ? fail(c, &e)
		   : 0;
}

static const struct pot_option create_base_options[] = {
	{ 'b', "base", 0, 0, "its name; default with -s: the suite" },
	{ 'd', "directory", COMPLETE_DIR, 0, "copy this directory" },
	{ 't', "tarball", COMPLETE_FILE, 0, "unpack this file, or http(s) URL" },
	{ 's', "suite", 0, 0, "install this Debian suite (needs the package debootstrap)" },
	{ 'm', "mirror", 0, 0, "where the suite comes from" },
	{ 'r', "release", 0, 0,
	    "what to note as the system's release (FreeBSD: the release to fetch)" },
	END,
};
const struct pot_command pot_cmd_create_base = { "create-base", NULL,
	"make a base from a directory, a tarball or a Debian suite", COMMAND_ROOT,
	create_base_options, NULL, run_create_base, "Making and removing pots" };

/* ---- import ---- */

/* The image under its own name, fetched and unpacked; nothing of it stays when that fails. */
static int
import_image(struct pot_call *c, const char *url, const char *pot, const char *tag,
    const char *name, struct err *e)
{
	struct image_tool tool = call_image_tool(c);
	struct image_result *image = arena_new(&c->mem, struct image_result);
	struct pot_receive r;
	struct pot_net_options as_it_is = { .net = NULL };

	if (image_fetch(&tool, url, pot, tag, c->env->conf.cache, image, e) < 0)
		return -1;
	if (pot_receive_begin(c->env, name, &r, e) < 0)
		return -1;
	if (image_unpack(&tool, image->path, r.conf_dir, r.root_dir, e) < 0) {
		pot_receive_abort(c->env, &r);
		return -1;
	}
	return pot_receive_commit(c->env, &r, &as_it_is, e);
}

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

static int
refuse_key(struct pot_call *c)
{
	struct err e;

	if (!given(c, 'C') && c->env->conf.signature_pubkey[0] == '\0')
		return 0;
	err_new(&e, ERR_UNSUPPORTED,
	    "signatures of images cannot be checked yet: import without -C and without "
	    "POT_DEFAULT_SIGNATURE_PUBKEY, or verify the .skein.sig file beforehand");
	return fail(c, &e);
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
	const char *url = given(c, 'U') ? given_one(c, 'U') : "";
	struct err e;

	if (refuse_key(c) != 0)
		return 1;
	if (pot_name_check(pot, &e) < 0 || pot_word_check("tag", tag, &e) < 0)
		return fail(c, &e);
	const char *name = pot_image_name(pot, tag, &c->mem);
	if (pot_is_there(c, name)) {
		err_new(&e, ERR_EXISTS, "pot %s exists already", name);
		return fail(c, &e);
	}
	if (import_image(c, url, pot, tag, name, &e) < 0)
		return fail(c, &e);
	return tell_name(c, "imported", name);
}

static const struct pot_option import_options[] = {
	{ 'p', "pot", 0, OPTION_MUST, "the image's name" },
	{ 't', "tag", 0, OPTION_MUST, "its tag" },
	{ 'U', "URL", COMPLETE_DIR, 0,
	    "the registry: http, https, file or a directory; default: the current one" },
	{ 'C', "key", COMPLETE_FILE, 0, "a public key: not available yet" },
	END,
};
const struct pot_command pot_cmd_import = { "import", NULL,
	"make a pot of an image from a registry", COMMAND_ROOT | COMMAND_JSON, import_options, NULL,
	run_import, GROUP };

/* ---- export ---- */

struct exporting {
	const struct image_tool *tool;
	const char *out_dir, *pot, *tag;
	int level;
	bool replace;
};

static int
export_files(const char *conf_dir, const char *root_dir, void *ctx, struct err *e)
{
	const struct exporting *x = ctx;

	return image_pack(
	    x->tool, conf_dir, root_dir, x->out_dir, x->pot, x->tag, x->level, x->replace, NULL, e);
}

static int
run_export(struct pot_call *c)
{
	struct image_tool tool = call_image_tool(c);
	struct exporting x = { .tool = &tool,
		.pot = given_one(c, 'p'),
		.tag = given_one(c, 't'),
		.level = 6,
		.replace = given(c, 'F') };
	uint64_t level = 6;
	struct err e;

	if (given(c, 'S')) {
		err_new(&e, ERR_UNSUPPORTED, "-S: images cannot be signed yet");
		return fail(c, &e);
	}
	if (given(c, 'l') && !str_u64(given_one(c, 'l'), 9, &level))
		return fail_usage(c, "-l %s: must be 0 to 9", given_one(c, 'l'));
	if (given(c, 'l'))
		x.level = (int)level;
	char *dir = realpath(given(c, 'D') ? given_one(c, 'D') : ".", NULL);
	if (dir == NULL) {
		err_sys(&e, "directory %s", given(c, 'D') ? given_one(c, 'D') : ".");
		return fail(c, &e);
	}
	x.out_dir = arena_strdup(&c->mem, dir);
	free(dir);
	if (pot_word_check("tag", x.tag, &e) < 0 ||
	    pot_lend(c->env, x.pot, export_files, &x, &e) < 0)
		return fail(c, &e);
	const char *path = arena_printf(&c->mem, "%s/%s_%s.xz", x.out_dir, x.pot, x.tag);
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

static const struct pot_option export_options[] = {
	{ 'p', "pot", COMPLETE_POT, OPTION_MUST, "the pot; it must not run" },
	{ 't', "tag", 0, OPTION_MUST, "the image's tag" },
	{ 'D', "directory", COMPLETE_DIR, 0,
	    "where the three files go; default: the current directory" },
	{ 'l', "level", 0, 0, "how hard to compress, 0 to 9; default 6" },
	{ 'F', NULL, 0, 0, "replace an image of that name" },
	{ 'A', NULL, 0, 0, "accepted: the current state is always what is exported" },
	{ 'S', "key", COMPLETE_FILE, 0, "sign: not available yet" },
	END,
};
const struct pot_command pot_cmd_export = { "export", NULL, "make an image of a pot",
	COMMAND_ROOT | COMMAND_JSON, export_options, NULL, run_export, GROUP };

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

	if (refuse_key(c) != 0)
		return 1;
	if (pot_name_check(pot, &e) < 0 || pot_word_check("tag", tag, &e) < 0)
		return fail(c, &e);
	const char *image = pot_image_name(pot, tag, &c->mem);
	/* Another prepare may have brought the image meanwhile: then it is there, which is all we
	 * want. */
	if (!pot_is_there(c, image) &&
	    import_image(c, given(c, 'U') ? given_one(c, 'U') : "", pot, tag, image, &e) < 0 &&
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
	{ 'd', "dns", 0, 0, "inherit, pot, off or custom:FILE" },
	{ 'C', "key", COMPLETE_FILE, 0, "a public key: not available yet" },
	{ 's', NULL, 0, 0, "start it" },
	END,
};
const struct pot_command pot_cmd_prepare = { "prepare", NULL,
	"import an image and make a pot of it, ready to start", COMMAND_ROOT | COMMAND_JSON,
	prepare_options, NULL, run_prepare, GROUP };
