#include "platform/linux/join.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

void
joins_close(struct joins *j)
{
	while (j->n_tasks > 0)
		close(j->tasks[--j->n_tasks]);
	own_close(&j->v2);
}

int
joins_open(struct joins *j, const char *const *dirs, struct err *e)
{
	char path[4096];

	*j = (struct joins){ .v2 = -1 };
	for (; dirs != NULL && *dirs != NULL; dirs++) {
		snprintf(path, sizeof(path), "%s/tasks", *dirs);
		int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0 && j->n_tasks < CGROUPS_MAX) {
			j->tasks[j->n_tasks++] = fd;
			continue;
		}
		own_close(&fd);
		if (errno != ENOENT || j->v2 >= 0)
			break;
		j->v2 = open(*dirs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (j->v2 < 0)
			break;
	}
	if (dirs == NULL || *dirs == NULL)
		return 0;
	err_sys(e, "open the cgroup %s", *dirs);
	joins_close(j);
	return -1;
}

int
joins_write(struct joins *j, struct err *e)
{
	for (size_t i = 0; i < j->n_tasks; i++)
		if (write(j->tasks[i], "0", 1) != 1)
			return err_sys(e, "join the pot's cgroup");
	if (j->v2 < 0)
		return 0;
	autofd int fd = openat(j->v2, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		return err_sys(e, "join the pot's cgroup");
	return 0;
}
