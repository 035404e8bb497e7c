#include "pot/edit.h"
#include "store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/*
 * Hooks of a pot: files in conf/ that run on this machine as root. Those of an imported pot are not
 * run; one that is set here is the operator's, which "pot.hook" in pot.conf says (an import drops
 * that key).
 */

static const char *const hooks[POT_HOOKS] = {
	[POT_HOOK_PRESTART] = "prestart",
	[POT_HOOK_POSTSTART] = "poststart",
	[POT_HOOK_PRESTOP] = "prestop",
	[POT_HOOK_POSTSTOP] = "poststop",
};

const char *
pot_hook_text(enum pot_hook h)
{
	return hooks[h];
}

static int
read_program(const char *file, struct buf *out, struct err *e)
{
	struct stat st;
	autofd int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "open hook %s", file);
	if (!S_ISREG(st.st_mode) || (st.st_mode & 0111) == 0)
		return err_new(e, ERR_INPUT, "hook %s is no executable file", file);
	return buf_read_fd(out, fd, 16 << 20, e);
}

static void
note_hook(struct edit *x, const char *hook, bool set)
{
	const struct pot_strs *known = &x->spec->hooks;

	if (!x->spec->imported || list_has(known, hook) == set)
		return;
	if (set) {
		conf_add(&x->conf, "pot.hook", hook);
		return;
	}
	conf_set(&x->conf, "pot.hook", NULL);
	for (size_t i = 0; i < known->n; i++)
		if (strcmp(known->at[i], hook) != 0)
			conf_add(&x->conf, "pot.hook", known->at[i]);
}

int
pot_set_hook(
    struct pot_env *env, const char *name, enum pot_hook which, const char *file, struct err *e)
{
	autobuf struct buf program = BUF_INIT;
	autoedit struct edit x = EDIT_INIT;
	char target[32], path[PATH_SIZE];

	if (file != NULL && read_program(file, &program, e) < 0)
		return -1;
	if (edit_begin(&x, env, name, "set-hook", e) < 0)
		return -1;
	snprintf(target, sizeof(target), "%s.sh", hooks[which]);
	note_hook(&x, hooks[which], file != NULL);
	if (file == NULL) {
		path_at(path, "%s/jails/%s/conf", env->conf.fs_root, name);
		autofd int dir = open_dir(path, e);
		if (dir < 0 || file_remove(dir, target, e) < 0)
			return err_ctx(e, "remove hook %s of pot %s", hooks[which], name);
		return edit_end(&x, e);
	}
	/* the file first: a hook that is known but is not there yet would be the image's */
	if (conf_file_put(env, name, target, buf_str(&program), program.len, 0755, e) < 0)
		return -1;
	return edit_end(&x, e);
}
