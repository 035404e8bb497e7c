/* Capabilities, users and the filter of a command: what process.c leaves to the system. */
#include "platform/linux/rights.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
set_caps(uint64_t caps, struct err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { .effective = (uint32_t)caps,
						      .permitted = (uint32_t)caps },
		{ .effective = (uint32_t)(caps >> 32), .permitted = (uint32_t)(caps >> 32) } };

	return syscall(SYS_capset, &head, data) < 0 ? err_sys(e, "set capabilities") : 0;
}

static int
bound_caps(uint64_t caps, struct err *e)
{
	for (unsigned cap = 0; cap < 64; cap++) {
		if (caps >> cap & 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL) /* the kernel knows no more of them */
			return 0;
		return err_sys(e, "drop capability %u", cap);
	}
	return 0;
}

static uint64_t
held_caps(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 }, { 0 } };

	(void)syscall(SYS_capget, &head, data);
	return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

int
process_shed_rights(struct err *e)
{
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return set_caps(held_caps() & 1ULL << CAP_KILL, e);
}

static int
filter(const struct isolate_process *how, struct err *e)
{
	if (how->no_filter)
		return 0;
	if (how->no_family != 0 && seccomp_families(how->no_family, e) < 0)
		return -1;
	return seccomp_load(e);
}

/* The raw calls: the C library's would tell threads, of which there are none. */
int
process_become(const struct process_ready *r, struct err *e)
{
	const struct account *a = &r->account;
	const struct isolate_process *how = r->how;
	uint64_t caps = how->caps;

	if (caps != ISOLATE_CAPS_KEEP && bound_caps(caps, e) < 0)
		return -1;
	if (syscall(SYS_setgroups, a->n_groups, a->groups) < 0 ||
	    syscall(SYS_setresgid, a->gid, a->gid, a->gid) < 0)
		return err_sys(e, "become group %u", (unsigned)a->gid);
	if (!how->new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, "refuse new privileges");
	/* without no_new_privs the filter needs a right that is given up below */
	if (how->new_privileges && filter(how, e) < 0)
		return -1;
	if (syscall(SYS_setresuid, a->uid, a->uid, a->uid) < 0)
		return err_sys(e, "become user %u", (unsigned)a->uid);
	if (a->uid == 0 && caps != ISOLATE_CAPS_KEEP && set_caps(held_caps() & caps, e) < 0)
		return -1;
	return how->new_privileges ? 0 : filter(how, e);
}
