/*
 * floor - the cost of a container on this kernel, without a container tool.
 *
 *   floor spawn [-n N] -- CMD...             fork+exec+wait
 *   floor ns [opts] -- CMD...                clone3 + namespaces + pivot_root + exec
 *   floor stop [opts] -i ID -P FILE          ends and clears what `ns -d` left
 *   floor overlay -n N -r LOWER -w WORK      mount+umount of an overlay
 *   floor snap -n N -r SUBVOL -w DIR         btrfs snapshot+delete, by ioctl
 *
 * opts of ns:
 *   -n N         repeat N times (default 1); with N > 1 prints microseconds
 *   -r ROOT      root file system (lower layer with -w)
 *   -w WORK      overlay upper/work directories are made under WORK
 *   -p           mount /proc, /dev (tmpfs + 6 nodes + pts + shm), /sys
 *   -c NAME      one cgroup NAME-i under the v1 controllers memory, pids, cpuacct
 *                (or under the v2 root when it has controllers)
 *   -t           with -c: the child joins by itself, by writing 0 to "tasks" (v1) or by
 *                CLONE_INTO_CGROUP (v2); both avoid the wait for the global thread-group
 *                lock (an RCU grace period) which a write to cgroup.procs can cost
 *   -N BRIDGE    veth pair, one end on BRIDGE, the other as eth0 inside
 *   -a A.B.C.D   first address (/16), counted up for each container; -g gateway
 *   -i ID        first number used in names (default: the pid)
 *   -x FLAGS     which namespaces: letters of "pmiunc" (pid mount ipc uts net cgroup)
 *   -d           leave running: wait until CMD runs, print the pid
 *   -P FILE      with -d: the pid goes into FILE
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/veth.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DIE(...)                                                                                   \
	do {                                                                                       \
		fprintf(stderr, __VA_ARGS__);                                                      \
		fprintf(stderr, ": %s\n", strerror(errno));                                        \
		_exit(125);                                                                        \
	} while (0)
#define CK(x)                                                                                      \
	do {                                                                                       \
		if ((x) < 0)                                                                       \
			DIE("%s", #x);                                                             \
	} while (0)

static int64_t
now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int
cmp(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

static void
report(const char *what, int64_t *v, int n)
{
	if (n < 2)
		return;
	qsort(v, n, sizeof *v, cmp);
	int64_t sum = 0;
	for (int i = 0; i < n; i++)
		sum += v[i];
	printf("%-10s n=%d us: min %.1f median %.1f p95 %.1f max %.1f mean %.1f\n", what, n,
	    v[0] / 1e3, v[n / 2] / 1e3, v[(int)(n * .95)] / 1e3, v[n - 1] / 1e3, sum / 1e3 / n);
}

/* ---- netlink ---------------------------------------------------------- */
/* compile with -fno-strict-aliasing: the messages are built in place */
struct nlreq {
	struct nlmsghdr h;
	char b[1024];
};

static void
nl_attr(struct nlreq *r, int type, const void *d, int len)
{
	struct rtattr *a = (void *)((char *)r + NLMSG_ALIGN(r->h.nlmsg_len));
	a->rta_type = type;
	a->rta_len = RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(a), d, len);
	r->h.nlmsg_len = NLMSG_ALIGN(r->h.nlmsg_len) + RTA_ALIGN(a->rta_len);
}

static struct rtattr *
nl_nest(struct nlreq *r, int type)
{
	struct rtattr *a = (void *)((char *)r + NLMSG_ALIGN(r->h.nlmsg_len));
	nl_attr(r, type, NULL, 0);
	return a;
}

static void
nl_end(struct nlreq *r, struct rtattr *a)
{
	a->rta_len = (char *)r + NLMSG_ALIGN(r->h.nlmsg_len) - (char *)a;
}

static int
nl_open(void)
{
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	CK(s);
	return s;
}

static void
nl_talk(int s, struct nlreq *r, const char *what)
{
	static int seq;
	char buf[4096];
	r->h.nlmsg_seq = ++seq;
	r->h.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (send(s, r, r->h.nlmsg_len, 0) < 0)
		DIE("send %s", what);
	ssize_t n = recv(s, buf, sizeof buf, 0);
	struct nlmsghdr *h = (void *)buf;
	if (n < 0)
		DIE("recv %s", what);
	if (h->nlmsg_type == NLMSG_ERROR) {
		struct nlmsgerr *e = NLMSG_DATA(h);
		if (e->error) {
			errno = -e->error;
			DIE("netlink %s", what);
		}
	}
}

