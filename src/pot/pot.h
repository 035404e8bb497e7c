/*
 * pot.h: how a container comes and goes on one machine: libpot.
 *
 * Everything `pot` does is here, without a daemon, a cluster or a shell. The library leaves to
 * others: files of images (folder image), words on a terminal (folder cli). It may be called from
 * any process that has the rights (root for all that changes state); calls for different pots may
 * run at the same time in any number of processes: one lock per pot, one for the allocation of
 * addresses and ports.
 *
 * Strings inside a struct that has an arena belong to that arena. Strings given in options are
 * borrowed for the call. Lists of strings end with NULL where no count stands beside them.
 * Memory is in bytes, ports are 1–65535, intervals carry their unit in the name.
 */
#ifndef POT_POT_H
#define POT_POT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/ids.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct host; /* platform/host.h */

#define POT_VERSION_COMPAT "0.16.0" /* the pot whose files and verbs these are */

enum { POT_NAME_MAX = 128, POT_BRIDGE_NAME_MAX = 64 };

struct pot_strs {
	char **at; /* at[n] is NULL */
	size_t n;
};

/* ---- the framework's configuration (pot.default.conf, pot.conf) ---- */

struct pot_config {
	char *zfs_root, *fs_root, *cache, *tmp, *group;
	char *extif;	   /* "": the interface of the default route */
	char *extra_extif; /* blank-separated */
	char *extif_addr;
	struct pot_strs extra_networks; /* "em1=10.0.0.0/8": POT_NETWORK_em1 */
	char *vpn_extif, *vpn_networks; /* blank-separated */
	char *pf_rules_hook;
	char *network, *netmask, *gateway; /* "10.192.0.0/10", "255.192.0.0", "10.192.0.1" */
	char *network6, *gateway6;	   /* own keys: "fdf1:192::/64", "fdf1:192::1" */
	char *network_stack;		   /* "ipv4", "ipv6" or "dual" */
	char *dns_name, *dns_ip;
	char *signature_pubkey, *log_facility;
	char *signatures; /* own key: "auto" or "require" */
	char *run_dir, *cgroup, *bridge, *nft_table, *dataset_backend, *zfs_command; /* own keys */
	char *reserve_memory; /* own key: "512m" that stays for the machine itself; "": nothing */
	char *hook_failure;   /* own key: "refuse" or "ignore" */
	unsigned reserve_cpus;
	unsigned boot_wait; /* own key, seconds */
	unsigned hostname_max;
	unsigned port_min, port_max; /* own keys: where dynamic host ports come from */
	bool isolate_vnet_pots;
	bool image_hooks;	/* own key POT_IMAGE_HOOKS: hooks of an imported image may run */
	bool image_host_mounts; /* own key POT_IMAGE_HOST_MOUNTS: an image may name host directories
				 */
	struct pot_strs unknown; /* "file:line: KEY": assignments that mean nothing here */
};

/* One key of the framework configuration as it stands now, for `pot config` and the manual. */
struct pot_config_key {
	const char *key;     /* "POT_FS_ROOT" */
	const char *def;     /* default */
	const char *meaning; /* one line */
};
const struct pot_config_key *pot_config_keys(size_t *n);
/* The value of one key ("POT_FS_ROOT"), rendered into the arena; NULL: no such key. */
const char *pot_config_get(const struct pot_config *, const char *key, struct arena *);

void pot_config_defaults(struct pot_config *, struct arena *);
/* Reads plain KEY=value lines; quotes around a value are tolerated, comments and blank lines
 * skipped; whatever would need a shell is refused as "file:line". Keys that mean nothing here are
 * gathered in `unknown`. */
int pot_config_parse(struct pot_config *, struct arena *, const char *file, const char *text,
    size_t len, struct err *);

/* ---- the environment of every call ---- */

enum pot_say_level { POT_SAY_ERROR, POT_SAY_INFO, POT_SAY_DEBUG };
typedef void pot_say_fn(void *ctx, enum pot_say_level, const char *text);

