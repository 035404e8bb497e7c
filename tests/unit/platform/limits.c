#include "platform/limits.h"

#include "base/clock.h"
#include "base/str.h"
#include "platform/linux/cgroups.h"
#include "platform/linux/ops.h"
#include "platform/linux/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "outcome.h"
#include "own_net.h"

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const struct limits_ops *const li = &limits_linux;
static struct host host;

static void
all_layouts_of_control_groups_are_understood(void **state)
{
	static const char hybrid[] =
	    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
	    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup "
	    "rw,cpu,cpuacct\n"
	    "35 31 0:32 / /sys/fs/cgroup/with\\040blank rw,relatime - cgroup cgroup rw,memory\n"
	    "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"
	    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
	autocgroups struct cgroups c = CGROUPS_INIT, pure = CGROUPS_INIT;
	const char *trees[CGROUP_TREES];

	(void)state;
	cgroups_parse(&c, hybrid);
	cgroups_parse_v2(&c, "hugetlb");
	assert_string_equal(c.v2, "/sys/fs/cgroup/unified");
	assert_string_equal(c.v1[CG_CPU], "/sys/fs/cgroup/cpu,cpuacct");
	assert_string_equal(c.v1[CG_CPUACCT], "/sys/fs/cgroup/cpu,cpuacct");
	assert_string_equal(c.v1[CG_MEMORY], "/sys/fs/cgroup/with blank");
	assert_null(c.v1[CG_CPUSET]);
	assert_false(c.v2_has[CG_MEMORY]);
	assert_int_equal(cgroups_trees(&c, trees), 3);

	cgroups_parse(
	    &pure, "24 20 0:21 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
	cgroups_parse_v2(&pure, "cpuset cpu io memory pids");
	assert_true(pure.v2_has[CG_MEMORY] && pure.v2_has[CG_CPU] && pure.v2_has[CG_CPUSET]);
	assert_false(pure.v2_has[CG_CPUACCT]);
	assert_int_equal(cgroups_trees(&pure, trees), 1);
}

static void
sets_of_cpus_read_and_write(void **state)
{
	static bool cpus[CPUS_MAX];
	autobuf struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(cpus_parse("0-2,5,7-8", cpus, &err), 6);
	cpus_write(cpus, &out);
	assert_string_equal(buf_str(&out), "0-2,5,7-8");
	assert_int_equal(cpus_parse("", cpus, &err), 0);
	assert_int_equal(cpus_parse("1,", cpus, &err), -1);
	assert_int_equal(cpus_parse("3-1", cpus, &err), -1);
	assert_int_equal(cpus_parse("a", cpus, &err), -1);
	assert_int_equal(cpus_parse("0-99999", cpus, &err), -1);
}

/* Joins as a pot's init does, by writing "0" to the files itself. */
static void
join(const struct names *dirs)
{
	for (size_t i = 0; i < dirs->n; i++)
		if (cgroup_write(dirs->at[i], "tasks", "0", &err) < 0 &&
		    cgroup_write(dirs->at[i], "cgroup.procs", "0", &err) < 0)
			_exit(90);
}

static pid_t
run_inside(const char *run, void (*body)(void))
{
	autonames struct names dirs = NAMES_INIT;
	int ready[2];
	pid_t pid;
	char c;

	OK(li->join(&host, run, &dirs, &err));
	assert_true(dirs.n > 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		join(&dirs);
		if (write(ready[1], "r", 1) != 1)
			_exit(91);
		body();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void
wait_forever(void)
{
	volatile unsigned spin = 0;

	for (int i = 0; i < 20000000; i++)
		spin++;
	for (;;)
		pause();
}

static void
take_memory(void)
{
	size_t size = 64 << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED)
		memset(p, 1, size);
	for (;;)
		pause();
}

static int
nothing_left(void **state)
{
	autonames struct names left = NAMES_INIT;

	(void)state;
	OK(li->list(&host, &left, &err));
	assert_int_equal(left.n, 0);
	OK(li->teardown(&host, &err));
	OK(li->teardown(&host, &err));
	return 0;
}

static void
a_run_is_counted_killed_and_removed(void **state)
{
	struct limits l = {
		.memory_bytes = 32 << 20, .pids = 50, .cpu_shares = 512, .cpu_quota_percent = 200
	};
	autonames struct names runs = NAMES_INIT;
	autofree int *pids = NULL;
	struct usage u;
	int status;
	size_t n;
	pid_t pid;

	(void)state;
	OK(li->create(&host, "web.0123456789ab", &l, &err));
	OK(li->create(&host, "web.0123456789ab", &l, &err));
	OK(li->list(&host, &runs, &err));
	assert_int_equal(runs.n, 1);
	assert_string_equal(runs.at[0], "web.0123456789ab");
	pid = run_inside("web.0123456789ab", wait_forever);
	OK(li->pids(&host, "web.0123456789ab", &pids, &n, &err));
	assert_int_equal(n, 1);
	assert_int_equal(pids[0], pid);
	OK(li->usage(&host, "web.0123456789ab", &u, &err));
	assert_int_equal(u.pids, 1);
	assert_true(u.memory_bytes > 0);
	assert_int_equal(u.oom_kills, 0);
	assert_int_equal(li->remove(&host, "web.0123456789ab", &err), -1);
	assert_int_equal(err.kind, ERR_BUSY);
	l.memory_bytes = 64 << 20;
	OK(li->update(&host, "web.0123456789ab", &l, &err));
	l.memory_bytes = 16 << 20;
	OK(li->update(&host, "web.0123456789ab", &l, &err));
	OK(li->kill(&host, "web.0123456789ab", &err));
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	OK(li->usage(&host, "web.0123456789ab", &u, &err));
	assert_int_equal(u.pids, 0);
	assert_true(u.cpu_ns > 0);
	assert_true(u.read_ns > 0 && u.read_ns <= clock_mono_ns());
	OK(li->remove(&host, "web.0123456789ab", &err));
	OK(li->remove(&host, "web.0123456789ab", &err));
	OK(li->kill(&host, "web.0123456789ab", &err));
	assert_int_equal(li->usage(&host, "web.0123456789ab", &u, &err), -1);
	assert_int_equal(err.kind, ERR_ABSENT);
}

static void
too_much_memory_is_killed_and_told(void **state)
{
	struct limits l = { .memory_bytes = 8 << 20 };
	struct usage u;
	int status;
	pid_t pid;

	(void)state;
	OK(li->create(&host, "big.0123456789ab", &l, &err));
	pid = run_inside("big.0123456789ab", take_memory);
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	OK(li->usage(&host, "big.0123456789ab", &u, &err));
	assert_int_equal(u.oom_kills, 1);
	OK(li->remove(&host, "big.0123456789ab", &err));
}

static void
cpus_are_shared_out_evenly(void **state)
{
	struct limits l = { .cpu_count = 1 };
	autobuf struct buf a = BUF_INIT, b = BUF_INIT, c = BUF_INIT;
	autocgroups struct cgroups cg = CGROUPS_INIT;
	autofree char *tree = NULL;

	(void)state;
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip();
	OK(cgroups_find(&cg, &err));
	if (cg.v1[CG_CPUSET] == NULL && !cg.v2_has[CG_CPUSET])
		skip();
	tree =
	    xasprintf("%s/%s", cg.v2_has[CG_CPUSET] ? cg.v2 : cg.v1[CG_CPUSET], host.roots.cgroup);
	OK(li->create(&host, "a.0123456789ab", &l, &err));
	OK(li->create(&host, "b.0123456789ab", &l, &err));
	l.cpu_count = 9999;
	OK(li->create(&host, "c.0123456789ab", &l, &err));
	autofree char *da = xasprintf("%s/a.0123456789ab", tree),
		      *db = xasprintf("%s/b.0123456789ab", tree);

	OK(cgroup_read(da, "cpuset.cpus", &a, &err));
	OK(cgroup_read(db, "cpuset.cpus", &b, &err));
	assert_string_not_equal(buf_str(&a), buf_str(&b));
	assert_null(strpbrk(buf_str(&a), ",-"));
	OK(li->remove(&host, "a.0123456789ab", &err));
	OK(li->remove(&host, "b.0123456789ab", &err));
	OK(li->remove(&host, "c.0123456789ab", &err));
}

static void
a_refused_limit_leaves_nothing(void **state)
{
	struct limits l = { .memory_bytes = 64 << 20, .cpuset = "0-" }, high = { .cpuset = "4000" };

	(void)state;
	assert_int_equal(li->create(&host, "x.0123456789ab", &l, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	assert_int_equal(li->create(&host, "x.0123456789ab", &high, &err), -1);
	assert_int_equal(li->create(&host, "../x", &l, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
}

/* ---- what is written, in trees of plain files: this machine has only one kind of them ---- */

struct tree {
	char top[64];
	struct place p;
};

static void
file(const struct tree *t, const char *path, const char *text)
{
	autofree char *full = xasprintf("%s/%s", t->top, path);
	char *slash = strrchr(full, '/');

	*slash = '\0';
	if (mkdir(full, 0755) < 0)
		assert_int_equal(errno, EEXIST);
	*slash = '/';
	FILE *f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
assert_file(const struct tree *t, const char *path, const char *text)
{
	autofree char *full = xasprintf("%s/%s", t->top, path);
	autobuf struct buf is = BUF_INIT;

	OK(buf_read_file(&is, full, 100, &err));
	assert_string_equal(buf_str(&is), text);
}

static void
plant(struct tree *t, bool v2)
{
	*t = (struct tree){ .top = "/tmp/potter-limits.XXXXXX", .p = PLACE_INIT };
	assert_non_null(mkdtemp(t->top));
	if (v2)
		t->p.c.v2 = xstrdup(t->top);
	for (int i = 0; i < CG_CONTROLLERS; i++) {
		t->p.c.v2_has[i] = v2;
		if (!v2)
			t->p.v1[i] = xasprintf("%s/pot/run", t->top);
	}
	if (v2)
		t->p.v2 = xasprintf("%s/pot/run", t->top);
	file(t, "cpuset.cpus.effective", "0-3");
	file(t, "cpuset.effective_cpus", "0-3");
	file(t, "pot/cpuset.cpus", "");
}

static int
remove_file(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st, (void)kind, (void)where;
	return remove(path);
}

static void
uproot(struct tree *t)
{
	nftw(t->top, remove_file, 16, FTW_DEPTH | FTW_PHYS);
	free(t->p.v2);
	free(t->p.c.v2);
	for (int i = 0; i < CG_CONTROLLERS; i++)
		free(t->p.v1[i]);
}

static const struct limits everything = { .memory_bytes = 64 << 20,
	.cpuset = "1-2",
	.cpu_shares = 1024,
	.cpu_quota_percent = 150,
	.pids = 12,
	.io_weight = 200 };

static void
v2_gets_all_limits(void **state)
{
	static const char *const files[] = { "memory.max", "memory.swap.max", "pids.max",
		"cpu.weight", "cpu.max", "cpuset.cpus", "io.weight" };
	struct tree t;

	(void)state;
	plant(&t, true);
	file(&t, "pot/run/x", "");
	for (size_t i = 0; i < NELEM(files); i++) {
		autofree char *path = xasprintf("pot/run/%s", files[i]);
		file(&t, path, "");
	}
	OK(limits_set(&t.p, &everything, &err));
	assert_file(&t, "pot/run/memory.max", "67108864");
	assert_file(&t, "pot/run/memory.swap.max", "0");
	assert_file(&t, "pot/run/pids.max", "12");
	assert_file(&t, "pot/run/cpu.weight", "39");
	assert_file(&t, "pot/run/cpu.max", "150000 100000");
	assert_file(&t, "pot/run/cpuset.cpus", "1-2");
	assert_file(&t, "pot/run/io.weight", "200");
	uproot(&t);
}

static void
v1_gets_all_limits(void **state)
{
	static const char *const files[] = { "memory.limit_in_bytes", "pids.max", "cpu.shares",
		"cpu.cfs_period_us", "cpu.cfs_quota_us", "cpuset.cpus", "blkio.weight" };
	struct tree t;

	(void)state;
	plant(&t, false);
	file(&t, "pot/run/x", "");
	for (size_t i = 0; i < NELEM(files); i++) {
		autofree char *path = xasprintf("pot/run/%s", files[i]);
		file(&t, path, "");
	}
	OK(limits_set(&t.p, &everything, &err));
	assert_file(&t, "pot/run/memory.limit_in_bytes", "67108864");
	assert_file(&t, "pot/run/pids.max", "12");
	assert_file(&t, "pot/run/cpu.shares", "1024");
	assert_file(&t, "pot/run/cpu.cfs_period_us", "100000");
	assert_file(&t, "pot/run/cpu.cfs_quota_us", "150000");
	assert_file(&t, "pot/run/cpuset.cpus", "1-2");
	assert_file(&t, "pot/run/blkio.weight", "1000"); /* 500 is usual there, 1000 the most */
	uproot(&t);
}

static void
a_kernel_that_cannot_weigh_disks_says_so(void **state)
{
	const struct limits l = { .io_weight = 50 };
	struct tree t;

	(void)state;
	plant(&t, false);
	file(&t, "pot/run/x", "");
	assert_int_equal(limits_set(&t.p, &l, &err), -1);
	assert_int_equal(err.kind, ERR_UNSUPPORTED);
	file(&t, "pot/run/blkio.bfq.weight", "");
	OK(limits_set(&t.p, &l, &err));
	assert_file(&t, "pot/run/blkio.bfq.weight", "50");
	uproot(&t);
}

static void
the_host_keeps_what_it_reserves(void **state)
{
	struct host h = HOST_INIT;
	struct tree t;
	char rest[24];
	uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

	(void)state;
	for (int v2 = 0; v2 < 2; v2++) {
		const char *memory = v2 ? "pot/memory.max" : "pot/memory.limit_in_bytes";
		plant(&t, v2 != 0);
		file(&t, memory, "");
		h.roots.reserve_memory_bytes = 256 << 20;
		h.roots.reserve_cpus = 1;
		OK(reserve_set(&h, &t.p, &err));
		snprintf(rest, sizeof(rest), "%llu", (unsigned long long)(all - (256 << 20)));
		assert_file(&t, memory, rest);
		assert_file(&t, "pot/cpuset.cpus", "1-3");
		h.roots.reserve_cpus = 4;
		assert_int_equal(reserve_set(&h, &t.p, &err), -1);
		assert_int_equal(err.kind, ERR_INPUT);
		h.roots.reserve_memory_bytes = all;
		assert_int_equal(reserve_set(&h, &t.p, &err), -1);
		uproot(&t);
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_teardown(f, nothing_left)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_layouts_of_control_groups_are_understood),
		cmocka_unit_test(sets_of_cpus_read_and_write),
		T(a_run_is_counted_killed_and_removed),
		T(too_much_memory_is_killed_and_told),
		T(cpus_are_shared_out_evenly),
		T(a_refused_limit_leaves_nothing),
		cmocka_unit_test(v2_gets_all_limits),
		cmocka_unit_test(v1_gets_all_limits),
		cmocka_unit_test(a_kernel_that_cannot_weigh_disks_says_so),
		cmocka_unit_test(the_host_keeps_what_it_reserves),
	};
	char name[64];

	snprintf(name, sizeof(name), "potter-test-%d", (int)getpid());
	host.roots.cgroup = name;
	if (geteuid() != 0 || li->probe(&host, &err) < 0)
		return 77;
	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
