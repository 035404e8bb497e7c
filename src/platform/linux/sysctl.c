#include "base/buf.h"
#include "base/str.h"
#include "platform/linux/ops.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int
sysctl_get(const char *path, struct buf *out, struct err *e)
{
	if (buf_read_file(out, path, 4096, e) < 0)
		return -1;
	while (out->len > 0 && out->data[out->len - 1] == '\n')
		out->data[--out->len] = '\0';
	return 0;
}

int
sysctl_set(const char *path, const char *value, struct err *e)
{
	autobuf struct buf now = BUF_INIT;
	autofd int fd = -1;

	if (sysctl_get(path, &now, e) < 0)
		return -1;
	if (str_eq(buf_str(&now), value))
		return 0;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open %s", path);
	if (fd_write_all(fd, value, strlen(value), e) < 0)
		return err_ctx(e, "write '%s' to %s", value, path);
	return 0;
}

/* A machine that forwards ignores router advertisements unless told 2: without this a host that got
 * its own address and route by them would lose both. */
static int
keep_router_advertisements(struct err *e)
{
	DIR *dir = opendir("/proc/sys/net/ipv6/conf");
	struct dirent *d;
	int result = 0;

	if (dir == NULL)
		return err_sys(e, "open /proc/sys/net/ipv6/conf");
	while (result == 0 && (d = readdir(dir)) != NULL) {
		autobuf struct buf now = BUF_INIT;
		char path[300];

		if (d->d_name[0] == '.' || str_eq(d->d_name, "all"))
			continue;
		snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_ra", d->d_name);
		if (sysctl_get(path, &now, e) < 0)
			continue; /* the interface went away meanwhile */
		if (str_eq(buf_str(&now), "1"))
			result = sysctl_set(path, "2", e);
	}
	closedir(dir);
	return result;
}

int
forwarding_enable(struct err *e)
{
	static const char forwarding6[] = "/proc/sys/net/ipv6/conf/all/forwarding";
	autobuf struct buf now = BUF_INIT;

	if (sysctl_set("/proc/sys/net/ipv4/ip_forward", "1", e) < 0)
		return err_ctx(e, "let this machine forward packets");
	if (access(forwarding6, F_OK) < 0)
		return 0; /* a kernel without IPv6 */
	if (sysctl_get(forwarding6, &now, e) < 0)
		return -1;
	if (str_eq(buf_str(&now), "1"))
		return 0;
	if (keep_router_advertisements(e) < 0 || sysctl_set(forwarding6, "1", e) < 0)
		return err_ctx(e, "let this machine forward IPv6 packets");
	return 0;
}