struct pot_env {
	struct pot_config conf;
	struct host *host;		 /* owned when pot_env_open() made it */
	const struct pot_keep_ops *keep; /* pot/keep.h; the native one unless a test says else */
	pot_say_fn *say;		 /* what people may want to know on the way; may be NULL */
	void *say_ctx;
	char prefix[1024];  /* "/usr/local" */
	char libexec[1024]; /* where pot-keeper and pot-runner are */
	char etc[1024];	    /* "<prefix>/etc/pot" */
	struct arena mem;
	char conf_file[1024]; /* what POT_CONF named, or "" */
	bool own_host;
	const char *held; /* lock.c: the pot whose lock this environment shares */
	int held_fd;
	bool making;   /* a pot that does not count yet: its intent is what goes to disk last */
	char boot[40]; /* identity of this boot, once asked */
	/* What destroys something only says so, and notes it in `would` ("pot web"). */
	bool dry_run;
	struct pot_strs would;
	/* Set by a signal handler of the caller (installed without SA_RESTART) to the signal: calls
	 * that wait for long fail with EINTR and undo what they did. NULL: no such wish. */
	const volatile sig_atomic_t *stop;
	int build_out; /* where scripts of flavours write; 0: standard output */
};

/* Finds the configuration beside the executable (or by POT_CONF while real and effective user
 * agree), and the machine's operations. Needs no rights; does not need `pot init` to have run. */
int pot_env_open(struct pot_env **out, struct err *);
/* The same with some keys ("POT_FS_ROOT=/x") of one's own, which a file in POT_RUN_DIR then holds
 * for what ends runs; POT_CONF is set to it. NULL or an empty list: as pot_env_open(). */
int pot_env_open_with(const char *const *set, struct pot_env **out, struct err *);
/* For tests and for a runner that was told its configuration: host is borrowed. */
int pot_env_with(const struct pot_config *, struct host *, struct pot_env **out, struct err *);
void pot_env_close(struct pot_env *);
static inline void
pot_env_closep(struct pot_env **env)
{
	pot_env_close(*env);
}
#define autopotenv CLEANUP(pot_env_closep)
/* ERR_ABSENT with the way out ("run pot init") unless pot init has run. */
int pot_env_ready(struct pot_env *, struct err *);

/* ---- names ---- */

/* [A-Za-z0-9][A-Za-z0-9_-]*, not all digits, at most POT_NAME_MAX. ERR_INPUT says what is wrong. */
int pot_name_check(const char *name, struct err *);
/* Bases, fscomps, tags: as above, dots and digits allowed. `what` goes into the message. */
int pot_word_check(const char *what, const char *word, struct err *);
/* "jails/<pot>"'s directory: <fs_root>/jails/<pot>; arena memory. */
char *pot_dir(const struct pot_env *, const char *name, struct arena *);
char *pot_image_name(
    const char *name, const char *tag, struct arena *); /* "<name>_<tag>", dots → _ */

/* ---- what a pot is: conf/pot.conf ---- */

enum pot_type { POT_SINGLE, POT_MULTI };
enum pot_net { POT_NET_INHERIT, POT_NET_ALIAS, POT_NET_PUBLIC, POT_NET_PRIVATE };
enum pot_stack { POT_STACK_UNSET, POT_STACK_IPV4, POT_STACK_IPV6, POT_STACK_DUAL };
enum pot_dns { POT_DNS_INHERIT, POT_DNS_POT, POT_DNS_CUSTOM, POT_DNS_OFF };

const char *pot_type_text(enum pot_type);   /* "single" */
const char *pot_net_text(enum pot_net);	    /* "public-bridge" */
const char *pot_stack_text(enum pot_stack); /* "ipv4"; unset: "" */
const char *pot_dns_text(enum pot_dns);
int pot_net_named(const char *, enum pot_net *, struct err *);
int pot_stack_named(const char *, enum pot_stack *, struct err *);

struct pot_port {
	bool udp;
	uint16_t pot_port;
	uint16_t host_port; /* 0: chosen at start */
};
/* "[tcp:|udp:]potport[:hostport]" */
int pot_port_parse(const char *, struct pot_port *, struct err *);
char *pot_port_text(const struct pot_port *, struct arena *);

