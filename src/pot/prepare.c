#include "platform/overlay/tree.h"
#include "pot/datasets.h"
#include "pot/edit.h"
#include "pot/tree.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * What an orchestrator wants of an image: a clone with a command, attributes for one run, and
 * ports.
 */

struct wishes {
	const struct pot_prepare_options *o;
	struct arena *mem;
};

static int
apply(struct conf *conf, void *ctx, struct err *e)
{
	static const char *const attrs[][2] = { { "persistent", "NO" }, { "no-rc-script", "YES" },
		{ "prunable", "YES" }, { "localhost-tunnel", "YES" }, { "no-etc-hosts", "YES" },
		{ "no-tmpfs", "YES" } };
	const struct wishes *w = ctx;
	const struct pot_prepare_options *o = w->o;
	autobuf struct buf ports = BUF_INIT;
	struct pot_port port;

	for (size_t i = 0; i < NELEM(attrs); i++)
		conf_set(conf, arena_printf(w->mem, "pot.attr.%s", attrs[i][0]), attrs[i][1]);
	if (o->argv != NULL && o->argv[0] != NULL)
		conf_set_cmd(conf, NULL, o->argv);
	else if (o->cmd != NULL)
		conf_set_cmd(conf, o->cmd, NULL);
	for (size_t i = 0; o->ports != NULL && o->ports[i] != NULL; i++) {
		if (pot_port_parse(o->ports[i], &port, e) < 0)
			return -1;
		buf_addf(&ports, "%s%s", i > 0 ? " " : "", o->ports[i]);
	}
	conf_set(conf, "pot.export.ports", ports.len > 0 ? buf_str(&ports) : NULL);
	return 0;
}

static char *
bare_cmd(const char *cmd, struct arena *mem)
{
	char *line = arena_strdup(mem, cmd);

	if (*line == '"') {
		line++;
		if (str_ends(line, "\""))
			line[strlen(line) - 1] = '\0';
	}
	return line;
}

/* ---- a directory in place of an image ---- */

static int
nothing(int root_fd, void *ctx, struct err *e)
{
	(void)root_fd;
	(void)ctx;
	(void)e;
	return 0;
}

/* The directory that holds the pot's own files gets an owner and mode as the given one's. */
static int
make_layer(const char *path, const struct stat *as, struct err *e)
{
	if (mkdir(path, 0700) < 0 || chown(path, as->st_uid, as->st_gid) < 0 ||
	    chmod(path, as->st_mode & 07777) < 0)
		return err_sys(e, "make %s", path);
	return 0;
}

/* Layers in the dataset's one directory, where its file system can hold such. */
static int
layers_fit(struct pot_env *env, const char *plain, const char *below, bool strict,
    const struct stat *st, struct arena *mem, struct err *e)
{
	struct mount_root root;

	tree_layers_in(plain, below, mem, &root);
	root.no_links = strict;
	if (make_layer(root.upper, st, e) == 0 && make_layer(root.work, st, e) == 0 &&
	    env->host->mount->with_root(&root, NULL, 0, nothing, NULL, e) == 0)
		return 0;
	struct err ignored = ERR_INIT;
	autofd int dir = open_dir(plain, &ignored);
	if (dir >= 0)
		(void)tree_empty(dir, &ignored);
	return -1;
}

static int
copy_all(int from, const char *to, struct err *e)
{
	autofd int target = open_dir(to, e);

	if (target < 0 || tree_empty(target, e) < 0)
		return -1;
	return tree_copy(from, target, NULL, e);
}

/* Makes the empty pot one upon the directory: layers above it, where they can be had, else a copy
 * of its files. *upon: whether the directory stays in use. */
static int
put_upon(struct pot_env *env, const char *name, const struct wishes *w, int root_fd,
    const struct stat *st, bool *upon, struct err *e)
{
	const char *below = w->o->root_dir;
	char dataset[DATASET_SIZE];
	struct mount_root root;
	struct err why = ERR_INIT;

	*upon = true;
	if (mount_root_of(env, ds_root(dataset, name), w->mem, &root, e) < 0)
		return -1;
	if (root.plain == NULL) /* frozen, so that there is a layer to write to above */
		return pot_snapshot(env, name, false, e);
	if (layers_fit(env, root.plain, below, w->o->root_fd > 0, st, w->mem, &why) == 0)
		return 0;
	pot_say(env, POT_SAY_INFO, "pot %s gets a copy of %s: %s", name, below, why.text);
	*upon = false;
	return copy_all(root_fd, root.plain, e) < 0 ? err_ctx(e, "copy %s", below) : 0;
}

/* To be read; what was held for us is what is meant, whatever its name leads to by now. */
static int
open_root(const struct pot_prepare_options *o, struct stat *st, struct err *e)
{
	autofd int fd = o->root_dir[0] != '/' ? -1
			: o->root_fd > 0
			    ? openat(o->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
			    : open(o->root_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, st) < 0)
		return err_new(e, ERR_INPUT, "%s is no directory of this machine", o->root_dir);
	return take_fd(&fd);
}

