#include "base/str.h"
#include "platform/linux/cgroups.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

/* How many runs other than this one are bound to each CPU. A run that may use all of them counts
 * for none. */
static int
count_bound(const char *parent, const char *own, int online, unsigned used[CPUS_MAX], struct err *e)
{
	DIR *d = opendir(parent);
	struct dirent *entry;

	memset(used, 0, CPUS_MAX * sizeof(*used));
	if (d == NULL)
		return err_sys(e, "open %s", parent);
	while ((entry = readdir(d)) != NULL) {
		autofree char *dir = xasprintf("%s/%s", parent, entry->d_name);
		autobuf struct buf text = BUF_INIT;
		autofree bool *cpus = NULL;
		struct err gone = ERR_INIT;
		int n;

		if (entry->d_name[0] == '.' || entry->d_type != DT_DIR || str_eq(dir, own) ||
		    cgroup_read(dir, "cpuset.cpus", &text, &gone) < 0)
			continue;
		cpus = xcalloc(CPUS_MAX, sizeof(*cpus));
		n = cpus_parse(buf_str(&text), cpus, &gone);
		if (n <= 0 || n >= online)
			continue;
		for (int i = 0; i < CPUS_MAX; i++)
			used[i] += cpus[i];
	}
	closedir(d);
	return 0;
}

int
cpus_choose(
    const char *dir, const char *parent, const char *available, unsigned count, struct err *e)
{
	autofree bool *cpus = xcalloc(CPUS_MAX, sizeof(*cpus));
	autofree bool *chosen = xcalloc(CPUS_MAX, sizeof(*chosen));
	autofree unsigned *used = xcalloc(CPUS_MAX, sizeof(*used));
	autobuf struct buf text = BUF_INIT;
	autofd int lock = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int online = cpus_parse(available, cpus, e), got;

	if (online < 0)
		return -1;
	if (count >= (unsigned)online)
		return 0;
	if (lock < 0)
		return err_sys(e, "open %s", parent);
	do
		got = flock(lock, LOCK_EX);
	while (got < 0 && errno == EINTR);
	if (count_bound(parent, dir, online, used, e) < 0)
		return -1;
	cpus_least(cpus, used, count, chosen);
	cpus_write(chosen, &text);
	return cgroup_write(dir, "cpuset.cpus", text.data, e);
}
