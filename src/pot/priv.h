/*
 * priv.h: what the files of libpot share among themselves.
 */
#ifndef POT_PRIV_H
#define POT_PRIV_H

#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"
#include "platform/dataset.h"
#include "platform/host.h"
#include "platform/mount.h"
#include "platform/proc.h"
#include "pot/keep.h"
#include "pot/machine.h"

#include <stdio.h>
#include <stdlib.h>

enum { CONF_MAX = 1 << 20, PATH_SIZE = 1024, DATASET_SIZE = 300 };

/* ---- the machine's log (syslogd.c) ---- */
/* What it needs to take lines from pots, with a backup and a word of what changes; twice is
 * harmless. undo: takes back what is still as setup left it. */
int syslogd_setup(struct pot_env *, struct err *);
int syslogd_undo(struct pot_env *, struct err *);

/* ---- small things (env.c) ---- */
void pot_say(const struct pot_env *, enum pot_say_level, const char *fmt, ...) PRINTFLIKE(3, 4);
/* In a dry run: says and notes that this would be destroyed. */
bool only_told(struct pot_env *, const char *fmt, ...) PRINTFLIKE(2, 3);
int need_root(const char *act, struct err *e);
/* -1 when a signal asked this command to end (pot_env.stop). */
int interrupted(struct pot_env *, struct err *);
/* Directories of the tree; existing ones are fine. */
int make_dirs(const char *path, mode_t mode, struct err *e);
/* Removes a directory tree of ours (no mounts below); absent is fine. */
int remove_tree(const char *path, struct err *e);
int remove_tree_at(int dirfd, const char *name, struct err *e);
int open_dir(const char *path, struct err *e); /* close-on-exec */
const char *path_at(char out[PATH_SIZE], const char *fmt, ...) PRINTFLIKE(2, 3);
/* pot_strs in an arena, one by one. */
struct strs_builder {
	struct pot_strs *out;
	size_t cap;
	struct arena *mem;
};
void list_add(struct strs_builder *, char *string_of_the_arena);
void list_sort(struct pot_strs *);
bool list_has(const struct pot_strs *, const char *);
#define STRS_BUILDER(o, m)                                                                         \
	{                                                                                          \
		.out = (o), .cap = 0, .mem = (m)                                                   \
	}

/* Since its last change; INT64_MAX when it is not there. */
int64_t file_age_seconds(const char *path);
int64_t now_seconds(void);

/* ---- what attributes mean to the machine (effect.c) ---- */
int pot_number(const struct pot_env *, pid_t init);		 /* pot_state.number */
unsigned stack_lacks(struct pot_env *, const struct pot_spec *); /* ISOLATE_NO_… */
/* ISOLATE_CAP… of its commands */
uint64_t attr_caps(const struct pot_env *, const struct pot_spec *);
bool attr_raw_sockets(const struct pot_env *, const struct pot_spec *); /* they are granted */
/* ISOLATE_IPC as it is to be shared or not, and what is switched off of it. */
unsigned attr_what(struct pot_env *, const struct pot_spec *, unsigned what, unsigned *no_ipc);
/* "name=value" of all that the system understands by itself. */
const char *const *attr_system(struct pot_env *, const struct pot_spec *, struct arena *);

/* ---- locks (lock.c) ---- */
enum { LOCK_WAIT, LOCK_TRY };
/* A descriptor that holds the pot's lock until closed; LOCK_TRY: ERR_BUSY when it is held. What an
 * interrupted creation or removal left is removed first. */
int lock_pot(struct pot_env *, const char *name, int how, struct err *e);
int lock_named(struct pot_env *, const char *lock, int how, struct err *e);
int lock_base(struct pot_env *, const char *base, int how, struct err *e);
/* While fd is held, lock_pot() of the same name in this environment shares it. NULL: no more. */
void lock_share(struct pot_env *, const char *name, int fd);
/* Both, in an order that cannot deadlock. */
int lock_pots(struct pot_env *, const char *a, const char *b, int *fd_a, int *fd_b, struct err *e);
/* Removes the lock file of a pot that is gone; the caller holds it. */
void lock_forget(struct pot_env *, const char *name);
/* In the environment of a hook: the pot around whose run it runs. Its lock may be held by whoever
 * waits for the hook, so a command of the hook does not wait for it. */
#define LOCK_HOOK_OF "POT_HOOK_OF"
#define LOCK_ALLOC   ".allocation"
#define LOCK_PORTS   ".ports"
#define LOCK_NET     ".network"

/* ---- pot.conf as lines (conf.c) ---- */
struct conf_line {
	char *text; /* without newline */
	bool gone;
};
struct conf {
	struct arena *mem;
	VEC(struct conf_line) lines;
};
void conf_fini(struct conf *);
#define autoconf CLEANUP(conf_fini)
#define CONF_INIT(m)                                                                               \
	{                                                                                          \
		.mem = (m), .lines = VEC_INIT                                                      \
	}