enum pot_attr_type { POT_ATTR_BOOL, POT_ATTR_UINT, POT_ATTR_SYSV, POT_ATTR_STRING };
/* Where it does something; elsewhere it is kept. */
enum pot_attr_effect {
	POT_ATTR_NOWHERE,
	POT_ATTR_EVERYWHERE,
	POT_ATTR_SYSTEM /* where isolate_ops.attributes has it */
};
struct pot_attr {
	const char *name; /* "persistent" */
	enum pot_attr_type type;
	const char *def;  /* as reference behaviour: "YES", "10", "" */
	bool jail;	  /* a jail attribute (else the framework's) */
	bool read_only;	  /* only the framework sets it */
	bool at_creation; /* written by create */
	enum pot_attr_effect effect;
	const char *meaning; /* one line */
};
const struct pot_attr *pot_attrs(size_t *n);
const struct pot_attr *pot_attr_named(const char *name); /* NULL: unknown */
/* Without env: on the system that this was built for. */
bool pot_attr_has_effect(const struct pot_env *, const struct pot_attr *);
struct pot_spec;
/* It is set to something, and this pot keeps that without being another one for it. */
bool pot_attr_idle(const struct pot_env *, const struct pot_spec *, const struct pot_attr *);

/* All of pot.conf, checked. */
struct pot_spec {
	char *name;
	enum pot_type type;
	unsigned level;
	char *base, *potbase, *cmd, *hostname, *osrelease; /* never NULL */
	struct pot_strs argv; /* pot.cmd.argv.<n>: the command as an exact list; else empty */
	enum pot_net net;
	enum pot_stack stack; /* as stored; UNSET: the framework's */
	enum pot_dns dns;
	bool vnet;
	char *ip;		  /* "" when none; of alias pots a list: "em0|10.0.0.1 10.0.0.2" */
	char *ip6, *mac, *bridge; /* "" when none; mac: the default */
	struct pot_strs depend, env /* VAR=value */, hosts /* "ip name" */;
	struct pot_port *ports;
	size_t n_ports;
	/* 0 and "": no limit */
	unsigned rss_cpus;
	uint64_t rss_memory_bytes;
	char *rss_pin;			   /* own key: "0-1,3" */
	uint64_t rss_processes, rss_files; /* own keys */
	unsigned rss_io_weight;		   /* own key: 1–1000, 100 is usual */
	unsigned rss_cpu_weight;	   /* own key: 2–262144, 1024 is usual */
	struct pot_strs hooks;		   /* own key pot.hook: of an imported pot those set here */
	char **attr;			   /* by position in pot_attrs(); NULL: not set */
	bool outdated;	  /* holds keys of old versions (ip4, pot.export.static.ports) */
	char *root_dir;	  /* own key pot.root: a directory of this machine below the root's own
			     files; "" none; not of an imported pot */
	bool root_strict; /* own key pot.root.no-links: none may lie on the way to root_dir */
	bool imported;	  /* pot.image: came as an image; its hooks are not run by themselves */
	bool raw_refused; /* own key pot.raw_sockets: the NO of that attribute was said to us */
};
/* ERR_ABSENT: no such pot. ERR_CORRUPT: it is there and cannot be used, with the reason. */
int pot_spec_load(
    struct pot_env *, const char *name, struct arena *, struct pot_spec **out, struct err *);
int pot_spec_parse(const char *name, const char *text, size_t len, struct arena *,
    struct pot_spec **out, struct err *);
const char *pot_spec_attr(const struct pot_spec *, const char *name); /* its default when unset */
bool pot_spec_yes(const struct pot_spec *, const char *attr);
enum pot_stack pot_spec_stack(const struct pot_env *, const struct pot_spec *);

/* The setters. Each replaces pot.conf durably under the pot's lock; unknown keys and the order of
 * lines are kept. NULL (or an empty list) unsets. They take effect at the next start. */
int pot_set_cmd(
    struct pot_env *, const char *name, const char *cmd, const char *const *argv, struct err *);
int pot_set_env(struct pot_env *, const char *name, const char *const *env, struct err *);
int pot_set_hosts(
    struct pot_env *, const char *name, const char *const *name_ip, struct err *); /* "name:ip" */
int pot_set_ports(struct pot_env *, const char *name, const char *const *ports, struct err *);
int pot_set_attr(
    struct pot_env *, const char *name, const char *attr, const char *value, struct err *);
