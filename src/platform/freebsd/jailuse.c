#include "platform/freebsd/jailuse.h"

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

int
jailuse_sum(int jid, struct usage *out, struct err *e)
{
	autofree struct kinfo_proc *all = NULL;
	uint64_t page = (uint64_t)getpagesize();
	size_t n_all = 0;

	if (jail_processes(jid, &all, &n_all, e) < 0)
		return -1;
	for (size_t i = 0; i < n_all; i++) {
		const struct kinfo_proc *p = &all[i];

		out->pids++;
		out->rss_bytes += (uint64_t)p->ki_rssize * page;
		out->cpu_user_ns +=
		    ns_of(&p->ki_rusage.ru_utime) + ns_of(&p->ki_rusage_ch.ru_utime);
		out->cpu_system_ns +=
		    ns_of(&p->ki_rusage.ru_stime) + ns_of(&p->ki_rusage_ch.ru_stime);
	}
	out->memory_bytes = out->rss_bytes;
	out->cpu_ns = out->cpu_user_ns + out->cpu_system_ns;
	return 0;
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