int conf_parse(struct conf *, const char *text, size_t len, struct err *e);
int conf_load(struct conf *, struct pot_env *, const char *pot, struct err *e);
int conf_save(const struct conf *, struct pot_env *, const char *pot, struct err *e);
void conf_write(const struct conf *, struct buf *out);
/* The value after the first '=' of the last line with this key, or NULL. */
const char *conf_get(const struct conf *, const char *key);
/* In place of the first line with the key (others go), else at the end. NULL: the lines go. */
void conf_set(struct conf *, const char *key, const char *value);
void conf_add(struct conf *, const char *key, const char *value);
void conf_drop_prefix(struct conf *, const char *prefix); /* all lines that start with it */
/* All <path>/<name><file>, in the order of the directory; what cannot be read is left out. */
int each_file(const char *path, const char *file,
    void (*fn)(void *ctx, const char *name, const char *text, size_t len), void *ctx,
    struct err *e);
bool conf_line_key(const char *line, const char *key); /* "key=" in front */

/* pot.cmd, and pot.cmd.argv.<n> when argv is given. (set.c) */
void conf_set_cmd(struct conf *, const char *cmd, const char *const *argv);

/* ---- fscomp.conf (fscomp.c) ---- */
struct fscomps {
	struct pot_fscomp *at;
	size_t n;
};
int fscomp_parse(const char *text, size_t len, const char *root_prefix, struct arena *,
    struct fscomps *, struct err *e);
void fscomp_write(const struct fscomps *, struct buf *out);
/* The list as a file that looks as the old one did: lines that mean nothing stay where they are. */
void fscomp_merge(
    const char *text, size_t len, const char *root_prefix, const struct fscomps *, struct buf *out);
int fscomp_load(struct pot_env *, const char *pot, struct arena *, struct fscomps *, struct err *e);
int fscomp_save(struct pot_env *, const char *pot, const struct fscomps *, struct err *e);
void fscomp_add(struct fscomps *, struct arena *, const struct pot_fscomp *);

/* pot.raw_sockets beside pot.attr.raw_sockets=NO: this NO is not the one that pot 0.16 writes into
 * every pot. */
#define POT_RAW_REFUSED "refused"

/* "64m" in bytes; -1: malformed. (spec.c) */
int memory_parse(const char *text, uint64_t *bytes);

/* "0-1,3": well written? (spec.c) */
bool pin_check(const char *text);

/* ---- the command as words (words.c) ---- */
/* Splits like a shell does with quotes and backslashes. *needs_shell: it holds more than words. */
int words_split(
    const char *line, struct arena *, struct pot_strs *, bool *needs_shell, struct err *e);
char *argv_as_cmd(
    const char *const *argv, struct arena *); /* for pot.cmd: without newlines (spec.c) */
char *words_join(
    const char *const *argv, struct arena *);	     /* one line that splits into argv again */
void words_quote(const char *word, struct buf *out); /* 'single quotes' */

/* ---- addresses and ports (net.c) ---- */
struct net_want {
	enum pot_net net;
	enum pot_stack stack; /* effective */
	const char *const *ip;
	const char *bridge, *mac; /* NULL when none */
};
struct net_choice {
	enum pot_net net;
	enum pot_stack stack; /* effective */
	char ip[1024];	      /* "" when none; of an alias pot a list "em0|10.0.0.1 10.0.0.2" */
	char ip6[48], mac[18], bridge[POT_BRIDGE_NAME_MAX + 1];
};
/* Checks what was asked and chooses what was not. The caller holds LOCK_ALLOC. */
int net_choose(struct pot_env *, const char *for_pot, const struct net_want *, struct net_choice *,
    struct err *e);
/* A public pot of another machine, or of an earlier pot, may lack the IPv6 address that its stack
 * wants: it is chosen and written down. The caller holds the pot's lock. */
int net_complete(struct pot_env *, struct pot_spec *, struct arena *, struct err *e);
/* Writes network_type, vnet, ip, ip6, mac, bridge into conf. */
void net_store(struct conf *, const struct net_choice *, enum pot_stack stored);
char *hostname_for(struct pot_env *, const char *pot, struct arena *);
int dns_check(const char *dns, enum pot_dns *kind, const char **file, struct err *e);

/* ---- intents: what is being made or removed (intent.c) ---- */
enum intent_kind { INTENT_POT, INTENT_BASE, INTENT_SNAPSHOT, INTENT_REVERT, INTENT_RENAME };
/* choice: what it will take of the network; NULL: nothing. */
int intent_begin(struct pot_env *, const char *name, enum intent_kind, struct err *e);
/* A pot is being made, with these addresses; whole: the dataset whose being there says that it is
 * complete (where the file system keeps order), or NULL. */
int intent_making(struct pot_env *, const char *name, const struct net_choice *, const char *whole,
    struct err *e);
int intent_note(
    struct pot_env *, const char *name, enum intent_kind, const char *text, struct err *e);
