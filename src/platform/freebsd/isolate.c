#include "platform/isolate.h"

#include "base/own.h"
#include "platform/enter.h"
#include "platform/freebsd/init.h"
#include "platform/freebsd/jail.h"
#include "platform/freebsd/links.h"
#include "platform/freebsd/mounts.h"
#include "platform/freebsd/oom.h"
#include "platform/freebsd/parameters.h"
#include "platform/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/jail.h>
#include <sys/procctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct own {
	const struct isolate_spec *spec; /* the launch's, which lives as long as its keeper */
	int jid;
	char told[RCTL_LINE]; /* the kernel's last word on the name, before this run */
};

static int
isolate_probe(struct err *e)
{
	if (jail_get(NULL, 0, 0) < 0 && errno == ENOSYS)
		return err_new(e, ERR_UNSUPPORTED, "this kernel has no jails");
	return 0;
}

/* ---- create ---- */

/* The tree on the host, whole before the jail is: its root is looked up when it is made. */
static int
make_root(const struct isolate_spec *spec, struct parameters *p, struct err *e)
{
	autofd int root = -1;

	/* what a run left that was killed */
	if (mounts_clear(mounts_place(&spec->root), e) < 0 ||
	    mounts_root(&spec->root, &root, e) < 0)
		return -1;
	if (parameters_mount(p, root, e) < 0)
		return -1;
	for (size_t i = 0; i < spec->n_mounts; i++)
		if (mounts_item(root, &spec->mounts[i], e) < 0)
			return -1;
	if (isolate_write_files(spec, root, e) < 0)
		return -1;
	parameters_release(p, root);
	return 0;
}

static int
make_jail(const struct isolate_spec *spec, int *jid, struct err *e)
{
	struct parameters p;

	if (spec->name == NULL)
		return err_new(e, ERR_INPUT, "a jail needs a name");
	int there = jail_named(spec->name, e);
	if (there != 0)
		return there < 0 ? -1
				 : err_new(e, ERR_EXISTS,
				       "there is a jail %s already (number %d), which is not of a "
				       "run of this pot: 'pot stop %s' ends it",
				       spec->name, there, spec->name);
	if (parameters_read(&p, spec, e) < 0)
		return -1;
	int made = make_root(spec, &p, e) < 0 ? -1 : jail_apply(&p.jail, JAIL_CREATE, e);
	if (made < 0) {
		struct err later = ERR_INIT;
		(void)pot_take_down(spec, 0, false, &later);
		return err_ctx(e, "jail %s", spec->name);
	}
	*jid = made;
	return 0;
}

static int
by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* The copy has all of the keeper's descriptors: what init does not need goes, lest it keeps open
 * what the keeper closes. Those that stay keep their numbers, whatever the limit of them is. */
static void
close_others(const struct init_start *s)
{
	int keep[4] = { s->channel, s->stdio[0], s->stdio[1], s->stdio[2] }, from = 3;

	qsort(keep, NELEM(keep), sizeof(*keep), by_number);
	for (size_t i = 0; i < NELEM(keep); i++) {
		if (keep[i] > from)
			(void)close_range((unsigned)from, (unsigned)keep[i] - 1, 0);
		if (keep[i] >= from)
			from = keep[i] + 1;
	}
	closefrom(from);
}

/* The jail can be asked for by init's number as soon as this returns. */
static int
start_init(struct init_start *start, struct isolate *out, struct err *e)
{
	int pair[2];
	sigset_t all, before;
	uint64_t since = 0;
	char c;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "make the channel to the pot's init");
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before); /* init waits for all of them by name */
	start->keeper = getpid();
	pid_t pid = fork();
	if (pid == 0) {
		start->channel = pair[1];
		close_others(start);
		init_main(start);
	}
	int sys = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(pair[1]);
	*out = (struct isolate){ .pid = pid, .handle = -1, .channel = pair[0] };
	if (pid < 0) {
		errno = sys;
		err_sys(e, "make the pot's init");
	} else if (recv(pair[0], &c, 1, 0) == 1 && c == 'r' &&
		   proc_native.start_time(pid, &since, e) == 0 &&
		   (out->handle = proc_native.open(pid, since, e)) >= 0) {
		return 0;
	} else {
		err_new(e, ERR_SYS, "the pot's init ended before it began");
		(void)kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close(pair[0]);
	return -1;
}

static int
isolate_create(
    const struct isolate_spec *spec, const int stdio[3], struct isolate *out, struct err *e)
{
	struct init_start start = { .spec = spec, .stdio = { stdio[0], stdio[1], stdio[2] } };
	struct err later = ERR_INIT;
	bool jailed = (spec->what & ISOLATE_MOUNT) != 0;
	char told[RCTL_LINE] = "";

	if (spec->persist && !jailed)
		return err_new(e, ERR_INPUT,
		    "only what has processes of its own can persist without a command");
	if (jailed && spec->name != NULL)
		(void)oom_told(spec->name, told);
	/* what is orphaned when init is killed comes here */
	if (proc_subreaper(e) < 0)
		return -1;
	if (jailed && make_jail(spec, &start.jid, e) < 0)
		return -1;
	if (start_init(&start, out, e) < 0) {
		(void)pot_take_down(spec, start.jid, true, &later);
		return -1;
	}
	struct own *own = xmalloc(sizeof(*own));
	*own = (struct own){ .spec = spec, .jid = start.jid };
	memcpy(own->told, told, sizeof(told));
	out->own = own;
	return 0;
}

