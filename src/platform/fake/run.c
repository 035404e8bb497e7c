/* Control groups, processes, and what is done with a pot's root. */
#include "base/clock.h"
#include "base/str.h"
#include "platform/fake/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
probe_host(struct host *h, struct err *e)
{
	(void)h, (void)e;
	return 0;
}

static int
probe(struct err *e)
{
	(void)e;
	return 0;
}

/* ---- limits ---- */

static struct fake_group *
find_group(struct fake_host *f, const char *run)
{
	for (size_t i = 0; i < f->groups_n; i++)
		if (str_eq(f->groups[i].run, run))
			return &f->groups[i];
	return NULL;
}

static int
need_group(struct fake_host *f, const char *run, struct err *e)
{
	return find_group(f, run) != NULL
		   ? 0
		   : err_new(e, ERR_ABSENT, "there is no control group of %s", run);
}

static int
do_create(struct fake_host *f, const char *run, struct err *e)
{
	if (find_group(f, run) != NULL)
		return 0;
	if (f->groups_n == FAKE_ROWS)
		return err_new(e, ERR_FULL, "no room for another group");
	(void)str_copy(f->groups[f->groups_n++].run, sizeof(f->groups[0].run), run);
	return 0;
}

static int
create(struct host *h, const char *run, const struct limits *l, struct err *e)
{
	(void)l;
	FAKE_OP(h->self, "limits.create", do_create(h->self, run, e));
}

static int
bind(struct host *h, const char *run, struct err *e)
{
	FAKE_OP(h->self, "limits.bind", need_group(h->self, run, e));
}

static int
update(struct host *h, const char *run, const struct limits *l, struct err *e)
{
	(void)l;
	FAKE_OP(h->self, "limits.update", need_group(h->self, run, e));
}

static int
join(struct host *h, const char *run, struct names *out, struct err *e)
{
	autofree char *dir = xasprintf("/fake/%s", run);

	FAKE_OP(h->self, "limits.join", (names_add(out, dir), 0));
}

static size_t
count(struct fake_host *f, const char *run)
{
	size_t n = 0;

	for (size_t i = 0; i < f->processes_n; i++)
		n += str_eq(f->processes[i].run, run);
	return n;
}

static int
do_usage(struct fake_host *f, const char *run, struct usage *out, struct err *e)
{
	if (need_group(f, run, e) < 0)
		return -1;
	*out = (struct usage){ .pids = count(f, run), .read_ns = clock_mono_ns() };
	return 0;
}

static int
usage(struct host *h, const char *run, struct usage *out, struct err *e)
{
	FAKE_OP(h->self, "limits.usage", do_usage(h->self, run, out, e));
}

static int
do_pids(struct fake_host *f, const char *run, int **out, size_t *n, struct err *e)
{
	if (need_group(f, run, e) < 0)
		return -1;
	*out = xcalloc(count(f, run) + 1, sizeof(**out));
	*n = 0;
	for (size_t i = 0; i < f->processes_n; i++)
		if (str_eq(f->processes[i].run, run))
			(*out)[(*n)++] = (int)f->processes[i].pid;
	return 0;
}

static int
pids(struct host *h, const char *run, int **out, size_t *n, struct err *e)
{
	FAKE_OP(h->self, "limits.pids", do_pids(h->self, run, out, n, e));
}

static int
do_kill(struct fake_host *f, const char *run)
{
	for (size_t i = 0; i < f->processes_n;)
		if (str_eq(f->processes[i].run, run))
			fake_process_end(f, f->processes[i].pid);
		else
			i++;
	return 0;
}

static int
kill_group(struct host *h, const char *run, struct err *e)
{
	FAKE_OP(h->self, "limits.kill", do_kill(h->self, run));
}

static int
do_remove(struct fake_host *f, const char *run, struct err *e)
{
	struct fake_group *g = find_group(f, run);

	if (g == NULL)
		return 0;
	if (count(f, run) > 0)
		return err_new(e, ERR_BUSY, "remove control group %s: processes live in it", run);
	*g = f->groups[--f->groups_n];
	return 0;
}

static int
remove_group(struct host *h, const char *run, struct err *e)
{
	FAKE_OP(h->self, "limits.remove", do_remove(h->self, run, e));
}

static int
do_list(struct fake_host *f, struct names *out)
{
	for (size_t i = 0; i < f->groups_n; i++)
		names_add(out, f->groups[i].run);
	names_sort(out);
	return 0;
}

