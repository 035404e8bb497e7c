#include "image/verbs.h"

#include "base/str.h"
#include "image/tool.h"

#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Every option of every verb; which ones a verb needs and knows stands in its row. */
enum option_id {
	URL,
	POT,
	TAG,
	CACHE,
	FROM,
	CONF,
	ROOT,
	OUT,
	LEVEL,
	SUITE,
	MIRROR,
	MAX_MB,
	SKEIN,
	META,
	SIG,
	KEY,
	LAYER,
	SNAPSHOT,
	BELOW,
	BELOW_ROOT,
	STREAM,
	STREAMS,
	OPTIONS
};
#define BIT(o) (1u << (o))
#define IMAGE  (BIT(URL) | BIT(POT) | BIT(TAG) | BIT(CACHE))

static const struct option longs[] = {
	[URL] = { "url", required_argument, NULL, URL },
	[POT] = { "pot", required_argument, NULL, POT },
	[TAG] = { "tag", required_argument, NULL, TAG },
	[CACHE] = { "cache", required_argument, NULL, CACHE },
	[FROM] = { "from", required_argument, NULL, FROM },
	[CONF] = { "conf", required_argument, NULL, CONF },
	[ROOT] = { "root", required_argument, NULL, ROOT },
	[OUT] = { "out", required_argument, NULL, OUT },
	[LEVEL] = { "level", required_argument, NULL, LEVEL },
	[SUITE] = { "suite", required_argument, NULL, SUITE },
	[MIRROR] = { "mirror", required_argument, NULL, MIRROR },
	[MAX_MB] = { "max-mb", required_argument, NULL, MAX_MB },
	[SKEIN] = { "skein", required_argument, NULL, SKEIN },
	[META] = { "meta", required_argument, NULL, META },
	[SIG] = { "sig", required_argument, NULL, SIG },
	[KEY] = { "key", required_argument, NULL, KEY },
	[LAYER] = { "layer", no_argument, NULL, LAYER },
	[SNAPSHOT] = { "snapshot", required_argument, NULL, SNAPSHOT },
	[BELOW] = { "below", required_argument, NULL, BELOW },
	[BELOW_ROOT] = { "below-root", required_argument, NULL, BELOW_ROOT },
	[STREAM] = { "stream", required_argument, NULL, STREAM },
	[STREAMS] = { "streams", no_argument, NULL, STREAMS },
	[OPTIONS] = { NULL, 0, NULL, 0 },
};

struct verb {
	const char *name;
	unsigned needs, knows;
	int (*run)(struct tool *t, char *const v[OPTIONS], struct err *e);
};

static int
run_look(struct tool *t, char *const v[OPTIONS], struct err *e)
{
	struct look what = { .url = v[URL],
		.pot = v[POT],
		.tag = v[TAG],
		.cache = v[CACHE],
		.key = v[KEY],
		.streams = v[STREAMS] != NULL };

	return look(t, &what, e);
}

