/*
 * machine.h: what libpot does with the machine around the pots: made ready and unmade, its networks
 * and addresses, its processors, its start and stop, what is put right on it.
 *
 * Conventions, rights and ownership are those of pot.h.
 */
#ifndef POT_MACHINE_H
#define POT_MACHINE_H

#include "pot/pot.h"

/* ---- made ready and unmade ---- */

struct pot_init_options {
	bool no_syslogd;	 /* the machine's log is left alone */
	const char *filter_file; /* of the packet filter's rules; NULL: the machine's; "": none */
};
/* Datasets, directories, bridge-independent checks; options may be NULL. Twice is harmless. */
int pot_init(struct pot_env *, const struct pot_init_options *, struct err *);
/* Refused while pots run, unless force stops them. Removes datasets, bridge, rules, run files, what
 * init wrote into the packet filter's file, and nothing else. */
int pot_deinit(struct pot_env *, bool force, const struct pot_init_options *, struct err *);
/* What makes FreeBSD's syslogd take lines from pots, which send them to their gateway. */
const char *pot_syslogd_flags(const struct pot_config *, struct arena *);
/* Puts a value into a file of settings (platform/settings.h), or with NULL takes it out; *old: what
 * the file said before (NULL: nothing), arena memory. ERR_INPUT: no value that can be written
 * there.
 */
int pot_setting(const char *file, const char *name, const char *value, char **old, struct arena *,
    struct err *);
int pot_vnet_start(
    struct pot_env *, struct err *); /* bridge, addresses, forwarding, NAT; twice is harmless */
/* The same for one private bridge. */
int pot_vnet_start_private(struct pot_env *, const char *bridge, struct err *);
/* All bridges and the rules; refused while a bridge pot runs. */
int pot_vnet_stop(struct pot_env *, struct err *);
/* 1 up, 0 down, -1: this user cannot tell. */
int pot_vnet_up(struct pot_env *);

/* ---- private bridges ---- */

struct pot_bridge {
	char *name, *network, *gateway;
	char *link; /* its interface */
	bool up;
};
int pot_bridge_name_check(const char *name, struct err *);
/* A part of POT_NETWORK with room for that many pots, and for its gateway. No interface is made
 * before a pot needs it. ERR_FULL: no block of that size is free. */
int pot_bridge_create(struct pot_env *, const char *name, unsigned hosts, struct err *);
/* With its interface. ERR_BUSY: pots belong to it. */
int pot_bridge_destroy(struct pot_env *, const char *name, struct err *);
int pot_bridge_info(
    struct pot_env *, const char *name, struct arena *, struct pot_bridge *, struct err *);
/* What pot_bridge_create() would take: "10.192.0.16/29", "10.192.0.17". */
int pot_new_net(struct pot_env *, unsigned hosts, char net[52], char gateway[48], struct err *);

/* ---- networks and addresses ---- */

struct pot_pair {
	char *link, *pot, *ip, *ip6;
};
struct pot_pairs {
	struct pot_pair *at;
	size_t n;
};
struct pot_net_view {
	char *bridge, *gateway, *network, *gateway6, *network6;
	bool up;
	struct pot_pairs pairs;	  /* on the public bridge */
	struct pot_pairs aliases; /* on none: ip is a list */
	struct {
		struct pot_bridge bridge;
		struct pot_pairs pairs;
	} * private;
	size_t n_private;
	struct {
		char *pot, *ip;
		bool udp;
		uint16_t host_port, pot_port;
	} * maps;
	size_t n_maps;
};
/* pairs: also who is joined to which bridge. Ports come from the kernel, for those without rights
 * from the records of what runs. */
int pot_net_view(struct pot_env *, bool pairs, struct arena *, struct pot_net_view *, struct err *);

/* The lowest free address (family 4 or 6) of the public bridge (NULL) or a private one; taken ones
 * are what pot.confs say. */
int pot_address_next(
    struct pot_env *, const char *bridge, int family, char *out, size_t size, struct err *);
