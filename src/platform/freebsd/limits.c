/*
 * Limits: rules of rctl(8) for the pot's jail, and the CPUs that the jail is bound to.
 *
 * Rules name a jail by its name, which is the pot's; they know no run. What a run was given is kept
 * in <POT_RUN_DIR>/limits/<run>, which is there before the rules are. A jail of that name is taken
 * for this run's only when bind() has noted its number: without that it may be anybody's.
 */
#include "base/clock.h"
#include "base/str.h"
#include "platform/freebsd/jail.h"
#include "platform/freebsd/jailuse.h"
#include "platform/freebsd/ops.h"
#include "platform/freebsd/pffile.h"
#include "platform/rctl/rctl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/file.h>
#include <sys/rctl.h>
#include <sys/stat.h>
#include <sys/sysctl.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 16 };

static const char off[] =
    "rctl is off on this machine: put kern.racct.enable=1 into /boot/loader.conf and restart it";

static bool
racct_on(void)
{
	int on = 0;
	size_t len = sizeof(on);

	return sysctlbyname("kern.racct.enable", &on, &len, NULL, 0) == 0 && on != 0;
}

static int
probe(struct host *h, struct err *e)
{
	(void)h;
	return racct_on() ? 0 : err_new(e, ERR_UNSUPPORTED, "%s", off);
}

/* ---- what is kept ---- */

static char *
place(const struct host *h)
{
	return xasprintf("%s/limits", h->roots.run_dir);
}

static int
load(const struct host *h, const char *run, struct rctl_run *out, struct err *e)
{
	autofree char *path = xasprintf("%s/limits/%s", h->roots.run_dir, run);
	autobuf struct buf text = BUF_INIT;

	if (buf_read_file(&text, path, FILE_MAX, e) < 0)
		return e->kind == ERR_ABSENT ? err_new(e, ERR_ABSENT, "%s has no limits kept", run)
					     : -1;
	return rctl_run_parse(buf_str(&text), out, e);
}

static int
save(const struct host *h, const char *run, const struct rctl_run *r, struct err *e)
{
	autofree char *dir = place(h);
	autofree char *path = xasprintf("%s/%s", dir, run);
	autobuf struct buf text = BUF_INIT;

	rctl_run_write(r, &text);
	if (mkdir(dir, 0711) < 0 && errno != EEXIST)
		return err_sys(e, "make %s", dir);
	return pffile_write(path, buf_str(&text), text.len, 0644, e);
}

static int
forget(const struct host *h, const char *run, struct err *e)
{
	autofree char *path = xasprintf("%s/limits/%s", h->roots.run_dir, run);

	return unlink(path) < 0 && errno != ENOENT ? err_sys(e, "remove %s", path) : 0;
}

static int
list(struct host *h, struct names *out, struct err *e)
{
	autofree char *dir = place(h);
	DIR *d = opendir(dir);
	struct dirent *entry;
	char jail[RCTL_JAIL];

	if (d == NULL)
		return errno == ENOENT ? 0 : err_sys(e, "open %s", dir);
	while ((entry = readdir(d)) != NULL)
		if (rctl_jail_of(entry->d_name, jail))
			names_add(out, entry->d_name);
	closedir(d);
	names_sort(out);
	return 0;
}

/* ---- rules ---- */

/* What the rule is to replace goes first: two of a kind would both count. */
static int
put_rule(const char *rule, struct err *e)
{
	autofree char *filter = rctl_filter(rule);

	if (rctl_remove_rule(filter, strlen(filter) + 1, NULL, 0) < 0 && errno != ESRCH &&
	    errno != ENOSYS)
		return err_sys(e, "rctl: replace %s", filter);
	if (rctl_add_rule(rule, strlen(rule) + 1, NULL, 0) == 0)
		return 0;
	if (errno == ENOSYS)
		return err_new(e, ERR_UNSUPPORTED, "%s", off);
	return err_sys(e, "rctl: add %s", rule);
}

static void
drop_rules(const struct rctl_run *r)
{
	for (size_t i = 0; i < r->rules.n; i++)
		(void)rctl_remove_rule(r->rules.at[i], strlen(r->rules.at[i]) + 1, NULL, 0);
}

static bool
has_rule_of(const struct rctl_run *r, const char *rule)
{
	size_t n = strcspn(rule, "=") + 1;

	for (size_t i = 0; i < r->rules.n; i++)
		if (strncmp(r->rules.at[i], rule, n) == 0)
			return true;
	return false;
}

