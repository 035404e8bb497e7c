/*
 * The default system call filter of pots, run as the kernel would run it: every number, on the
 * machine's architecture and its small sibling, against the names that libseccomp knows them by.
 */
#include "base/own.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "platform/seccomp_default.h" /* made when building, by seccomp_gen.c */

enum { NUMBERS = 4096, X32 = 0x40000000 };

static const struct {
	uint32_t arch, audit;
} served[] = {
#if defined(__x86_64__)
	{ SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64 },
	{ SCMP_ARCH_X86, AUDIT_ARCH_I386 },
#elif defined(__aarch64__)
	{ SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64 },
	{ SCMP_ARCH_ARM, AUDIT_ARCH_ARM },
#elif defined(__riscv)
	{ SCMP_ARCH_RISCV64, AUDIT_ARCH_RISCV64 },
#endif
};

/* Only the instructions that the generator writes; another one fails the test. */
static uint32_t
run(const struct seccomp_data *data)
{
	uint32_t acc = 0;

	for (size_t pc = 0; pc < NELEM(seccomp_default); pc++) {
		const struct sock_filter *i = &seccomp_default[pc];
		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(i->k + 4 <= sizeof(*data));
			memcpy(&acc, (const char *)data + i->k, 4);
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += acc == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += acc >= i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += (acc & i->k) != 0 ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			fail_msg("instruction %zu is 0x%x", pc, i->code);
		}
	}
	fail_msg("the filter runs off its end");
	return 0;
}

static uint32_t
answer(uint32_t audit, int nr, uint64_t first)
{
	return run(&(struct seccomp_data){ .nr = nr, .arch = audit, .args = { first } });
}

static bool
one_of(const char *name, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

/* ---- what a pot may not do ---- */

static const char *const refused[] = { "mount", "umount", "umount2", "move_mount", "open_tree",
	"fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "pivot_root", "setns",
	"unshare", "reboot", "swapon", "swapoff", "kexec_load", "kexec_file_load", "init_module",
	"finit_module", "delete_module", "create_module", "query_module", "get_kernel_syms", "acct",
	"syslog", "vhangup", "quotactl", "quotactl_fd", "nfsservctl", "lookup_dcookie", "sysfs",
	"_sysctl", "ustat", "uselib", "settimeofday", "clock_settime", "clock_settime64", "stime",
	"iopl", "ioperm", "vm86", "vm86old", "bpf", "perf_event_open", "userfaultfd", "kcmp",
	"open_by_handle_at", "add_key", "request_key", "keyctl", "get_mempolicy", "set_mempolicy",
	"mbind", "migrate_pages", "move_pages", "set_mempolicy_home_node", "process_madvise",
	"fanotify_init", NULL };
static const char *const older_kernel[] = { "io_uring_setup", "io_uring_enter", "io_uring_register",
	"clone3", NULL };

static void
check_number(uint32_t arch, uint32_t audit, int nr)
{
	char *name = seccomp_syscall_resolve_num_arch(arch, nr);
	uint32_t got = answer(audit, nr, 0);

	if (name == NULL || one_of(name, older_kernel))
		assert_int_equal(got, SECCOMP_RET_ERRNO | ENOSYS);
	else if (one_of(name, refused))
		assert_int_equal(got, SECCOMP_RET_ERRNO | EPERM);
	else
		assert_int_equal(got, SECCOMP_RET_ALLOW);
	free(name);
}

static void
every_number_has_its_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(served); i++)
		for (int nr = 0; nr < NUMBERS; nr++)
			check_number(served[i].arch, served[i].audit, nr);
}

/* -1: this architecture has no number of its own for it. */
static int
number(uint32_t arch, const char *name)
{
	for (int nr = 0; nr < NUMBERS; nr++) {
		char *known = seccomp_syscall_resolve_num_arch(arch, nr);
		bool same = known != NULL && strcmp(known, name) == 0;
		free(known);
		if (same)
			return nr;
	}
	return -1;
}

static void
some_calls_depend_on_their_first_argument(void **state)
{
	static const struct {
		const char *name;
		uint64_t first;
		bool allowed;
	} row[] = {
		{ "clone", CLONE_NEWUSER, false },
		{ "clone", CLONE_VM | CLONE_NEWNET, false },
		{ "clone", CLONE_VM | CLONE_FILES, true },
		{ "personality", 0xffffffff, true },
		{ "personality", 0x0400000 /* no random addresses */, false },
		{ "socket", AF_INET, true },
		{ "socket", AF_VSOCK, false },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(served); i++)
		for (size_t k = 0; k < NELEM(row); k++) {
			int nr = number(served[i].arch, row[k].name);
			assert_true(nr >= 0 || i > 0);
			if (nr >= 0)
				assert_int_equal(answer(served[i].audit, nr, row[k].first),
				    row[k].allowed ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | EPERM);
		}
}

static void
numbers_of_other_architectures_are_unknown(void **state)
{
	(void)state;
	for (int nr = 0; nr < NUMBERS; nr++) {
		assert_int_equal(answer(AUDIT_ARCH_PPC64, nr, 0), SECCOMP_RET_ERRNO | ENOSYS);
		assert_int_equal(answer(served[0].audit, nr | X32, 0), SECCOMP_RET_ERRNO | ENOSYS);
		assert_int_equal(answer(served[0].audit, -1 - nr, 0), SECCOMP_RET_ERRNO | ENOSYS);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number_has_its_answer),
		cmocka_unit_test(some_calls_depend_on_their_first_argument),
		cmocka_unit_test(numbers_of_other_architectures_are_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
