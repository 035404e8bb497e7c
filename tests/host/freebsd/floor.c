/*
 * floor.c: each verb of pot reduced to what it cannot do without, as one program: the primitives of
 * the kernel, the commands of ZFS, and nothing else; no configuration, no record, no check. And a
 * clock for whole commands. As root on FreeBSD.
 *
 *   floor time COMMAND…                     its microseconds, and those of processor time
 *   floor create BASE NEW SNAPSHOT          datasets of a multi pot: made, two copies received
 *   floor clone POT NEW SNAPSHOT            the same as clones
 *   floor destroy POT                       its datasets
 *   floor start ROOT BASE [BRIDGE ADDRESS]  mounts, a jail, with a network of its own on the bridge
 *                                           (ADDRESS/10), and /usr/bin/true in it, until it runs
 *   floor exec                              /usr/bin/true in that jail, until it has ended
 *   floor stop ROOT                         undoes the start
 *
 * BASE, POT, NEW: datasets by their full names. ROOT: the directory of a multi pot made of BASE.
 */
#include <sys/param.h>
#include <sys/ioctl.h>
#include <sys/jail.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_bridgevar.h>
#include <netinet/in.h>
#include <netinet/in_var.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static char jail_name[] = "floor";

/* ---- commands ---- */

static pid_t
begin(char *const *argv, int in, int out)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int why;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (in >= 0)
		posix_spawn_file_actions_adddup2(&actions, in, 0);
	if (out >= 0)
		posix_spawn_file_actions_adddup2(&actions, out, 1);
	why = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	if (why != 0)
		errc(1, why, "%s", argv[0]);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static void
end(pid_t pid, const char *what)
{
	int status;

	if (waitpid(pid, &status, 0) < 0 || status != 0)
		errx(1, "%s failed", what);
}

static void
zfs(const char *verb, const char *a, const char *b)
{
	const char *const argv[] = { "/sbin/zfs", verb, a, b, NULL };

	end(begin((char *const *)(uintptr_t)argv, -1, -1), verb);
}

static char *
name(const char *fmt, ...)
{
	char *out;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&out, fmt, ap) < 0)
		err(1, "memory");
	va_end(ap);
	return out;
}

static uint64_t
us(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
}

static int
time_it(char **argv)
{
	struct timespec began, ended;
	struct rusage used;
	int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);

	clock_gettime(CLOCK_MONOTONIC_PRECISE, &began);
	end(begin(argv, -1, quiet), argv[0]);
	clock_gettime(CLOCK_MONOTONIC_PRECISE, &ended);
	getrusage(RUSAGE_CHILDREN, &used);
	printf("%jd %ju\n",
	    (intmax_t)(ended.tv_sec - began.tv_sec) * 1000000 +
		(ended.tv_nsec - began.tv_nsec) / 1000,
	    (uintmax_t)(us(&used.ru_utime) + us(&used.ru_stime)));
	return 0;
}

/* ---- datasets ---- */

static const char *const parts[] = { "usr.local", "custom" };

static int
create(const char *base, const char *new, const char *snapshot)
{
	zfs("create", new, NULL);
	for (size_t i = 0; i < nitems(parts); i++) {
		char *from = name("%s/%s@%s", base, parts[i], snapshot);
		char *to = name("%s/%s", new, parts[i]);
		char *const send[] = { "/sbin/zfs", "send", from, NULL };
		char *const receive[] = { "/sbin/zfs", "receive", to, NULL };
		int p[2];

		if (pipe2(p, O_CLOEXEC) < 0)
			err(1, "pipe");
		pid_t into = begin(receive, p[0], -1), out = begin(send, -1, p[1]);
		close(p[0]);
		close(p[1]);
		end(out, "send");
		end(into, "receive");
		/* a copy of pot has no snapshot */
		zfs("destroy", name("%s@%s", to, snapshot), NULL);
	}
	return 0;
}

