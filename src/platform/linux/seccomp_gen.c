/*
 * seccomp_gen: prints the default system call filter of pots as a C table; runs when building.
 * usage: seccomp_gen ARCH > seccomp_default.h
 * libseccomp gives the numbers of the calls on each architecture; the program is a binary search
 * over ranges of numbers that ends in a few comparisons, a tenth of what a list of rules would
 * give: the kernel checks and compiles it at each start.
 *
 * What the kernel knew when libseccomp was made, and is not in the table below, is allowed. Newer
 * calls answer ENOSYS, so that programs fall back to what they did before those existed.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { CALLS_MAX = 1024, CODE_MAX = 4096, LEAF_MAX = 24 };

/* Refused: what changes the machine rather than the pot, and what has been a way out of containers.
 */
static const char *const refused[] = {
	/* mounts and namespaces */
	"mount",
	"umount",
	"umount2",
	"move_mount",
	"open_tree",
	"fsopen",
	"fsconfig",
	"fsmount",
	"fspick",
	"mount_setattr",
	"pivot_root",
	"setns",
	"unshare",
	/* the machine */
	"reboot",
	"swapon",
	"swapoff",
	"kexec_load",
	"kexec_file_load",
	"init_module",
	"finit_module",
	"delete_module",
	"create_module",
	"query_module",
	"get_kernel_syms",
	"acct",
	"syslog",
	"vhangup",
	"quotactl",
	"quotactl_fd",
	"nfsservctl",
	"lookup_dcookie",
	"sysfs",
	"_sysctl",
	"ustat",
	"uselib",
	"settimeofday",
	"clock_settime",
	"clock_settime64",
	"stime",
	"iopl",
	"ioperm",
	"vm86",
	"vm86old",
	/* eyes into others, and parts of the kernel with a history */
	"bpf",
	"perf_event_open",
	"userfaultfd",
	"kcmp",
	"open_by_handle_at",
	"add_key",
	"request_key",
	"keyctl",
	"get_mempolicy",
	"set_mempolicy",
	"mbind",
	"migrate_pages",
	"move_pages",
	"set_mempolicy_home_node",
	"process_madvise",
	"fanotify_init",
};
/* Refused as if the kernel were older: programs have another way. */
static const char *const unknown[] = { "io_uring_setup", "io_uring_enter", "io_uring_register",
	"clone3" };

enum action { UNKNOWN, ALLOW, REFUSE, CLONE, PERSONALITY, SOCKET };
struct range {
	int first;
	unsigned count;
	enum action action;
};

static struct sock_filter code[CODE_MAX];
static size_t n_code;

static bool
listed(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, list[i]) == 0)
			return true;
	return false;
}

static size_t
emit(uint16_t op, uint32_t k, size_t jt, size_t jf)
{
	if (n_code == CODE_MAX || jt > 255 || jf > 255) {
		fprintf(stderr, "seccomp_gen: the program does not fit\n");
		exit(1);
	}
	code[n_code] = (struct sock_filter){ op, (uint8_t)jt, (uint8_t)jf, k };
	return n_code++;
}

static void
emit_return(uint32_t value)
{
	emit(BPF_RET | BPF_K, value, 0, 0);
}

static void
emit_argument(int i)
{
	/* the low half: what is checked here are ints for the kernel */
	size_t low = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0;

	emit(BPF_LD | BPF_W | BPF_ABS,
	    (uint32_t)(offsetof(struct seccomp_data, args) + 8U * (unsigned)i + low), 0, 0);
}

static void
emit_action(enum action action)
{
	static const uint32_t personalities[] = { 0x0, 0x8, 0x20000, 0x20008, 0x40000, 0xffffffff };
	const size_t n = sizeof(personalities) / sizeof(personalities[0]);
	const uint32_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
				    CLONE_NEWUSER | CLONE_NEWPID | (uint32_t)CLONE_NEWNET;

	switch (action) {
	case UNKNOWN:
		emit_return(SECCOMP_RET_ERRNO | ENOSYS);
		return;
	case ALLOW:
		emit_return(SECCOMP_RET_ALLOW);
		return;
	case REFUSE:
		break;
	case CLONE:
		emit_argument(0);
		emit(BPF_JMP | BPF_JSET | BPF_K, namespaces, 1, 0);
		emit_return(SECCOMP_RET_ALLOW);
		break;
	case PERSONALITY:
		emit_argument(0);
		for (size_t i = 0; i < n; i++)
			emit(BPF_JMP | BPF_JEQ | BPF_K, personalities[i], n - i, 0);
		emit_return(SECCOMP_RET_ERRNO | EPERM);
		emit_return(SECCOMP_RET_ALLOW);
		return;
	case SOCKET: /* not those of the hypervisor */
		emit_argument(0);
		emit(BPF_JMP | BPF_JEQ | BPF_K, AF_VSOCK, 1, 0);
		emit_return(SECCOMP_RET_ALLOW);
		break;
	}
	emit_return(SECCOMP_RET_ERRNO | EPERM);
}

/* May these be told apart by comparing with single numbers, all others having one action? */
static bool
is_leaf(const struct range *r, size_t n, enum action *others)
{
	bool known = false;

	for (size_t i = 0; i < n; i++) {
		if (r[i].count == 1)
			continue;
		if (known && r[i].action != *others)
			return false;
		*others = r[i].action;
		known = true;
	}
	if (!known)
		*others = r[0].action;
	return n <= LEAF_MAX;
}

