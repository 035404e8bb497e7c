#include "platform/linux/ops.h"

#include "base/clock.h"
#include "base/str.h"
#include "base/vec.h"
#include "platform/linux/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { KILL_WAIT_MS = 10000, REMOVE_TRIES = 1000 };

static void
place_fini(struct place *p)
{
	free(p->v2);
	for (int i = 0; i < CG_CONTROLLERS; i++)
		free(p->v1[i]);
	cgroups_fini(&p->c);
}
#define autoplace CLEANUP(place_fini)

static int
check_run(const char *run, struct err *e)
{
	if (run[0] == '\0' || run[0] == '.' || strchr(run, '/') != NULL || strlen(run) > 255 ||
	    strchr(run, '\n') != NULL)
		return err_new(e, ERR_INPUT, "'%s' is not the name of a run", run);
	return 0;
}

static int
place_find(struct host *h, const char *run, struct place *p, struct err *e)
{
	if (check_run(run, e) < 0 || cgroups_find(&p->c, e) < 0)
		return -1;
	if (p->c.v2 != NULL)
		p->v2 = xasprintf("%s/%s/%s", p->c.v2, h->roots.cgroup, run);
	for (int i = 0; i < CG_CONTROLLERS; i++)
		if (p->c.v1[i] != NULL)
			p->v1[i] = xasprintf("%s/%s/%s", p->c.v1[i], h->roots.cgroup, run);
	return 0;
}

