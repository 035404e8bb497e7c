#include "platform/freebsd/jail.h"

#include "base/clock.h"
#include "base/own.h"
#include "base/str.h"
#include "platform/freebsd/ending.h"
#include "platform/freebsd/links.h"
#include "platform/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/event.h>
#include <sys/jail.h>
#include <sys/socket.h>
#include <sys/sysctl.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- parameters ---- */

static void
add(struct jail_parameters *p, const char *name, const void *data, size_t len)
{
	if (p->n + 2 > NELEM(p->v) - 2)
		return; /* more than there are parameters */
	/* the kernel reads what it is given here, and writes only where jail_get() asks */
	p->v[p->n++] = (struct iovec){ (void *)(uintptr_t)name, strlen(name) + 1 };
	p->v[p->n++] = (struct iovec){ (void *)(uintptr_t)data, len };
}

void
jail_text(struct jail_parameters *p, const char *name, const char *value)
{
	add(p, name, value, strlen(value) + 1);
}

void
jail_number(struct jail_parameters *p, const char *name, int value)
{
	int *at = &p->numbers[p->n / 2];

	*at = value;
	add(p, name, at, sizeof(*at));
}

/* A switch has no value: "allow.mount" is on, "allow.nomount" off. */
void
jail_switch(struct jail_parameters *p, const char *name, bool on)
{
	const char *dot = strrchr(name, '.'), *last = dot != NULL ? dot + 1 : name;

	if (on) {
		add(p, name, NULL, 0);
		return;
	}
	if (p->n_switches == NELEM(p->switches))
		return;
	char *text = p->switches[p->n_switches++];
	snprintf(text, sizeof(p->switches[0]), "%.*sno%s", (int)(last - name), name, last);
	add(p, text, NULL, 0);
}

void
jail_bytes(struct jail_parameters *p, const char *name, const void *data, size_t len)
{
	add(p, name, data, len);
}

static int
refused(const struct jail_parameters *p, const char *act, struct err *e)
{
	int sys = errno;

	if (p->said[0] == '\0')
		return err_sys(e, "%s", act);
	err_sys(e, "%s", act);
	err_new(e, e->kind, "%s: %s", act, p->said);
	e->sys = sys;
	return -1;
}

int
jail_apply(struct jail_parameters *p, int flags, struct err *e)
{
	static char errmsg[] = "errmsg";
	size_t n = p->n;

	p->said[0] = '\0';
	p->v[n++] = (struct iovec){ errmsg, sizeof(errmsg) };
	p->v[n++] = (struct iovec){ p->said, sizeof(p->said) };
	int jid = jail_set(p->v, (unsigned)n, flags);
	if (jid >= 0)
		return jid;
	return refused(p, flags & JAIL_CREATE ? "make the jail" : "change the jail", e);
}

/* ---- which one ---- */

int
jail_named(const char *name, struct err *e)
{
	struct jail_parameters p = { .n = 0 };

	jail_text(&p, "name", name);
	int jid = jail_get(p.v, (unsigned)p.n, 0);
	if (jid > 0)
		return jid;
	return errno == ENOENT ? 0 : err_sys(e, "look for the jail %s", name);
}

int
jail_root(int jid, char *out, size_t size, struct err *e)
{
	struct jail_parameters p = { .n = 0 };

	jail_number(&p, "jid", jid);
	jail_bytes(&p, "path", out, size);
	out[0] = '\0';
	if (jail_get(p.v, (unsigned)p.n, 0) >= 0)
		return 0;
	return errno == ENOENT ? err_new(e, ERR_ABSENT, "jail %d has ended", jid)
			       : err_sys(e, "look at jail %d", jid);
}

