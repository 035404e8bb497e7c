#include "base/str.h"
#include "platform/linux/place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * What the host keeps for itself: the parent of all runs may have the rest. Written when it is not
 * so already, so that a changed configuration counts from the next start on.
 */

static char *
parent_of(const char *dir)
{
	char *parent = xstrdup(dir);

	*strrchr(parent, '/') = '\0';
	return parent;
}

static int
write_changed(const char *dir, const char *file, const char *value, struct err *e)
{
	autobuf struct buf now = BUF_INIT;

	if (cgroup_read(dir, file, &now, e) < 0)
		return -1;
	return str_eq(buf_str(&now), value) ? 0 : cgroup_write(dir, file, value, e);
}

static int
reserve_memory(const struct host *h, const struct place *p, struct err *e)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * page;
	uint64_t kept = h->roots.reserve_memory_bytes;
	char value[24];
	bool v2;
	const char *dir = controller_dir(p, CG_MEMORY, &v2);

	if (dir == NULL)
		return err_new(e, ERR_UNSUPPORTED,
		    "keep memory for the host: this machine has no 'memory' control groups");
	if (kept >= all)
		return err_new(e, ERR_INPUT,
		    "keep %llu bytes of memory for the host: it has %llu in all",
		    (unsigned long long)kept, (unsigned long long)all);
	autofree char *parent = parent_of(dir);
	uint64_t rest = (all - kept) / page * page;
	snprintf(value, sizeof(value), "%llu", (unsigned long long)rest);
	return write_changed(parent, v2 ? "memory.max" : "memory.limit_in_bytes", value, e);
}

static int
reserve_cpus(const struct host *h, const struct place *p, struct err *e)
{
	autofree bool *cpus = xcalloc(CPUS_MAX, sizeof(*cpus));
	autobuf struct buf text = BUF_INIT, rest = BUF_INIT;
	unsigned left = h->roots.reserve_cpus;
	bool v2;
	const char *dir = controller_dir(p, CG_CPUSET, &v2);

	if (dir == NULL)
		return err_new(e, ERR_UNSUPPORTED,
		    "keep processors for the host: this machine has no 'cpuset' control groups");
	autofree char *parent = parent_of(dir), *above = parent_of(parent);
	if (cgroup_read(above, v2 ? "cpuset.cpus.effective" : "cpuset.effective_cpus", &text, e) <
	    0)
		return -1;
	int n = cpus_parse(buf_str(&text), cpus, e);
	if (n < 0)
		return -1;
	if ((unsigned)n <= left)
		return err_new(e, ERR_INPUT, "keep %u processors for the host: it has %d in all",
		    h->roots.reserve_cpus, n);
	for (int i = 0; i < CPUS_MAX && left > 0; i++) {
		left -= cpus[i];
		cpus[i] = false;
	}
	cpus_write(cpus, &rest);
	/* busy: pots of before run there; it counts when the last of them has ended */
	return write_changed(parent, "cpuset.cpus", buf_str(&rest), e) < 0 && e->sys != EBUSY ? -1
											      : 0;
}

int
reserve_set(const struct host *h, const struct place *p, struct err *e)
{
	if (h->roots.reserve_memory_bytes > 0 && reserve_memory(h, p, e) < 0)
		return err_ctx(e, "POT_RESERVE_MEMORY");
	if (h->roots.reserve_cpus > 0 && reserve_cpus(h, p, e) < 0)
		return err_ctx(e, "POT_RESERVE_CPUS");
	return 0;
}
