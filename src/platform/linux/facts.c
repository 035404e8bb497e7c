#include "platform/facts.h"

#include "base/buf.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { FILE_MAX = 4 << 20 };

static char *
read_text(const char *path, struct arena *a)
{
	autobuf struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	if (buf_read_file(&text, path, FILE_MAX, &e) < 0)
		return arena_strdup(a, "");
	return arena_strdup(a, buf_str(&text));
}

/* The rest of the line that begins with `key`; blanks, colon, "=" and quotes are dropped. */
static const char *
value_of(const char *text, const char *key, struct arena *a)
{
	size_t n = strlen(key);

	for (const char *line = text; *line != '\0';) {
		const char *end = line + strcspn(line, "\n");
		if (strncmp(line, key, n) == 0) {
			const char *v = line + n + strspn(line + n, " \t:=\"");
			const char *last = end;
			while (last > v && (last[-1] == '"' || last[-1] == ' '))
				last--;
			return arena_strndup(a, v, (size_t)(last - v));
		}
		line = *end != '\0' ? end + 1 : end;
	}
	return "";
}

static uint64_t
kilobytes(const char *text, const char *key, struct arena *a)
{
	return strtoull(value_of(text, key, a), NULL, 10) << 10;
}

static const char *
go_arch(const char *machine)
{
	return strcmp(machine, "x86_64") == 0	 ? "amd64"
	       : strcmp(machine, "aarch64") == 0 ? "arm64"
						 : machine;
}

/* The interface of the IPv4 default route with the lowest metric. */
static const char *
default_interface(struct arena *a)
{
	const char *line = read_text("/proc/net/route", a);
	char name[32], best[32] = "lo";
	unsigned long destination, mask, lowest = ~0UL;
	int metric;

	while (*line != '\0') {
		if (sscanf(line, "%31s %lx %*x %*x %*d %*d %d %lx", name, &destination, &metric,
			&mask) == 4 &&
		    destination == 0 && mask == 0 && (unsigned long)metric < lowest) {
			lowest = (unsigned long)metric;
			str_copy(best, sizeof(best), name);
		}
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return arena_strdup(a, best);
}

static void
read_processors(struct facts *f, struct arena *a)
{
	const char *text = read_text("/proc/cpuinfo", a);
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	f->cores = n > 0 ? (uint64_t)n : 1;
	f->cpu_model = value_of(text, "model name", a);
	f->mhz = (uint64_t)strtod(value_of(text, "cpu MHz", a), NULL);
	if (f->mhz == 0)
		f->mhz = 1000; /* machines that do not tell; a share is a share */
}

void
facts_read(struct facts *f, const char *path, struct arena *a)
{
	struct utsname u = { 0 };
	struct statvfs vfs;
	struct sysinfo info = { 0 };
	const char *release = read_text("/etc/os-release", a),
		   *memory = read_text("/proc/meminfo", a);

	*f = (struct facts){ .kernel_name = "linux" };
	uname(&u);
	sysinfo(&info);
	f->kernel_version = arena_strdup(a, u.release);
	f->arch = arena_strdup(a, go_arch(u.machine));
	f->hostname = arena_strdup(a, u.nodename);
	f->os_name = value_of(release, "ID", a);
	f->os_version = value_of(release, "VERSION_ID", a);
	f->memory_bytes = kilobytes(memory, "MemTotal", a);
	f->memory_free_bytes = kilobytes(memory, "MemFree", a);
	f->memory_available_bytes = kilobytes(memory, "MemAvailable", a);
	f->uptime_s = (uint64_t)info.uptime;
	read_processors(f, a);
	if (path != NULL && statvfs(path, &vfs) == 0) {
		f->disk_bytes = (uint64_t)vfs.f_blocks * vfs.f_frsize;
		f->disk_free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	}
	f->interface_name = default_interface(a);
	f->address = facts_address(f->interface_name, a);
}

void
facts_cpu(struct facts_cpu *out)
{
	autoarena struct arena a = ARENA_INIT;
	unsigned long long v[8] = { 0 };

	*out = (struct facts_cpu){ 0 };
	if (sscanf(read_text("/proc/stat", &a), "cpu %llu %llu %llu %llu %llu %llu %llu %llu",
		&v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]) < 4)
		return;
	out->user = v[0] + v[1];
	out->system = v[2] + v[5] + v[6];
	out->idle = v[3] + v[4];
	for (size_t i = 0; i < NELEM(v); i++)
		out->total += v[i];
}

char *
facts_program(struct arena *a)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	return n > 0 ? arena_strndup(a, path, (size_t)n) : NULL;
}
