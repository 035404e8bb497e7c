#include "pot/edit.h"

#include <string.h>
#include <sys/stat.h>

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

/* An empty root, frozen, so that there is a layer to write to above the directory. */
static int
make_upon(struct pot_env *env, const char *name, const struct wishes *w, struct err *e)
{
	const struct pot_create_options create = { .name = name, .empty = true, .net = w->o->net };
	struct stat st;

	if (w->o->root_dir[0] != '/' || stat(w->o->root_dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_new(e, ERR_INPUT, "%s is no directory of this machine", w->o->root_dir);
	if (pot_create(env, &create, e) < 0)
		return -1;
	autoedit struct edit x = EDIT_INIT;
	if (pot_snapshot(env, name, false, e) == 0 &&
	    edit_begin(&x, env, name, "prepare", e) == 0) {
		conf_set(&x.conf, "pot.root", w->o->root_dir);
		if (apply(&x.conf, (void *)(uintptr_t)w, e) == 0 && edit_end(&x, e) == 0)
			return 0;
	}
	struct err undo = ERR_INIT;
	edit_fini(&x);
	x = (struct edit)EDIT_INIT;
	(void)pot_destroy(env, name, NULL, &undo);
	return -1;
}

int
pot_prepare(struct pot_env *env, const struct pot_prepare_options *given,
    char new_name[POT_NAME_MAX + 1], struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_prepare_options o = *given;
	struct wishes w = { .o = &o, .mem = &mem };
	struct pot_strs words;
	bool shell;

	if ((o.root_dir == NULL &&
		(pot_word_check("image", o.image, e) < 0 || pot_word_check("tag", o.tag, e) < 0)) ||
	    (o.root_dir != NULL && pot_word_check("name", o.name, e) < 0) ||
	    pot_word_check("allocation id (-a)", o.alloc, e) < 0)
		return -1;
	const char *image = o.root_dir == NULL ? pot_image_name(o.image, o.tag, &mem) : NULL;
	const char *name = pot_image_name(o.name != NULL ? o.name : image, o.alloc, &mem);
	if (o.net.net != NULL && strcmp(o.net.net, "host") == 0)
		o.net.net = "inherit";
	if (o.cmd != NULL) {
		o.cmd = bare_cmd(o.cmd, &mem);
		if (strpbrk(o.cmd, "\n\r") != NULL)
			return err_new(
			    e, ERR_INPUT, "the command holds a line break; give it as a list");
		if (words_split(o.cmd, &mem, &words, &shell, e) < 0)
			return err_ctx(e, "command");
	}
	struct pot_clone_options clone = { .name = name, .source = image, .net = o.net };
	if ((o.root_dir != NULL ? make_upon(env, name, &w, e)
				: clone_adapted(env, &clone, apply, &w, e)) < 0)
		return -1;
	str_copy(new_name, POT_NAME_MAX + 1, name);
	return 0;
}