/* Comparisons, what all others get, and what each of the compared actions does. */
static void
emit_leaf(const struct range *r, size_t n, enum action others)
{
	size_t compare[LEAF_MAX];
	bool done[LEAF_MAX] = { false };

	for (size_t i = 0; i < n; i++) {
		done[i] = r[i].action == others;
		if (!done[i])
			compare[i] = emit(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)r[i].first, 0, 0);
	}
	emit_action(others);
	for (size_t i = 0; i < n; i++) {
		if (done[i])
			continue;
		for (size_t k = i; k < n; k++)
			if (!done[k] && r[k].action == r[i].action) {
				done[k] = true;
				code[compare[k]].jt = (uint8_t)(n_code - compare[k] - 1);
			}
		emit_action(r[i].action);
	}
}

/* The accumulator holds the number. start: the first range of each leaf, and one behind the last.
 */
static void
emit_search(const struct range *r, const size_t *start, size_t leaves)
{
	enum action others = ALLOW;

	if (leaves == 1) {
		(void)is_leaf(r + start[0], start[1] - start[0], &others);
		emit_leaf(r + start[0], start[1] - start[0], others);
		return;
	}
	size_t half = leaves / 2;
	size_t jump = emit(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)r[start[half]].first, 0, 0);
	emit_search(r, start, half);
	if (n_code - jump - 1 > 255) {
		fprintf(stderr, "seccomp_gen: a jump is too long\n");
		exit(1);
	}
	code[jump].jt = (uint8_t)(n_code - jump - 1);
	emit_search(r, start + half, leaves - half);
}

static void
emit_ranges(const struct range *r, size_t n)
{
	static size_t start[CALLS_MAX + 2];
	enum action others;
	size_t leaves = 0;

	for (size_t i = 0; i < n; i++)
		if (leaves == 0 ||
		    !is_leaf(r + start[leaves - 1], i + 1 - start[leaves - 1], &others))
			start[leaves++] = i;
	start[leaves] = n;
	emit_search(r, start, leaves);
}

static enum action
action_of(uint32_t arch, int nr)
{
	char *name = seccomp_syscall_resolve_num_arch(arch, nr);
	enum action action = ALLOW;

	if (name == NULL)
		return UNKNOWN;
	if (listed(name, refused, sizeof(refused) / sizeof(refused[0])))
		action = REFUSE;
	else if (listed(name, unknown, sizeof(unknown) / sizeof(unknown[0])))
		action = UNKNOWN;
	else if (strcmp(name, "clone") == 0)
		action = CLONE;
	else if (strcmp(name, "personality") == 0)
		action = PERSONALITY;
	else if (strcmp(name, "socket") == 0)
		action = SOCKET;
	free(name);
	return action;
}

static void
emit_arch(uint32_t arch)
{
	static struct range ranges[CALLS_MAX + 1];
	size_t n = 0;

	for (int nr = 0; nr < CALLS_MAX; nr++) {
		enum action action = action_of(arch, nr);
		if (n == 0 || ranges[n - 1].action != action)
			ranges[n++] = (struct range){ nr, 0, action };
		ranges[n - 1].count++;
	}
	if (ranges[n - 1].action != UNKNOWN)
		ranges[n++] = (struct range){ CALLS_MAX, 0, UNKNOWN };
	emit(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	emit_ranges(ranges, n);
}

int
main(int argc, char **argv)
{
	static const struct {
		uint32_t arch, audit;
	} others[] = { { SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64 }, { SCMP_ARCH_X86, AUDIT_ARCH_I386 },
		{ SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64 }, { SCMP_ARCH_ARM, AUDIT_ARCH_ARM },
		{ SCMP_ARCH_RISCV64, AUDIT_ARCH_RISCV64 } };
	uint32_t arch = argc > 1 ? seccomp_arch_resolve_name(argv[1]) : seccomp_arch_native();
	uint32_t small = arch == SCMP_ARCH_X86_64    ? SCMP_ARCH_X86
			 : arch == SCMP_ARCH_AARCH64 ? SCMP_ARCH_ARM
						     : 0;
	bool found = false;

	emit(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (others[i].arch != arch && (small == 0 || others[i].arch != small))
			continue;
		found |= others[i].arch == arch;
		emit(BPF_JMP | BPF_JEQ | BPF_K, others[i].audit, 1, 0);
		size_t jump = emit(BPF_JMP | BPF_JA, 0, 0, 0);
		emit_arch(others[i].arch);
		code[jump].k = (uint32_t)(n_code - jump - 1);
	}
	emit_return(SECCOMP_RET_ERRNO | ENOSYS); /* calls by the numbers of another architecture */
	if (!found) {
		fprintf(stderr, "seccomp_gen: no filter is known for %s\n",
		    argc > 1 ? argv[1] : "this architecture");
		return 1;
	}
	puts("/* made by seccomp_gen.c */\nstatic const struct sock_filter seccomp_default[] = {");
	for (size_t i = 0; i < n_code; i++)
		printf("\t{ 0x%02x, %u, %u, 0x%08x },\n", code[i].code, code[i].jt, code[i].jf,
		    code[i].k);
	puts("};");
	return 0;
}
