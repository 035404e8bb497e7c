#include "platform/linux/cgroups.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

const char *const cgroup_controller_names[CG_CONTROLLERS] = {
	[CG_MEMORY] = "memory",
	[CG_PIDS] = "pids",
	[CG_CPU] = "cpu",
	[CG_CPUSET] = "cpuset",
	[CG_CPUACCT] = "cpuacct",
	[CG_FREEZER] = "freezer",
	[CG_IO] = "io",
};

const char *const cgroup_v1_names[CG_CONTROLLERS] = {
	[CG_MEMORY] = "memory",
	[CG_PIDS] = "pids",
	[CG_CPU] = "cpu",
	[CG_CPUSET] = "cpuset",
	[CG_CPUACCT] = "cpuacct",
	[CG_FREEZER] = "freezer",
	[CG_IO] = "blkio",
};

static bool
has_word(const char *text, const char *word, char separator)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)) != NULL; at += len)
		if ((at == text || at[-1] == separator) &&
		    (at[len] == separator || at[len] == '\0'))
			return true;
	return false;
}

/* mountinfo writes blanks and backslashes of a path in octal. */
static char *
unescape(const char *text)
{
	char *out = xstrdup(text), *to = out;

	for (const char *at = text; *at != '\0'; at++) {
		if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' &&
		    at[3] >= '0' && at[3] <= '7') {
			*to++ = (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0'));
			at += 3;
		} else {
			*to++ = *at;
		}
	}
	*to = '\0';
	return out;
}

/* One line: id parent dev root where options [optional…] - type source super-options */
static void
parse_mount(struct cgroups *c, char *line)
{
	char *save = NULL, *where = NULL, *word, *dash = strstr(line, " - "), *type, *options;

	if (dash == NULL)
		return;
	*dash = '\0';
	word = strtok_r(line, " ", &save);
	for (int i = 0; word != NULL && i < 4; i++)
		where = word = strtok_r(NULL, " ", &save);
	type = strtok_r(dash + 3, " ", &save);
	(void)strtok_r(NULL, " ", &save);
	options = strtok_r(NULL, " ", &save);
	if (where == NULL || type == NULL || options == NULL)
		return;
	if (str_eq(type, "cgroup2") && c->v2 == NULL)
		c->v2 = unescape(where);
	if (!str_eq(type, "cgroup"))
		return;
	for (int i = 0; i < CG_CONTROLLERS; i++)
		if (c->v1[i] == NULL && has_word(options, cgroup_v1_names[i], ','))
			c->v1[i] = unescape(where);
}

void
cgroups_parse(struct cgroups *c, const char *mountinfo)
{
	autofree char *copy = xstrdup(mountinfo);
	char *save = NULL;

	for (char *line = strtok_r(copy, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		parse_mount(c, line);
}

void
cgroups_parse_v2(struct cgroups *c, const char *controllers)
{
	for (int i = 0; i < CG_CONTROLLERS; i++)
		c->v2_has[i] = has_word(controllers, cgroup_controller_names[i], ' ');
}

static bool
mounted(const char *path, long type)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (long)fs.f_type == type;
}

/* The usual places, at a tenth of what the list of all mounts costs. False: look in that. */
static bool
find_at_usual(struct cgroups *c)
{
	struct stat st;
	char path[64];

	if (mounted("/sys/fs/cgroup", CGROUP2_SUPER_MAGIC)) {
		c->v2 = xstrdup("/sys/fs/cgroup");
		return true;
	}
	for (int i = 0; i < CG_CONTROLLERS; i++) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", cgroup_v1_names[i]);
		/* a link: several share one tree, which the list names */
		if (lstat(path, &st) < 0 || S_ISLNK(st.st_mode) ||
		    !mounted(path, CGROUP_SUPER_MAGIC)) {
			cgroups_fini(c);
			return false;
		}
		c->v1[i] = xstrdup(path);
	}
	if (mounted("/sys/fs/cgroup/unified", CGROUP2_SUPER_MAGIC))
		c->v2 = xstrdup("/sys/fs/cgroup/unified");
	return true;
}

static int
find_once(struct cgroups *c, struct err *e)
{
	autobuf struct buf mounts = BUF_INIT, controllers = BUF_INIT;
	struct err unreadable = ERR_INIT;

	if (!find_at_usual(c)) {
		if (buf_read_file(&mounts, "/proc/self/mountinfo", 16 << 20, e) < 0)
			return -1;
		cgroups_parse(c, buf_str(&mounts));
	}
	if (c->v2 != NULL &&
	    cgroup_read(c->v2, "cgroup.controllers", &controllers, &unreadable) == 0)
		cgroups_parse_v2(c, buf_str(&controllers));
	return 0;
}

/* Where they are mounted does not change while a machine runs: read once in a process. */
int
cgroups_find(struct cgroups *c, struct err *e)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static struct cgroups found;
	static bool have;
	int result = 0;

	pthread_mutex_lock(&mutex);
	if (!have) {
		result = find_once(&found, e);
		have = result == 0;
	}
	if (have) {
		*c = found;
		c->v2 = found.v2 != NULL ? xstrdup(found.v2) : NULL;
		for (int i = 0; i < CG_CONTROLLERS; i++)
			c->v1[i] = found.v1[i] != NULL ? xstrdup(found.v1[i]) : NULL;
	}
	pthread_mutex_unlock(&mutex);
	return result;
}

void
cgroups_fini(struct cgroups *c)
{
	free(c->v2);
	for (int i = 0; i < CG_CONTROLLERS; i++)
		free(c->v1[i]);
	*c = (struct cgroups)CGROUPS_INIT;
}

size_t
cgroups_trees(const struct cgroups *c, const char *trees[CGROUP_TREES])
{
	size_t n = 0;

	if (c->v2 != NULL)
		trees[n++] = c->v2;
	for (int i = 0; i < CG_CONTROLLERS; i++) {
		bool seen = c->v1[i] == NULL;

		for (size_t k = 0; k < n && !seen; k++)
			seen = str_eq(trees[k], c->v1[i]);
		if (!seen)
			trees[n++] = c->v1[i];
	}
	return n;
}

/* ---- files ---- */

int
cgroup_read(const char *dir, const char *file, struct buf *out, struct err *e)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	buf_reset(out);
	if (buf_read_file(out, path, 16 << 20, e) < 0)
		return -1;
	if (out->len > 0 && out->data[out->len - 1] == '\n')
		out->data[--out->len] = '\0';
	return 0;
}

int
cgroup_read_u64(const char *dir, const char *file, uint64_t *out, struct err *e)
{
	autobuf struct buf text = BUF_INIT;

	if (cgroup_read(dir, file, &text, e) < 0)
		return -1;
	if (!str_u64(buf_str(&text), UINT64_MAX, out))
		return err_new(
		    e, ERR_SYS, "%s/%s says '%s', not a number", dir, file, buf_str(&text));
	return 0;
}

int
cgroup_write(const char *dir, const char *file, const char *text, struct err *e)
{
	char path[4096];
	autofd int fd = -1;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open %s", path);
	if (fd_write_all(fd, text, strlen(text), e) < 0)
		return err_ctx(e, "write '%s' to %s", text, path);
	return 0;
}

uint64_t
cgroup_key(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) == 0 && line[len] == ' ')
			return strtoull(line + len + 1, NULL, 10);
	}
	return 0;
}
