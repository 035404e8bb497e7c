#include "platform/freebsd/jail.h"

#include "base/own.h"
#include "base/str.h"
#include "platform/freebsd/links.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/event.h>
#include <sys/jail.h>
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

/* Kills what lives there now, and waits for its end. How many there were. */
static int
kill_round(int jid, struct err *e)
{
	int mib[3] = { CTL_KERN, KERN_PROC, KERN_PROC_PROC }, found = 0;
	struct timespec limit = { 10, 0 };
	struct kevent ev;
	size_t len = 0;
	autofd int queue = kqueue();

	if (queue < 0 || sysctl(mib, 3, NULL, &len, NULL, 0) < 0)
		return err_sys(e, "list the processes");
	len += 64 * sizeof(struct kinfo_proc);
	autofree struct kinfo_proc *all = xmalloc(len);
	if (sysctl(mib, 3, all, &len, NULL, 0) < 0)
		return err_sys(e, "list the processes");
	for (size_t i = 0; i < len / sizeof(*all); i++) {
		if (all[i].ki_jid != jid || all[i].ki_stat == SZOMB)
			continue;
		EV_SET(&ev, (uintptr_t)all[i].ki_pid, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT,
		    0, NULL);
		if (kevent(queue, &ev, 1, NULL, 0, NULL) < 0)
			continue; /* it has ended */
		(void)kill(all[i].ki_pid, SIGKILL);
		found++;
	}
	for (int left = found; left > 0; left--)
		if (kevent(queue, NULL, 0, &ev, 1, &limit) <= 0)
			return err_new(
			    e, ERR_TIMEOUT, "%d processes of jail %d do not end", left, jid);
	return found;
}

int
jail_kill(int jid, struct err *e)
{
	/* again, for what was being forked meanwhile */
	for (int round = 0; round < 100; round++) {
		int found = kill_round(jid, e);
		if (found <= 0)
			return found;
	}
	return err_new(e, ERR_BUSY, "the processes of jail %d multiply", jid);
}

static int
remove_here(int jid, struct err *e)
{
	stack_end(jid);
	/* EINVAL: there is none of that number */
	if (jail_remove(jid) == 0 || errno == EINVAL || errno == ENOENT)
		return 0;
	return err_sys(e, "remove jail %d", jid);
}

int
jail_end(int jid, bool apart, struct err *e)
{
	struct err ignored = ERR_INIT;
	pid_t pid = apart ? fork() : -1;

	if (pid < 0)
		return remove_here(jid, e);
	if (pid > 0) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return 0;
	}
	/* twice: nobody has to wait for the second */
	pid = fork();
	if (pid == 0) {
		closefrom(0);
		setproctitle("end of jail %d", jid);
		_exit(remove_here(jid, &ignored) < 0);
	}
	if (pid < 0)
		(void)remove_here(jid, &ignored);
	_exit(0);
}
