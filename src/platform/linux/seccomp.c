#include "platform/linux/rights.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* const struct sock_filter seccomp_default[]: made when building, by seccomp_gen.c */
#include "seccomp_default.h"

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE AUDIT_ARCH_RISCV64
#else
#error "which architecture do system calls have here?"
#endif

static int
load(struct sock_filter *code, size_t n, struct err *e)
{
	struct sock_fprog program = { .len = (unsigned short)n, .filter = code };

	if (syscall(
		SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) < 0)
		return err_sys(e, "set the system call filter");
	return 0;
}

/* A number that no family has, where only one of the two is refused. Programs of the small sibling
 * architecture are not held to it: the machine's own addresses are no secret, and no boundary
 * hangs on this. */
int
seccomp_families(unsigned no_family, struct err *e)
{
	const size_t low = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0;
	const uint32_t four = (no_family & ISOLATE_NO_IPV4) != 0 ? AF_INET : UINT32_MAX,
		       six = (no_family & ISOLATE_NO_IPV6) != 0 ? AF_INET6 : UINT32_MAX;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    (uint32_t)(offsetof(struct seccomp_data, args) + low)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, four, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, six, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
	};

	return load(code, sizeof(code) / sizeof(code[0]), e);
}

int
seccomp_load(struct err *e)
{
	return load((struct sock_filter *)(uintptr_t)seccomp_default,
	    sizeof(seccomp_default) / sizeof(seccomp_default[0]), e);
}