static struct nlreq
nl_link(int type, int flags, int index, int up)
{
	struct nlreq r;
	memset(&r, 0, sizeof r);
	struct ifinfomsg *m = NLMSG_DATA(&r.h);
	r.h.nlmsg_len = NLMSG_LENGTH(sizeof *m);
	r.h.nlmsg_type = type;
	r.h.nlmsg_flags = flags;
	m->ifi_family = AF_UNSPEC;
	m->ifi_index = index;
	if (up) {
		m->ifi_flags = IFF_UP;
		m->ifi_change = IFF_UP;
	}
	return r;
}

/* the host side: veth pair in one message, peer made inside the other namespace */
static void
net_host(int s, const char *name, unsigned bridge, int netnsfd)
{
	struct nlreq r = nl_link(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, 1);
	uint32_t ns = netnsfd;
	nl_attr(&r, IFLA_IFNAME, name, strlen(name) + 1);
	nl_attr(&r, IFLA_MASTER, &bridge, 4);
	struct rtattr *li = nl_nest(&r, IFLA_LINKINFO);
	nl_attr(&r, IFLA_INFO_KIND, "veth", 4);
	struct rtattr *da = nl_nest(&r, IFLA_INFO_DATA);
	struct rtattr *pe = nl_nest(&r, VETH_INFO_PEER);
	memset((char *)&r + r.h.nlmsg_len, 0, sizeof(struct ifinfomsg));
	r.h.nlmsg_len += sizeof(struct ifinfomsg);
	nl_attr(&r, IFLA_IFNAME, "eth0", 5);
	nl_attr(&r, IFLA_NET_NS_FD, &ns, 4);
	nl_end(&r, pe);
	nl_end(&r, da);
	nl_end(&r, li);
	nl_talk(s, &r, "veth");
}

/* the container side: lo up, eth0 up, address, default route */
static void
net_inside(uint32_t addr, uint32_t gw)
{
	int s = nl_open();
	struct nlreq r = nl_link(RTM_NEWLINK, 0, 1, 1);
	nl_talk(s, &r, "lo up");
	if (addr) {
		unsigned ix = if_nametoindex("eth0");
		if (!ix)
			DIE("eth0");
		memset(&r, 0, sizeof r);
		struct ifaddrmsg *a = NLMSG_DATA(&r.h);
		r.h.nlmsg_len = NLMSG_LENGTH(sizeof *a);
		r.h.nlmsg_type = RTM_NEWADDR;
		r.h.nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
		a->ifa_family = AF_INET;
		a->ifa_prefixlen = 16;
		a->ifa_index = ix;
		nl_attr(&r, IFA_LOCAL, &addr, 4);
		nl_attr(&r, IFA_ADDRESS, &addr, 4);
		nl_talk(s, &r, "addr");
		r = nl_link(RTM_NEWLINK, 0, ix, 1);
		nl_talk(s, &r, "eth0 up");
		if (gw) {
			memset(&r, 0, sizeof r);
			struct rtmsg *m = NLMSG_DATA(&r.h);
			r.h.nlmsg_len = NLMSG_LENGTH(sizeof *m);
			r.h.nlmsg_type = RTM_NEWROUTE;
			r.h.nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
			m->rtm_family = AF_INET;
			m->rtm_table = RT_TABLE_MAIN;
			m->rtm_protocol = RTPROT_BOOT;
			m->rtm_scope = RT_SCOPE_UNIVERSE;
			m->rtm_type = RTN_UNICAST;
			nl_attr(&r, RTA_GATEWAY, &gw, 4);
			nl_talk(s, &r, "route");
		}
	}
	close(s);
}

/* ---- options ---------------------------------------------------------- */
static int opt_n = 1, opt_p, opt_d, opt_i, opt_t;
static const char *opt_r, *opt_w, *opt_c, *opt_N, *opt_P, *opt_x = "pmiunc";
static uint32_t opt_a, opt_g;
static char **cmd;
static unsigned bridge_ix;
static int host_nl = -1;

static char cg_base[3][64];
static int cg_n, cg_v2;

static void
cg_find(void)
{
	static const char *const v1[] = { "memory", "pids", "cpuacct" };
	if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0) {
		strcpy(cg_base[cg_n++], "/sys/fs/cgroup");
		cg_v2 = 1;
		return;
	}
	for (int i = 0; i < 3; i++) {
		char p[64];
		snprintf(p, sizeof p, "/sys/fs/cgroup/%s", v1[i]);
		if (access(p, F_OK) == 0)
			strcpy(cg_base[cg_n++], p);
	}
}