static int
make_upon(struct pot_env *env, const char *name, const struct wishes *w, struct err *e)
{
	const struct pot_create_options create = { .name = name, .empty = true, .net = w->o->net };
	struct stat st;
	bool upon;

	autofd int root = open_root(w->o, &st, e);
	if (root < 0 || pot_create(env, &create, e) < 0)
		return -1;
	autoedit struct edit x = EDIT_INIT;
	if (put_upon(env, name, w, root, &st, &upon, e) == 0 &&
	    edit_begin(&x, env, name, "prepare", e) == 0) {
		if (upon)
			conf_set(&x.conf, "pot.root", w->o->root_dir);
		if (upon && w->o->root_fd > 0)
			conf_set(&x.conf, "pot.root.no-links", "YES");
		if (apply(&x.conf, (void *)(uintptr_t)w, e) == 0 && edit_end(&x, e) == 0)
			return 0;
	}
	struct err undo = ERR_INIT;
	edit_fini(&x);
	x = (struct edit)EDIT_INIT;
	(void)pot_destroy(env, name, NULL, &undo);
	return -1;
}

/* ---- what was asked for ---- */

static const char *
name_of(const struct pot_prepare_options *o, const char *image, struct arena *mem)
{
	return pot_image_name(o->name != NULL ? o->name : image, o->alloc, mem);
}

static int
check_words(const struct pot_prepare_options *o, struct err *e)
{
	if ((o->root_dir == NULL && (pot_word_check("image", o->image, e) < 0 ||
					pot_word_check("tag", o->tag, e) < 0)) ||
	    (o->root_dir != NULL && pot_word_check("name", o->name, e) < 0))
		return -1;
	return pot_word_check("allocation id (-a)", o->alloc, e);
}

static int
check_cmd(const char *cmd, struct arena *mem, struct err *e)
{
	struct pot_strs words;
	bool shell;

	if (cmd == NULL)
		return 0;
	if (strpbrk(cmd, "\n\r") != NULL)
		return err_new(e, ERR_INPUT, "the command holds a line break; give it as a list");
	if (words_split(bare_cmd(cmd, mem), mem, &words, &shell, e) < 0)
		return err_ctx(e, "command");
	return 0;
}

/* host is what orchestrators say for inherit. */
static struct pot_net_options
net_of(const struct pot_prepare_options *o)
{
	struct pot_net_options net = o->net;

	if (net.net != NULL && strcmp(net.net, "host") == 0)
		net.net = "inherit";
	return net;
}

/* Without -N the image says which network it is: then its addresses are looked at with the clone.
 */
static int
check_net(struct pot_env *env, const char *name, const struct pot_net_options *o, struct err *e)
{
	struct making m = { .env = env };
	struct net_choice ignored;
	enum pot_dns dns;
	const char *file;

	if (o->dns != NULL && dns_check(o->dns, &dns, &file, e) < 0)
		return -1;
	if (net_options(env, o, POT_NET_INHERIT, POT_STACK_UNSET, &m, e) < 0)
		return -1;
	if (o->net == NULL)
		return 0;
	struct net_want want = {
		.net = m.net, .stack = m.stack, .ip = o->ip, .bridge = o->bridge, .mac = o->mac
	};
	if (want.net == POT_NET_PRIVATE && want.stack == POT_STACK_DUAL)
		want.stack = POT_STACK_IPV4; /* what is said of that is said once, by the clone */
	return net_choose(env, name, &want, &ignored, e);
}

int
pot_prepare_check(struct pot_env *env, const struct pot_prepare_options *o, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	const struct pot_net_options net = net_of(o);
	struct pot_port port;

	if (check_words(o, e) < 0 || check_cmd(o->cmd, &mem, e) < 0)
		return -1;
	for (size_t i = 0; o->ports != NULL && o->ports[i] != NULL; i++)
		if (pot_port_parse(o->ports[i], &port, e) < 0)
			return -1;
	const char *image = o->root_dir == NULL ? pot_image_name(o->image, o->tag, &mem) : NULL;
	const char *name = name_of(o, image, &mem);
	if (pot_name_check(name, e) < 0 || need_root("prepare", e) < 0 || pot_env_ready(env, e) < 0)
		return -1;
	int there = pot_exists(env, name, e);
	if (there != 0)
		return there < 0 ? -1
				 : err_new(e, ERR_EXISTS, "a pot named '%s' exists already", name);
	return check_net(env, name, &net, e);
}

int
pot_prepare(struct pot_env *env, const struct pot_prepare_options *given,
    char new_name[POT_NAME_MAX + 1], struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_prepare_options o = *given;
	struct wishes w = { .o = &o, .mem = &mem };

	if (check_words(&o, e) < 0 || check_cmd(o.cmd, &mem, e) < 0)
		return -1;
	const char *image = o.root_dir == NULL ? pot_image_name(o.image, o.tag, &mem) : NULL;
	const char *name = name_of(&o, image, &mem);
	o.net = net_of(given);
	if (o.cmd != NULL)
		o.cmd = bare_cmd(o.cmd, &mem);
	struct pot_clone_options clone = { .name = name, .source = image, .net = o.net };
	if ((o.root_dir != NULL ? make_upon(env, name, &w, e)
				: clone_adapted(env, &clone, apply, &w, e)) < 0)
		return -1;
	str_copy(new_name, POT_NAME_MAX + 1, name);
	return 0;
}
