/*
 * pot_cli.h: the `pot` command: one table of verbs, each a row with its options.
 *
 * The rows drive everything that is told about a verb: parsing, help, completion and the manual's
 * synopsis. A verb's function gets its options parsed and checked for presence; it calls libpot and
 * prints. Messages go to standard output with pot's prefixes, as its users' scripts expect; with
 * --json the output is one JSON value and an error is {"error":{"kind":…,"message":…}}.
 */
#ifndef CLI_POT_CLI_H
#define CLI_POT_CLI_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "codec/json.h"
#include "image/image.h"
#include "pot/machine.h"

#include <stdbool.h>
#include <stdio.h>

/* What an option's argument names, for completion. */
enum pot_complete {
	COMPLETE_NONE,
	COMPLETE_POT,
	COMPLETE_RUNNING,
	COMPLETE_BASE,
	COMPLETE_FSCOMP,
	COMPLETE_BRIDGE,
	COMPLETE_FLAVOUR,
	COMPLETE_FILE,
	COMPLETE_DIR,
	COMPLETE_ATTR,
	COMPLETE_NETWORK,
	COMPLETE_STACK,
	COMPLETE_COMMAND,
	COMPLETE_SIGNAL,
	COMPLETE_OUTPUT,
	COMPLETE_TYPE,
	COMPLETE_LEVEL,
	COMPLETE_DNS,
	COMPLETE_VALUE /* of the configuration */
};

/* Letters of options that have a long name only. */
enum { OPTION_UNSET = 1, OPTION_DRY_RUN, OPTION_LONG_MAX = 31 };

struct pot_option {
	char letter;	      /* 0 ends the list; OPTION_…: there is the long name alone */
	const char *argument; /* what to call its argument in help; NULL: a switch */
	enum pot_complete complete;
	enum { OPTION_MUST = 1, OPTION_MANY = 2 } flags;
	const char *meaning;
	const char *name; /* its long name, "dry-run"; NULL: none */
};
#define DRY_RUN_ROW                                                                                \
	{                                                                                          \
		OPTION_DRY_RUN, NULL, 0, 0, "only say what would be done", "dry-run"               \
	}
#define WIDE_ROW                                                                                   \
	{                                                                                          \
		'o', "wide", COMPLETE_OUTPUT, 0, "with more columns"                               \
	}

/* The names that `pot config -g` knows, separated by blanks. */
const char *pot_config_words(struct arena *);

enum pot_command_flags {
	COMMAND_ROOT = 1,    /* changes something: root only */
	COMMAND_ANYTIME = 2, /* works before `pot init` */
	COMMAND_NAME = 4,    /* a bare name may stand for -p name */
	COMMAND_ARGS = 8,    /* what follows the options is its own business */
	COMMAND_JSON = 16,   /* prints something: knows --json */
	COMMAND_NO_ENV = 32, /* needs no configuration */
	COMMAND_EMPTY = 64,  /* a verb that pot 0.16 names and has nothing behind */
	COMMAND_LOOKS = 128  /* changes nothing although it needs root: not logged */
};

/* What such a verb is answered with; %s: its name. */
#define POT_EMPTY_SAYS                                                                             \
	"%s: pot 0.16 knows the word and does nothing for it either; clones need no promotion, "   \
	"their source may be destroyed"

struct pot_call;
struct pot_command {
	const char *name;
	const char *alias; /* blank-separated, or NULL */
	const char *summary;
	unsigned flags;
	const struct pot_option *options; /* -h, -v and --json come by themselves */
	const char *rest;		  /* what follows the options, in help */
	int (*run)(struct pot_call *c);	  /* the exit code */
	const char *group;
};

/* What was given for one letter. */
struct pot_given {
	const char **at; /* at[n] is NULL */
	size_t n;
};

/* One invocation. */
struct pot_call {
	const struct pot_command *command;
	struct pot_env *env; /* NULL with COMMAND_NO_ENV */
	struct pot_given given[128];
	int argc; /* what follows the options */
	char **argv;
	int verbosity; /* 1; -v adds; 0: errors only */
	bool json;
	bool beside; /* messages go to standard error */
	bool colour; /* standard output is a terminal that has it, and NO_COLOR is not set */
	struct arena mem;
	struct buf out; /* JSON on its way */
};

/* ---- options ---- */
bool given(const struct pot_call *c, char letter);
const char *given_one(const struct pot_call *c, char letter);	     /* the last one, or NULL */
const char *const *given_all(const struct pot_call *c, char letter); /* NULL when none */
/* -p, or the bare name; the table guarantees that one of them is there. */
const char *given_pot(const struct pot_call *c);
/* A command as nomad-pot-driver gives it, wrapped in literal double quotes: without them. */
char *unquote_cmd(struct pot_call *c, const char *cmd);