static int
isolate_go(struct isolate *i, struct err *e)
{
	if (send(i->channel, "g", 1, MSG_NOSIGNAL) != 1)
		return err_sys(e, "tell the pot's init to go");
	return 0;
}

static int
isolate_event(struct isolate *i, struct isolate_event *event, struct err *e)
{
	for (;;) {
		ssize_t n = recv(i->channel, event, sizeof(*event), 0);
		if (n >= 0)
			return n == (ssize_t)sizeof(*event);
		if (errno == ECONNRESET)
			return 0;
		if (errno != EINTR)
			return err_sys(e, "hear the pot's init");
	}
}

static int
isolate_signal(struct isolate *i, int sig, bool stop, struct err *e)
{
	return proc_native.queue(
	    i->handle, INIT_CARRIER, (sig & INIT_SIGNAL_MASK) | (stop ? INIT_STOP : 0), e);
}

static int
isolate_forward(pid_t init, uint64_t start, int sig, struct err *e)
{
	autofd int handle = proc_native.open(init, start, e);

	if (handle < 0)
		return -1;
	if (sig <= 0 || sig >= NSIG)
		return err_new(e, ERR_INPUT, "there is no signal %d", sig);
	return proc_native.queue(handle, INIT_CARRIER, sig, e);
}

/* ---- the end ---- */

static void
kill_descendants(void)
{
	struct procctl_reaper_kill all = { .rk_sig = SIGKILL };

	(void)procctl(P_PID, getpid(), PROC_REAP_KILL, &all);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static int
isolate_kill(struct isolate *i, const char *const *cgroups, struct err *e)
{
	struct own *own = i->own;
	struct procctl_reaper_kill all = { .rk_sig = SIGKILL };

	(void)cgroups;
	int killed = own->jid > 0 ? jail_kill(own->jid, e) : 0;
	/* whatever became of those: all below this process, which are init, the command, what it
	 * started and what that lost; ESRCH: there is nobody any more */
	if (procctl(P_PID, getpid(), PROC_REAP_KILL, &all) < 0 && errno != ESRCH)
		return err_sys(e, "kill what the command started");
	return killed;
}

static void
isolate_close(struct isolate *i)
{
	struct own *own = i->own;
	struct err ignored = ERR_INIT;

	if (own != NULL) {
		/* first: who takes the jail apart is a descendant as well */
		kill_descendants();
		/* the network stack of a jail takes the kernel a third of a second */
		(void)pot_take_down(
		    own->spec, own->jid, (own->spec->what & ISOLATE_NET) != 0, &ignored);
		free(own);
	}
	own_close(&i->handle);
	own_close(&i->channel);
	i->handle = i->channel = -1;
	i->own = NULL;
}

static int
isolate_number(pid_t init)
{
	struct err ignored = ERR_INIT;
	int jid = jail_of(init, &ignored);

	return jid > 0 ? jid : (int)init;
}

static int
isolate_stray(const char *name, const char *place, struct err *e)
{
	return jail_of_pot(name, place, e);
}

static int
isolate_stray_stop(const char *name, const char *place, int sig, int64_t grace_ms, struct err *e)
{
	int jid = jail_of_pot(name, place, e);

	return jid <= 0 ? jid : jail_signal(jid, sig, grace_ms, e);
}

static int
isolate_clear(const char *name, const char *place, bool wait, struct err *e)
{
	autostack struct stack s = STACK_INIT;
	int jid = jail_of_pot(name, place, e);

	if (jid < 0 || (jid > 0 && jail_empty(jid, &s, e) < 0) || mounts_clear(place, e) < 0)
		return -1;
	return jid > 0 ? jail_end(jid, &s, !wait, e) : 0;
}

static int64_t
isolate_oom_kills(const struct isolate *i, const char *const *cgroups)
{
	const struct own *own = i->own;
	char told[RCTL_LINE];

	(void)cgroups;
	if (own->jid <= 0 || own->spec->name == NULL)
		return -1;
	memcpy(told, own->told, sizeof(told));
	return oom_told(own->spec->name, told);
}

const struct isolate_ops isolate_native = {
	.name = "jails",
	.probe = isolate_probe,
	.create = isolate_create,
	.go = isolate_go,
	.event = isolate_event,
	.signal = isolate_signal,
	.kill = isolate_kill,
	.close = isolate_close,
	.oom_kills = isolate_oom_kills,
	.enter = enter_command,
	.forward = isolate_forward,
	.clear = isolate_clear,
	.number = isolate_number,
	.stray = isolate_stray,
	.stray_stop = isolate_stray_stop,
	.sweep = jail_sweep,
	.attributes = parameters_attributes,
	.aliases_are_shared = true,
	.shell_pots = true,
	.own_network_is_raw = true, /* prison_priv_check() of the kernel: PRIV_NETINET_RAW */
};
