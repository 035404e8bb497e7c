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
 * is not run unless POT_IMAGE_HOOKS says so. A hook's failure is told and changes nothing.
 */

void
hook_run(struct pot_env *env, const struct pot_spec *spec, const char *hook,
    const struct pot_strs *environ_)
{
	char path[PATH_SIZE];
	struct stat st;
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int status = 0;

	path_at(path, "%s/jails/%s/conf/%s.sh", env->conf.fs_root, spec->name, hook);
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_mode & S_IXUSR) == 0)
		return;
	if (spec->imported && !env->conf.image_hooks) {
		pot_say(env, POT_SAY_INFO,
		    "hook %s of pot %s came with an image and is not run (POT_IMAGE_HOOKS)", hook,
		    spec->name);
		return;
	}
	autoarena struct arena mem = ARENA_INIT;
	struct pot_strs vars = { 0 };
	struct strs_builder b = STRS_BUILDER(&vars, &mem);
	list_add(&b, arena_strdup(&mem,
			 "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
	for (size_t i = 0; environ_ != NULL && i < environ_->n; i++)
		list_add(&b, environ_->at[i]);
	char *argv[] = { path, NULL };
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	int rc = posix_spawn(&pid, path, &actions, NULL, argv, vars.at);
	posix_spawn_file_actions_destroy(&actions);
	if (rc != 0) {
		pot_say(env, POT_SAY_ERROR, "hook %s: %s", path, strerror(rc));
		return;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		pot_say(env, POT_SAY_ERROR, "hook %s of pot %s failed", hook, spec->name);
}
