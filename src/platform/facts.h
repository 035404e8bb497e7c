/*
 * facts.h: what kind of machine is this, and how busy is it? For fingerprints and statistics.
 *
 * Reading never fails: what cannot be told is 0 or "". Strings live in the arena.
 */
#ifndef PLATFORM_FACTS_H
#define PLATFORM_FACTS_H

#include "base/arena.h"

#include <stdint.h>

struct facts {
	const char *kernel_name; /* "linux", "freebsd" */
	const char *kernel_version, *arch /* "amd64" */, *hostname;
	const char *os_name, *os_version, *cpu_model;
	uint64_t cores, mhz;
	uint64_t memory_bytes, memory_free_bytes, memory_available_bytes;
	uint64_t disk_bytes, disk_free_bytes; /* of the file system that holds `path` */
	const char *interface_name, *address; /* of the default route; else the loopback */
	uint64_t uptime_s;
};
/* Its first IPv4 address; the loopback where it has none. */
const char *facts_address(const char *interface_name, struct arena *a);
void facts_read(struct facts *f, const char *path, struct arena *a);

struct facts_cpu { /* since boot, in hundredths of a second, all cores together */
	uint64_t user, system, idle, total;
};
void facts_cpu(struct facts_cpu *out);

/* The absolute path of the running program; NULL when it cannot be told. Arena memory. */
char *facts_program(struct arena *a);

#endif
