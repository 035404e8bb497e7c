#include "base/str.h"
#include "platform/linux/place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CPU_PERIOD_US = 100000 };

/* Which directory carries a controller: v2 before v1; NULL when the machine has none. */
const char *
controller_dir(const struct place *p, enum cgroup_controller which, bool *v2)
{
	*v2 = p->v2 != NULL && p->c.v2_has[which];
	return *v2 ? p->v2 : p->v1[which];
}

static int
write_u64(const char *dir, const char *file, uint64_t value, struct err *e)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return cgroup_write(dir, file, text, e);
}

static int
set_memory(struct place *p, uint64_t bytes, struct err *e)
{
	bool v2;
	const char *dir = controller_dir(p, CG_MEMORY, &v2);
	struct err first = ERR_INIT;

	/* Swap would let a pot have more than its limit; where it is not counted there is none. */
	if (v2) {
		if (cgroup_write(dir, "memory.swap.max", "0", &first) < 0 &&
		    first.kind != ERR_ABSENT) {
			*e = first;
			return -1;
		}
		return write_u64(dir, "memory.max", bytes, e);
	}
	/* v1 wants limit <= limit with swap at all times: which is written first depends on whether
	 * the limit grows. */
	if (write_u64(dir, "memory.limit_in_bytes", bytes, &first) == 0) {
		if (write_u64(dir, "memory.memsw.limit_in_bytes", bytes, &first) < 0 &&
		    first.kind != ERR_ABSENT) {
			*e = first;
			return -1;
		}
		return 0;
	}
	if (first.sys != EINVAL || write_u64(dir, "memory.memsw.limit_in_bytes", bytes, e) < 0) {
		*e = first;
		return -1;
	}
	return write_u64(dir, "memory.limit_in_bytes", bytes, e);
}

static int
set_cpu(struct place *p, const struct limits *l, struct err *e)
{
	bool v2;
	const char *dir = controller_dir(p, CG_CPU, &v2);
	uint64_t quota = l->cpu_quota_percent * CPU_PERIOD_US / 100;
	char text[48];

	if (l->cpu_shares > 0) {
		uint64_t shares = l->cpu_shares < 2	   ? 2
				  : l->cpu_shares > 262144 ? 262144
							   : l->cpu_shares;

		/* 2..262144 onto 1..10000, as everybody else does */
		if (v2 ? write_u64(dir, "cpu.weight", 1 + (shares - 2) * 9999 / 262142, e)
		       : write_u64(dir, "cpu.shares", shares, e) < 0)
			return -1;
	}
	if (quota == 0)
		return 0;
	snprintf(text, sizeof(text), "%llu %d", (unsigned long long)quota, CPU_PERIOD_US);
	if (v2)
		return cgroup_write(dir, "cpu.max", text, e);
	if (write_u64(dir, "cpu.cfs_period_us", CPU_PERIOD_US, e) < 0)
		return -1;
	return write_u64(dir, "cpu.cfs_quota_us", quota, e);
}

/* The scheduler of the disks decides which file there is. */
static int
set_io(struct place *p, uint64_t weight, struct err *e)
{
	static const struct {
		const char *file;
		bool v2;
		uint64_t usual, min, max;
	} files[] = {
		{ "io.weight", true, 100, 1, 10000 },
		{ "io.bfq.weight", true, 100, 1, 1000 },
		{ "blkio.bfq.weight", false, 100, 1, 1000 },
		{ "blkio.weight", false, 500, 10, 1000 },
	};
	bool v2;
	const char *dir = controller_dir(p, CG_IO, &v2);

	for (size_t i = 0; i < NELEM(files); i++) {
		uint64_t value = weight * files[i].usual / 100;
		struct err absent = ERR_INIT;
		if (files[i].v2 != v2)
			continue;
		value = value < files[i].min   ? files[i].min
			: value > files[i].max ? files[i].max
					       : value;
		if (write_u64(dir, files[i].file, value, &absent) == 0)
			return 0;
		if (absent.kind != ERR_ABSENT) {
			*e = absent;
			return -1;
		}
	}
	return err_new(e, ERR_UNSUPPORTED,
	    "weight of disks: no I/O scheduler of this kernel knows weights (bfq and iocost do)");
}

static int
set_cpuset(struct place *p, const struct limits *l, struct err *e)
{
	bool v2;
	const char *dir = controller_dir(p, CG_CPUSET, &v2);
	autofree char *parent = xstrdup(dir);
	autofree bool *cpus = xcalloc(CPUS_MAX, sizeof(*cpus));
	autobuf struct buf available = BUF_INIT;

	if (l->cpuset != NULL) {
		int n = cpus_parse(l->cpuset, cpus, e);

		if (n == 0)
			return err_new(e, ERR_INPUT, "the set of CPUs is empty");
		if (n < 0 || cgroup_write(dir, "cpuset.cpus", l->cpuset, e) < 0)
			return -1;
		return 0;
	}
	*strrchr(parent, '/') = '\0';
	if (cgroup_read(
		parent, v2 ? "cpuset.cpus.effective" : "cpuset.effective_cpus", &available, e) < 0)
		return -1;
	return cpus_choose(dir, parent, buf_str(&available), l->cpu_count, e);
}

int
limits_set(struct place *p, const struct limits *l, struct err *e)
{
	bool v2;

	if (l->memory_bytes > 0 && set_memory(p, l->memory_bytes, e) < 0)
		return -1;
	if (l->pids > 0 && write_u64(controller_dir(p, CG_PIDS, &v2), "pids.max", l->pids, e) < 0)
		return -1;
	if ((l->cpu_shares > 0 || l->cpu_quota_percent > 0) && set_cpu(p, l, e) < 0)
		return -1;
	if (l->io_weight > 0 && set_io(p, l->io_weight, e) < 0)
		return -1;
	if ((l->cpuset != NULL || l->cpu_count > 0) && set_cpuset(p, l, e) < 0)
		return -1;
	return 0;
}
