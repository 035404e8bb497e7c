#include "pot/priv.h"
#include "pot/run.h"
#include "store/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/*
 * An intent says on disk, before the act, that a pot (or base) is being made or removed. While it
 * is there the pot does not count; whoever holds the pot's lock and finds one removes what it
 * announces. It also keeps the addresses of a pot that has no pot.conf yet.
 *
 * Where the file system keeps the order of things, nothing waits for the disk: a clone, made last,
 * puts all of it there at once. Its intent says so ("whole=<dataset>"): a pot whose intent is found
 * and that has this dataset is complete, and only the intent goes.
 *
 * <fs_root>/.intents/<name> or base:<name>, text: "ip=…\nip6=…\nmac=…\nbridge=…\n".
 * snapshot:<name>, text: "snap=…\n": of some datasets, not yet of all; undone by removing them.
 * revert:<name>: some datasets are back, not yet all; undone by doing it again.
 * rename:<new name>, text: "from=…\n": brought to an end when the datasets have the new name.
 */

static const char *const prefixes[] = {
	[INTENT_POT] = "",
	[INTENT_BASE] = "base:",
	[INTENT_SNAPSHOT] = "snapshot:",
	[INTENT_REVERT] = "revert:",
	[INTENT_RENAME] = "rename:",
};

static int
intents_dir(struct pot_env *env, bool make, struct err *e)
{
	char path[PATH_SIZE];
	int fd;

	path_at(path, "%s/.intents", env->conf.fs_root);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && make) {
		if (make_dirs(path, 0700, e) < 0)
			return -1;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return fd >= 0 ? fd : err_sys(e, "open %s", path);
}

static const char *
file_of(char out[DATASET_SIZE], const char *name, enum intent_kind kind)
{
	snprintf(out, DATASET_SIZE, "%s%s", prefixes[kind], name);
	return out;
}

/* What is done now goes to disk with the clone that ends it, and in order. */
static bool
keeps_order(const struct pot_env *env)
{
	return env->making && env->host->dataset->give_out != NULL;
}

int
intent_note(
    struct pot_env *env, const char *name, enum intent_kind kind, const char *text, struct err *e)
{
	char file[DATASET_SIZE];
	autofd int dir = intents_dir(env, true, e);

	file_of(file, name, kind);
	if (dir < 0 || file_swap(dir, file, text, strlen(text), 0600, e) < 0)
		return -1;
	if (keeps_order(env))
		return give_out(env, dir, file, e);
	return fsync(dir) < 0 ? err_sys(e, "sync %s/.intents", env->conf.fs_root) : 0;
}

int
intent_making(struct pot_env *env, const char *name, const struct net_choice *choice,
    const char *whole, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	const char *const lines[][2] = { { "ip", choice->ip }, { "ip6", choice->ip6 },
		{ "mac", choice->mac }, { "bridge", choice->bridge },
		{ "whole", whole != NULL ? whole : "" } };

	for (size_t i = 0; i < NELEM(lines); i++)
		if (*lines[i][1] != '\0')
			buf_addf(&text, "%s=%s\n", lines[i][0], lines[i][1]);
	/* that it is there must be on disk, what it says need not: a pot that a power cut left half
	 * made has no address to keep */
	return intent_note(env, name, INTENT_POT, buf_str(&text), e);
}

int
intent_begin(struct pot_env *env, const char *name, enum intent_kind kind, struct err *e)
{
	return intent_note(env, name, kind, "", e);
}

int
intent_done(struct pot_env *env, const char *name, enum intent_kind kind, struct err *e)
{
	char file[DATASET_SIZE];
	autofd int dir = intents_dir(env, false, e);

	if (dir < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	file_of(file, name, kind);
	if (keeps_order(env))
		return unlinkat(dir, file, 0) < 0 && errno != ENOENT ? err_sys(e, "remove %s", file)
								     : 0;
	return file_remove(dir, file, e);
}

int
intent_exists(struct pot_env *env, const char *name, enum intent_kind kind, struct err *e)
{
	char path[PATH_SIZE], file[DATASET_SIZE];

	path_at(path, "%s/.intents/%s", env->conf.fs_root, file_of(file, name, kind));
	if (access(path, F_OK) == 0)
		return 1;
	return errno == ENOENT ? 0 : err_sys(e, "look for %s", path);
}

static int
read_intent(
    struct pot_env *env, const char *name, enum intent_kind kind, struct buf *text, struct err *e)
{
	char path[PATH_SIZE], file[DATASET_SIZE];

	path_at(path, "%s/.intents/%s", env->conf.fs_root, file_of(file, name, kind));
	return buf_read_file(text, path, 4096, e) < 0 && e->kind != ERR_ABSENT ? -1 : 0;
}

int
intent_undo(struct pot_env *env, const char *name, enum intent_kind kind, struct err *e)
{
	char dataset[DATASET_SIZE];

	if (kind == INTENT_POT) {
		/* a flavour's script may have been at work */
		if (run_end(env, name, e) < 0 || destroy_datasets(env, name, e) < 0)
			return -1;
	} else if (kind == INTENT_SNAPSHOT || kind == INTENT_REVERT || kind == INTENT_RENAME) {
		autobuf struct buf text = BUF_INIT;

		if (read_intent(env, name, kind, &text, e) < 0)
			return -1;
		if ((kind == INTENT_SNAPSHOT	? snapshot_undo(env, name, buf_str(&text), e)
			: kind == INTENT_RENAME ? rename_again(env, name, buf_str(&text), e)
						: revert_again(env, name, e)) < 0)
			return -1;
	} else {
		snprintf(dataset, sizeof(dataset), "bases/%s", name);
		if (env->host->dataset->destroy(env->host, dataset, true, e) < 0)
			return -1;
	}
	return intent_done(env, name, kind, e);
}

/* Does it announce something that is complete? */
static int
is_whole(struct pot_env *env, const char *name, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	char *dataset;

	if (read_intent(env, name, INTENT_POT, &text, e) < 0)
		return -1;
	dataset = text.len > 0 ? strstr(text.data, "whole=") : NULL;
	if (dataset == NULL || strchr(dataset, '\n') == NULL)
		return 0;
	dataset += strlen("whole=");
	dataset[strcspn(dataset, "\n")] = '\0';
	return env->host->dataset->exists(env->host, dataset, e);
}

int
intent_settle(struct pot_env *env, const char *name, enum intent_kind kind, struct err *e)
{
	int whole = kind == INTENT_POT ? is_whole(env, name, e) : 0;

	if (whole < 0)
		return -1;
	return whole > 0 ? intent_done(env, name, kind, e) : intent_undo(env, name, kind, e);
}

int
intent_list(struct pot_env *env, enum intent_kind kind, struct arena *mem, struct pot_strs *out,
    struct err *e)
{
	struct strs_builder names = STRS_BUILDER(out, mem);
	struct dirent *d;
	int fd = intents_dir(env, false, e);

	*out = (struct pot_strs){ 0 };
	if (fd < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	DIR *dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return err_sys(e, "read %s/.intents", env->conf.fs_root);
	}
	while ((d = readdir(dir)) != NULL) {
		/* names have no colon, prefixes end with one */
		const char *colon = strchr(d->d_name, ':');
		size_t len = colon != NULL ? (size_t)(colon + 1 - d->d_name) : 0;
		if (d->d_name[0] != '.' && len == strlen(prefixes[kind]) &&
		    strncmp(d->d_name, prefixes[kind], len) == 0)
			list_add(&names, arena_strdup(mem, d->d_name + len));
	}
	closedir(dir);
	list_sort(out);
	return 0;
}