int intent_done(struct pot_env *, const char *name, enum intent_kind, struct err *e);
/* 1: there is one, 0: none. */
int intent_exists(struct pot_env *, const char *name, enum intent_kind, struct err *e);
/* Removes what it announces, then itself. The caller holds the lock. */
int intent_undo(struct pot_env *, const char *name, enum intent_kind, struct err *e);
/* What whoever finds one does: undo, unless what it announces is complete. */
int intent_settle(struct pot_env *, const char *name, enum intent_kind, struct err *e);
int intent_list(
    struct pot_env *, enum intent_kind, struct arena *, struct pot_strs *, struct err *e);

/* ---- making (create.c) ---- */
/* What create, clone and receive do alike: announce, make, and undo on failure. */
struct making {
	struct pot_env *env;
	const char *name;
	int *origin_lock; /* given back when make() is through; may be NULL */
	const char *base; /* whose lock is held meanwhile; may be NULL */
	bool keep;
	int (*make)(struct making *, struct err *); /* datasets and conf/ */
	const char *const *flavours;
	enum pot_net net;
	enum pot_stack stack_stored, stack;
	const char *const *ip;
	const char *bridge, *mac;
	struct net_choice choice; /* when make() is called */
	const char *whole;	  /* intent_making() */
	const void *options;
	void *ctx;
	struct arena mem;
};
/* The caller holds the pot's lock. */
int making_run(struct making *, struct err *);
int making_announce(struct making *, struct err *); /* its first step alone */
int net_options(struct pot_env *, const struct pot_net_options *, enum pot_net net,
    enum pot_stack stack, struct making *, struct err *);
int dns_store(struct making *, struct conf *, const char *dns, struct err *);
/* Clone with a last word about the configuration. (clone.c) */
int clone_adapted(struct pot_env *, const struct pot_clone_options *,
    int (*adapt)(struct conf *, void *ctx, struct err *), void *ctx, struct err *);

/* ---- datasets of a pot (create.c, snapshot.c) ---- */
const char *ds_pot(char out[DATASET_SIZE], const char *pot);
const char *ds_root(char out[DATASET_SIZE], const char *pot); /* "jails/<pot>/m" */
/* Names, sorted, also of those that are being made or removed, which may name others. (list.c) */
int all_pots(struct pot_env *, struct arena *, struct pot_strs *, struct err *e);
int pot_exists(struct pot_env *, const char *name, struct err *e); /* 1, 0, -1 */
int newest_snapshot(
    struct pot_env *, const char *dataset, char **snap /* NULL: none */, struct err *e);
/* The same of several in one question; strings of the arena. *absent: the one of which ERR_ABSENT
 * speaks; n: not known. */
int newest_snapshots(struct pot_env *, const char *const *datasets, size_t n, struct arena *,
    const char **snap, size_t *absent, struct err *e);
/* All about a dataset and what lies below it (NULL: about all), with the pots' locks as the word on
 * who may be writing. (datasets.c) */
int datasets_survey(
    struct pot_env *, const char *dataset, struct dataset_survey *out, struct err *e);
/* A snapshot of all datasets of a pot, of all or none. The caller holds the pot's lock. */
int snapshot_all(struct pot_env *, const char *name, char *snap_out, size_t size, struct err *e);
/* What an interrupted snapshot left ("snap=<name>") goes; an interrupted revert is finished. */
int snapshot_undo(struct pot_env *, const char *name, const char *intent, struct err *e);
int revert_again(struct pot_env *, const char *name, struct err *e);
/* An interrupted renaming is finished, if it had begun. (rename.c) */
int rename_again(struct pot_env *, const char *new_name, const char *intent, struct err *e);
/* The datasets of a pot, itself first. */
int pot_tree(struct pot_env *, const char *name, struct names *out, struct err *e);
int destroy_datasets(struct pot_env *, const char *name, struct err *e);
int mkdir_conf(struct pot_env *, const char *name, struct err *e);
int flavours_apply(struct pot_env *, const char *name, const char *const *flavours, struct err *e);
int flavours_check(struct pot_env *, const char *const *flavours, struct err *e);
/* A file's content is on disk, or goes there with the next snapshot. (conf.c) */
int give_out(struct pot_env *, int dir, const char *file, struct err *e);
/* A file of conf/, replaced durably. */
int conf_file_put(struct pot_env *, const char *pot, const char *file, const void *data, size_t len,
    mode_t mode, struct err *e);

/* The same for a pot in the making: an empty file is synced by the pot.conf that is written last.
 */
int conf_file_new(struct pot_env *, const char *pot, const char *file, const void *data, size_t len,
    mode_t mode, struct err *e);

/* mount_root.at of a pot: where its jail's root lies. (tree.c) */
char *pot_place(struct pot_env *, const char *name, struct arena *);
/* What the mount code wants from a dataset's root; memory of the arena. */
int mount_root_of(
    struct pot_env *, const char *dataset, struct arena *, struct mount_root *, struct err *e);

#endif
