#include "pot/start.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Hooks: programs in conf/ that run on this machine as root around a run. What came inside an image
 * is not run unless POT_IMAGE_HOOKS says so or set-hook put it there. They get what the pot is told
 * about itself and nothing that the pot, its image or the caller's environment could bring in.
 */

#define SYSTEM_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Is there one that is to run? Its path. */
static bool
find_hook(struct pot_env *env, const struct pot_spec *spec, const char *hook, char path[PATH_SIZE])
{
	struct stat st;

	path_at(path, "%s/jails/%s/conf/%s.sh", env->conf.fs_root, spec->name, hook);
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_mode & S_IXUSR) == 0)
		return false;
	if (!spec->imported || env->conf.image_hooks || list_has(&spec->hooks, hook))
		return true;
	pot_say(env, POT_SAY_INFO,
	    "hook %s of pot %s came with an image and is not run (POT_IMAGE_HOOKS; 'pot set-hook' "
	    "sets one)",
	    hook, spec->name);
	return false;
}

static int
environment_of(struct pot_env *env, const struct pot_spec *spec, pid_t init, struct arena *mem,
    struct pot_strs *out, struct err *e)
{
	const struct pot_state state = { .init_pid = init };
	struct strs_builder b = STRS_BUILDER(out, mem);
	struct pot_strs self;

	if (pot_self_env(env, spec, &state, mem, &self, e) < 0)
		return -1;
	list_add(&b, arena_printf(mem, "PATH=%s/bin:%s", env->prefix, SYSTEM_PATH));
	list_add(&b, arena_strdup(mem, "HOME=/"));
	list_add(&b, arena_printf(mem, "%s=%s", LOCK_HOOK_OF, spec->name));
	if (env->conf_file[0] != '\0')
		list_add(&b, arena_printf(mem, "POT_CONF=%s", env->conf_file));
	for (size_t i = 0; i < self.n; i++)
		list_add(&b, self.at[i]);
	return 0;
}

static int
spawn_program(char *const argv[], char *const *environ_, pid_t *pid)
{
	posix_spawn_file_actions_t actions;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	int rc = posix_spawn(pid, argv[0], &actions, NULL, argv, environ_);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

/* A file without "#!" is a script of the shell, as the shell implementation had it. */
static int
spawn_hook(char *path, char *const *environ_, pid_t *pid)
{
	char shell[] = "/bin/sh";
	int rc = spawn_program((char *[]){ path, NULL }, environ_, pid);

	return rc == ENOEXEC ? spawn_program((char *[]){ shell, path, NULL }, environ_, pid) : rc;
}

int
hook_run(struct pot_env *env, const struct pot_spec *spec, enum pot_hook which, pid_t init,
    struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	const char *hook = pot_hook_text(which);
	struct pot_strs vars = { 0 };
	char path[PATH_SIZE];
	int status = 0;
	pid_t pid;

	if (!find_hook(env, spec, hook, path))
		return 0;
	if (environment_of(env, spec, init, &mem, &vars, e) < 0)
		return -1;
	int rc = spawn_hook(path, vars.at, &pid);
	if (rc != 0) {
		errno = rc;
		return err_sys(e, "run hook %s of pot %s", hook, spec->name);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "wait for hook %s of pot %s", hook, spec->name);
	if (WIFSIGNALED(status))
		return err_new(e, ERR_REMOTE, "hook %s of pot %s was ended by signal %d", hook,
		    spec->name, WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return err_new(e, ERR_REMOTE, "hook %s of pot %s failed with %d", hook, spec->name,
		    WEXITSTATUS(status));
	return 0;
}

void
hook_tell(struct pot_env *env, const struct pot_spec *spec, enum pot_hook which, pid_t init)
{
	struct err e = ERR_INIT;

	if (hook_run(env, spec, which, init, &e) < 0)
		pot_say(env, POT_SAY_ERROR, "%s", e.text);
}

void
hook_tell_of(struct pot_env *env, const char *name, enum pot_hook which, pid_t init)
{
	autoarena struct arena mem = ARENA_INIT;
	struct err e = ERR_INIT;
	struct pot_spec *spec;

	if (pot_spec_load(env, name, &mem, &spec, &e) == 0)
		hook_tell(env, spec, which, init);
}

int
hook_prestart(struct pot_env *env, const struct pot_spec *spec, pid_t init, struct err *e)
{
	if (hook_run(env, spec, POT_HOOK_PRESTART, init, e) == 0)
		return 0;
	if (strcmp(env->conf.hook_failure, "ignore") != 0)
		return -1;
	pot_say(env, POT_SAY_ERROR, "%s", e->text);
	return 0;
}
