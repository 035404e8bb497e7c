#include "platform/isolate.h"
#include "platform/limits.h"
#include "pot/priv.h"
#include "pot/run.h"

#include <regex.h>
#include <signal.h>
#include <string.h>

/*
 * The processes of a running pot: those in its control group. What is signalled is opened by pid
 * and start time, so that no process outside can be hit, also when a pid is given to another
 * meanwhile.
 */

static int
live_run(struct pot_env *env, const char *name, struct run *r, struct err *e)
{
	if (pot_name_check(name, e) < 0)
		return -1;
	int live =
	    run_read(env, name, r, e) < 0 ? (e->kind == ERR_ABSENT ? 0 : -1) : run_alive(env, r, e);
	if (live < 0)
		return -1;
	if (live > 0)
		return 0;
	autoarena struct arena mem = ARENA_INIT;
	struct pot_spec *spec;
	if (pot_spec_load(env, name, &mem, &spec, e) < 0)
		return -1;
	return err_new(
	    e, ERR_ABSENT, "pot %s is not running; 'pot start %s' starts it", name, name);
}

int
pot_signal(struct pot_env *env, const char *name, int sig, struct err *e)
{
	struct run r;

	if (need_root("signal", e) < 0 || live_run(env, name, &r, e) < 0)
		return -1;
	if (env->host->isolate->forward(r.init, r.init_start, sig, e) < 0)
		return err_ctx(e, "signal pot %s", name);
	return 0;
}

static int
by_inner(const void *a, const void *b)
{
	const struct pot_process *x = a, *y = b;

	return (x->inner > y->inner) - (x->inner < y->inner);
}

static void
describe(const struct proc_info *i, struct arena *mem, struct pot_process *p)
{
	*p = (struct pot_process){ .pid = i->pid,
		.inner = i->inner,
		.state = i->state,
		.uid = i->uid,
		.start = i->start,
		.cpu_ns = i->cpu_ns,
		.rss_bytes = i->rss_bytes,
		.command = arena_strdup(mem, i->command) };
	str_copy(p->name, sizeof(p->name), i->name);
}

int
pot_processes(struct pot_env *env, const char *name, struct arena *mem, struct pot_process **out,
    size_t *n, struct err *e)
{
	char group[POT_NAME_MAX + 1 + RUN_ID_TEXT + 1];
	autofree int *pids = NULL;
	size_t n_pids = 0;
	struct run r;

	*n = 0;
	if (live_run(env, name, &r, e) < 0 ||
	    env->host->limits->pids(env->host, run_group(&r, group), &pids, &n_pids, e) < 0)
		return -1;
	*out = arena_array(mem, n_pids + 1, struct pot_process);
	for (size_t i = 0; i < n_pids; i++) {
		struct err gone = ERR_INIT;
		struct proc_info info;
		if (env->host->proc->look(pids[i], &info, &gone) == 0)
			describe(&info, mem, &(*out)[(*n)++]);
		else if (gone.kind != ERR_ABSENT) {
			*e = gone;
			return -1;
		}
	}
	qsort(*out, *n, sizeof(**out), by_inner);
	return 0;
}

static size_t
keep_pid(struct pot_process *all, size_t n, pid_t pid)
{
	for (size_t i = 0; i < n; i++)
		if (all[i].inner == pid) {
			all[0] = all[i];
			return 1;
		}
	for (size_t i = 0; i < n; i++)
		if (all[i].pid == pid) {
			all[0] = all[i];
			return 1;
		}
	return 0;
}

static int
keep_matching(struct pot_process *all, size_t n, const char *pattern, size_t *kept, struct err *e)
{
	regex_t re;
	int rc = regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB);
	char why[100];

	*kept = 0;
	if (rc != 0) {
		regerror(rc, &re, why, sizeof(why));
		return err_new(e, ERR_INPUT, "pattern '%s': %s", pattern, why);
	}
	for (size_t i = 0; i < n; i++)
		if (regexec(&re, all[i].name, 0, NULL, 0) == 0)
			all[(*kept)++] = all[i];
	regfree(&re);
	return 0;
}

/* Init is the pot's supervisor: what is sent to it reaches the main command. */
static int
send_one(struct pot_env *env, const struct pot_process *p, int sig, struct err *e)
{
	autofd int handle = env->host->proc->open(p->pid, p->start, e);

	if (handle < 0)
		return -1;
	return env->host->proc->signal(handle, sig, e);
}

int
pot_signal_to(struct pot_env *env, const char *name, const struct pot_signal_options *o,
    struct arena *mem, struct pot_process **hit, size_t *n, struct err *e)
{
	int rc = 0;

	if (need_root("signal", e) < 0 || pot_processes(env, name, mem, hit, n, e) < 0)
		return -1;
	if (o->pid != 0)
		*n = keep_pid(*hit, *n, o->pid);
	else if (o->pattern != NULL && keep_matching(*hit, *n, o->pattern, n, e) < 0)
		return -1;
	if (*n == 0)
		return o->pid != 0
			   ? err_new(e, ERR_ABSENT, "pot %s has no process %d", name, (int)o->pid)
			   : err_new(e, ERR_ABSENT, "no process of pot %s matches '%s'", name,
				 o->pattern != NULL ? o->pattern : "");
	for (size_t i = 0; i < *n && !o->dry_run; i++) {
		struct err one = ERR_INIT;
		if (send_one(env, &(*hit)[i], o->signal, &one) == 0 || one.kind == ERR_ABSENT)
			continue;
		*e = one;
		rc = err_ctx(e, "process %d of pot %s", (int)(*hit)[i].inner, name);
	}
	return rc;
}

int
pot_signal_named(const char *name, struct err *e)
{
	return proc_signal_named(name, e);
}

const char *
pot_signal_text(int sig)
{
	return proc_signal_name(sig);
}