/* NULL leaves one as it is, "" removes it. cpus: natural; memory: digits and b, k, m, g. */
int pot_set_rss(
    struct pot_env *, const char *name, const char *cpus, const char *memory, struct err *);
int pot_add_dep(struct pot_env *, const char *name, const char *needs, struct err *);
int pot_remove_dep(
    struct pot_env *, const char *name, const char *needs /* NULL: all */, struct err *);
/* Removes variables by name; NULL: all. */
int pot_unset_env(struct pot_env *, const char *name, const char *const *names, struct err *);

/* Texts as people write them. NULL leaves a limit as it is, "" removes it. */
enum { POT_PROCESSES_MAX = 4194304, POT_FILES_MAX = 1048576 };
struct pot_limits {
	const char *cpus;      /* how many: the least used ones at the start */
	const char *memory;    /* digits and b, k, m, g */
	const char *pin;       /* exactly these: "0-1,3"; goes before cpus */
	const char *processes; /* with threads */
	const char *files;     /* open at a time, of each process */
	const char *io_weight, *cpu_weight;
};
int pot_set_limits(struct pot_env *, const char *name, const struct pot_limits *, struct err *);

/* Programs that run on this machine around a run. */
enum pot_hook {
	POT_HOOK_PRESTART,
	POT_HOOK_POSTSTART,
	POT_HOOK_PRESTOP,
	POT_HOOK_POSTSTOP,
	POT_HOOKS
};
const char *pot_hook_text(enum pot_hook); /* "prestart" */
/* Copies executable files into conf/, none if one of them cannot be read; NULL leaves the hook as
 * it is, "" removes it. */
int pot_set_hooks(
    struct pot_env *, const char *name, const char *const files[POT_HOOKS], struct err *);
/* Brings files of older versions up to date; a second time changes nothing. */
int pot_update_config(struct pot_env *, const char *name, bool *changed, struct err *);

/* What pot's own record of states would say: 0–2 are set-status's exit codes. Nothing is recorded:
 * a pot's state is what runs. link: its interface, "" when none. */
enum pot_status_answer { POT_STATUS_ALLOWED, POT_STATUS_REFUSED, POT_STATUS_ALREADY };
int pot_status_ask(struct pot_env *, const char *name, const char *status, enum pot_status_answer *,
    char link[16], struct err *);

/* ---- coming and going ---- */

struct pot_net_options {
	const char *net;   /* NULL: inherit (create), the source's (clone) */
	const char *stack; /* NULL: framework's (create), the source's (clone) */
	const char *const
	    *ip;	    /* NULL or "auto": chosen; IPv4 and/or IPv6; alias: "[nic|]address" */
	const char *bridge; /* of private-bridge; never inherited */
	const char *mac;    /* NULL: made from the address */
	const char
	    *dns; /* "inherit", "pot", "off", "custom:<file>"; NULL: inherit or the source's */
};

struct pot_create_options {
	const char *name;
	const char *type;      /* "single" or "multi"; NULL: single */
	const unsigned *level; /* multi: 0, 1, 2; NULL: 1 */
	const char *base;      /* -b */
	const char *potbase;   /* -P */
	struct pot_net_options net;
	const char *const *flavours;
	bool keep;  /* leave a half-made pot when creation fails */
	bool empty; /* neither -b nor -P: an empty root that somebody fills next */
	/* Of type single, -b names a release instead of a base of this machine: fill() puts its
	 * files into the root's directory. NULL: it names a base. */
	int (*fill)(void *ctx, const char *dir, struct err *e);
	void *fill_ctx;
	const char *release;	   /* what fill() puts there: "14.2-RELEASE" */
	const char *base_snapshot; /* pot_base_pristine(); NULL: it is looked up */
};
int pot_create(struct pot_env *, const struct pot_create_options *, struct err *);

struct pot_clone_options {
	const char *name, *source;
	const char *snapshot; /* NULL: the newest */
	bool take_snapshot;   /* -F: take one where none exists */
	struct pot_net_options net;
	const char *const *flavours;
	bool keep;
};
int pot_clone(struct pot_env *, const struct pot_clone_options *, struct err *);