/* Old ones of the same kind make way for new ones. */
static void
merge_rules(struct rctl_run *r, const struct names *fresh)
{
	struct names all = NAMES_INIT;
	struct rctl_run with = { .rules = *fresh };

	for (size_t i = 0; i < fresh->n; i++)
		names_add(&all, fresh->at[i]);
	for (size_t i = 0; i < r->rules.n; i++)
		if (!has_rule_of(&with, r->rules.at[i]))
			names_add(&all, r->rules.at[i]);
	names_fini(&r->rules);
	r->rules = all;
}

/* The jail, if it is this run's; 0: it has none. */
static int
jail_of_run(const struct rctl_run *r, struct err *e)
{
	int jid;

	if (r->jid == 0)
		return 0;
	jid = jail_named(r->jail, e);
	return jid < 0 ? -1 : jid == r->jid ? jid : 0;
}

/* ---- CPUs ---- */

/* As the kernel has it, since cpuset(1) may have been at work. */
static void
bound_to(const struct rctl_run *r, char out[RCTL_CPUS])
{
	struct err gone = ERR_INIT;
	int jid = jail_of_run(r, &gone);

	if (jid <= 0 || jailuse_bound(jid, out, RCTL_CPUS, &gone) < 0)
		(void)str_copy(out, RCTL_CPUS, r->cpus);
}

/* How many other runs are bound to each. */
static int
count_bound(struct host *h, const char *own, unsigned *used, struct err *e)
{
	autofree bool *cpus = xcalloc(CPUS_MAX, sizeof(*cpus));
	autonames struct names runs = NAMES_INIT;

	if (list(h, &runs, e) < 0)
		return -1;
	for (size_t i = 0; i < runs.n; i++) {
		autorctl_run struct rctl_run r = RCTL_RUN_INIT;
		struct err gone = ERR_INIT;
		char at[RCTL_CPUS];

		if (str_eq(runs.at[i], own) || load(h, runs.at[i], &r, &gone) < 0)
			continue;
		bound_to(&r, at);
		if (at[0] == '\0' || cpus_parse(at, cpus, &gone) < 0)
			continue;
		for (int k = 0; k < CPUS_MAX; k++)
			used[k] += cpus[k];
	}
	return 0;
}

static int
choose(struct host *h, const char *run, const bool *from, int n_from, const struct limits *l,
    bool *out, struct err *e)
{
	autofree unsigned *used = xcalloc(CPUS_MAX, sizeof(*used));

	if (l->cpuset != NULL) {
		int n = cpus_parse(l->cpuset, out, e);

		if (n == 0)
			return err_new(e, ERR_INPUT, "the set of CPUs is empty");
		for (int i = 0; i < CPUS_MAX && n > 0; i++)
			if (out[i] && !from[i])
				return err_new(
				    e, ERR_INPUT, "CPU %d is not there, or is the host's own", i);
		return n < 0 ? -1 : 0;
	}
	if (l->cpu_count == 0 || l->cpu_count >= (unsigned)n_from) {
		memcpy(out, from, CPUS_MAX * sizeof(*out));
		return 0;
	}
	if (count_bound(h, run, used, e) < 0)
		return -1;
	cpus_least(from, used, l->cpu_count, out);
	return 0;
}

/* Which CPUs the run gets; "" for all. The caller holds the lock. */
static int
choose_cpus(
    struct host *h, const char *run, const struct limits *l, char out[RCTL_CPUS], struct err *e)
{
	autofree bool *from = xcalloc(CPUS_MAX, sizeof(*from));
	autofree bool *chosen = xcalloc(CPUS_MAX, sizeof(*chosen));
	autobuf struct buf text = BUF_INIT;
	unsigned reserve = h->roots.reserve_cpus;
	int online = jailuse_cpus(from, e);

	out[0] = '\0';
	if (online < 0)
		return -1;
	if (reserve >= (unsigned)online)
		return err_new(e, ERR_INPUT,
		    "POT_RESERVE_CPUS: keep %u processors for the host: it has %d in all", reserve,
		    online);
	for (int i = 0, left = (int)reserve; i < CPUS_MAX && left > 0; i++) {
		left -= from[i];
		from[i] = false;
	}
	if (choose(h, run, from, online - (int)reserve, l, chosen, e) < 0)
		return -1;
	int n = 0;
	for (int i = 0; i < CPUS_MAX; i++)
		n += chosen[i];
	if (n == online)
		return 0;
	cpus_write(chosen, &text);
	return str_copy(out, RCTL_CPUS, buf_str(&text))
		   ? 0
		   : err_new(e, ERR_UNSUPPORTED, "the set of CPUs is too scattered");
}

