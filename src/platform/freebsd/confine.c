#include "platform/confine.h"

#include "platform/proc.h"

#include <errno.h>
#include <sys/capsicum.h>
#include <sys/sysctl.h>

/* Capsicum's capability mode. */
bool
confine_possible(void)
{
	int there = 0;
	size_t len = sizeof(there);

	return sysctlbyname("kern.features.security_capability_mode", &there, &len, NULL, 0) == 0 &&
	       there != 0;
}

int
confine_enter(const unsigned may[], size_t n, struct err *e)
{
	proc_close_from((int)n);
	for (size_t i = 0; i < n; i++) {
		cap_rights_t rights;

		cap_rights_init(&rights);
		if (may[i] & CONFINE_READ)
			cap_rights_set(&rights, CAP_READ);
		if (may[i] & CONFINE_WRITE)
			cap_rights_set(&rights, CAP_WRITE);
		if (cap_rights_limit((int)i, &rights) < 0 && errno != ENOSYS)
			return err_sys(e, "limit descriptor %zu", i);
	}
	if (cap_enter() < 0)
		return errno == ENOSYS ? err_new(e, ERR_UNSUPPORTED,
					     "enter capability mode: this kernel has none (options "
					     "CAPABILITY_MODE)")
				       : err_sys(e, "enter capability mode");
	return 0;
}