/* The descriptor of --stream; 0: none, -1: not one. */
static int
stream_fd(char *const v[OPTIONS], struct err *e)
{
	uint64_t fd = 0;

	if (v[STREAM] == NULL)
		return 0;
	if (!str_u64(v[STREAM], 1024, &fd) || fd < 3 || fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_new(e, ERR_INPUT, "--stream %s: is no descriptor", v[STREAM]);
	return (int)fd;
}

/* Also stream and fetch, which have no directories to fill. */
static int
run_import(struct tool *t, char *const v[OPTIONS], struct err *e)
{
	struct import what = { .url = v[URL],
		.pot = v[POT],
		.tag = v[TAG],
		.cache = v[CACHE],
		.skein = v[SKEIN],
		.meta = v[META],
		.sig = v[SIG],
		.conf_dir = v[CONF],
		.root_dir = v[ROOT],
		.layer = v[LAYER] != NULL,
		.stream = stream_fd(v, e) };

	return what.stream < 0 ? -1 : import(t, &what, e);
}

static int
run_unpack(struct tool *t, char *const v[OPTIONS], struct err *e)
{
	struct unpack what = {
		.from = v[FROM], .conf_dir = v[CONF], .root_dir = v[ROOT], .cache = v[CACHE]
	};

	return unpack(t, &what, e);
}

static int
run_pack(struct tool *t, char *const v[OPTIONS], struct err *e)
{
	struct pack what = { .conf_dir = v[CONF],
		.root_dir = v[ROOT],
		.out_dir = v[OUT],
		.pot = v[POT],
		.tag = v[TAG],
		.level = 6,
		.snapshot = v[SNAPSHOT],
		.below = v[BELOW],
		.below_root = v[BELOW_ROOT],
		.key = v[KEY],
		.stream = stream_fd(v, e) };
	uint64_t level = 6;

	if (what.stream < 0)
		return -1;

	if (v[LEVEL] != NULL) {
		if (!str_u64(v[LEVEL], 9, &level))
			return err_new(
			    e, ERR_INPUT, "compression level \"%s\": must be 0 to 9", v[LEVEL]);
		what.level = (int)level;
	}
	return pack(t, &what, e);
}

static int
run_fetch(struct tool *t, char *const v[OPTIONS], struct err *e)
{
	return fetch(t, v[URL], v[OUT], e);
}

static int
run_expand(struct tool *t, char *const v[OPTIONS], struct err *e)
{
	(void)t;
	(void)v;
	return expand(e);
}

static int
run_copy(struct tool *t, char *const v[OPTIONS], struct err *e)
{
	return copy_tree(t, v[FROM], v[ROOT], e);
}

static int
run_suite(struct tool *t, char *const v[OPTIONS], struct err *e)
{
	return suite_make(t, v[SUITE], v[MIRROR], v[ROOT], e);
}

static const struct verb verbs[] = {
	{ "look", IMAGE, BIT(KEY) | BIT(STREAMS), run_look },
	{ "import", IMAGE | BIT(SKEIN) | BIT(META) | BIT(CONF) | BIT(ROOT),
	    BIT(SIG) | BIT(LAYER) | BIT(MAX_MB), run_import },
	{ "fetch", IMAGE | BIT(SKEIN) | BIT(META), BIT(SIG), run_import },
	{ "unpack", BIT(FROM) | BIT(ROOT), BIT(CONF) | BIT(CACHE) | BIT(MAX_MB), run_unpack },
	{ "pack", BIT(CONF) | BIT(ROOT) | BIT(OUT) | BIT(POT) | BIT(TAG),
	    BIT(LEVEL) | BIT(KEY) | BIT(SNAPSHOT) | BIT(BELOW) | BIT(BELOW_ROOT), run_pack },
	{ "stream", IMAGE | BIT(SKEIN) | BIT(META) | BIT(STREAM), BIT(SIG), run_import },
	{ "pack-stream", BIT(OUT) | BIT(POT) | BIT(TAG) | BIT(STREAM),
	    BIT(LEVEL) | BIT(KEY) | BIT(BELOW), run_pack },
	{ "get", BIT(URL) | BIT(OUT), 0, run_fetch },
	{ "expand", 0, 0, run_expand },
	{ "copy", BIT(FROM) | BIT(ROOT), BIT(MAX_MB), run_copy },
	{ "suite", BIT(SUITE) | BIT(ROOT), BIT(MIRROR), run_suite },
};

static int
usage(void)
{
	fputs("usage: pot-image [--report FD] VERB OPTIONS\n"
	      "  look   --url U --pot P --tag T --cache DIR [--key PUBLIC] [--streams]\n"
	      "  import --url U --pot P --tag T --cache DIR --skein TEXT --meta TEXT [--sig TEXT]\n"
	      "         --conf DIR --root DIR [--layer] [--max-mb N]\n"
	      "  fetch  --url U --pot P --tag T --cache DIR --skein TEXT --meta TEXT [--sig TEXT]\n"
	      "  unpack --from FILE|URL --root DIR [--conf DIR] [--cache DIR] [--max-mb N]\n"
	      "  pack   --conf DIR --root DIR --out DIR --pot P --tag T [--level 0-9] [--key "
	      "SECRET]\n"
	      "         [--snapshot S] [--below POT:TAG@SNAPSHOT --below-root DIR]\n"
	      "  stream --url U --pot P --tag T --cache DIR --skein TEXT --meta TEXT --stream FD\n"
	      "  pack-stream --stream FD --out DIR --pot P --tag T [--level 0-9] [--key SECRET]\n"
	      "         [--below POT:TAG@SNAPSHOT]\n"
	      "  expand (reads xz, writes what is in it)\n"
	      "  copy   --from DIR --root DIR [--max-mb N]\n"
	      "  suite  --suite S --root DIR [--mirror URL]\n"
	      "pot(8) calls this program; see there for commands meant for people.\n",
	    stderr);
	return 2;
}

/* Work changes directories, so names given from outside become absolute first. */
static char *
absolute(const char *path)
{
	char here[4096];

	if (path[0] == '/' || strstr(path, "://") != NULL || getcwd(here, sizeof(here)) == NULL)
		return xstrdup(path);
	return xasprintf("%s/%s", here, path);
}

static int
read_options(const struct verb *verb, int argc, char **argv, char *v[OPTIONS])
{
	const unsigned paths =
	    BIT(CACHE) | BIT(FROM) | BIT(CONF) | BIT(ROOT) | BIT(OUT) | BIT(KEY) | BIT(BELOW_ROOT);
	unsigned seen = 0;
	int o;

	optind = 1;
	while ((o = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		if (o < 0 || o >= OPTIONS || ((verb->needs | verb->knows) & BIT(o)) == 0)
			return usage();
		free(v[o]);
		v[o] = optarg == NULL	       ? xstrdup("")
		       : (paths & BIT(o)) != 0 ? absolute(optarg)
					       : xstrdup(optarg);
		seen |= BIT(o);
	}
	return optind != argc || (verb->needs & ~seen) != 0 ? usage() : 0;
}

static int
run_verb(const struct verb *verb, struct tool *t, char *v[OPTIONS])
{
	struct err e = ERR_INIT;
	uint64_t mb;

	if (v[MAX_MB] != NULL) {
		if (!str_u64(v[MAX_MB], UINT64_MAX >> 20, &mb))
			return usage();
		t->max_bytes = mb << 20;
	}
	if (verb->run(t, v, &e) < 0) {
		report_error(&t->report, &e);
		return 1;
	}
	report_done(&t->report);
	return t->report.lost ? 1 : 0;
}

int
image_main(int argc, char **argv)
{
	struct tool t = { .max_bytes = TOOL_MAX_BYTES, .max_entries = TOOL_MAX_ENTRIES };
	char *v[OPTIONS] = { NULL };
	uint64_t fd;
	int report_fd = -1;

	if (argc > 2 && str_eq(argv[1], "--report")) {
		if (!str_u64(argv[2], 1024, &fd) || fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
			return usage();
		report_fd = (int)fd;
		argc -= 2;
		argv += 2;
	}
	if (argc < 2)
		return usage();
	/* Names in archives are bytes; this locale keeps all that is UTF-8 as it is. */
	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		(void)setlocale(LC_CTYPE, "");
	tool_catch_signals();
	report_open(&t.report, report_fd);
	for (size_t i = 0; i < NELEM(verbs); i++) {
		if (!str_eq(argv[1], verbs[i].name))
			continue;
		int rc = read_options(&verbs[i], argc - 1, argv + 1, v);
		if (rc == 0)
			rc = run_verb(&verbs[i], &t, v);
		for (int o = 0; o < OPTIONS; o++)
			free(v[o]);
		return rc;
	}
	return usage();
}