static bool
is_dir(const char *path)
{
	struct stat st;

	return path != NULL && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The run's directories that exist, each once. */
static size_t
place_dirs(const struct place *p, const char *dirs[CGROUP_TREES])
{
	size_t n = 0;

	if (is_dir(p->v2))
		dirs[n++] = p->v2;
	for (int i = 0; i < CG_CONTROLLERS; i++) {
		bool seen = p->v1[i] == NULL;

		for (size_t k = 0; k < n && !seen; k++)
			seen = str_eq(dirs[k], p->v1[i]);
		if (!seen && is_dir(p->v1[i]))
			dirs[n++] = p->v1[i];
	}
	return n;
}

/* ---- making ---- */

/* A v1 cpuset without CPUs and memory nodes takes no process: a new one gets its parent's. */
static int
cpuset_inherit(const char *dir, const char *parent, struct err *e)
{
	static const char *const files[] = { "cpuset.mems", "cpuset.cpus" };
	autobuf struct buf value = BUF_INIT;

	for (size_t i = 0; i < NELEM(files); i++) {
		if (cgroup_read(dir, files[i], &value, e) < 0)
			return -1;
		if (value.len > 0)
			continue;
		if (cgroup_read(parent, files[i], &value, e) < 0 ||
		    cgroup_write(dir, files[i], buf_str(&value), e) < 0)
			return -1;
	}
	return 0;
}

/* What a v2 group's children may control is said in the group. */
static int
v2_enable(const struct cgroups *c, const char *dir, struct err *e)
{
	autobuf struct buf words = BUF_INIT, now = BUF_INIT;

	if (cgroup_read(dir, "cgroup.subtree_control", &now, e) < 0)
		return -1;
	for (int i = 0; i < CG_CONTROLLERS; i++)
		if (c->v2_has[i] && strstr(buf_str(&now), cgroup_controller_names[i]) == NULL)
			buf_addf(&words, "%s+%s", words.len ? " " : "", cgroup_controller_names[i]);
	return words.len == 0 ? 0 : cgroup_write(dir, "cgroup.subtree_control", words.data, e);
}

static int make_dir(struct place *p, const char *mount, const char *dir, struct err *e);

/* The directory that holds the runs, and those above it up to the mount point. */
static int
make_parent(struct place *p, const char *mount, const char *dir, struct err *e)
{
	autofree char *parent = xstrdup(dir), *above = NULL;

	*strrchr(parent, '/') = '\0';
	if (strlen(parent) <= strlen(mount) || is_dir(parent))
		return 0;
	if (make_dir(p, mount, parent, e) < 0)
		return -1;
	if (p->c.v2 == NULL || !str_eq(mount, p->c.v2))
		return 0;
	above = xstrdup(parent);
	*strrchr(above, '/') = '\0';
	if (v2_enable(&p->c, above, e) < 0 || v2_enable(&p->c, parent, e) < 0)
		return err_ctx(e, "let control groups below %s have limits", parent);
	return 0;
}

/* 1: it was made, 0: it was there. */
static int
make_dir(struct place *p, const char *mount, const char *dir, struct err *e)
{
	bool v2 = p->c.v2 != NULL && str_eq(mount, p->c.v2);

	if (mkdir(dir, 0755) < 0) {
		if (errno == EEXIST)
			return 0;
		if (errno != ENOENT)
			return err_sys(e, "make control group %s", dir);
		if (make_parent(p, mount, dir, e) < 0)
			return -1;
		if (mkdir(dir, 0755) < 0)
			return errno == EEXIST ? 0 : err_sys(e, "make control group %s", dir);
	}
	if (v2 || p->c.v1[CG_CPUSET] == NULL || !str_eq(mount, p->c.v1[CG_CPUSET]))
		return 1;
	autofree char *parent = xstrdup(dir);
	*strrchr(parent, '/') = '\0';
	return cpuset_inherit(dir, parent, e) < 0 ? -1 : 1;
}

/* The rules for all pots together stand before a pot is made, which starts with its parent's. */
static int
make_reserve(const struct host *h, struct place *p, struct err *e)
{
	static const enum cgroup_controller kinds[] = { CG_MEMORY, CG_CPUSET };

	if (h->roots.reserve_memory_bytes == 0 && h->roots.reserve_cpus == 0)
		return 0;
	for (size_t i = 0; i < NELEM(kinds); i++) {
		bool v2;
		const char *dir = controller_dir(p, kinds[i], &v2);
		if (dir != NULL && make_parent(p, v2 ? p->c.v2 : p->c.v1[kinds[i]], dir, e) < 0)
			return -1;
	}
	return reserve_set(h, p, e);
}

static int
need(struct place *p, enum cgroup_controller which, const char *what, struct err *e)
{
	bool v2;
	const char *dir = controller_dir(p, which, &v2);

	if (dir == NULL)
		return err_new(e, ERR_UNSUPPORTED,
		    "limit of %s: this machine has no '%s' control groups; leave the limit out or "
		    "enable them",
		    what, cgroup_controller_names[which]);
	return v2 ? 0 : make_dir(p, p->c.v1[which], dir, e);
}

/* In a v2 tree everything has one directory. Of v1 trees only those are used that the run needs:
 * each one costs time at every start. The v2 tree, even an empty one, counts processor time and
 * kills a whole group at once. */
static int
make_dirs(const struct host *h, struct place *p, const struct limits *l, struct err *e)
{
	if (make_reserve(h, p, e) < 0 || (p->v2 != NULL && make_dir(p, p->c.v2, p->v2, e) < 0))
		return -1;
	if (controller_dir(p, CG_MEMORY, &(bool){ false }) != NULL &&
	    need(p, CG_MEMORY, "memory", e) < 0)
		return -1;
	if (p->v2 == NULL && p->v1[CG_CPUACCT] != NULL &&
	    need(p, CG_CPUACCT, "processor time", e) < 0)
		return -1;
	if (p->v2 == NULL && p->v1[CG_PIDS] != NULL && need(p, CG_PIDS, "processes", e) < 0)
		return -1;
	if (l->io_weight > 0 && need(p, CG_IO, "disks", e) < 0)
		return -1;
	if ((l->memory_bytes > 0 && need(p, CG_MEMORY, "memory", e) < 0) ||
	    (l->pids > 0 && need(p, CG_PIDS, "processes", e) < 0) ||
	    ((l->cpu_shares > 0 || l->cpu_quota_percent > 0) &&
		need(p, CG_CPU, "processor time", e) < 0) ||
	    ((l->cpu_count > 0 || l->cpuset != NULL || h->roots.reserve_cpus > 0) &&
		need(p, CG_CPUSET, "processors", e) < 0))
		return -1;
	return 0;
}

static int remove_dirs(const struct place *p, struct err *e);

static int
linux_create(struct host *h, const char *run, const struct limits *l, struct err *e)
{
	autoplace struct place p = PLACE_INIT;
	struct err ignored = ERR_INIT;

	if (place_find(h, run, &p, e) < 0)
		return -1;
	if (make_dirs(h, &p, l, e) == 0 && limits_set(&p, l, e) == 0)
		return 0;
	(void)remove_dirs(&p, &ignored);
	return err_ctx(e, "limits of %s", run);
}

static int
linux_update(struct host *h, const char *run, const struct limits *l, struct err *e)
{
	autoplace struct place p = PLACE_INIT;
	const char *dirs[CGROUP_TREES];
	static const struct {
		enum cgroup_controller which;
		const char *what;
	} names[] = {
		{ CG_MEMORY, "memory" },
		{ CG_PIDS, "processes" },
		{ CG_CPU, "processor time" },
		{ CG_CPUSET, "processors" },
		{ CG_IO, "disks" },
	};

	if (place_find(h, run, &p, e) < 0)
		return -1;
	if (place_dirs(&p, dirs) == 0)
		return err_new(e, ERR_ABSENT, "there is no control group of %s", run);
	for (size_t i = 0; i < NELEM(names); i++) {
		bool v2, wanted[] = { l->memory_bytes > 0, l->pids > 0,
			l->cpu_shares > 0 || l->cpu_quota_percent > 0,
			l->cpuset != NULL || l->cpu_count > 0, l->io_weight > 0 };

		/* A v1 tree that the run was not born in cannot be joined from outside. */
		if (wanted[i] && !is_dir(controller_dir(&p, names[i].which, &v2)))
			return err_new(e, ERR_UNSUPPORTED,
			    "limit of %s: %s was started without one; it takes effect at the next "
			    "start",
			    names[i].what, run);
	}
	return limits_set(&p, l, e) < 0 ? err_ctx(e, "limits of %s", run) : 0;
}

static int
linux_join(struct host *h, const char *run, struct names *out, struct err *e)
{
	autoplace struct place p = PLACE_INIT;
	const char *dirs[CGROUP_TREES];
	size_t n;

	if (place_find(h, run, &p, e) < 0)
		return -1;
	n = place_dirs(&p, dirs);
	for (size_t i = 0; i < n; i++)
		names_add(out, dirs[i]);
	return 0;
}

/* ---- looking ---- */

static int
linux_pids(struct host *h, const char *run, int **out, size_t *n, struct err *e)
{
	autoplace struct place p = PLACE_INIT;
	autobuf struct buf text = BUF_INIT;
	const char *dirs[CGROUP_TREES];
	VEC(int) pids = VEC_INIT;

	if (place_find(h, run, &p, e) < 0)
		return -1;
	if (place_dirs(&p, dirs) == 0)
		return err_new(e, ERR_ABSENT, "there is no control group of %s", run);
	if (cgroup_read(dirs[0], "cgroup.procs", &text, e) < 0)
		return -1;
	for (const char *at = buf_str(&text); *at != '\0';) {
		int pid = (int)strtol(at, NULL, 10);

		if (pid > 0) /* 0: in a process namespace that is not ours */
			VEC_PUSH(&pids, pid);
		at = strchr(at, '\n') != NULL ? strchr(at, '\n') + 1 : "";
	}
	*out = pids.at;
	*n = pids.n;
	return 0;
}

static void
usage_memory(const struct place *p, struct usage *u)
{
	autobuf struct buf text = BUF_INIT;
	struct err ignored = ERR_INIT;
	bool v2;
	const char *dir = controller_dir(p, CG_MEMORY, &v2);

	if (!is_dir(dir))
		return;
	(void)cgroup_read_u64(
	    dir, v2 ? "memory.current" : "memory.usage_in_bytes", &u->memory_bytes, &ignored);
	(void)cgroup_read_u64(
	    dir, v2 ? "memory.peak" : "memory.max_usage_in_bytes", &u->memory_max_bytes, &ignored);
	if (cgroup_read(dir, "memory.stat", &text, &ignored) == 0) {
		u->rss_bytes = cgroup_key(buf_str(&text), v2 ? "anon" : "total_rss");
		u->cache_bytes = cgroup_key(buf_str(&text), v2 ? "file" : "total_cache");
		u->swap_bytes = v2 ? 0 : cgroup_key(buf_str(&text), "total_swap");
	}
	if (v2)
		(void)cgroup_read_u64(dir, "memory.swap.current", &u->swap_bytes, &ignored);
	if (cgroup_read(dir, v2 ? "memory.events" : "memory.oom_control", &text, &ignored) == 0)
		u->oom_kills = cgroup_key(buf_str(&text), "oom_kill");
}

static void
usage_cpu(const struct place *p, struct usage *u)
{
	autobuf struct buf text = BUF_INIT;
	struct err ignored = ERR_INIT;

	/* A v2 group counts processor time also where the tree has no controllers. */
	if (is_dir(p->v2) && cgroup_read(p->v2, "cpu.stat", &text, &ignored) == 0) {
		u->cpu_ns = cgroup_key(buf_str(&text), "usage_usec") * 1000;
		u->cpu_user_ns = cgroup_key(buf_str(&text), "user_usec") * 1000;
		u->cpu_system_ns = cgroup_key(buf_str(&text), "system_usec") * 1000;
		u->throttled_periods = cgroup_key(buf_str(&text), "nr_throttled");
		u->throttled_ns = cgroup_key(buf_str(&text), "throttled_usec") * 1000;
	} else if (is_dir(p->v1[CG_CPUACCT])) {
		(void)cgroup_read_u64(p->v1[CG_CPUACCT], "cpuacct.usage", &u->cpu_ns, &ignored);
		(void)cgroup_read_u64(
		    p->v1[CG_CPUACCT], "cpuacct.usage_user", &u->cpu_user_ns, &ignored);
		(void)cgroup_read_u64(
		    p->v1[CG_CPUACCT], "cpuacct.usage_sys", &u->cpu_system_ns, &ignored);
	}
	if (is_dir(p->v1[CG_CPU]) && cgroup_read(p->v1[CG_CPU], "cpu.stat", &text, &ignored) == 0) {
		u->throttled_periods = cgroup_key(buf_str(&text), "nr_throttled");
		u->throttled_ns = cgroup_key(buf_str(&text), "throttled_time");
	}
}

static void
usage_cpus(const struct place *p, struct usage *u)
{
	autobuf struct buf text = BUF_INIT;
	struct err ignored = ERR_INIT;
	bool v2;
	const char *dir = controller_dir(p, CG_CPUSET, &v2);

	if (is_dir(dir) && cgroup_read(dir, "cpuset.cpus", &text, &ignored) == 0)
		(void)str_copy(u->cpus, sizeof(u->cpus), buf_str(&text));
}

static int
linux_usage(struct host *h, const char *run, struct usage *out, struct err *e)
{
	autoplace struct place p = PLACE_INIT;
	struct usage u = { .pids = 0 };
	struct err ignored = ERR_INIT;
	const char *dirs[CGROUP_TREES], *pids;
	bool v2;

	if (place_find(h, run, &p, e) < 0)
		return -1;
	if (place_dirs(&p, dirs) == 0)
		return err_new(e, ERR_ABSENT, "there is no control group of %s", run);
	usage_memory(&p, &u);
	usage_cpu(&p, &u);
	u.read_ns = clock_mono_ns();
	usage_cpus(&p, &u);
	pids = controller_dir(&p, CG_PIDS, &v2);
	if (!is_dir(pids) || cgroup_read_u64(pids, "pids.current", &u.pids, &ignored) < 0) {
		autofree int *list = NULL;
		size_t n = 0;

		if (linux_pids(h, run, &list, &n, &ignored) == 0)
			u.pids = n;
	}
	*out = u;
	return 0;
}

static int
linux_list(struct host *h, struct names *out, struct err *e)
{
	autocgroups struct cgroups c = CGROUPS_INIT;
	autonames struct names all = NAMES_INIT;
	const char *trees[CGROUP_TREES];
	size_t n;

	if (cgroups_find(&c, e) < 0)
		return -1;
	n = cgroups_trees(&c, trees);
	for (size_t i = 0; i < n; i++) {
		autofree char *parent = xasprintf("%s/%s", trees[i], h->roots.cgroup);
		DIR *d = opendir(parent);
		struct dirent *entry;

		if (d == NULL && errno != ENOENT)
			return err_sys(e, "open %s", parent);
		while (d != NULL && (entry = readdir(d)) != NULL)
			if (entry->d_name[0] != '.' && entry->d_type == DT_DIR)
				names_add(&all, entry->d_name);
		if (d != NULL)
			closedir(d);
	}
	names_sort(&all);
	for (size_t i = 0; i < all.n; i++)
		if (i == 0 || !str_eq(all.at[i], all.at[i - 1]))
			names_add(out, all.at[i]);
	return 0;
}

/* ---- ending ---- */

/* SIGKILL, and wait until it is dead. A pid that was given to somebody else since the list was read
 * is not hit: the descriptor is opened first, and the list is read again after that. */
static int
kill_listed(struct host *h, const char *run, int64_t until_ns, size_t *left, struct err *e)
{
	autofree int *before = NULL, *after = NULL;
	autofree struct pollfd *fds = NULL;
	size_t n, m;

	if (linux_pids(h, run, &before, &n, e) < 0)
		return -1;
	*left = n;
	if (n == 0)
		return 0;
	fds = xcalloc(n, sizeof(*fds));
	for (size_t i = 0; i < n; i++)
		fds[i] = (struct pollfd){ .fd = (int)syscall(SYS_pidfd_open, before[i], 0),
			.events = POLLIN };
	if (linux_pids(h, run, &after, &m, e) == 0) {
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; k < m; k++)
				if (before[i] == after[k] && fds[i].fd >= 0)
					(void)syscall(
					    SYS_pidfd_send_signal, fds[i].fd, SIGKILL, NULL, 0);
		for (size_t i = 0; i < n; i++) {
			int64_t wait_ms = (until_ns - clock_mono_ns()) / NS_PER_MS;

			if (fds[i].fd >= 0)
				(void)poll(&fds[i], 1, wait_ms > 0 ? (int)wait_ms : 0);
		}
	}
	for (size_t i = 0; i < n; i++)
		if (fds[i].fd >= 0)
			close(fds[i].fd);
	return 0;
}