/* ---- the operations ---- */

static int
lock_limits(struct host *h, struct err *e)
{
	autofree char *dir = place(h);
	int got;

	if (mkdir(dir, 0711) < 0 && errno != EEXIST)
		return err_sys(e, "make %s", dir);
	autofd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open %s", dir);
	do
		got = flock(fd, LOCK_EX);
	while (got < 0 && errno == EINTR);
	return got < 0 ? err_sys(e, "lock %s", dir) : take_fd(&fd);
}

static int
check(struct host *h, const struct limits *l, struct err *e)
{
	if (h->roots.reserve_memory_bytes > 0)
		return err_new(e, ERR_INPUT,
		    "POT_RESERVE_MEMORY: rctl has no limit for all pots together; limit each one");
	if (rctl_check(l, e) < 0)
		return -1;
	if ((l->memory_bytes > 0 || l->pids > 0 || l->cpu_quota_percent > 0) && !racct_on())
		return err_new(e, ERR_UNSUPPORTED, "limits: %s", off);
	return 0;
}

/* A run that was killed, of the same pot: its rules are of the same jail. */
static void
take_over(struct host *h, const char *run, const char *jail)
{
	autonames struct names runs = NAMES_INIT;
	struct err gone = ERR_INIT;
	char other[RCTL_JAIL];

	if (list(h, &runs, &gone) < 0)
		return;
	for (size_t i = 0; i < runs.n; i++) {
		autorctl_run struct rctl_run r = RCTL_RUN_INIT;

		if (str_eq(runs.at[i], run) || !rctl_jail_of(runs.at[i], other) ||
		    !str_eq(other, jail))
			continue;
		if (load(h, runs.at[i], &r, &gone) == 0)
			drop_rules(&r);
		(void)forget(h, runs.at[i], &gone);
	}
}

static int
create(struct host *h, const char *run, const struct limits *l, struct err *e)
{
	autorctl_run struct rctl_run r = RCTL_RUN_INIT;
	struct err ignored = ERR_INIT;

	if (!rctl_jail_of(run, r.jail))
		return err_new(e, ERR_INPUT, "'%s' is not the name of a run", run);
	if (check(h, l, e) < 0)
		return err_ctx(e, "limits of %s", run);
	autofd int lock = lock_limits(h, e);
	if (lock < 0 || choose_cpus(h, run, l, r.cpus, e) < 0)
		return err_ctx(e, "limits of %s", run);
	take_over(h, run, r.jail);
	rctl_rules(r.jail, l, &r.rules);
	if (save(h, run, &r, e) < 0)
		return -1;
	for (size_t i = 0; i < r.rules.n; i++)
		if (put_rule(r.rules.at[i], e) < 0) {
			drop_rules(&r);
			(void)forget(h, run, &ignored);
			return err_ctx(e, "limits of %s", run);
		}
	return 0;
}

static int
bind(struct host *h, const char *run, struct err *e)
{
	autorctl_run struct rctl_run r = RCTL_RUN_INIT;

	if (load(h, run, &r, e) < 0)
		return -1;
	r.jid = jail_named(r.jail, e);
	if (r.jid < 0)
		return -1;
	if (r.jid == 0)
		return 0; /* a command without a jail */
	if (save(h, run, &r, e) < 0)
		return -1;
	return r.cpus[0] == '\0' ? 0 : jailuse_bind(r.jid, r.cpus, e);
}

static int
update(struct host *h, const char *run, const struct limits *l, struct err *e)
{
	autorctl_run struct rctl_run r = RCTL_RUN_INIT;
	autonames struct names fresh = NAMES_INIT;
	int jid;

	if (check(h, l, e) < 0)
		return err_ctx(e, "limits of %s", run);
	autofd int lock = lock_limits(h, e);
	if (lock < 0 || load(h, run, &r, e) < 0 || (jid = jail_of_run(&r, e)) < 0)
		return -1;
	if ((l->cpuset != NULL || l->cpu_count > 0) && choose_cpus(h, run, l, r.cpus, e) < 0)
		return err_ctx(e, "limits of %s", run);
	rctl_rules(r.jail, l, &fresh);
	merge_rules(&r, &fresh);
	if (save(h, run, &r, e) < 0)
		return -1;
	for (size_t i = 0; i < fresh.n; i++)
		if (put_rule(fresh.at[i], e) < 0)
			return err_ctx(e, "limits of %s", run);
	if (jid > 0 && (l->cpuset != NULL || l->cpu_count > 0))
		return jailuse_bind(jid, r.cpus, e);
	return 0;
}

