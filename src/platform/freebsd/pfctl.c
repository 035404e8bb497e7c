#include "platform/freebsd/pfctl.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <net/pfvar.h>

enum { ARGS = 16, OUTPUT_MAX = 16 << 20, TRIES = 16 };

#define PFCTL "/sbin/pfctl"

/* Its words are for us: not in the language of whoever calls. */
static char *const environment[] = { "LC_ALL=C", "PATH=/sbin:/usr/sbin:/bin:/usr/bin", NULL };

/* ---- pfctl ---- */

/* A file without a name: no pipe fills up. */
static int
scratch(const char *text, struct err *e)
{
	autofd int fd = memfd_create("pfctl", MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "make a temporary file");
	if (text != NULL &&
	    (fd_write_all(fd, text, strlen(text), e) < 0 || lseek(fd, 0, SEEK_SET) < 0))
		return err_sys(e, "write a temporary file");
	return take_fd(&fd);
}

static int
spawn(const char *const *argv, const int fds[3], pid_t *pid, struct err *e)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int why;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	for (int i = 0; i < 3; i++)
		posix_spawn_file_actions_adddup2(&actions, fds[i], i);
	why = posix_spawn(pid, PFCTL, &actions, &attr, (char *const *)(uintptr_t)argv, environment);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	if (why == 0)
		return 0;
	errno = why;
	return err_sys(e, "run " PFCTL);
}

/* pfctl warns of many things; the last line that is none of these says what went wrong. */
static const char *
complaint(char *text)
{
	static const char *const usual[] = { "No ALTQ support", "ALTQ related functions" };
	char *last = NULL;

	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		bool known = false;

		for (size_t i = 0; i < NELEM(usual); i++)
			known = known || str_starts(line, usual[i]);
		if (!known && last == NULL)
			last = line;
	}
	return last;
}

int
pfctl_run(struct buf *out, const char *in, struct err *e, ...)
{
	autofd int in_fd = scratch(in, e), out_fd = -1, err_fd = -1;
	const char *argv[ARGS] = { "pfctl" }, *word;
	int status = 0;
	size_t n = 1;
	va_list ap;
	pid_t pid;

	va_start(ap, e);
	while ((word = va_arg(ap, const char *)) != NULL && n + 1 < ARGS)
		argv[n++] = word;
	va_end(ap);
	argv[n] = NULL;
	if (in_fd < 0 || (out_fd = scratch(NULL, e)) < 0 || (err_fd = scratch(NULL, e)) < 0)
		return -1;
	const int fds[3] = { in_fd, out_fd, err_fd };
	if (spawn(argv, fds, &pid, e) < 0)
		return -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "wait for pfctl");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		autobuf struct buf said = BUF_INIT;
		const char *what = NULL;
		struct err ignored = ERR_INIT;

		if (lseek(err_fd, 0, SEEK_SET) == 0 &&
		    buf_read_fd(&said, err_fd, OUTPUT_MAX, &ignored) == 0 && said.len > 0)
			what = complaint(said.data);
		return err_new(e, ERR_REMOTE, "pfctl: %s", what != NULL ? what : "it failed");
	}
	if (out == NULL)
		return 0;
	if (lseek(out_fd, 0, SEEK_SET) < 0)
		return err_sys(e, "read what pfctl printed");
	return buf_read_fd(out, out_fd, OUTPUT_MAX, e);
}

/* ---- /dev/pf ---- */

int
pfdev_open(struct err *e)
{
	int fd = open("/dev/pf", O_RDWR | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "open /dev/pf") : fd;
}

int
pfdev_start(int fd, struct err *e)
{
	return ioctl(fd, DIOCSTART) < 0 && errno != EEXIST ? err_sys(e, "enable pf") : 0;
}

int
pfdev_rules(
    int fd, const char *anchor, enum pfdev_kind kind, uint32_t *ticket, bool *known, struct err *e)
{
	static const uint8_t actions[] = {
		[PFDEV_NAT] = PF_NAT, [PFDEV_RDR] = PF_RDR, [PFDEV_FILTER] = PF_PASS
	};
	autofree struct pfioc_rule *r = xcalloc(1, sizeof(*r));

	(void)str_copy(r->anchor, sizeof(r->anchor), anchor);
	r->rule.action = actions[kind];
	*known = true;
	*ticket = 0;
	if (ioctl(fd, DIOCGETRULES, r) == 0) {
		*ticket = r->ticket;
		return (int)r->nr;
	}
	if (errno == EINVAL)
		return 0; /* no such anchor */
	*known = false;
	/* another shape of this request in another kernel */
	return errno == ENOTTY || errno == ENODEV || errno == EOPNOTSUPP
		   ? 0
		   : err_sys(e, "look at pf's rules");
}

int
pfdev_anchors(int fd, const char *below, struct names *out, struct err *e)
{
	autofree struct pfioc_ruleset *r = xcalloc(1, sizeof(*r));

	for (int tries = 0; tries < TRIES; tries++) {
		autonames struct names all = NAMES_INIT;
		uint32_t n, i = 0;

		(void)str_copy(r->path, sizeof(r->path), below);
		if (ioctl(fd, DIOCGETRULESETS, r) < 0)
			return errno == ENOENT || errno == EINVAL ? 0
								  : err_sys(e, "list pf's anchors");
		for (n = r->nr; i < n; i++) {
			r->nr = i;
			if (ioctl(fd, DIOCGETRULESET, r) < 0)
				break;
			names_add(&all, r->name);
		}
		if (i < n && (errno == EBUSY || errno == ENOENT))
			continue; /* somebody takes some away */
		if (i < n)
			return err_sys(e, "list pf's anchors");
		*out = all;
		all = (struct names)NAMES_INIT;
		return 0;
	}
	return err_new(e, ERR_BUSY, "list pf's anchors: they change all the time");
}

int
pfdev_flush(int fd, const char *anchor, struct err *e)
{
	static const int kinds[] = { PF_RULESET_NAT, PF_RULESET_RDR, PF_RULESET_FILTER,
		PF_RULESET_TABLE };
	autofree struct pfioc_trans_e *parts = xcalloc(NELEM(kinds), sizeof(*parts));
	struct pfioc_trans t = { .size = NELEM(kinds), .esize = sizeof(*parts), .array = parts };

	for (int tries = 0; tries < TRIES; tries++) {
		for (size_t i = 0; i < NELEM(kinds); i++) {
			parts[i].rs_num = kinds[i];
			parts[i].ticket = 0;
			(void)str_copy(parts[i].anchor, sizeof(parts[i].anchor), anchor);
		}
		if (ioctl(fd, DIOCXBEGIN, &t) == 0 && ioctl(fd, DIOCXCOMMIT, &t) == 0)
			return 0;
		if (errno != EBUSY)
			break;
	}
	return err_sys(e, "empty pf's anchor %s", anchor);
}