static int
clone(const char *pot, const char *new, const char *snapshot)
{
	zfs("create", new, NULL);
	for (size_t i = 0; i < nitems(parts); i++)
		zfs("clone", name("%s/%s@%s", pot, parts[i], snapshot),
		    name("%s/%s", new, parts[i]));
	return 0;
}

/* ---- a start ---- */

static void
mount_on(const char *type, const char *what, const char *from, const char *at, int flags)
{
	const char *const words[] = { "fstype", type, "fspath", at, what, from };
	struct iovec v[nitems(words)];

	for (size_t i = 0; i < nitems(words); i++)
		v[i] = (struct iovec){ .iov_base = (void *)(uintptr_t)words[i],
			.iov_len = strlen(words[i]) + 1 };
	if (nmount(v, nitems(v), flags) < 0)
		err(1, "mount %s", at);
}

static struct iovec
word(char *text)
{
	return (struct iovec){ .iov_base = text, .iov_len = strlen(text) + 1 };
}

static int
jail_make(char *path, bool vnet)
{
	int with = JAIL_SYS_NEW;
	struct iovec v[] = { word((char[]){ "path" }), word(path), word((char[]){ "name" }),
		word(jail_name), word((char[]){ "persist" }), { .iov_base = NULL, .iov_len = 0 },
		word((char[]){ "vnet" }), { .iov_base = &with, .iov_len = sizeof(with) } };
	int jid = jail_set(v, vnet ? 8 : 6, JAIL_CREATE);

	if (jid < 0)
		err(1, "jail_set");
	return jid;
}

static int
jail_find(void)
{
	struct iovec v[] = { word((char[]){ "name" }), word(jail_name) };
	int jid = jail_get(v, 2, 0);

	if (jid < 0)
		err(1, "jail_get");
	return jid;
}

/* A socket of the jail's network: whoever opens it has to be in there. */
static int
socket_inside(int jid)
{
	int pair[2], sock = -1;
	char control[CMSG_SPACE(sizeof(int))], byte = 0;
	struct iovec v = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *c;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		err(1, "socketpair");
	pid_t pid = fork();
	if (pid == 0) {
		if (jail_attach(jid) < 0 || (sock = socket(AF_INET, SOCK_DGRAM, 0)) < 0)
			_exit(1);
		c = CMSG_FIRSTHDR(&m);
		*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(c), &sock, sizeof(sock));
		_exit(sendmsg(pair[1], &m, 0) < 0);
	}
	close(pair[1]);
	if (pid < 0 || recvmsg(pair[0], &m, 0) <= 0 || (c = CMSG_FIRSTHDR(&m)) == NULL)
		err(1, "a socket of the jail");
	memcpy(&sock, CMSG_DATA(c), sizeof(sock));
	end(pid, "the jail's socket");
	close(pair[0]);
	return sock;
}

static void
link_up(int sock, const char *link)
{
	struct ifreq r = { .ifr_name = "" };

	strlcpy(r.ifr_name, link, sizeof(r.ifr_name));
	if (ioctl(sock, SIOCGIFFLAGS, &r) < 0)
		err(1, "%s", link);
	r.ifr_flags |= IFF_UP;
	if (ioctl(sock, SIOCSIFFLAGS, &r) < 0)
		err(1, "%s up", link);
}

/* A pair, one end on the bridge and the other in the jail with an address. One of the two has to
 * change its network; the outer one does, so that the pair is the jail's. */
