/*
 * plugin.h: nomad-pot-driver: the task driver that Nomad starts as a plugin.
 *
 * One process, one loop. Nomad speaks gRPC to it over a Unix socket (grpc.h); what needs root or
 * may block is asked of a pot-runner that it starts itself (worker.c). Tasks are known by Nomad's
 * id; all that is needed to find one again stands in the handle that Nomad keeps (driver_state).
 */
#ifndef PLUGIN_PLUGIN_H
#define PLUGIN_PLUGIN_H

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "client/runner.h"
#include "codec/any.h"
#include "codec/model.h"
#include "io/loop.h"
#include "plugin/grpc.h"
#include "plugin.pb-c.h"

#define PLUGIN_API "v0.1.0"

/* ---- what it was told ---- */

struct plugin_config {
	struct arena mem;
	bool enabled;
	bool image_isolation; /* tasks see /alloc, /local, /secrets in their variables */
	const char *pot_conf; /* NULL: the installed one */
	const char *libexec;  /* NULL: the installed one */
	/* of a pot-runner that serves; NULL: our own, or the usual one when we are not root */
	const char *runner_socket;
	/* in place of what pot_conf says; NULL */
	const char *pot_root, *signatures, *signature_pubkey;
	struct strs mirrors; /* registries that are asked before the job's own */
	int64_t image_gc_ns; /* an image that no task uses for so long goes; < 0: never */
};
void plugin_config_defaults(struct plugin_config *c);
/* On failure *c stays as it is. */
int plugin_config_read(struct plugin_config *c, const void *msgpack, size_t len, struct err *e);

struct task_port {
	const char *label;
	bool udp;
	uint16_t inside;
};
struct task_pair {
	const char *source, *target;
	bool read_only;
};
struct task_config {
	const char *image, *pot, *tag, *path; /* "" when not given */
	const char *command; /* with its arguments, as a shell reads it; NULL: the image's own */
	const char *network_mode, *bridge, *env_file;
	VEC(struct task_port) ports;
	VEC(struct task_pair) copies, mounts;
	struct strs hosts, attributes, dns; /* "ip name", "name=value", addresses */
	struct strs addresses; /* of network_mode alias and the bridges: "[nic|]address" */
	const char *processes, *files, *io_weight, *cpus, *pin; /* limits; NULL */
};
/* Everything lives in the arena but the vectors. Errors name the key. */
int task_config_read(
    struct task_config *c, const struct any *config, struct arena *a, struct err *e);
void task_config_fini(struct task_config *c);

/* The trees that tell Nomad what may be written; static. */
const Np__Spec *schema_plugin(void);
const Np__Spec *schema_task(void);

/* ---- the process ---- */

struct worker;
struct pull;
struct task;

struct stream { /* a call that stays open */
	struct grpc_call *call;
	struct stream *next, **self;
};

struct plugin {
	struct loop *loop;
	struct grpc_server *server;
	struct plugin_config config;
	struct worker *worker; /* NULL until it is needed */
	struct map tasks;      /* Nomad's id -> struct task */
	struct map pulls;      /* "<image>_<tag>" -> struct pull */
	struct map images;     /* struct image of gc: what tasks came from */
	struct stream *events, *fingerprints;
	struct loop_timer *fingerprint_timer;
	struct buf fingerprint;	  /* the last one, packed */
	struct asking *asking;	  /* fingerprint.c: a question to the runner is on its way */
	int64_t recover_until_ns; /* monotonic; 0: no recovery has to wait */
	bool in_service;	  /* the agent counts on this process, and may come back to it */
	struct loop_timer *unused_timer;
	void (*stop)(struct plugin *p);
};

extern const struct grpc_method plugin_methods[];

/* A call that stays in a list until it ends by itself or is cancelled. */
struct stream *stream_add(struct stream **list, struct grpc_call *call);
void stream_free(struct stream *s);

/* ---- worker.c: the pot-runner ---- */

/* Where pot-runner --serve listens unless it was told another place. */
#define PLUGIN_RUNNER_SOCKET "/var/run/pot/runner.sock"
/* Starts one, or connects to the one that serves. NULL: it cannot be had, *e says why; when there
 * was one before, the same is given as long as another may come. */
struct runner *plugin_runner(struct plugin *p, struct err *e);
void worker_free(struct plugin *p);

/* ---- handshake.c ---- */

/* Checks what Nomad put into the environment; the reason in *e. */
int handshake_check(struct err *e);
/* A listening socket at a path of its own. */
int handshake_listen(char *path, size_t size, struct err *e);

/* ---- journal.c: log lines as Nomad reads them ---- */

void journal_open(void); /* takes over base/log.h */
void journal_line(struct buf *out, const char *level, const char *module, const char *text);

/* ---- events.c ---- */

void event_say(struct plugin *p, const char *task_id, const char *alloc_id, const char *task,
    const char *fmt, ...) PRINTFLIKE(5, 6);

/* ---- image.c: images come before the pots made of them ---- */

typedef void pulled_fn(void *ctx, const struct err *e); /* NULL: it is here */
struct pull_want;
/* Brings <image>_<tag> here; wants for the same image share one download. note: progress. */
struct pull_want *image_pull(struct plugin *p, const char *image, const char *tag, const char *url,
    void (*note)(void *ctx, const char *text), pulled_fn *done, void *ctx);
void image_want_free(struct pull_want *w); /* no more interest */
void image_used(struct plugin *p, const char *image, int change);
void image_fini(struct plugin *p);

#endif