static void
cg_make(const char *name)
{
	char p[512];
	for (int i = 0; i < cg_n; i++) {
		snprintf(p, sizeof p, "%s/%s", cg_base[i], name);
		if (mkdir(p, 0755) < 0 && errno != EEXIST)
			DIE("mkdir %s", p);
	}
}

static void
cg_join(const char *name, const char *file, pid_t pid)
{
	char p[512], b[16];
	for (int i = 0; i < cg_n; i++) {
		snprintf(p, sizeof p, "%s/%s/%s", cg_base[i], name, file);
		int f = open(p, O_WRONLY | O_CLOEXEC);
		CK(f);
		int l = snprintf(b, sizeof b, "%d", pid);
		if (write(f, b, l) != l)
			DIE("write %s", p);
		close(f);
	}
}

static void
cg_leave(const char *name)
{
	char p[512];
	for (int i = 0; i < cg_n; i++) {
		snprintf(p, sizeof p, "%s/%s", cg_base[i], name);
		for (int k = 0; rmdir(p) < 0 && errno == EBUSY && k < 50; k++)
			usleep(200);
	}
}

static void
mount_std(void)
{
	static const struct {
		const char *n;
		int maj, min;
	} dev[] = { { "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 },
		{ "urandom", 1, 9 }, { "tty", 5, 0 } };
	mkdir("proc", 0755);
	mkdir("dev", 0755);
	mkdir("sys", 0755);
	CK(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
	CK(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755,size=64k"));
	for (unsigned i = 0; i < sizeof dev / sizeof *dev; i++) {
		char p[32];
		snprintf(p, sizeof p, "dev/%s", dev[i].n);
		CK(mknod(p, S_IFCHR | 0666, makedev(dev[i].maj, dev[i].min)));
	}
	CK(mkdir("dev/pts", 0755));
	CK(mkdir("dev/shm", 01777));
	CK(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
	    "newinstance,ptmxmode=0666,mode=620"));
	CK(mount(
	    "shm", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=64m"));
	CK(symlink("pts/ptmx", "dev/ptmx"));
	CK(symlink("/proc/self/fd", "dev/fd"));
	CK(mount("sysfs", "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL));
}

static void
child_main(int sync, const char *ovl, const char *merged, uint32_t addr, const char *cg)
{
	char c;
	if (cg)
		cg_join(cg, "tasks", 0);
	if (sync >= 0 && read(sync, &c, 1) != 1)
		_exit(125);
	if (strchr(opt_x, 'n'))
		net_inside(opt_N ? addr : 0, opt_g);
	if (strchr(opt_x, 'u'))
		sethostname("floor", 5);
	if (strchr(opt_x, 'm')) {
		CK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
		if (opt_w)
			CK(mount("overlay", merged, "overlay", 0, ovl));
		else if (opt_r)
			CK(mount(opt_r, opt_r, NULL, MS_BIND | MS_REC, NULL));
		if (opt_r) {
			CK(chdir(opt_w ? merged : opt_r));
			if (opt_p)
				mount_std();
			CK(syscall(SYS_pivot_root, ".", "."));
			CK(umount2(".", MNT_DETACH));
			CK(chdir("/"));
		}
	}
	execvp(cmd[0], cmd);
	DIE("exec %s", cmd[0]);
}

static pid_t
start_ns(int id, uint32_t addr)
{
	struct clone_args ca = { .exit_signal = SIGCHLD };
	char up[256], ovl[1024] = "", merged[256] = "", name[64];
	int p[2] = { -1, -1 }, up_fd[2] = { -1, -1 }, pidfd = -1, cgfd = -1;
	static const struct {
		char c;
		uint64_t f;
	} map[] = { { 'p', CLONE_NEWPID }, { 'm', CLONE_NEWNS }, { 'i', CLONE_NEWIPC },
		{ 'u', CLONE_NEWUTS }, { 'n', CLONE_NEWNET }, { 'c', CLONE_NEWCGROUP } };

	for (unsigned i = 0; i < 6; i++)
		if (strchr(opt_x, map[i].c))
			ca.flags |= map[i].f;
	ca.flags |= CLONE_PIDFD;
	ca.pidfd = (uintptr_t)&pidfd;
	if (opt_w) {
		snprintf(up, sizeof up, "%s/%d", opt_w, id);
		CK(mkdir(up, 0755));
		snprintf(up, sizeof up, "%s/%d/u", opt_w, id);
		CK(mkdir(up, 0755));
		snprintf(up, sizeof up, "%s/%d/w", opt_w, id);
		CK(mkdir(up, 0755));
		snprintf(merged, sizeof merged, "%s/%d/m", opt_w, id);
		CK(mkdir(merged, 0755));
		snprintf(ovl, sizeof ovl, "lowerdir=%s,upperdir=%s/%d/u,workdir=%s/%d/w", opt_r,
		    opt_w, id, opt_w, id);
	}
	if (opt_c) {
		snprintf(name, sizeof name, "%s-%d", opt_c, id);
		cg_make(name);
		if (opt_t && cg_v2) {
			char q[512];
			snprintf(q, sizeof q, "%s/%s", cg_base[0], name);
			cgfd = open(q, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			CK(cgfd);
			ca.flags |= CLONE_INTO_CGROUP;
			ca.cgroup = cgfd;
		}
	}
	if ((opt_c && !opt_t) || opt_N)
		CK(pipe2(p, O_CLOEXEC));
	if (opt_d)
		CK(pipe2(up_fd, O_CLOEXEC));
	fflush(stdout);
	long pid = syscall(SYS_clone3, &ca, sizeof ca);
	CK(pid);
	if (pid == 0)
		child_main(p[0], ovl, merged, addr, opt_c && opt_t && !cg_v2 ? name : NULL);
	if (cgfd >= 0)
		close(cgfd);
	if (opt_c && !opt_t)
		cg_join(name, "cgroup.procs", pid);
	if (opt_N) {
		char np[64];
		snprintf(np, sizeof np, "/proc/%ld/ns/net", pid);
		int f = open(np, O_RDONLY | O_CLOEXEC);
		CK(f);
		snprintf(name, sizeof name, "vf%d", id);
		net_host(host_nl, name, bridge_ix, f);
		close(f);
	}
	if (p[1] >= 0) {
		if (write(p[1], "x", 1) != 1)
			DIE("sync");
		close(p[0]);
		close(p[1]);
	}
	if (opt_d) { /* exec closes the other end */
		close(up_fd[1]);
		CK(read(up_fd[0], name, 1));
		close(up_fd[0]);
	}
	close(pidfd);
	return pid;
}

static void
clean_ns(int id)
{
	char b[256];
	if (opt_c) {
		snprintf(b, sizeof b, "%s-%d", opt_c, id);
		cg_leave(b);
	}
	if (opt_w) {
		static const char *const sub[] = { "/m", "/u", "/w/work", "/w", "" };
		for (int i = 0; i < 5; i++) {
			snprintf(b, sizeof b, "%s/%d%s", opt_w, id, sub[i]);
			/* /proc, /dev and /sys made by -p when the lower layer has none */
			if (rmdir(b) < 0 && errno == ENOTEMPTY && i == 1) {
				char q[300];
				snprintf(q, sizeof q, "%s/proc", b);
				rmdir(q);
				snprintf(q, sizeof q, "%s/dev", b);
				rmdir(q);
				snprintf(q, sizeof q, "%s/sys", b);
				rmdir(q);
				rmdir(b);
			}
		}
	}
}

static void
note_pid(pid_t pid)
{
	FILE *f = opt_P ? fopen(opt_P, "w") : stdout;

	if (!f)
		DIE("open %s", opt_P);
	fprintf(f, "%d\n", pid);
	if (opt_P)
		fclose(f);
}

/* The tear-down of one that was left running: by a handle of its process, as a container tool must.
 */
static void
stop_one(void)
{
	int pid = 0;
	FILE *f = fopen(opt_P, "r");

	if (!f || fscanf(f, "%d", &pid) != 1)
		DIE("read %s", opt_P);
	fclose(f);
	int fd = syscall(SYS_pidfd_open, pid, 0);
	CK(fd);
	CK(syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0));
	struct pollfd p = { .fd = fd, .events = POLLIN };
	CK(poll(&p, 1, -1));
	close(fd);
	clean_ns(opt_i);
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: floor spawn|ns|stop|overlay|snap ...\n");
		return 2;
	}
	const char *mode = argv[1];
	int o, st = 0;
	opt_i = getpid();
	argv++;
	argc--;
	while ((o = getopt(argc, argv, "+n:r:w:pc:tN:a:g:i:x:dP:")) != -1)
		switch (o) {
		case 'n':
			opt_n = atoi(optarg);
			break;
		case 'r':
			opt_r = optarg;
			break;
		case 'w':
			opt_w = optarg;
			break;
		case 'p':
			opt_p = 1;
			break;
		case 'c':
			opt_c = optarg;
			cg_find();
			break;
		case 't':
			opt_t = 1;
			break;
		case 'N':
			opt_N = optarg;
			break;
		case 'a':
			opt_a = inet_addr(optarg);
			break;
		case 'g':
			opt_g = inet_addr(optarg);
			break;
		case 'i':
			opt_i = atoi(optarg);
			break;
		case 'x':
			opt_x = optarg;
			break;
		case 'd':
			opt_d = 1;
			break;
		case 'P':
			opt_P = optarg;
			break;
		default:
			return 2;
		}
	cmd = argv + optind;
	int64_t *v = calloc(opt_n, sizeof *v), *v2 = calloc(opt_n, sizeof *v), t;
	if (opt_N) {
		bridge_ix = if_nametoindex(opt_N);
		if (!bridge_ix)
			DIE("bridge %s", opt_N);
		host_nl = nl_open();
	}
	if (!strcmp(mode, "spawn")) {
		for (int i = 0; i < opt_n; i++) {
			t = now_ns();
			pid_t p = fork();
			CK(p);
			if (p == 0) {
				execvp(cmd[0], cmd);
				_exit(127);
			}
			waitpid(p, &st, 0);
			v[i] = now_ns() - t;
		}
		report("spawn", v, opt_n);
	} else if (!strcmp(mode, "ns")) {
		for (int i = 0; i < opt_n; i++) {
			t = now_ns();
			pid_t p = start_ns(opt_i + i, htonl(ntohl(opt_a) + i));
			if (opt_d) {
				note_pid(p);
				v[i] = now_ns() - t;
				continue;
			}
			waitpid(p, &st, 0);
			clean_ns(opt_i + i);
			v[i] = now_ns() - t;
			if (WIFEXITED(st) && WEXITSTATUS(st) == 125)
				return 125;
		}
		if (!opt_d)
			report("ns", v, opt_n);
		fflush(stdout);
	} else if (!strcmp(mode, "stop")) {
		stop_one();
		return 0;
	} else if (!strcmp(mode, "overlay")) {
		char ovl[1024], m[256];
		const char *sub[] = { "", "/u", "/w", "/m" };
		for (int i = 0; i < opt_n; i++) {
			t = now_ns();
			for (int k = 0; k < 4; k++) {
				snprintf(m, sizeof m, "%s/%d%s", opt_w, opt_i + i, sub[k]);
				CK(mkdir(m, 0755));
			}
			snprintf(ovl, sizeof ovl, "lowerdir=%s,upperdir=%s/%d/u,workdir=%s/%d/w",
			    opt_r, opt_w, opt_i + i, opt_w, opt_i + i);
			CK(mount("overlay", m, "overlay", 0, ovl));
			v[i] = now_ns() - t;
			t = now_ns();
			CK(umount2(m, 0));
			clean_ns(opt_i + i);
			v2[i] = now_ns() - t;
		}
		report("mount", v, opt_n);
		report("umount", v2, opt_n);
	} else if (!strcmp(mode, "snap")) {
		struct btrfs_ioctl_vol_args_v2 a;
		struct btrfs_ioctl_vol_args d;
		int src = open(opt_r, O_RDONLY | O_DIRECTORY),
		    dst = open(opt_w, O_RDONLY | O_DIRECTORY);
		CK(src);
		CK(dst);
		for (int i = 0; i < opt_n; i++) {
			memset(&a, 0, sizeof a);
			memset(&d, 0, sizeof d);
			a.fd = src;
			snprintf(a.name, sizeof a.name, "s%d", opt_i + i);
			snprintf(d.name, sizeof d.name, "s%d", opt_i + i);
			t = now_ns();
			CK(ioctl(dst, BTRFS_IOC_SNAP_CREATE_V2, &a));
			v[i] = now_ns() - t;
			t = now_ns();
			CK(ioctl(dst, BTRFS_IOC_SNAP_DESTROY, &d));
			v2[i] = now_ns() - t;
		}
		report("snapshot", v, opt_n);
		report("delete", v2, opt_n);
	} else
		return 2;
	return WIFEXITED(st) ? WEXITSTATUS(st) : 1;
}
