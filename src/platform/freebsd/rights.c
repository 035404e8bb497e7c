/* What a command of a jail may do is its jail's: here it only becomes its user. */
#include "platform/process.h"

#include <errno.h>
#include <sys/param.h>
#include <sys/procctl.h>
#include <sys/sysctl.h>
#include <unistd.h>

static bool
is_jailed(void)
{
	int jailed = 0;
	size_t len = sizeof(jailed);

	return sysctlbyname("security.jail.jailed", &jailed, &len, NULL, 0) == 0 && jailed != 0;
}

int
process_become(const struct process_ready *r, struct err *e)
{
	const struct account *a = &r->account;
	gid_t groups[1 + NELEM(a->groups)] = { a->gid };
	int none = PROC_NO_NEW_PRIVS_ENABLE, n = 1;

	for (size_t i = 0; i < a->n_groups; i++)
		if (a->groups[i] != a->gid)
			groups[n++] = a->groups[i];
	/* the session is new; until now it has the name of whoever started the pot */
	if (a->name[0] != '\0')
		(void)setlogin(a->name);
	/* the first is the group itself until FreeBSD 14, one more from 15 on */
	if (setgroups(n, groups) < 0 || setresgid(a->gid, a->gid, a->gid) < 0)
		return err_sys(e, "become group %u", (unsigned)a->gid);
	/* in a jail su(1), login(1) and ping(8) are what they always were */
	if (!r->how->new_privileges && !is_jailed() &&
	    procctl(P_PID, 0, PROC_NO_NEW_PRIVS_CTL, &none) < 0)
		return err_sys(e, "refuse new privileges");
	if (setresuid(a->uid, a->uid, a->uid) < 0)
		return err_sys(e, "become user %u", (unsigned)a->uid);
	return 0;
}