/* There are no control groups. */
static int
join(struct host *h, const char *run, struct names *out, struct err *e)
{
	(void)h;
	(void)run;
	(void)out;
	(void)e;
	return 0;
}

static int
usage(struct host *h, const char *run, struct usage *out, struct err *e)
{
	autorctl_run struct rctl_run r = RCTL_RUN_INIT;
	autofree char *text = xcalloc(1, FILE_MAX);
	struct usage u = { .read_ns = clock_mono_ns() };
	char cpus[RCTL_CPUS];
	uint64_t value;
	int jid;

	if (load(h, run, &r, e) < 0 || (jid = jail_of_run(&r, e)) < 0)
		return -1;
	if (jid > 0 && jailuse_sum(jid, &u, e) < 0)
		return -1;
	autofree char *filter = xasprintf("jail:%s", r.jail);
	if (jid > 0 && rctl_get_racct(filter, strlen(filter) + 1, text, FILE_MAX) == 0) {
		if (rctl_value(text, "memoryuse", &value))
			u.memory_bytes = u.rss_bytes = value;
		if (rctl_value(text, "swapuse", &value))
			u.swap_bytes = value;
		/* whole seconds, but those of ended processes as well */
		if (rctl_value(text, "cputime", &value) && value * 1000000000U > u.cpu_ns)
			u.cpu_ns = value * 1000000000U;
	}
	bound_to(&r, cpus);
	(void)str_copy(u.cpus, sizeof(u.cpus), cpus);
	*out = u;
	return 0;
}

static int
pids(struct host *h, const char *run, int **out, size_t *n, struct err *e)
{
	autorctl_run struct rctl_run r = RCTL_RUN_INIT;
	int jid;

	*out = NULL;
	*n = 0;
	if (load(h, run, &r, e) < 0 || (jid = jail_of_run(&r, e)) < 0)
		return -1;
	return jid == 0 ? 0 : jailuse_pids(jid, out, n, e);
}

static int
kill_run(struct host *h, const char *run, struct err *e)
{
	autorctl_run struct rctl_run r = RCTL_RUN_INIT;
	int jid;

	if (load(h, run, &r, e) < 0 || (jid = jail_of_run(&r, e)) < 0)
		return -1;
	return jid == 0 ? 0 : jail_kill(jid, e);
}

static int
remove_run(struct host *h, const char *run, struct err *e)
{
	autorctl_run struct rctl_run r = RCTL_RUN_INIT;
	autofree int *left = NULL;
	size_t n = 0;
	int jid;

	if (load(h, run, &r, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : e->kind == ERR_CORRUPT ? forget(h, run, e) : -1;
	if ((jid = jail_of_run(&r, e)) < 0 || (jid > 0 && jailuse_pids(jid, &left, &n, e) < 0))
		return -1;
	if (n > 0)
		return err_new(e, ERR_BUSY, "%s has %zu processes", run, n);
	drop_rules(&r);
	return forget(h, run, e);
}

/* What pffile_write() was killed over. */
static void
drop_unfinished(const char *dir)
{
	DIR *d = opendir(dir);

	if (d == NULL)
		return;
	for (struct dirent *at; (at = readdir(d)) != NULL;) {
		size_t len = strlen(at->d_name);

		if (len > 4 && strcmp(at->d_name + len - 4, ".new") == 0)
			(void)unlinkat(dirfd(d), at->d_name, 0);
	}
	closedir(d);
}

static int
teardown(struct host *h, struct err *e)
{
	autofree char *dir = place(h);

	drop_unfinished(dir);
	if (rmdir(dir) == 0 || errno == ENOENT)
		return 0;
	return errno == ENOTEMPTY || errno == EEXIST
		   ? err_new(e, ERR_BUSY, "runs still have limits in %s", dir)
		   : err_sys(e, "remove %s", dir);
}

const struct limits_ops limits_freebsd = {
	.name = "rctl",
	.optional = true,
	.probe = probe,
	.create = create,
	.bind = bind,
	.bind_command = rctl_cpuset,
	.update = update,
	.join = join,
	.usage = usage,
	.pids = pids,
	.kill = kill_run,
	.remove = remove_run,
	.list = list,
	.teardown = teardown,
};