/* Our own alone: somebody's jail that happens to have the name is none of a pot's. */
static int
is_jail_of(int jid, const char *place, struct err *e)
{
	char at[PATH_MAX], real[PATH_MAX];

	if (jail_root(jid, at, sizeof(at), e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	return strcmp(at, realpath(place, real) != NULL ? real : place) == 0;
}

int
jail_of_pot(const char *name, const char *place, struct err *e)
{
	int jid = jail_named(name, e);
	int ours = jid > 0 ? is_jail_of(jid, place, e) : 0;

	return jid < 0 || ours < 0 ? -1 : ours > 0 ? jid : 0;
}

/* A pot's init lives outside of its jail and says in its title which that is. */
int
jail_of(pid_t pid, struct err *e)
{
	int mib[4] = { CTL_KERN, KERN_PROC, KERN_PROC_PID, pid };
	struct kinfo_proc info;
	size_t len = sizeof(info);
	char title[256], *at;

	if ((sysctl(mib, 4, &info, &len, NULL, 0) < 0 && errno != ESRCH) || len != sizeof(info))
		return err_new(e, ERR_ABSENT, "process %d does not exist", (int)pid);
	if (info.ki_jid > 0)
		return info.ki_jid;
	mib[2] = KERN_PROC_ARGS;
	len = sizeof(title) - 1;
	if (info.ki_uid != 0 || sysctl(mib, 4, title, &len, NULL, 0) < 0)
		return err_new(e, ERR_ABSENT, "process %d is in no jail", (int)pid);
	title[len] = '\0';
	if (str_eq(title, "pot-init"))
		return 0;
	if (!str_starts(title, "pot-init: jail "))
		return err_new(e, ERR_ABSENT, "process %d is in no jail", (int)pid);
	long jid = strtol(title + strlen("pot-init: jail "), &at, 10);
	return jid > 0 ? (int)jid : err_new(e, ERR_ABSENT, "process %d has no jail yet", (int)pid);
}

/* ---- the end ---- */

/* All of the machine, to be freed. */
static int
all_processes(struct kinfo_proc **out, size_t *n, struct err *e)
{
	int mib[3] = { CTL_KERN, KERN_PROC, KERN_PROC_PROC };
	size_t len = 0;

	for (int tries = 0; tries < 16; tries++) {
		if (sysctl(mib, 3, NULL, &len, NULL, 0) < 0)
			break;
		len += 64 * sizeof(struct kinfo_proc);
		autofree struct kinfo_proc *all = xmalloc(len);
		if (sysctl(mib, 3, all, &len, NULL, 0) == 0) {
			*n = len / sizeof(*all);
			*out = take(&all);
			return 0;
		}
		if (errno != ENOMEM)
			break;
	}
	return err_sys(e, "list the processes");
}

int
jail_parent(int jid)
{
	char parent_key[] = "parent", jid_key[] = "jid";
	int parent = 0;
	struct iovec v[] = { { jid_key, sizeof(jid_key) }, { &jid, sizeof(jid) },
		{ parent_key, sizeof(parent_key) }, { &parent, sizeof(parent) } };

	return jail_get(v, NELEM(v), JAIL_DYING) < 0 ? 0 : parent;
}

/* The jails right below one, and below these. */
static bool
within(int jid, int other)
{
	for (int depth = 0; other > 0 && depth <= 16; depth++, other = jail_parent(other))
		if (other == jid)
			return true;
	return false;
}

int
jail_all_processes(struct kinfo_proc **out, size_t *n, struct err *e)
{
	struct kinfo_proc *all;
	size_t n_all = 0;

	*n = 0;
	if (all_processes(&all, &n_all, e) < 0)
		return -1;
	for (size_t i = 0; i < n_all; i++)
		if (all[i].ki_jid > 0 && all[i].ki_stat != SZOMB)
			all[(*n)++] = all[i];
	*out = all;
	return 0;
}

int
jail_processes(int jid, struct kinfo_proc **out, size_t *n, struct err *e)
{
	struct kinfo_proc *all;
	size_t n_all = 0;

	*n = 0;
	if (jail_all_processes(&all, &n_all, e) < 0)
		return -1;
	for (size_t i = 0; i < n_all; i++)
		if (within(jid, all[i].ki_jid))
			all[(*n)++] = all[i];
	*out = all;
	return 0;
}

/* Tells who lives there now, and waits for their end until the deadline. How many there were; of
 * them *told could still be told: the others were ending already, which nobody but a parent can
 * wait for. */
static int
signal_round(int jid, int sig, int64_t until_ns, int *told, struct err *e)
{
	autofree struct kinfo_proc *all = NULL;
	autofd int queue = kqueue();
	struct kevent ev;
	size_t n;

	*told = 0;
	if (queue < 0)
		return err_sys(e, "make an event queue");
	if (jail_processes(jid, &all, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		EV_SET(&ev, (uintptr_t)all[i].ki_pid, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT,
		    0, NULL);
		/* what is ending would be told of at once; or it has ended */
		if (all[i].ki_flag & P_WEXIT || kevent(queue, &ev, 1, NULL, 0, NULL) < 0)
			continue;
		(void)kill(all[i].ki_pid, sig);
		++*told;
	}
	for (int left = *told; left > 0; left--) {
		int64_t ns = until_ns - clock_mono_ns();
		ns = ns < 0 ? 0 : ns;
		struct timespec limit = { ns / NS_PER_SEC, ns % NS_PER_SEC };
		if (kevent(queue, NULL, 0, &ev, 1, &limit) <= 0)
			break;
	}
	return (int)n;
}

/* Again and again, for what was being forked meanwhile: 1 when nobody is left, 0 when the time is
 * over, *left: how many there were then. */
static int
signal_until(int jid, int sig, int again, int64_t until_ns, int *left, struct err *e)
{
	struct ending ending = ENDING_INIT;
	int told;

	for (;; sig = again) {
		*left = signal_round(jid, sig, until_ns, &told, e);
		if (*left <= 0)
			return *left < 0 ? -1 : 1;
		if (clock_mono_ns() >= until_ns)
			return 0;
		if (told == 0)
			ending_pause(&ending);
	}
}

int
jail_kill(int jid, struct err *e)
{
	enum { SECONDS = 10 };
	int64_t until = clock_mono_ns() + SECONDS * NS_PER_SEC;
	int left, done = signal_until(jid, SIGKILL, SIGKILL, until, &left, e);

	return done != 0 ? (done < 0 ? -1 : 0)
			 : err_new(e, ERR_TIMEOUT,
			       "jail %d still has %d processes after %d seconds of killing them",
			       jid, left, SECONDS);
}

int
jail_signal(int jid, int sig, int64_t timeout_ms, struct err *e)
{
	int left;

	return signal_until(jid, sig, 0, clock_mono_ns() + timeout_ms * NS_PER_MS, &left, e);
}

int
jail_await(int jid, struct err *e)
{
	int left;

	return signal_until(jid, 0, 0, INT64_MAX, &left, e) < 0 ? -1 : 0;
}

/* A jail that is ending gives its pot's name free at once: the next start may want it. Who ends it
 * has the same name as its title. */
enum { ENDING_NAME = sizeof(ISOLATE_ENDING) + 11 };

static const char *
ending_name(int jid, char out[ENDING_NAME])
{
	snprintf(out, ENDING_NAME, ISOLATE_ENDING "%d", jid);
	return out;
}

int
jail_empty(int jid, struct stack *s, struct err *e)
{
	if (jail_kill(jid, e) < 0)
		return -1;
	stack_empty(jid, s);
	return 0;
}

static int
remove_here(int jid, struct stack *s, struct err *e)
{
	stack_end(s);
	stack_fini(s); /* before the jail goes: who closes the last one waits for the kernel */
	/* EINVAL: there is none of that number */
	if (jail_remove(jid) == 0 || errno == EINVAL || errno == ENOENT)
		return 0;
	return err_sys(e, "remove jail %d", jid);
}

static void
give_name_free(int jid)
{
	struct jail_parameters p = { .n = 0 };
	struct err ignored = ERR_INIT;
	char name[ENDING_NAME];

	jail_number(&p, "jid", jid);
	jail_text(&p, "name", ending_name(jid, name));
	(void)jail_apply(&p, JAIL_UPDATE, &ignored);
}

static bool
has_title(pid_t pid, const char *wanted)
{
	int mib[4] = { CTL_KERN, KERN_PROC, KERN_PROC_ARGS, pid };
	char title[64];
	size_t len = sizeof(title) - 1;

	if (sysctl(mib, 4, title, &len, NULL, 0) < 0)
		return false; /* also: longer than any of ours */
	title[len] = '\0';
	return str_eq(title, wanted);
}

/* Is somebody at it? "Cannot tell" is yes. */
static bool
is_being_ended(const char *name)
{
	autofree struct kinfo_proc *all = NULL;
	struct err ignored = ERR_INIT;
	size_t n;

	if (all_processes(&all, &n, &ignored) < 0)
		return true;
	for (size_t i = 0; i < n; i++)
		if (all[i].ki_uid == 0 && all[i].ki_jid == 0 && all[i].ki_stat != SZOMB &&
		    has_title(all[i].ki_pid, name))
			return true;
	return false;
}

int
jail_sweep(bool wait, struct err *e)
{
	char name[MAXHOSTNAMELEN], ours[ENDING_NAME];
	int last = 0, found = 0;

	for (;;) {
		struct jail_parameters p = { .n = 0 };
		autostack struct stack s = STACK_INIT;

		jail_number(&p, "lastjid", last);
		jail_bytes(&p, "name", name, sizeof(name));
		last = jail_get(p.v, (unsigned)p.n, 0);
		if (last < 0)
			return errno == ENOENT ? found : err_sys(e, "list the jails");
		/* one below it, or of that name without its number, is somebody's */
		if (str_eq(name, ending_name(last, ours)) && !is_being_ended(name) &&
		    jail_empty(last, &s, e) == 0 && jail_end(last, &s, !wait, e) == 0)
			found++;
	}
}

/* Twice forked: nobody has to wait for it. Whoever asks for it takes the name away once the title
 * is there, and only then, or when that one is gone, is the jail removed. */
static NORETURN void
end_apart(int jid, struct stack *s, int asker)
{
	struct stack own = { .inet = s->inet < 0 ? -1 : STDIN_FILENO, .inet6 = -1, .route = -1 };
	struct err ignored = ERR_INIT;
	pid_t pid = fork();
	char none;

	if (pid != 0)
		_exit(pid < 0);
	setproctitle("-" ISOLATE_ENDING "%d", jid);
	(void)send(asker, "t", 1, MSG_NOSIGNAL);
	while (read(asker, &none, 1) < 0 && errno == EINTR)
		;
	if (own.inet >= 0)
		(void)dup2(s->inet, own.inet);
	closefrom(own.inet + 1);
	_exit(remove_here(jid, &own, &ignored) < 0);
}

/* False: nobody is there to remove the jail. */
static bool
said_title(int fd)
{
	char titled;
	ssize_t n;

	while ((n = read(fd, &titled, 1)) < 0 && errno == EINTR)
		;
	return n == 1;
}

int
jail_end(int jid, struct stack *s, bool apart, struct err *e)
{
	int pair[2];

	if (!apart || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return remove_here(jid, s, e);
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		end_apart(jid, s, pair[1]);
	}
	close(pair[1]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (!said_title(pair[0])) {
		close(pair[0]);
		return remove_here(jid, s, e);
	}
	/* whatever becomes of who is to remove it: it is no pot's any more, and jail_sweep() finds
	 * it */
	give_name_free(jid);
	stack_fini(s);
	close(pair[0]);
	return 0;
}
