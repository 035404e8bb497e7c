/*
 * host.h: everything the runtime may ask of its machine, grouped by capability.
 *
 * host_native() picks the implementations of this system by their probes; host_fake()
 * (platform/fake/fake.h) gives one that lives in memory and fails where a test wants it.
 * Every operation takes the host first and struct err last; 0 or a count on success, -1 with the
 * error filled in. Making what exists already, and removing what is not there, succeed unless an
 * operation says otherwise: an undo can always be walked again.
 */
#ifndef PLATFORM_HOST_H
#define PLATFORM_HOST_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct isolate_ops; /* platform/isolate.h: a process apart from the others (jail, namespaces) */
struct dataset_ops; /* platform/dataset.h: directory trees with snapshots and clones */
struct mount_ops;   /* platform/mount.h: putting trees into a pot's root */
struct netif_ops;   /* platform/netif.h: bridges, pairs, addresses, routes */
struct filter_ops;  /* platform/filter.h: address translation and exported ports */
struct limits_ops;  /* platform/limits.h: what one run may use, and what it uses */
struct proc_ops;    /* platform/proc.h: processes and the identity of this boot */

struct host_config {
	const char *fs_root;	     /* where datasets live: "/opt/pot" */
	const char *run_dir;	     /* records and locks: "/var/run/pot" */
	const char *cgroup;	     /* parent of our cgroups, relative to each mount: "pot" */
	const char *bridge;	     /* the public bridge's interface name: "pot0" */
	const char *table;	     /* our nftables table: "pot" */
	const char *dataset_backend; /* "overlay" …; NULL: what this machine can do best */
	const char *zfs_root;	     /* with ZFS, the parent of all datasets: "zroot/pot" */
	const char *zfs_command;     /* the program zfs; NULL: where systems have it */
	const char *cache; /* with ZFS, where its dataset for images is mounted; NULL: none */
	uint64_t reserve_memory_bytes; /* kept from all pots together; 0: nothing */
	unsigned reserve_cpus;	       /* the lowest ones */
};

struct host {
	const struct isolate_ops *isolate;
	const struct dataset_ops *dataset;
	const struct mount_ops *mount;
	const struct netif_ops *netif;
	const struct filter_ops *filter;
	const struct limits_ops *limits;
	const struct proc_ops *proc;
	struct host_config roots; /* owned copies; NULL only where it says so above */
	void *self;		  /* the implementation's own state */
};

#define HOST_INIT                                                                                  \
	{                                                                                          \
		.self = NULL                                                                       \
	}

/* NULL members of the configuration get the defaults named above. Touches nothing but memory and
 * what probing needs to read; works without privileges. Release with host_fini(). */
int host_native(struct host *out, const struct host_config *c, struct err *e);
void host_fini(struct host *h);
void host_roots_set(struct host *h, const struct host_config *c); /* for implementations */
#define autohost CLEANUP(host_fini)

/* A list of names; owns its strings. */
struct names {
	char **at;
	size_t n;
};

#define NAMES_INIT                                                                                 \
	{                                                                                          \
		.at = NULL, .n = 0                                                                 \
	}

void names_add(struct names *l, const char *name);
void names_sort(struct names *l); /* by bytes */
void names_fini(struct names *l);
#define autonames CLEANUP(names_fini)

#endif
