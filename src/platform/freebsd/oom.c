#include "platform/freebsd/oom.h"

#include "base/own.h"
#include "platform/rctl/rctl.h"

#include <sys/types.h>
#include <sys/sysctl.h>

/*
 * rctl keeps no count of what it has done. Beside the rule that kills stands one that logs, and
 * the kernel's messages are read back.
 */

int64_t
oom_told(const char *jail, char last[RCTL_LINE])
{
	size_t len = 0;

	if (sysctlbyname("kern.msgbuf", NULL, &len, NULL, 0) < 0 || len == 0)
		return 0;
	len += len / 8; /* it may grow meanwhile */
	autofree char *text = xmalloc(len);
	if (sysctlbyname("kern.msgbuf", text, &len, NULL, 0) < 0)
		return 0;
	return rctl_told(text, len, jail, last);
}