static int
list(struct host *h, struct names *out, struct err *e)
{
	FAKE_OP(h->self, "limits.list", do_list(h->self, out));
}

static int
teardown(struct host *h, struct err *e)
{
	struct fake_host *f = h->self;

	FAKE_OP(f, "limits.teardown",
	    f->groups_n == 0 ? 0 : err_new(e, ERR_BUSY, "control groups are in use"));
}

const struct limits_ops fake_limits = {
	.name = "fake",
	.probe = probe_host,
	.create = create,
	.bind = bind,
	.update = update,
	.join = join,
	.usage = usage,
	.pids = pids,
	.kill = kill_group,
	.remove = remove_group,
	.list = list,
	.teardown = teardown,
};

/* ---- processes ---- */

static bool
is_ours(pid_t pid)
{
	return pid >= FAKE_PID_FIRST;
}

static const struct fake_process *
find_process(pid_t pid)
{
	for (size_t i = 0; i < fake_current->processes_n; i++)
		if (fake_current->processes[i].pid == pid)
			return &fake_current->processes[i];
	return NULL;
}

static int
gone(pid_t pid, struct err *e)
{
	return err_new(e, ERR_ABSENT, "process %d is gone", (int)pid);
}

static int
do_start_time(pid_t pid, uint64_t *start, struct err *e)
{
	const struct fake_process *p = find_process(pid);

	if (!is_ours(pid))
		return proc_native.start_time(pid, start, e);
	if (p == NULL)
		return gone(pid, e);
	*start = p->start;
	return 0;
}

static int
start_time(pid_t pid, uint64_t *start, struct err *e)
{
	FAKE_OP(fake_current, "proc.start_time", do_start_time(pid, start, e));
}

static int
do_alive(pid_t pid, uint64_t start, struct err *e)
{
	const struct fake_process *p = find_process(pid);

	return is_ours(pid) ? p != NULL && p->start == start : proc_native.alive(pid, start, e);
}

static int
alive(pid_t pid, uint64_t start, struct err *e)
{
	FAKE_OP(fake_current, "proc.alive", do_alive(pid, start, e));
}

/* Processes of the fake have no descriptor to wait on: they are asked for, and end, through the
 * test. */
static int
open_process(pid_t pid, uint64_t start, struct err *e)
{
	if (!is_ours(pid))
		return proc_native.open(pid, start, e);
	return find_process(pid) == NULL
		   ? gone(pid, e)
		   : err_new(e, ERR_UNSUPPORTED, "process %d exists in a test only", (int)pid);
}

static int
signal_process(int handle, int sig, struct err *e)
{
	return proc_native.signal(handle, sig, e);
}

static int
wait_process(int handle, int timeout_ms, struct err *e)
{
	return proc_native.wait(handle, timeout_ms, e);
}

static int
boot_id(char out[PROC_BOOT_ID_TEXT], struct err *e)
{
	FAKE_OP(fake_current, "proc.boot_id",
	    (str_copy(out, PROC_BOOT_ID_TEXT, fake_current->boot), 0));
}

static int
do_look(pid_t pid, struct proc_info *out, struct err *e)
{
	const struct fake_process *p = find_process(pid);

	if (!is_ours(pid))
		return proc_native.look(pid, out, e);
	if (p == NULL)
		return gone(pid, e);
	*out = (struct proc_info){
		.pid = pid, .inner = pid, .state = 'S', .start = p->start, .name = "fake"
	};
	return 0;
}

static int
look_process(pid_t pid, struct proc_info *out, struct err *e)
{
	FAKE_OP(fake_current, "proc.look", do_look(pid, out, e));
}

const struct proc_ops fake_proc = {
	.name = "fake",
	.start_time = start_time,
	.alive = alive,
	.open = open_process,
	.signal = signal_process,
	.wait = wait_process,
	.boot_id = boot_id,
	.look = look_process,
};

/* ---- mounts: nothing is mounted; what is written goes to the top layer's directory ---- */

static int
do_with_root(const struct mount_root *root, mount_fn *fn, void *ctx, struct err *e)
{
	const char *dir = root->plain ? root->plain : root->upper ? root->upper : root->lower[0];
	autofd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "open %s", dir) : fn(fd, ctx, e);
}

static int
with_root(const struct mount_root *root, const struct mount_item *items, size_t n_items,
    mount_fn *fn, void *ctx, struct err *e)
{
	(void)items, (void)n_items;
	FAKE_OP(fake_current, "mount.with_root", do_with_root(root, fn, ctx, e));
}

