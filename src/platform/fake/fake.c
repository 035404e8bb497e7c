#include "platform/fake/fake.h"

#include "base/clock.h"
#include "platform/fake/ops.h"
#include "platform/overlay/overlay.h"
#include "platform/overlay/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct fake_host *fake_current;

struct fake_host *
fake_new(const char *dir)
{
	struct fake_host *f =
	    mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (f == MAP_FAILED)
		abort();
	f->next_pid = FAKE_PID_FIRST;
	f->next_start = 1;
	snprintf(f->dir, sizeof(f->dir), "%s", dir);
	snprintf(f->fs_root, sizeof(f->fs_root), "%s/fs", dir);
	snprintf(f->run_dir, sizeof(f->run_dir), "%s/run", dir);
	if ((mkdir(f->fs_root, 0755) < 0 && errno != EEXIST) ||
	    (mkdir(f->run_dir, 0755) < 0 && errno != EEXIST))
		abort();
	ids_uuid(f->boot);
	return f;
}

void
fake_free(struct fake_host *f)
{
	if (fake_current == f)
		fake_current = NULL;
	munmap(f, sizeof(*f));
}

struct host
host_fake(struct fake_host *f)
{
	struct host h = {
		.isolate = &fake_isolate,
		.dataset = &fake_dataset,
		.mount = &fake_mount,
		.netif = &fake_netif,
		.filter = &fake_filter,
		.limits = &fake_limits,
		.proc = &fake_proc,
		.self = f,
	};

	host_roots_set(&h, &(struct host_config){ .fs_root = f->fs_root, .run_dir = f->run_dir });
	fake_current = f;
	return h;
}

void
fake_arm(struct fake_host *f, enum fake_mode mode, int at)
{
	f->mode = mode;
	f->at = at;
	f->calls = 0;
	f->fired = false;
	f->where[0] = '\0';
}

void
fake_disarm(struct fake_host *f)
{
	f->mode = FAKE_NOTHING;
}

int
fake_call(struct fake_host *f, const char *what, struct err *e)
{
	if (f->mode == FAKE_NOTHING || f->calls++ != f->at)
		return 0;
	f->fired = true;
	snprintf(f->where, sizeof(f->where), "%s", what);
	if (f->mode == FAKE_CRASH_BEFORE)
		_exit(FAKE_CRASHED);
	if (f->mode == FAKE_REFUSE)
		return err_new(e, ERR_SYS, "%s: refused by the test", what);
	return 0;
}

void
fake_done(struct fake_host *f)
{
	/* the call counted last was the one to crash after */
	if (f->mode == FAKE_CRASH_AFTER && f->fired && f->calls == f->at + 1)
		_exit(FAKE_CRASHED);
}

/* ---- processes ---- */

pid_t
fake_process_start(struct fake_host *f, const char *run, uint64_t *start)
{
	struct fake_process *p;

	if (f->processes_n == FAKE_ROWS)
		abort();
	p = &f->processes[f->processes_n++];
	p->pid = (pid_t)f->next_pid++;
	p->start = f->next_start++;
	snprintf(p->run, sizeof(p->run), "%s", run != NULL ? run : "");
	if (start != NULL)
		*start = p->start;
	return p->pid;
}

void
fake_process_end(struct fake_host *f, pid_t pid)
{
	for (size_t i = 0; i < f->processes_n; i++)
		if (f->processes[i].pid == pid) {
			f->processes[i] = f->processes[--f->processes_n];
			break;
		}
	for (size_t i = 0; i < f->pairs_n;)
		if (f->pairs[i].pid == pid)
			f->pairs[i] = f->pairs[--f->pairs_n];
		else
			i++;
}

bool
fake_process_lives(const struct fake_host *f, pid_t pid)
{
	for (size_t i = 0; i < f->processes_n; i++)
		if (f->processes[i].pid == pid)
			return true;
	return false;
}

void
fake_power_cut(struct fake_host *f)
{
	autofd int run = open(f->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err e;

	f->processes_n = f->pairs_n = f->bridges_n = f->ports_n = f->groups_n = 0;
	f->aliases_n = 0;
	f->table = f->forwarding = false;
	ids_uuid(f->boot);
	if (run < 0 || tree_empty(run, &e) < 0)
		abort();
}

size_t
fake_leftovers(struct fake_host *f, struct buf *out)
{
	struct host h = { .dataset = &dataset_overlay, .roots = { .fs_root = f->fs_root } };
	size_t n = f->pairs_n + f->ports_n + f->groups_n + f->processes_n + f->aliases_n;
	struct err e;
	int swept = dataset_overlay.sweep(&h, &e);

	for (size_t i = 0; out != NULL && i < f->pairs_n; i++)
		buf_addf(out, "pair %s\n", f->pairs[i].name);
	for (size_t i = 0; out != NULL && i < f->ports_n; i++)
		buf_addf(out, "port %d of run %s\n", f->ports[i].port.host_port, f->ports[i].run);
	for (size_t i = 0; out != NULL && i < f->aliases_n; i++)
		buf_addf(out, "%s answers for a pot\n", f->aliases[i].at.nic);
	for (size_t i = 0; out != NULL && i < f->groups_n; i++)
		buf_addf(out, "group %s\n", f->groups[i].run);
	for (size_t i = 0; out != NULL && i < f->processes_n; i++)
		buf_addf(out, "process %d\n", (int)f->processes[i].pid);
	if (swept < 0 && out != NULL)
		buf_addf(out, "datasets: %s\n", e.text);
	if (swept > 0 && out != NULL)
		buf_addf(out, "datasets: %d things that nothing leads to\n", swept);
	return n + (swept < 0 ? 1 : (size_t)swept);
}
