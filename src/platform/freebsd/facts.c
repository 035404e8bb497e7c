#include "platform/facts.h"

#include "base/str.h"
#include "platform/freebsd/links.h"

#include <string.h>
#include <sys/param.h>
#include <sys/types.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/sysctl.h>
#include <sys/utsname.h>
#include <time.h>

static uint64_t
number(const char *name)
{
	unsigned char raw[8] = { 0 };
	size_t len = sizeof(raw);
	uint64_t wide = 0;
	uint32_t narrow = 0;

	if (sysctlbyname(name, raw, &len, NULL, 0) < 0)
		return 0;
	if (len == sizeof(narrow)) {
		memcpy(&narrow, raw, sizeof(narrow));
		return narrow;
	}
	memcpy(&wide, raw, sizeof(wide));
	return wide;
}

static const char *
text(const char *name, struct arena *a)
{
	char value[256] = "";
	size_t len = sizeof(value) - 1;

	return sysctlbyname(name, value, &len, NULL, 0) < 0 ? "" : arena_strdup(a, value);
}

void
facts_read(struct facts *f, const char *path, struct arena *a)
{
	struct utsname u = { 0 };
	struct statvfs vfs;
	struct timespec up = { 0 };
	struct err none = ERR_INIT;
	char name[NETIF_NAME] = "";

	*f = (struct facts){ .kernel_name = "freebsd", .os_name = "freebsd" };
	uname(&u);
	clock_gettime(CLOCK_UPTIME, &up);
	f->kernel_version = arena_strdup(a, u.release);
	f->os_version = f->kernel_version;
	f->arch = arena_strdup(a, u.machine);
	f->hostname = arena_strdup(a, u.nodename);
	f->cpu_model = text("hw.model", a);
	f->cores = number("hw.ncpu");
	f->mhz = number("hw.clockrate");
	f->memory_bytes = number("hw.physmem");
	f->memory_free_bytes = number("vm.stats.vm.v_free_count") * number("hw.pagesize");
	f->memory_available_bytes =
	    f->memory_free_bytes + number("vm.stats.vm.v_inactive_count") * number("hw.pagesize");
	f->uptime_s = (uint64_t)up.tv_sec;
	if (path != NULL && statvfs(path, &vfs) == 0) {
		f->disk_bytes = (uint64_t)vfs.f_blocks * vfs.f_frsize;
		f->disk_free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	}
	f->interface_name = route_external(NULL, AF_INET, name, &none) < 0 || name[0] == '\0'
				? "lo0"
				: arena_strdup(a, name);
	f->address = facts_address(f->interface_name, a);
}

void
facts_cpu(struct facts_cpu *out)
{
	long v[CPUSTATES] = { 0 };
	size_t len = sizeof(v);

	*out = (struct facts_cpu){ 0 };
	if (sysctlbyname("kern.cp_time", v, &len, NULL, 0) < 0)
		return;
	out->user = (uint64_t)(v[CP_USER] + v[CP_NICE]);
	out->system = (uint64_t)(v[CP_SYS] + v[CP_INTR]);
	out->idle = (uint64_t)v[CP_IDLE];
	out->total = out->user + out->system + out->idle;
}

char *
facts_program(struct arena *a)
{
	int mib[] = { CTL_KERN, KERN_PROC, KERN_PROC_PATHNAME, -1 };
	char path[MAXPATHLEN];
	size_t len = sizeof(path);

	return sysctl(mib, 4, path, &len, NULL, 0) < 0 ? NULL : arena_strndup(a, path, len);
}