struct pot_destroy_options {
	bool force;	/* stop a running one, accept a corrupted one */
	bool recursive; /* also pots made from it */
	bool with_base; /* the base goes as well: one of level 0 may */
};
int pot_destroy(
    struct pot_env *, const char *name, const struct pot_destroy_options *, struct err *);
/* ERR_BUSY while pots of type multi share it, unless recursive; those of level 0 go with it. force:
 * those that run are stopped. */
int pot_destroy_base(
    struct pot_env *, const char *base, const struct pot_destroy_options *, struct err *);

/* Both names are pots', the old one's must not run. What names it, in other pots as well, is
 * changed. */
int pot_rename(struct pot_env *, const char *old_name, const char *new_name, struct err *);

/* 1: it was there already. */
int pot_fscomp_create(struct pot_env *, const char *fscomp, struct err *);
/* From the newest snapshot; ERR_ABSENT when there is none. */
int pot_fscomp_clone(struct pot_env *, const char *source, const char *fscomp, struct err *);
/* ERR_BUSY while a pot runs that has it mounted, unless force. */
int pot_fscomp_destroy(struct pot_env *, const char *fscomp, bool force, struct err *);

struct pot_prune_options {
	bool dry_run, grace;
};
int pot_prune(struct pot_env *, const struct pot_prune_options *, struct arena *,
    struct pot_strs *gone, struct err *);

/* Receiving an image: its files arrive in a pot that nobody can use before the commit. */
struct pot_receive {
	char name[POT_NAME_MAX + 1];
	char *conf_dir; /* put pot.conf, fscomp.conf and the rest of conf/ here */
	char *root_dir; /* and the root's files here; NULL for a layer */
	/* of the image, for layers upon it: "" or set before the commit */
	char image[POT_NAME_MAX + 1], tag[POT_NAME_MAX + 1], snapshot[POT_NAME_MAX + 1];
	bool is_stream; /* it comes as a stream, snapshot and all */
	struct arena mem;
	int lock;
};
/* With `below` (else NULL) the root begins as this pot's was in that snapshot. */
int pot_receive_begin(struct pot_env *, const char *name, const char *below, const char *snapshot,
    struct pot_receive *, struct err *);
/* Calls fn with both directories, which are usable by programs it starts; for a layer in a child
 * process. */
typedef int pot_fill_fn(const char *conf_dir, const char *root_dir, void *ctx, struct err *e);
int pot_receive_fill(
    struct pot_env *, struct pot_receive *, pot_fill_fn *fn, void *ctx, struct err *);
/* The same for a stream of the dataset backend's own kind: begin makes no datasets, fn writes the
 * stream to the descriptor, which belongs to this function. `below` as for begin. */
int pot_receive_begin_stream(
    struct pot_env *, const char *name, struct pot_receive *, struct err *);
typedef int pot_stream_fn(int fd, void *ctx, struct err *e);
int pot_receive_stream(struct pot_env *, struct pot_receive *, const char *below,
    const char *snapshot, pot_stream_fn *fn, void *ctx, struct err *);
/* Checks and adapts conf/ (host name, network, hooks and host paths unless allowed), takes the
 * first snapshot; on failure all is removed again. */
int pot_receive_commit(
    struct pot_env *, struct pot_receive *, const struct pot_net_options *, struct err *);
void pot_receive_abort(struct pot_env *, struct pot_receive *);

/* A base: bases/<name>. Filled by the caller in root_dir, then committed (and frozen by a
 * snapshot). */
int pot_base_begin(struct pot_env *, const char *base, struct pot_receive *, struct err *);
int pot_base_commit(struct pot_env *, struct pot_receive *, const char *osrelease, struct err *);
/* The base's pot of level 0, base-<base>, as pot 0.16 makes it: with its flavour fbsd-update, if
 * there is one, which may fail. Nothing for a base that pots of type multi cannot share. */
int pot_base_pot(struct pot_env *, const char *base, struct err *);
void pot_base_abort(struct pot_env *, struct pot_receive *);
/* The machine and the processor as releases of FreeBSD name them ("arm64", "aarch64"); NULL: this
 * system does not run them. */
