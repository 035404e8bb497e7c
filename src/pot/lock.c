#include "pot/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * One lock file per pot in POT_RUN_DIR/locks, and a few for the machine, whose names start with a
 * dot. The kernel releases a lock when its holder dies. Locks are held for the length of a change,
 * never for the length of a run. The file says who holds it, for people.
 */

static int
locks_dir(struct pot_env *env, struct err *e)
{
	char path[PATH_SIZE];
	int fd;

	path_at(path, "%s/locks", env->conf.run_dir);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		if (make_dirs(env->conf.run_dir, 0711, e) < 0 || make_dirs(path, 0700, e) < 0)
			return -1;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return fd >= 0 ? fd : err_sys(e, "open %s", path);
}

static int
holder(int fd)
{
	char text[16] = "";
	uint64_t pid;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n > 0)
		text[strcspn(text, "\n")] = '\0';
	return n > 0 && str_u64(text, INT32_MAX, &pid) ? (int)pid : 0;
}

static int
take_lock(struct pot_env *env, int fd, const char *lock, int how, struct err *e)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return err_sys(e, "lock %s", lock);
	if (how == LOCK_TRY)
		return err_new(e, ERR_BUSY, "%s is being changed by process %d", lock, holder(fd));
	pot_say(env, POT_SAY_DEBUG, "waiting for process %d, which holds the lock of %s",
	    holder(fd), lock);
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR || (env->stop != NULL && *env->stop != 0))
			return err_sys(e, "lock %s", lock);
	return 0;
}

int
lock_named(struct pot_env *env, const char *lock, int how, struct err *e)
{
	autofd int dir = locks_dir(env, e);

	if (dir < 0)
		return -1;
	for (;;) {
		struct stat held, named;
		char text[16];
		autofd int fd = openat(dir, lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return err_sys(e, "open lock %s/locks/%s", env->conf.run_dir, lock);
		if (take_lock(env, fd, lock, how, e) < 0)
			return -1;
		/* its last holder may have removed the file while we waited */
		if (fstat(fd, &held) < 0 || fstatat(dir, lock, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
		    held.st_ino != named.st_ino)
			continue;
		int n = snprintf(text, sizeof(text), "%d\n         ", (int)getpid());
		(void)!pwrite(fd, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1, 0);
		return take_fd(&fd);
	}
}

/* Finishes what an interrupted creation or removal announced. */
static int
recover(struct pot_env *env, const char *name, enum intent_kind kind, struct err *e)
{
	int there = intent_exists(env, name, kind, e);

	if (there <= 0)
		return there;
	if (intent_settle(env, name, kind, e) < 0)
		return err_ctx(e, "put right what an interrupted call left of %s", name);
	pot_say(env, POT_SAY_INFO,
	    kind == INTENT_REVERT   ? "finished the revert of %s that was interrupted"
	    : kind == INTENT_RENAME ? "finished the renaming to %s that was interrupted"
				    : "removed what an interrupted call had left of %s",
	    name);
	return 0;
}

int
lock_pot(struct pot_env *env, const char *name, int how, struct err *e)
{
	if (pot_name_check(name, e) < 0)
		return -1;
	if (env->held != NULL && strcmp(env->held, name) == 0) {
		int shared = fcntl(env->held_fd, F_DUPFD_CLOEXEC, 0);
		return shared >= 0 ? shared : err_sys(e, "share the lock of %s", name);
	}
	const char *hook_of = getenv(LOCK_HOOK_OF);
	if (hook_of != NULL && strcmp(hook_of, name) == 0)
		how = LOCK_TRY;
	autofd int fd = lock_named(env, name, how, e);
	if (fd < 0 || recover(env, name, INTENT_POT, e) < 0 ||
	    recover(env, name, INTENT_SNAPSHOT, e) < 0 ||
	    recover(env, name, INTENT_REVERT, e) < 0 || recover(env, name, INTENT_RENAME, e) < 0)
		return -1;
	return take_fd(&fd);
}

int
lock_base(struct pot_env *env, const char *base, int how, struct err *e)
{
	char lock[DATASET_SIZE];

	if (pot_word_check("base", base, e) < 0)
		return -1;
	snprintf(lock, sizeof(lock), "base:%s", base);
	autofd int fd = lock_named(env, lock, how, e);
	if (fd < 0 || recover(env, base, INTENT_BASE, e) < 0)
		return -1;
	return take_fd(&fd);
}

void
lock_share(struct pot_env *env, const char *name, int fd)
{
	env->held = name;
	env->held_fd = fd;
}

int
lock_pots(struct pot_env *env, const char *a, const char *b, int *fd_a, int *fd_b, struct err *e)
{
	bool swapped = strcmp(a, b) > 0;
	autofd int first = lock_pot(env, swapped ? b : a, LOCK_WAIT, e);

	if (first < 0)
		return -1;
	int second = lock_pot(env, swapped ? a : b, LOCK_WAIT, e);
	if (second < 0)
		return -1;
	*fd_a = swapped ? second : first;
	*fd_b = swapped ? first : second;
	first = -1;
	return 0;
}

void
lock_forget(struct pot_env *env, const char *name)
{
	char path[PATH_SIZE];

	path_at(path, "%s/locks/%s", env->conf.run_dir, name);
	(void)unlink(path);
}
