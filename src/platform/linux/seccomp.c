#include "platform/linux/process.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* const struct sock_filter seccomp_default[]: made when building, by seccomp_gen.c */
#include "seccomp_default.h"

int
seccomp_load(struct err *e)
{
	struct sock_fprog program = { .len = sizeof(seccomp_default) / sizeof(seccomp_default[0]),
		.filter = (struct sock_filter *)(uintptr_t)seccomp_default };

	if (syscall(
		SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) < 0)
		return err_sys(e, "set the system call filter");
	return 0;
}