const char *pot_release_machine(struct arena *, const char **processor);
/* Its state as it came, which single pots are cloned from; NULL: it has none, as those of pot
 * 0.16. */
char *pot_base_pristine(struct pot_env *, const char *base, struct arena *); /* its snapshot */

struct pot_prepare_options {
	const char *name; /* -n, else <image>_<tag> */
	const char *image, *tag;
	const char *root_dir; /* in place of both: the pot writes over this directory's files,
			       * which stay as they are */
	int root_fd;	      /* what root_dir means, if no link may lie on the way to it, now and
			       * at each start; 0: links are followed */
	const char *alloc;    /* -a */
	const char *cmd;      /* -c */
	const char *const *argv; /* exact list in place of cmd */
	const char *const *ports;
	struct pot_net_options net;
};
/* All that can be known to be wrong before an image is fetched; changes nothing. */
int pot_prepare_check(struct pot_env *, const struct pot_prepare_options *, struct err *);
/* After the image is there: clone, command, attributes, ports. new_name: where to write its name.
 */
int pot_prepare(struct pot_env *, const struct pot_prepare_options *,
    char new_name[POT_NAME_MAX + 1], struct err *);

/* ---- running ---- */

enum pot_stdio { POT_STDIO_INHERIT, POT_STDIO_NULL, POT_STDIO_FILES };

struct pot_bind {
	const char *source; /* absolute host path */
	const char *target; /* absolute, inside */
	bool read_only;
	bool no_links; /* refuse a symbolic link anywhere on the way to source */
};

struct pot_start_options {
	bool detach; /* return when the command runs; else wait for its end and clear up */
	enum pot_stdio stdio;
	int fds[3]; /* INHERIT: standard input, output, error; -1: none; all 0 means 0, 1, 2 */
	/* FILES: <dir>/<prefix>.stdout.<n> and .stderr.<n>, rotated */
	const char *log_dir, *log_prefix;
	unsigned log_max_files;
	uint64_t log_max_bytes;	   /* of one file */
	uint32_t log_uid, log_gid; /* whose files they are */
	unsigned log_mode;	   /* 0: 0640 */
	const char *const *argv;   /* in place of the pot's command */
	const char *const *env;	   /* VAR=value, after the pot's own */
	const struct pot_bind *binds;
	size_t n_binds;
	const char *user, *workdir; /* inside; NULL: root, / */
	int stop_signal;	    /* 0: SIGTERM */
	int64_t stop_timeout_ms;    /* 0: the attribute stop_timeout; kept for whoever stops */
	uint64_t memory_bytes;	    /* 0: pot.rss.memory */
	unsigned cpu_shares;	    /* 0: none */
	const char *const *hosts;   /* more "ip name" lines for /etc/hosts */
	const char *network_path;   /* a network that is there, for a pot of type inherit */
	bool needs_servers; /* a resolver file of its own that names none gets the machine's */
	bool snapshot;	    /* take one first */
	bool idle;	    /* up without a command and whom it depends on: to build in it */
	/* detach: wait until it is ready, at most this long; the same for pots that it needs. 0:
	 * running is enough. Ready is a pot whose start-up command (/etc/rc) has come to its end,
	 * or whose exported TCP ports answer; one with neither is ready when it runs. */
	int64_t ready_ms, needs_ready_ms;
};

/* How a run ended. */
struct pot_exit {
	bool already; /* it ran before this call; nothing was done */
	bool ended;   /* the command has ended: code, signal and oom count */
	bool stays;   /* persistent: the pot is still up */
	int code;     /* 0–255 */
	int signal;   /* 0: none */
	bool oom;
	char run_id[RUN_ID_TEXT];
	pid_t init_pid;
};
int pot_start(struct pot_env *, const char *name, const struct pot_start_options *,
    struct pot_exit *, struct err *);

struct pot_stop_options {
	int signal;	    /* 0: what the start said */
	int64_t timeout_ms; /* < 0: what the start said; 0: kill at once, without exec_stop */
};
/* ERR_ABSENT: no such pot. Stopping a stopped one clears up what is left of it. opt may be NULL.
 * The attribute exec_stop is run first, in the time there is; a further stop does not wait for it.
 */
