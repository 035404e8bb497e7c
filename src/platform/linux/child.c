#include "platform/linux/child.h"

#include "base/own.h"
#include "platform/proc.h"

#include <sched.h>
#include <sys/prctl.h>

int
child_enter(pid_t pid, uint64_t start, int namespaces, struct err *e)
{
	autofd int handle = proc_native.open(pid, start, e);

	if (handle < 0)
		return -1;
	/* until it runs a program of the pot, nothing in there may look into this process */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (setns(handle, namespaces) < 0)
		return err_sys(e, "enter the namespaces of process %d", pid);
	return 0;
}
