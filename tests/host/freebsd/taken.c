/*
 * taken.c: does in another process what somebody would do who has taken it over: it makes its
 * system calls, and prints what the kernel says to each.
 */
#include <sys/types.h>
#include <sys/param.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <machine/reg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ARGS = 6, BELOW_STACK = 1024, WORD = 64 };

/* Below the stack pointer, out of the way of what the process has there. */
static u_long
put(pid_t pid, u_long at, const char *text)
{
	struct ptrace_io_desc io = { .piod_op = PIOD_WRITE_D,
		.piod_offs = (void *)at,
		.piod_addr = (void *)(uintptr_t)text,
		.piod_len = strlen(text) + 1 };

	if (ptrace(PT_IO, pid, (caddr_t)&io, 0) < 0)
		err(1, "write into process %d", (int)pid);
	return at;
}

static void
try(pid_t pid, const char *name, int number, const syscallarg_t *args, u_int n)
{
	syscallarg_t copy[MAX_ARGS];
	struct ptrace_sc_remote sc = {
		.pscr_syscall = (u_int)number, .pscr_nargs = n, .pscr_args = copy
	};

	memcpy(copy, args, n * sizeof(*args));
	if (ptrace(PT_SC_REMOTE, pid, (caddr_t)&sc, sizeof(sc)) < 0)
		err(1, "call %s in process %d", name, (int)pid);
	if (waitpid(pid, NULL, 0) < 0)
		err(1, "wait");
	printf(
	    "%s: %s\n", name, sc.pscr_ret.sr_error != 0 ? strerror(sc.pscr_ret.sr_error) : "done");
}

int
main(int argc, char **argv)
{
	struct reg regs;
	pid_t pid = argc == 2 ? atoi(argv[1]) : 0;

	if (pid <= 0)
		errx(1, "whose calls?");
	if (ptrace(PT_ATTACH, pid, NULL, 0) < 0 || waitpid(pid, NULL, 0) < 0)
		err(1, "attach to process %d", (int)pid);
	/* it waits in a read: when that ends calls can be made */
	if (ptrace(PT_TO_SCX, pid, (caddr_t)1, 0) < 0 || waitpid(pid, NULL, 0) < 0 ||
	    ptrace(PT_GETREGS, pid, (caddr_t)&regs, 0) < 0)
		err(1, "hold process %d", (int)pid);
	u_long at = (u_long)regs.r_rsp - BELOW_STACK;
	syscallarg_t secret = (syscallarg_t)put(pid, at, "/etc/master.passwd");
	syscallarg_t sh = (syscallarg_t)put(pid, at + WORD, "/bin/sh");
	syscallarg_t made = (syscallarg_t)put(pid, at + 2 * WORD, "/tmp/taken");

	try(pid, "open", SYS_open, (syscallarg_t[]){ secret, O_RDONLY, 0 }, 3);
	try(pid, "openat", SYS_openat, (syscallarg_t[]){ AT_FDCWD, secret, O_RDONLY, 0 }, 4);
	try(pid, "openat from descriptor 0", SYS_openat, (syscallarg_t[]){ 0, secret, O_RDONLY, 0 },
	    4);
	try(pid, "mkdir", SYS_mkdir, (syscallarg_t[]){ made, 0755 }, 2);
	try(pid, "unlink", SYS_unlink, (syscallarg_t[]){ secret }, 1);
	try(pid, "execve", SYS_execve, (syscallarg_t[]){ sh, 0, 0 }, 3);
	try(pid, "connect", SYS_connect, (syscallarg_t[]){ 1, (syscallarg_t)at, 16 }, 3);
	try(pid, "kill 1", SYS_kill, (syscallarg_t[]){ 1, 0 }, 2);
	try(pid, "write to descriptor 0", SYS_write, (syscallarg_t[]){ 0, (syscallarg_t)at, 1 }, 3);
	try(pid, "read from descriptor 1", SYS_read, (syscallarg_t[]){ 1, (syscallarg_t)at, 1 }, 3);
	if (ptrace(PT_DETACH, pid, (caddr_t)1, 0) < 0)
		err(1, "let process %d go", (int)pid);
	return 0;
}
