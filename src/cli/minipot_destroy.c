/* minipot destroy: the ledger, backwards. */
#include "cli/minipot.h"

#include "base/buf.h"
#include "platform/settings.h"
#include "pot/machine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DEPTH_MAX = 256, CONFIG_MAX = 1 << 20 };

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
	if (getpwnam(name) == NULL)
		return 0;
	minipot_say("Removing the user %s", name);
	return minipot_act(SERVICE_REMOVE_USER, name, e);
}

static int
undo_group(const char *name, struct err *e)
{
	if (getgrnam(name) == NULL)
		return 0;
	minipot_say("Removing the group %s", name);
	return minipot_act(SERVICE_REMOVE_GROUP, name, e);
}

static int
undo_pot(const struct minipot *m, struct err *e)
{
	autofree char *pot = xasprintf("%s/bin/pot", m->prefix);
	const char *const argv[] = { pot, "de-init", "-f", NULL };

	minipot_say("Removing pot's framework");
	return minipot_run(argv, !m->verbose, e);
}

/* "<file> <name>[=<old value>]". A value that somebody has changed since is left as it is. */
static int
undo_set(const struct minipot *m, const char *line, struct err *e)
{
	autoarena struct arena a = ARENA_INIT;
	autobuf struct buf text = BUF_INIT;
	struct err none = ERR_INIT;
	char *file = arena_strdup(&a, line), *name = strchr(file, ' '), *ours = NULL, *now = NULL;

	if (name == NULL)
		return err_new(e, ERR_CORRUPT, "the ledger's line \"%s\" names no setting", line);
	*name++ = '\0';
	char *old = strchr(name, '=');
	if (old != NULL)
		*old++ = '\0';
	for (size_t i = 0; i < m->service.n_set; i++)
		if (strcmp(m->service.set[i].name, name) == 0)
			ours = arena_strdup(&a, m->service.set[i].value);
	if (buf_read_file(&text, file, CONFIG_MAX, &none) == 0)
		now = settings_get(buf_str(&text), name, &a);
	if (now == NULL || (ours != NULL && strcmp(now, ours) != 0))
		return 0;
	if (pot_setting(file, name, old, &now, &a, e) < 0)
		return -1;
	minipot_say("%s: %s -> %s", name, now, old != NULL ? old : "");
	return 0;
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
		return m->service.managed ? minipot_act(SERVICE_DISABLE, line->name, e) : 0;
	case LEDGER_SET:
		return undo_set(m, line->name, e);
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

/* What the agent wrote for as long as the machine is up. */
static int
remove_run_dir(const struct minipot *m, struct err *e)
{
	if (unlink(m->pid_file) < 0 && errno != ENOENT)
		return err_sys(e, "remove %s", m->pid_file);
	if (rmdir(service_places.run) < 0 && errno != ENOENT && errno != ENOTEMPTY &&
	    errno != EEXIST)
		return err_sys(e, "remove %s", service_places.run);
	return 0;
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
	if (remove_run_dir(m, &e) < 0)
		failures += minipot_fail(&e);
	if (remove_pots(m, &e) < 0)
		failures += minipot_fail(&e);
	for (size_t i = m->ledger.n; i > 0; i--)
		if (undo(m, &m->ledger.line[i - 1], &e) < 0)
			failures += minipot_fail(&e);
	return failures > 0;
}