static int
linux_kill(struct host *h, const char *run, struct err *e)
{
	autoplace struct place p = PLACE_INIT;
	int64_t until = clock_mono_ns() + KILL_WAIT_MS * NS_PER_MS;
	struct err old_kernel = ERR_INIT;
	const char *dirs[CGROUP_TREES];
	size_t left = 1;

	if (place_find(h, run, &p, e) < 0)
		return -1;
	if (place_dirs(&p, dirs) == 0)
		return 0;
	if (is_dir(p.v2))
		(void)cgroup_write(p.v2, "cgroup.kill", "1", &old_kernel);
	while (left > 0) {
		if (kill_listed(h, run, until, &left, e) < 0)
			return e->kind == ERR_ABSENT ? 0 : -1;
		if (left > 0 && clock_mono_ns() >= until)
			return err_new(e, ERR_TIMEOUT,
			    "kill %s: %zu processes live on after %d s (they wait inside the "
			    "kernel)",
			    run, left, KILL_WAIT_MS / 1000);
	}
	return 0;
}

/* With the groups that something inside made below it. */
static int
remove_tree(const char *dir)
{
	DIR *d;
	struct dirent *entry;

	if (rmdir(dir) == 0 || errno == ENOENT)
		return 0;
	d = opendir(dir);
	if (d == NULL)
		return errno == ENOENT ? 0 : -1;
	while ((entry = readdir(d)) != NULL)
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
			autofree char *sub = xasprintf("%s/%s", dir, entry->d_name);

			(void)remove_tree(sub);
		}
	closedir(d);
	return rmdir(dir) == 0 || errno == ENOENT ? 0 : -1;
}

