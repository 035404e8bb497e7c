/* minipot destroy: the ledger, backwards. */
#include "cli/minipot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DEPTH_MAX = 256 };

static int remove_below(int at, const char *name, int depth, struct err *e);

static int
remove_entries(int fd, int depth, struct err *e)
{
	DIR *dir = fdopendir(fd);

	if (dir == NULL) {
		close(fd);
		return err_sys(e, "read directory");
	}
	int result = 0;
	for (struct dirent *d; result == 0 && (d = readdir(dir)) != NULL;)
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			result = remove_below(dirfd(dir), d->d_name, depth + 1, e);
	closedir(dir);
	return result;
}

/* Never follows a link. */
static int
remove_below(int at, const char *name, int depth, struct err *e)
{
	if (depth > DEPTH_MAX)
		return err_new(e, ERR_INPUT, "%s: directories nest too deeply", name);
	if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
		return 0;
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "remove %s", name);
	if (remove_entries(fd, depth, e) < 0)
		return -1;
	if (unlinkat(at, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(e, "remove %s", name);
	return 0;
}

static int
undo_file(const char *path, struct err *e)
{
	minipot_say("Removing %s", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(e, "remove %s", path);
	return 0;
}

static int
undo_backup(const char *path, struct err *e)
{
	autofree char *backup = xasprintf("%s.bkp-minipot", path);

	minipot_say("Restoring %s", path);
	if (rename(backup, path) < 0 && errno != ENOENT)
		return err_sys(e, "restore %s", path);
	return 0;
}

static int
undo_user(const char *name, struct err *e)
{
	const char *const argv[] = { "userdel", name, NULL };

	if (getpwnam(name) == NULL)
		return 0;
	minipot_say("Removing the user %s", name);
	return minipot_run(argv, true, e);
}

static int
undo_group(const char *name, struct err *e)
{
	const char *const argv[] = { "groupdel", name, NULL };

	if (getgrnam(name) == NULL)
		return 0;
	minipot_say("Removing the group %s", name);
	return minipot_run(argv, true, e);
}

static int
undo_pot(const struct minipot *m, struct err *e)
{
	autofree char *pot = xasprintf("%s/bin/pot", m->prefix);
	const char *const argv[] = { pot, "de-init", "-f", NULL };

	minipot_say("Removing pot's framework");
	return minipot_run(argv, !m->verbose, e);
}

static int
undo_unit(const char *name, struct err *e)
{
	const char *const argv[] = { "systemctl", "disable", "--quiet", name, NULL };

	return minipot_systemd() ? minipot_run(argv, true, e) : 0;
}

static int
undo(const struct minipot *m, const struct ledger_line *line, struct err *e)
{
	switch (line->kind) {
	case LEDGER_DIR:
		minipot_say("Removing the directory %s", line->name);
		return remove_below(AT_FDCWD, line->name, 0, e);
	case LEDGER_FILE:
		return undo_file(line->name, e);
	case LEDGER_BACKUP:
		return undo_backup(line->name, e);
	case LEDGER_USER:
		return undo_user(line->name, e);
	case LEDGER_GROUP:
		return undo_group(line->name, e);
	case LEDGER_UNIT:
		return undo_unit(line->name, e);
	case LEDGER_POT:
		return undo_pot(m, e);
	case LEDGER_KINDS:
		break;
	}
	return 0;
}

/* Where the framework was there before us, only the pots of the cluster's jobs go: they are
 * prunable. */
static int
remove_pots(const struct minipot *m, struct err *e)
{
	autofree char *pot = xasprintf("%s/bin/pot", m->prefix);
	const char *const argv[] = { pot, "prune", NULL };

	return ledger_has(&m->ledger, LEDGER_POT, "init") ? 0 : minipot_run(argv, true, e);
}

int
minipot_destroy(struct minipot *m)
{
	struct err e = ERR_INIT;
	int failures = 0;

	if (m->ledger.n == 0) {
		minipot_say("Nothing to remove: minipot init has not run here");
		return 0;
	}
	if (minipot_stop_agent(m, &e) < 0)
		return minipot_fail(&e);
	if (remove_pots(m, &e) < 0)
		failures += minipot_fail(&e);
	for (size_t i = m->ledger.n; i > 0; i--)
		if (undo(m, &m->ledger.line[i - 1], &e) < 0)
			failures += minipot_fail(&e);
	return failures > 0;
}
