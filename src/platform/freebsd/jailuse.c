#include "platform/freebsd/jailuse.h"

#include "base/clock.h"
#include "base/str.h"
#include "base/vec.h"
#include "platform/freebsd/jail.h"

#include <string.h>
#include <sys/param.h>
#include <sys/cpuset.h>
#include <sys/user.h>
#include <unistd.h>

int
jailuse_pids(int jid, int **out, size_t *n, struct err *e)
{
	autofree struct kinfo_proc *all = NULL;
	VEC(int) found = VEC_INIT;
	size_t n_all = 0;

	if (jail_processes(jid, &all, &n_all, e) < 0)
		return -1;
	for (size_t i = 0; i < n_all; i++)
		VEC_PUSH(&found, all[i].ki_pid);
	*out = found.at;
	*n = found.n;
	return 0;
}

static uint64_t
ns_of(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * 1000000000U + (uint64_t)t->tv_usec * 1000U;
}

static void
usage_add(struct usage *sum, const struct usage *u)
{
	sum->pids += u->pids;
	sum->rss_bytes += u->rss_bytes;
	sum->cpu_user_ns += u->cpu_user_ns;
	sum->cpu_system_ns += u->cpu_system_ns;
}

static struct usage
usage_of(const struct kinfo_proc *p)
{
	return (struct usage){ .pids = 1,
		.rss_bytes = (uint64_t)p->ki_rssize * (uint64_t)getpagesize(),
		.cpu_user_ns = ns_of(&p->ki_rusage.ru_utime) + ns_of(&p->ki_rusage_ch.ru_utime),
		.cpu_system_ns = ns_of(&p->ki_rusage.ru_stime) + ns_of(&p->ki_rusage_ch.ru_stime) };
}

/*
 * The kernel tells of the processes of one jail only by telling of all: with as many pots as are
 * asked about, each once a second, that would be the square of them. One look serves all that a
 * thread asks within a moment; a lock would make every command load libthr, which takes half a
 * millisecond.
 */
enum { LOOK_MS = 100 };

struct inmates {
	int jid, parent;
	struct usage usage;
};

static _Thread_local struct look {
	struct inmates *jail; /* those somebody lives in */
	size_t n;
	int64_t when_ns; /* 0: never */
} last_look;

static struct inmates *
inmates_of(struct look *l, int jid)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->jail[i].jid == jid)
			return &l->jail[i];
	return NULL;
}

static int
look_again(struct look *l, struct err *e)
{
	autofree struct kinfo_proc *all = NULL;
	size_t n = 0;

	if (jail_all_processes(&all, &n, e) < 0)
		return -1;
	l->when_ns = clock_mono_ns();
	l->n = 0;
	l->jail = xrealloc(l->jail, (n + 1) * sizeof(*l->jail));
	for (size_t i = 0; i < n; i++) {
		struct usage u = usage_of(&all[i]);
		struct inmates *in = inmates_of(l, all[i].ki_jid);
		if (in == NULL) {
			in = &l->jail[l->n++];
			*in = (struct inmates){ .jid = all[i].ki_jid,
				.parent = jail_parent(all[i].ki_jid) };
		}
		usage_add(&in->usage, &u);
	}
	return 0;
}

/* Jails below others are rare: of those in between, where nobody lives, the kernel is asked. */
static bool
lives_within(struct look *l, const struct inmates *in, int jid)
{
	int other = in->jid, parent = in->parent;

	for (int depth = 0; other > 0 && depth <= 16; depth++) {
		if (other == jid)
			return true;
		other = parent;
		in = other > 0 ? inmates_of(l, other) : NULL;
		parent = in != NULL ? in->parent : other > 0 ? jail_parent(other) : 0;
	}
	return false;
}

static uint64_t
look_sum(struct look *l, int jid, struct usage *out)
{
	*out = (struct usage){ .read_ns = l->when_ns };
	for (size_t i = 0; i < l->n; i++)
		if (lives_within(l, &l->jail[i], jid))
			usage_add(out, &l->jail[i].usage);
	return out->pids;
}

int
jailuse_sum(int jid, struct usage *out, struct err *e)
{
	struct look *l = &last_look;
	int64_t now = clock_mono_ns();
	int rc = 0;

	/* nobody there: perhaps the jail has come since */
	if (l->when_ns == 0 || now - l->when_ns > LOOK_MS * NS_PER_MS || look_sum(l, jid, out) == 0)
		rc = look_again(l, e);
	if (rc == 0)
		(void)look_sum(l, jid, out);
	out->memory_bytes = out->rss_bytes;
	out->cpu_ns = out->cpu_user_ns + out->cpu_system_ns;
	return rc;
}

int
jailuse_cpus(bool cpus[CPUS_MAX], struct err *e)
{
	cpuset_t set;
	int n = 0;

	if (cpuset_getaffinity(CPU_LEVEL_ROOT, CPU_WHICH_PID, -1, sizeof(set), &set) < 0)
		return err_sys(e, "look at this machine's CPUs");
	memset(cpus, 0, CPUS_MAX * sizeof(*cpus));
	for (int i = 0; i < CPU_SETSIZE && i < CPUS_MAX; i++)
		if (CPU_ISSET(i, &set)) {
			cpus[i] = true;
			n++;
		}
	return n;
}

int
jailuse_bound(int jid, char *out, size_t size, struct err *e)
{
	autofree bool *cpus = xcalloc(CPUS_MAX, sizeof(*cpus));
	autobuf struct buf text = BUF_INIT;
	bool some = false;
	cpuset_t set;

	if (cpuset_getaffinity(CPU_LEVEL_WHICH, CPU_WHICH_JAIL, jid, sizeof(set), &set) < 0)
		return err_sys(e, "look at the CPUs of jail %d", jid);
	if (jailuse_cpus(cpus, e) < 0)
		return -1;
	for (int i = 0; i < CPU_SETSIZE && i < CPUS_MAX; i++) {
		some = some || (cpus[i] && !CPU_ISSET(i, &set));
		cpus[i] = cpus[i] && CPU_ISSET(i, &set);
	}
	if (some)
		cpus_write(cpus, &text);
	if (!str_copy(out, size, buf_str(&text)))
		out[0] = '\0';
	return 0;
}

int
jailuse_bind(int jid, const char *text, struct err *e)
{
	autofree bool *cpus = xcalloc(CPUS_MAX, sizeof(*cpus));
	cpuset_t set;

	if ((*text != '\0' ? cpus_parse(text, cpus, e) : jailuse_cpus(cpus, e)) < 0)
		return -1;
	CPU_ZERO(&set);
	for (int i = 0; i < CPU_SETSIZE && i < CPUS_MAX; i++)
		if (cpus[i])
			CPU_SET(i, &set);
	if (cpuset_setaffinity(CPU_LEVEL_WHICH, CPU_WHICH_JAIL, jid, sizeof(set), &set) < 0)
		return err_sys(e, "bind jail %d to the CPUs %s", jid, *text != '\0' ? text : "all");
	return 0;
}
