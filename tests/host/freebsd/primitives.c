/*
 * primitives.c: what a start, a stop and a clone cannot do without, each timed by itself, as root
 * on FreeBSD. Prints a line a primitive: its name, a tab, the median in microseconds, a tab, the
 * processor time of this process and its children in microseconds (median).
 *
 *   primitives ROUNDS DATASET     DATASET: an existing, mounted one with nothing else to do
 */
#include <sys/param.h>
#include <sys/jail.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/ioctl.h>
#include <sys/rctl.h>
#include <sys/sockio.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <net/if.h>
#include <net/if_bridgevar.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static const char *dataset;
static char dir[] = "/tmp/potter-primitives.XXXXXX";
static int sock, jid, rounds;
static char pair[IFNAMSIZ], bridge[IFNAMSIZ];

static uint64_t
now(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t
cpu_used(void)
{
	struct rusage me, children;

	getrusage(RUSAGE_SELF, &me);
	getrusage(RUSAGE_CHILDREN, &children);
	return (uint64_t)(me.ru_utime.tv_sec + me.ru_stime.tv_sec + children.ru_utime.tv_sec +
			  children.ru_stime.tv_sec) *
		   1000000 +
	       (uint64_t)(me.ru_utime.tv_usec + me.ru_stime.tv_usec + children.ru_utime.tv_usec +
			  children.ru_stime.tv_usec);
}

/* ---- what is timed ---- */

static posix_spawn_file_actions_t quiet;

static void
run(const char *a, const char *b, const char *c, const char *d)
{
	const char *argv[] = { a, b, c, d, NULL };
	pid_t pid;
	int status, why;

	why = posix_spawn(&pid, a, &quiet, NULL, (char **)(uintptr_t)argv, environ);
	if (why != 0)
		errc(1, why, "%s", a);
	if (waitpid(pid, &status, 0) < 0 || status != 0)
		errx(1, "%s %s failed", a, b != NULL ? b : "");
}

static void
exec_true(void)
{
	run("/usr/bin/true", NULL, NULL, NULL);
}

static void
mount_one(const char *type, const char *from)
{
	struct iovec v[6];
	const char *words[] = { "fstype", type, "fspath", dir, "from", from };

	for (size_t i = 0; i < 6; i++)
		v[i] = (struct iovec){ .iov_base = (void *)(uintptr_t)words[i],
			.iov_len = strlen(words[i]) + 1 };
	if (nmount(v, 6, 0) < 0)
		err(1, "mount %s", type);
}

static void
mount_nullfs(void)
{
	struct iovec v[6];
	const char *words[] = { "fstype", "nullfs", "fspath", dir, "target", "/usr" };

	for (size_t i = 0; i < 6; i++)
		v[i] = (struct iovec){ .iov_base = (void *)(uintptr_t)words[i],
			.iov_len = strlen(words[i]) + 1 };
	if (nmount(v, 6, MNT_RDONLY) < 0)
		err(1, "mount nullfs");
}

static void
mount_tmpfs(void)
{
	mount_one("tmpfs", "tmpfs");
}

static void
mount_devfs(void)
{
	mount_one("devfs", "devfs");
}

static void
unmount_it(void)
{
	if (unmount(dir, 0) < 0)
		err(1, "unmount");
}

static void
jail_make(bool vnet)
{
	int with = JAIL_SYS_NEW;
	struct iovec v[8];
	char root[] = "/", name[] = "primitives", persist[] = "persist";
	size_t n = 6;

	v[0] = (struct iovec){ .iov_base = (char[]){ "path" }, .iov_len = 5 };
	v[1] = (struct iovec){ .iov_base = root, .iov_len = sizeof(root) };
	v[2] = (struct iovec){ .iov_base = (char[]){ "name" }, .iov_len = 5 };
	v[3] = (struct iovec){ .iov_base = name, .iov_len = sizeof(name) };
	v[4] = (struct iovec){ .iov_base = persist, .iov_len = sizeof(persist) };
	v[5] = (struct iovec){ .iov_base = NULL, .iov_len = 0 };
	if (vnet) {
		v[6] = (struct iovec){ .iov_base = (char[]){ "vnet" }, .iov_len = 5 };
		v[7] = (struct iovec){ .iov_base = &with, .iov_len = sizeof(with) };
		n = 8;
	}
	jid = jail_set(v, (unsigned)n, JAIL_CREATE);
	if (jid < 0)
		err(1, "jail_set");
}

static void
jail_plain(void)
{
	jail_make(false);
}

static void
jail_vnet(void)
{
	jail_make(true);
}

static void
jail_gone(void)
{
	if (jail_remove(jid) < 0)
		err(1, "jail_remove");
	/* the name is free again once the kernel has taken it apart */
	for (;;) {
		struct iovec v[2];
		char name[] = "primitives";

		v[0] = (struct iovec){ .iov_base = (char[]){ "name" }, .iov_len = 5 };
		v[1] = (struct iovec){ .iov_base = name, .iov_len = sizeof(name) };
		if (jail_get(v, 2, JAIL_DYING) < 0 && errno == ENOENT)
			return;
		usleep(200);
	}
}

static void
jail_left(void)
{
	if (jail_remove(jid) < 0)
		err(1, "jail_remove");
}

static void
link_make(const char *kind, char *name)
{
	struct ifreq r = { 0 };

	strlcpy(r.ifr_name, kind, sizeof(r.ifr_name));
	if (ioctl(sock, SIOCIFCREATE2, &r) < 0)
		err(1, "make %s", kind);
	strlcpy(name, r.ifr_name, IFNAMSIZ);
}

static void
link_gone(const char *name)
{
	struct ifreq r = { 0 };

	strlcpy(r.ifr_name, name, sizeof(r.ifr_name));
	if (ioctl(sock, SIOCIFDESTROY, &r) < 0)
		err(1, "destroy %s", name);
}

static void
pair_make(void)
{
	link_make("epair", pair);
}

static void
pair_gone(void)
{
	link_gone(pair);
}

static void
bridge_make(void)
{
	link_make("bridge", bridge);
}

static void
bridge_gone(void)
{
	link_gone(bridge);
}

static void
member_add(void)
{
	struct ifbreq r = { 0 };
	struct ifdrv d = { .ifd_cmd = BRDGADD, .ifd_len = sizeof(r), .ifd_data = &r };

	strlcpy(r.ifbr_ifsname, pair, sizeof(r.ifbr_ifsname));
	strlcpy(d.ifd_name, bridge, sizeof(d.ifd_name));
	if (ioctl(sock, SIOCSDRVSPEC, &d) < 0)
		err(1, "put %s into %s", pair, bridge);
}

static char snapshot[MAXPATHLEN], clone_name[MAXPATHLEN], child[MAXPATHLEN];

static void
zfs_list(void)
{
	run("/sbin/zfs", "list", dataset, NULL);
}

static void
zfs_create(void)
{
	run("/sbin/zfs", "create", child, NULL);
}

static void
zfs_snapshot(void)
{
	run("/sbin/zfs", "snapshot", snapshot, NULL);
}

static void
zfs_clone(void)
{
	run("/sbin/zfs", "clone", snapshot, clone_name);
}

static void
zfs_destroy_child(void)
{
	run("/sbin/zfs", "destroy", child, NULL);
}

static void
zfs_destroy_clone(void)
{
	run("/sbin/zfs", "destroy", clone_name, NULL);
}

static void
zfs_destroy_snapshot(void)
{
	run("/sbin/zfs", "destroy", snapshot, NULL);
}

static void
rctl_add(void)
{
	static const char rule[] = "user:65533:maxproc:deny=1000000";
	char out[1];

	if (rctl_add_rule(rule, sizeof(rule), out, 0) < 0 && errno != ENOSYS)
		err(1, "rctl_add_rule");
}

static void
rctl_remove(void)
{
	static const char rule[] = "user:65533";
	char out[1];

	if (rctl_remove_rule(rule, sizeof(rule), out, 0) < 0 && errno != ENOSYS)
		err(1, "rctl_remove_rule");
}

/* ---- rounds ---- */

static int
by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Two or more steps in turn, so that each finds what the one before it left. */
static void
measure(size_t n, const char *const *names, void (*const *steps)(void))
{
	uint64_t *wall = calloc(n * (size_t)rounds, sizeof(*wall));
	uint64_t *cpu = calloc(n * (size_t)rounds, sizeof(*cpu));

	if (wall == NULL || cpu == NULL)
		err(1, "calloc");
	for (int r = 0; r < rounds; r++)
		for (size_t i = 0; i < n; i++) {
			uint64_t used = cpu_used(), began = now(CLOCK_MONOTONIC_PRECISE);

			steps[i]();
			wall[i * (size_t)rounds + (size_t)r] = now(CLOCK_MONOTONIC_PRECISE) - began;
			cpu[i * (size_t)rounds + (size_t)r] = cpu_used() - used;
		}
	for (size_t i = 0; i < n; i++) {
		uint64_t *w = wall + i * (size_t)rounds, *c = cpu + i * (size_t)rounds;

		qsort(w, (size_t)rounds, sizeof(*w), by_size);
		qsort(c, (size_t)rounds, sizeof(*c), by_size);
		if (names[i] != NULL)
			printf("%s\t%ju\t%ju\n", names[i], (uintmax_t)w[rounds / 2],
			    (uintmax_t)c[rounds / 2]);
	}
	fflush(stdout);
	free(wall);
	free(cpu);
}

#define MEASURE(names, steps) measure(sizeof(names) / sizeof((names)[0]), names, steps)

static void
processes_and_mounts(void)
{
	static const char *const exec_names[] = { "fork and exec of true" };
	static void (*const exec_steps[])(void) = { exec_true };
	static const char *const names[] = { "nullfs mount", "unmount of nullfs", "tmpfs mount",
		"unmount of tmpfs", "devfs mount", "unmount of devfs" };
	static void (*const steps[])(
	    void) = { mount_nullfs, unmount_it, mount_tmpfs, unmount_it, mount_devfs, unmount_it };

	MEASURE(exec_names, exec_steps);
	MEASURE(names, steps);
}

static void
jails_and_links(void)
{
	static const char *const names[] = { "jail", "jail removed", "jail with vnet",
		"jail with vnet removed, and its name free", NULL, "jail with vnet removed" };
	static void (*const steps[])(
	    void) = { jail_plain, jail_gone, jail_vnet, jail_gone, jail_vnet, jail_left };
	static const char *const link_names[] = { "bridge", "epair", "member of a bridge",
		"epair destroyed", "bridge destroyed" };
	static void (*const link_steps[])(
	    void) = { bridge_make, pair_make, member_add, pair_gone, bridge_gone };
	static const char *const rctl_names[] = { "rctl rule", "rctl rule removed" };
	static void (*const rctl_steps[])(void) = { rctl_add, rctl_remove };

	MEASURE(names, steps);
	sleep(1); /* the last one is being taken apart */
	MEASURE(link_names, link_steps);
	MEASURE(rctl_names, rctl_steps);
}

static void
datasets(void)
{
	static const char *const names[] = { "zfs list", "zfs create", "zfs snapshot", "zfs clone",
		"zfs destroy of a clone", "zfs destroy of a snapshot", "zfs destroy" };
	static void (*const steps[])(void) = { zfs_list, zfs_create, zfs_snapshot, zfs_clone,
		zfs_destroy_clone, zfs_destroy_snapshot, zfs_destroy_child };

	snprintf(child, sizeof(child), "%s/primitives", dataset);
	snprintf(snapshot, sizeof(snapshot), "%s/primitives@1", dataset);
	snprintf(clone_name, sizeof(clone_name), "%s/primitives-clone", dataset);
	MEASURE(names, steps);
}

int
main(int argc, char **argv)
{
	if (argc != 3 || (rounds = atoi(argv[1])) < 1)
		errx(2, "usage: primitives ROUNDS DATASET");
	dataset = argv[2];
	if (mkdtemp(dir) == NULL)
		err(1, "mkdtemp");
	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
	sock = socket(AF_INET, SOCK_DGRAM, 0);
	if (sock < 0)
		err(1, "socket");
	processes_and_mounts();
	jails_and_links();
	datasets();
	rmdir(dir);
	return 0;
}