/* Free, inside the network, well written; family of it in *family. */
int pot_address_check(
    struct pot_env *, const char *bridge, const char *ip, int *family, struct err *);

/* POT_NETWORK, POT_NETMASK, POT_GATEWAY and the same of IPv6 agree. */
int pot_network_check(struct pot_env *, struct err *);

struct pot_address {
	char *ip, *by; /* "10.192.0.3", "web" */
};
/* What is taken of the public bridge's network (NULL) or a private one's, in order. */
int pot_addresses(struct pot_env *, const char *bridge, struct arena *, struct pot_address **,
    size_t *n, struct err *);
/* "ip name" of the pots of one bridge, running or not. */
int pot_etc_hosts(
    struct pot_env *, const char *bridge, struct arena *, struct pot_strs *, struct err *);

/* ---- processors ---- */

struct pot_cpu_use { /* a running pot */
	char *pot;
	unsigned wanted; /* pot.rss.cpus; 0: no limit */
	char *cpus;	 /* that it is bound to, "0-1"; "" when all */
	char *moved;	 /* pot_cpus_rebalance(): where it goes, or NULL */
	char *command;	 /* the same: of the system, by which it does; NULL: there is none */
};
struct pot_cpus {
	struct pot_cpu_use *at; /* by name */
	size_t n;
	unsigned count; /* processors of the machine */
	unsigned *used; /* by processor: how many pots are bound to it */
};
/* A pot counts for a processor when it is bound to fewer than all. */
int pot_cpus(struct pot_env *, struct arena *, struct pot_cpus *, struct err *);
/* The least used ones, lowest first among equals, "0,2"; "" when the machine has no more than that
 * many. */
char *pot_cpus_least(const struct pot_cpus *, unsigned count, struct arena *);
/* Deals bound pots out anew, in the order of their names, when the busiest processor has at least
 * two pots more than the idlest; those that are pinned stay. apply: does it. How many move. */
int pot_cpus_rebalance(
    struct pot_env *, bool apply, struct arena *, struct pot_cpus *, struct err *);

/* Of one processor of this machine, for figures in MHz. */
uint64_t pot_clock_mhz(void);

/* ---- its start and stop ---- */

struct pot_boot_row { /* one pot, as it went */
	char *name;
	bool done; /* it runs (start) or does not (stop) */
	char *why; /* when it is not done, or NULL */
};
typedef void pot_boot_fn(void *ctx, const struct pot_boot_row *); /* as soon as it is known */
struct pot_boot_options {
	bool early;	   /* those with early-start-at-boot, else those with start-at-boot */
	bool all;	   /* stop: all that run, but not those that belong to early */
	bool output;	   /* start: their output goes where the caller's goes; else nowhere */
	unsigned jobs;	   /* at a time; 0: by the number of processors */
	pot_boot_fn *tell; /* may be NULL */
	void *ctx;
};
/* Pots that are marked, and those that they need: started so that what is needed is ready before,
 * stopped the other way round, in parallel. One that fails does not hold up those that do not need
 * it. -1: nothing could be begun; else how many failed. */
int pot_boot_start(struct pot_env *, const struct pot_boot_options *, struct err *);
int pot_boot_stop(struct pot_env *, const struct pot_boot_options *, struct err *);
/* All marked ones, early or not: done says whether they run. */
int pot_boot_status(struct pot_env *, pot_boot_fn *, void *ctx, struct err *);

/* ---- putting right ---- */

struct pot_finding {
	char *what; /* "cgroup web.0123456789ab" */
	char *why;  /* "no run owns it" */
	bool mended;
	char *error; /* why it could not be mended, or NULL */
};
/* Looks for what no live run owns: halves of creations and removals, runs whose keeper is gone,
 * cgroups, links, rules. With mend they are put right. Live pots are never touched; "cannot tell"
 * is never "not running". */
int pot_doctor(
    struct pot_env *, bool mend, struct arena *, struct pot_finding **, size_t *n, struct err *);

#endif