/* -o wide; another word after -o is a wrong use: -1, told. */
int given_wide(struct pot_call *c);
/* How an option is written: "-p" or "--dry-run"; arena memory. */
const char *option_text(const struct pot_option *o, struct arena *mem);

/* ---- colour ---- */
enum paint { PAINT_BAD, PAINT_GOOD, PAINT_DOUBTFUL, PAINT_HEAD };
/* The text, coloured where that makes sense; arena memory. */
const char *paint(struct pot_call *c, enum paint, const char *text);
/* "running" and the like in their colours. */
const char *paint_state(struct pot_call *c, enum pot_running);

/* ---- messages ---- */
void say_error(struct pot_call *c, const char *fmt, ...) PRINTFLIKE(2, 3);
void say_info(struct pot_call *c, const char *fmt, ...) PRINTFLIKE(2, 3);
void say_debug(struct pot_call *c, const char *fmt, ...) PRINTFLIKE(2, 3);
/* Tells the error and returns the exit code 1. An unknown pot gets a suggestion. */
int fail(struct pot_call *c, const struct err *e);
/* Wrong use: the message, how to get help, 1. */
int fail_usage(struct pot_call *c, const char *fmt, ...) PRINTFLIKE(2, 3);

/* ---- JSON ---- */
struct jsonw json_begin(struct pot_call *c);
int json_done(struct pot_call *c); /* prints it; 0 */
void json_strs(struct jsonw *w, const char *key, const struct pot_strs *list);

/* ---- images ---- */
struct image_tool call_image_tool(struct pot_call *c);
/* From here on, signals make image_*() fail and the call clean up, in place of killing us. */
void call_catch_signals(void);
/* SIGTERM, and SIGINT unless it is ignored; gives where the signal that came is noted. */
const volatile sig_atomic_t *call_catch_end(void);
/* The same for calls of libpot that may take long. */
void call_catch_for(struct pot_call *c);

/* One line in the system's log (pot_audit.c). */
void pot_audit(struct pot_call *c, const char *facility);

/* ---- the table ---- */
extern const struct pot_command *const pot_commands[]; /* NULL ends; in the order of help */
const struct pot_command *pot_command_named(const char *name);
const char *pot_command_near(const char *name); /* a name that is nearly this, or NULL */
void pot_help(const struct pot_command *command, FILE *to); /* NULL: the overview */
/* The manual's list of commands; `pot completion mdoc` prints it. */
void pot_mdoc(FILE *to);
void pot_mdoc_conf(FILE *to); /* `pot completion mdoc-conf`: for pot.conf(5) */
int pot_completion(const char *shell, FILE *to, struct err *e);
int pot_cli_main(int argc, char **argv);

/* Rows, one file per group. */
extern const struct pot_command pot_cmd_help, pot_cmd_version, pot_cmd_completion;
extern const struct pot_command pot_cmd_init, pot_cmd_deinit, pot_cmd_vnet_start, pot_cmd_vnet_stop,
    pot_cmd_create_bridge, pot_cmd_config, pot_cmd_doctor;
extern const struct pot_command pot_cmd_create_base, pot_cmd_import, pot_cmd_export,
    pot_cmd_prepare;
extern const struct pot_command pot_cmd_create, pot_cmd_clone, pot_cmd_rename, pot_cmd_destroy,
    pot_cmd_prune;
extern const struct pot_command pot_cmd_start, pot_cmd_stop, pot_cmd_term, pot_cmd_run,
    pot_cmd_exec, pot_cmd_signal;
extern const struct pot_command pot_cmd_ps, pot_cmd_list, pot_cmd_show, pot_cmd_info, pot_cmd_net,
    pot_cmd_ports, pot_cmd_datasets, pot_cmd_last_run, pot_cmd_get_rss;
extern const struct pot_command pot_cmd_set_cmd, pot_cmd_set_env, pot_cmd_set_hosts,
    pot_cmd_set_rss, pot_cmd_set_attr, pot_cmd_get_attr, pot_cmd_export_ports, pot_cmd_add_dep,
    pot_cmd_set_hook, pot_cmd_update_config, pot_cmd_set_status, pot_cmd_top, pot_cmd_boot;
extern const struct pot_command pot_cmd_create_fscomp, pot_cmd_clone_fscomp;
extern const struct pot_command pot_cmd_copy_in, pot_cmd_copy_out, pot_cmd_mount_in,
    pot_cmd_mount_out, pot_cmd_snapshot, pot_cmd_revert, pot_cmd_purge;

#endif
