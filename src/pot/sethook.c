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

/* What is the operator's from now on: what is set, and what was and is not removed. */
static void
note_hooks(struct edit *x, const char *const files[POT_HOOKS])
{
	const struct pot_strs *known = &x->spec->hooks;

	if (!x->spec->imported)
		return;
	conf_set(&x->conf, "pot.hook", NULL);
	for (int h = 0; h < POT_HOOKS; h++)
		if (files[h] == NULL ? list_has(known, hooks[h]) : *files[h] != '\0')
			conf_add(&x->conf, "pot.hook", hooks[h]);
}

static int
put_hook(struct edit *x, const char *hook, const struct buf *program, struct err *e)
{
	char target[32], path[PATH_SIZE];

	snprintf(target, sizeof(target), "%s.sh", hook);
	/* the file first: a hook that is known but is not there yet would be the image's */
	if (program != NULL)
		return conf_file_put(
		    x->env, x->name, target, buf_str(program), program->len, 0755, e);
	path_at(path, "%s/jails/%s/conf", x->env->conf.fs_root, x->name);
	autofd int dir = open_dir(path, e);
	if (dir < 0 || file_remove(dir, target, e) < 0)
		return err_ctx(e, "remove hook %s of pot %s", hook, x->name);
	return 0;
}

static int
put_hooks(
    struct edit *x, const char *const files[POT_HOOKS], const struct buf *programs, struct err *e)
{
	for (int h = 0; h < POT_HOOKS; h++)
		if (files[h] != NULL &&
		    put_hook(x, hooks[h], *files[h] != '\0' ? &programs[h] : NULL, e) < 0)
			return -1;
	note_hooks(x, files);
	return edit_end(x, e);
}

int
pot_set_hooks(
    struct pot_env *env, const char *name, const char *const files[POT_HOOKS], struct err *e)
{
	struct buf programs[POT_HOOKS] = { BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT };
	autoedit struct edit x = EDIT_INIT;
	int rc = 0;

	/* all of them are read before the first is changed: nothing is half-done for a wrong name
	 */
	for (int h = 0; h < POT_HOOKS && rc == 0; h++)
		if (files[h] != NULL && *files[h] != '\0')
			rc = read_program(files[h], &programs[h], e);
	if (rc == 0)
		rc = edit_begin(&x, env, name, "set-hook", e);
	if (rc == 0)
		rc = put_hooks(&x, files, programs, e);
	for (int h = 0; h < POT_HOOKS; h++)
		buf_fini(&programs[h]);
	return rc;
}