static void
network(int jid, const char *bridge, const char *address)
{
	int out = socket(AF_INET, SOCK_DGRAM, 0), in = socket_inside(jid);
	struct ifreq r = { .ifr_name = "epair" };
	struct ifbreq member = { .ifbr_ifsname = "floor0" };
	struct ifdrv d = { .ifd_cmd = BRDGADD, .ifd_len = sizeof(member), .ifd_data = &member };
	struct in_aliasreq a = { .ifra_name = "" };

	if (ioctl(in, SIOCIFCREATE2, &r) < 0)
		err(1, "epair");
	strlcpy(a.ifra_name, r.ifr_name, sizeof(a.ifra_name));
	a.ifra_name[strlen(a.ifra_name) - 1] = 'b';
	r.ifr_data = (char[]){ "floor0" };
	if (ioctl(in, SIOCSIFNAME, &r) < 0)
		err(1, "rename %s", r.ifr_name);
	strlcpy(r.ifr_name, "floor0", sizeof(r.ifr_name));
	r.ifr_jid = jid;
	if (ioctl(out, SIOCSIFRVNET, &r) < 0)
		err(1, "fetch");
	a.ifra_addr = (struct sockaddr_in){ .sin_len = sizeof(a.ifra_addr), .sin_family = AF_INET };
	a.ifra_mask = a.ifra_addr;
	a.ifra_addr.sin_addr.s_addr = inet_addr(address);
	a.ifra_mask.sin_addr.s_addr = inet_addr("255.192.0.0");
	if (ioctl(in, SIOCAIFADDR, &a) < 0)
		err(1, "address");
	strlcpy(d.ifd_name, bridge, sizeof(d.ifd_name));
	if (ioctl(out, SIOCSDRVSPEC, &d) < 0)
		err(1, "join %s", bridge);
	link_up(out, "floor0");
	close(in);
	close(out);
}

/* Until it runs; or until it has ended. */
static void
run_inside(int jid, bool wait)
{
	int p[2], why = 0;

	if (pipe2(p, O_CLOEXEC) < 0)
		err(1, "pipe");
	pid_t pid = fork();
	if (pid == 0) {
		if (jail_attach(jid) == 0 && chdir("/") == 0)
			execl("/usr/bin/true", "true", NULL);
		(void)write(p[1], &errno, sizeof(errno));
		_exit(1);
	}
	close(p[1]);
	if (pid < 0 || read(p[0], &why, sizeof(why)) > 0)
		errc(1, why, "true");
	if (wait)
		end(pid, "true");
}

static int
start(char *root, const char *base, const char *bridge, const char *address)
{
	char *m = name("%s/m", root);

	mount_on("nullfs", "target", base, m, MNT_RDONLY);
	mount_on("devfs", "from", "devfs", name("%s/dev", m), 0);
	mount_on("tmpfs", "from", "tmpfs", name("%s/tmp", m), 0);
	mount_on("nullfs", "target", name("%s/usr.local", root), name("%s/usr/local", m), 0);
	mount_on("nullfs", "target", name("%s/custom", root), name("%s/opt/custom", m), 0);
	int jid = jail_make(m, bridge != NULL);
	if (bridge != NULL)
		network(jid, bridge, address);
	run_inside(jid, false);
	return 0;
}

static int
stop(const char *root)
{
	static const char *const at[] = { "/opt/custom", "/usr/local", "/tmp", "/dev", "" };

	if (jail_remove(jail_find()) < 0)
		err(1, "jail_remove");
	for (size_t i = 0; i < nitems(at); i++)
		if (unmount(name("%s/m%s", root, at[i]), MNT_FORCE) < 0)
			err(1, "unmount %s", at[i]);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "time") == 0 && argc > 2)
		return time_it(argv + 2);
	if (strcmp(verb, "create") == 0 && argc == 5)
		return create(argv[2], argv[3], argv[4]);
	if (strcmp(verb, "clone") == 0 && argc == 5)
		return clone(argv[2], argv[3], argv[4]);
	if (strcmp(verb, "destroy") == 0 && argc == 3)
		return zfs("destroy", "-r", argv[2]), 0;
	if (strcmp(verb, "start") == 0 && (argc == 4 || argc == 6))
		return start(argv[2], argv[3], argc == 6 ? argv[4] : NULL, argv[argc - 1]);
	if (strcmp(verb, "exec") == 0 && argc == 2)
		return run_inside(jail_find(), true), 0;
	if (strcmp(verb, "stop") == 0 && argc == 3)
		return stop(argv[2]);
	errx(2, "usage: floor time|create|clone|destroy|start|exec|stop …");
}