static int
no_such(const char *what, struct err *e)
{
	return err_new(e, ERR_UNSUPPORTED, "%s: a pot of the fake has no inside", what);
}

static int
with_running(pid_t pid, uint64_t start, mount_fn *fn, void *ctx, struct err *e)
{
	(void)pid, (void)start, (void)fn, (void)ctx;
	FAKE_OP(fake_current, "mount.with_running", no_such("mounts", e));
}

static int
mount_add(pid_t pid, uint64_t start, const struct mount_item *item, struct err *e)
{
	(void)item;
	FAKE_OP(fake_current, "mount.add", do_alive(pid, start, e) == 1 ? 0 : gone(pid, e));
}

static int
mount_remove(pid_t pid, uint64_t start, const char *target, struct err *e)
{
	(void)target;
	FAKE_OP(fake_current, "mount.remove", do_alive(pid, start, e) == 1 ? 0 : gone(pid, e));
}

const struct mount_ops fake_mount = {
	.name = "fake",
	.probe = probe,
	.with_root = with_root,
	.with_running = with_running,
	.add = mount_add,
	.remove = mount_remove,
};

/* ---- isolate: a keeper that is played in the same process may use these ---- */

static int
do_isolate_create(const struct isolate_spec *spec, struct isolate *out)
{
	const char *group =
	    spec->cgroups != NULL && spec->cgroups[0] != NULL ? spec->cgroups[0] : "";
	const char *slash = strrchr(group, '/');

	*out = (struct isolate){ .handle = -1, .channel = -1 };
	out->pid = fake_process_start(fake_current, slash != NULL ? slash + 1 : group, NULL);
	return 0;
}

static int
isolate_create(
    const struct isolate_spec *spec, const int stdio[3], struct isolate *out, struct err *e)
{
	(void)stdio;
	FAKE_OP(fake_current, "isolate.create", do_isolate_create(spec, out));
}

static int
isolate_go(struct isolate *i, struct err *e)
{
	FAKE_OP(fake_current, "isolate.go", find_process(i->pid) != NULL ? 0 : gone(i->pid, e));
}

/* Started, and when it was killed, ended. */
static int
isolate_event(struct isolate *i, struct isolate_event *out, struct err *e)
{
	(void)e;
	*out = (struct isolate_event){
		.kind = find_process(i->pid) != NULL ? ISOLATE_STARTED : ISOLATE_ENDED,
	};
	return 1;
}

static int
isolate_signal(struct isolate *i, int sig, bool stop, struct err *e)
{
	(void)sig;
	if (stop)
		fake_process_end(fake_current, i->pid);
	FAKE_OP(fake_current, "isolate.signal", 0);
}

static int
isolate_kill(struct isolate *i, const char *const *cgroups, struct err *e)
{
	(void)cgroups;
	FAKE_OP(fake_current, "isolate.kill", (fake_process_end(fake_current, i->pid), 0));
}

static void
isolate_close(struct isolate *i)
{
	(void)i;
}

static int64_t
isolate_oom_kills(const struct isolate *i, const char *const *cgroups)
{
	(void)i;
	(void)cgroups;
	return 0;
}

static int
isolate_enter(const struct isolate_enter *in, pid_t *child, int *pty, struct err *e)
{
	(void)in, (void)child, (void)pty;
	FAKE_OP(fake_current, "isolate.enter", no_such("exec", e));
}

static int
isolate_forward(pid_t init, uint64_t start, int sig, struct err *e)
{
	(void)sig;
	FAKE_OP(fake_current, "isolate.forward", do_alive(init, start, e) == 1 ? 0 : gone(init, e));
}

static int
isolate_clear(const char *name, const char *place, bool wait, struct err *e)
{
	(void)name, (void)place, (void)wait;
	FAKE_OP(fake_current, "isolate.clear", 0);
}

static const char *const attributes[] = { "raw_sockets", "sysvshm", "sysvsem", "sysvmsg", "mlock",
	NULL };

const struct isolate_ops fake_isolate = {
	.name = "fake",
	.probe = probe,
	.create = isolate_create,
	.go = isolate_go,
	.event = isolate_event,
	.signal = isolate_signal,
	.kill = isolate_kill,
	.close = isolate_close,
	.oom_kills = isolate_oom_kills,
	.enter = isolate_enter,
	.forward = isolate_forward,
	.clear = isolate_clear,
	.attributes = attributes,
	.ipc_is_one = true,
	.init_counts = true,
};