int pot_stop(struct pot_env *, const char *name, const struct pot_stop_options *, struct err *);
/* The last steps of a run, walked by the finish program of its keeper; nothing if it is another's.
 */
int pot_finish(struct pot_env *, const char *name, const char *run_id, struct err *);

struct pot_exec_options {
	const char *const *argv;   /* NULL: the user's login shell */
	const char *const *env;	   /* VAR=value */
	const char *user;	   /* inside; NULL: root */
	const char *workdir;	   /* NULL: the user's home */
	bool pot_env;		   /* also see the pot's own set-env variables */
	bool tty;		   /* with a terminal of its own */
	unsigned short rows, cols; /* its size; 0: 24 by 80 */
	bool detach;
	int fds[3]; /* all 0 means 0, 1, 2 */
};
/* Waits unless detach; status: 0–255, 128+n for a signal. With tty the terminal fds[0] is put into
 * raw mode and relayed. */
int pot_exec(
    struct pot_env *, const char *name, const struct pot_exec_options *, int *status, struct err *);
/* The same without waiting or relaying, for those with a loop of their own: *child is a child of
 * the caller, *pty the terminal's master (-1 without tty). */
int pot_enter(struct pot_env *, const char *name, const struct pot_exec_options *, pid_t *child,
    int *pty, struct err *);
int pot_signal(
    struct pot_env *, const char *name, int signal, struct err *); /* to the main command */

/* A process of a running pot. */
struct pot_process {
	pid_t pid;   /* as this machine sees it … */
	pid_t inner; /* … and as the pot does */
	char name[32];
	char *command; /* with its arguments */
	char state;    /* 'R', 'S' … as ps(1) says it */
	unsigned uid;  /* as this machine sees it */
	uint64_t start, cpu_ns, rss_bytes;
};
/* Sorted by inner pid. ERR_ABSENT: it does not run. */
int pot_processes(struct pot_env *, const char *name, struct arena *, struct pot_process **,
    size_t *n, struct err *);
/* To the processes that are chosen by pid (the pot's own, else this machine's) or by an extended
 * regular expression on their names; only processes of the pot are ever hit. dry_run: only chosen.
 * ERR_ABSENT: none is. */
struct pot_signal_options {
	int signal;
	pid_t pid; /* 0: by pattern */
	const char *pattern;
	bool dry_run;
};
int pot_signal_to(struct pot_env *, const char *name, const struct pot_signal_options *,
    struct arena *, struct pot_process **hit, size_t *n, struct err *);
/* "TERM", "SIGTERM", "15"; -1 with ERR_INPUT when unknown. */
int pot_signal_named(const char *, struct err *);
const char *pot_signal_text(int signal); /* "TERM"; "?" when unknown */

/* ---- files ---- */

struct pot_copy_in_options {
	const char *source, *dest;
	/* A directory that holds the last component of source, which is then looked up there and
	 * must not be a link; 0: none, links in source are followed. */
	int source_dir;
	bool force_running, make_parent;
	int tell; /* a descriptor that "from -> to" of each entry is written to; 0: none */
};
int pot_copy_in(
    struct pot_env *, const char *name, const struct pot_copy_in_options *, struct err *);

struct pot_copy_out_options {
	const char *source; /* absolute, in the pot */
	const char *dest;   /* a directory of the host that exists */
	bool force_running;
	int tell; /* as of copy-in */
};
int pot_copy_out(
    struct pot_env *, const char *name, const struct pot_copy_out_options *, struct err *);

struct pot_mount_in_options {
	const char *fscomp, *dir, *dataset; /* one of them */
	const char *target;
	bool read_only, remount;
};
int pot_mount_in(
    struct pot_env *, const char *name, const struct pot_mount_in_options *, struct err *);
int pot_mount_out(struct pot_env *, const char *name, const char *target, struct err *);

/* ---- snapshots ---- */

int pot_snapshot(struct pot_env *, const char *name, bool replace_oldest, struct err *);
int pot_revert(struct pot_env *, const char *name, struct err *);
/* All but the newest, or all; *gone: how many datasets' snapshots went (may be NULL). */
int pot_purge_snapshots(struct pot_env *, const char *name, bool all, size_t *gone, struct err *);
/* The same for file system components; pots may be using them. */
int pot_fscomp_snapshot(struct pot_env *, const char *fscomp, bool replace_oldest, struct err *);
int pot_fscomp_revert(struct pot_env *, const char *fscomp, struct err *);
int pot_fscomp_purge_snapshots(
    struct pot_env *, const char *fscomp, bool all, size_t *gone, struct err *);