static int
remove_dirs(const struct place *p, struct err *e)
{
	const char *dirs[CGROUP_TREES];
	size_t n = place_dirs(p, dirs);
	autobuf struct buf procs = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		/* A process that was just reaped may still count for a moment. */
		for (int tries = 0; remove_tree(dirs[i]) < 0; tries++) {
			if (errno != EBUSY || tries >= REMOVE_TRIES)
				return err_sys(e, "remove control group %s", dirs[i]);
			if (cgroup_read(dirs[i], "cgroup.procs", &procs, e) == 0 && procs.len > 0)
				return err_new(e, ERR_BUSY,
				    "remove control group %s: processes live in it (%.40s…)",
				    dirs[i], procs.data);
			sched_yield();
		}
	return 0;
}

static int
linux_remove(struct host *h, const char *run, struct err *e)
{
	autoplace struct place p = PLACE_INIT;

	return place_find(h, run, &p, e) < 0 ? -1 : remove_dirs(&p, e);
}

static int
linux_teardown(struct host *h, struct err *e)
{
	autocgroups struct cgroups c = CGROUPS_INIT;
	const char *trees[CGROUP_TREES];
	size_t n;

	if (cgroups_find(&c, e) < 0)
		return -1;
	n = cgroups_trees(&c, trees);
	for (size_t i = 0; i < n; i++) {
		autofree char *parent = xasprintf("%s/%s", trees[i], h->roots.cgroup);

		if (rmdir(parent) < 0 && errno != ENOENT)
			return err_sys(e, "remove control group %s", parent);
	}
	return 0;
}

static int
linux_probe(struct host *h, struct err *e)
{
	autocgroups struct cgroups c = CGROUPS_INIT;
	const char *trees[CGROUP_TREES];

	(void)h;
	if (cgroups_find(&c, e) < 0)
		return -1;
	if (cgroups_trees(&c, trees) == 0)
		return err_new(e, ERR_UNSUPPORTED, "no control groups are mounted on this machine");
	return 0;
}

const struct limits_ops limits_linux = {
	.name = "control groups",
	.probe = linux_probe,
	.create = linux_create,
	.update = linux_update,
	.join = linux_join,
	.usage = linux_usage,
	.pids = linux_pids,
	.kill = linux_kill,
	.remove = linux_remove,
	.list = linux_list,
	.teardown = linux_teardown,
};