/* ---- looking ---- */

enum pot_running { POT_STOPPED, POT_RUNNING, POT_STARTING, POT_STOPPING, POT_UNKNOWN };
const char *pot_running_text(enum pot_running);

struct pot_map { /* a port that is open on the host */
	bool udp;
	uint16_t pot_port, host_port;
};

struct pot_state {
	enum pot_running running;
	char run_id[RUN_ID_TEXT];
	pid_t init_pid, keeper_pid; /* 0: none */
	int number;		    /* that the system's own tools know it by; 0: none */
	uint64_t keeper_start;	    /* platform/proc.h */
	int64_t started_ns;	    /* wall clock */
	struct pot_map *maps;
	size_t n_maps;
	char link[16]; /* host side of its pair, "" when none */
};
int pot_state(struct pot_env *, const char *name, struct arena *, struct pot_state *, struct err *);

struct pot_row {
	char *name;
	struct pot_spec *spec; /* NULL: cannot be used, see why */
	char *why;
	struct pot_state state;
	char *path; /* its root as seen on the host */
};
/* Sorted by name. */
int pot_list(struct pot_env *, bool only_running, struct arena *, struct pot_row **, size_t *n,
    struct err *);
/* Sorted names of what lies in a part of the tree. */
enum pot_kind { POT_KIND_POT, POT_KIND_BASE, POT_KIND_FSCOMP, POT_KIND_FLAVOUR, POT_KIND_BRIDGE };
int pot_names(struct pot_env *, enum pot_kind, struct arena *, struct pot_strs *, struct err *);

struct pot_fscomp {   /* a line of conf/fscomp.conf */
	char *source; /* dataset name or absolute directory */
	char *target; /* inside the pot */
	bool read_only, remount;
};
struct pot_info {
	struct pot_spec *spec;
	struct pot_state state;
	struct pot_fscomp *mounts;
	size_t n_mounts;
	struct pot_strs snapshots;	/* names, oldest first */
	struct pot_strs full_snapshots; /* of each dataset: "zroot/pot/jails/web/m@1700000000" */
	struct pot_strs datasets;	/* "jails/web/m", relative to the root */
	char *path;
};
int pot_info(struct pot_env *, const char *name, struct arena *, struct pot_info *, struct err *);
/* The same without datasets and snapshots. */
int pot_info_brief(
    struct pot_env *, const char *name, struct arena *, struct pot_info *, struct err *);
/* `info -E`: what the pot learns about itself, "_POT_NAME=web". */
int pot_self_env(struct pot_env *, const struct pot_spec *, const struct pot_state *,
    struct arena *, struct pot_strs *, struct err *);

struct pot_usage {
	bool disk_hidden; /* this user may not look at all of its files */
	uint64_t disk_bytes;
	bool running; /* the rest is only known then */
	uint64_t rss_bytes, cache_bytes, swap_bytes, memory_limit_bytes /* 0: none */;
	uint64_t cpu_ns; /* since the start */
	unsigned pids;
	char *cpus;		/* allocated ones, "0,1"; "" when all */
	uint64_t virtual_bytes; /* memory and swap charged to it, with files that are cached */
	int64_t read_ns;	/* when it was so, by the clock of clock_mono_ns() */
};
/* How busy it is, in percent of one processor: since somebody last asked, else since its start. */
double pot_cpu_percent(struct pot_env *, const char *name, const struct pot_usage *);
/* What a dataset and those below it use; named as in fscomp.conf, or relative to the root. */
int pot_dataset_usage(struct pot_env *, const char *dataset, uint64_t *bytes, struct err *);
int pot_usage(struct pot_env *, const char *name, bool disk, struct arena *, struct pot_usage *,
    struct err *);
/* conf/.last_run_stats as JSON text, "{}" when it never ran. */
int pot_last_run(struct pot_env *, const char *name, struct arena *, char **json, struct err *);

#endif
