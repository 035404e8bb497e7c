/*
 * The `pot` driver: a task is a pot cloned from an image.
 *
 * Its config keys are those of nomad-pot-driver: image (a registry's URL), pot, tag, command, args,
 * network_mode, port_map, copy, mount, mount_read_only, extra_hosts, attributes. A start is prepare
 * (clone, settings) and start; where the image is not here yet it is imported in between.
 */
#include "client/driver.h"
#include "client/driver_call.h"

#include "base/str.h"
#include "codec/any.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- config ---- */

enum key_kind { KEY_TEXT, KEY_LIST, KEY_MAP };

static const struct key {
	const char *name;
	enum key_kind kind;
	bool required;
} keys[] = {
	{ "image", KEY_TEXT, true },
	{ "pot", KEY_TEXT, true },
	{ "tag", KEY_TEXT, true },
	{ "command", KEY_TEXT, false },
	{ "args", KEY_LIST, false },
	{ "network_mode", KEY_TEXT, false },
	{ "port_map", KEY_MAP, false },
	{ "copy", KEY_LIST, false },
	{ "mount", KEY_LIST, false },
	{ "mount_read_only", KEY_LIST, false },
	{ "extra_hosts", KEY_LIST, false },
	{ "attributes", KEY_LIST, false },
};

/* A block in a job file is a list of one map; both spellings mean the map. */
static const struct any *
map_of(const struct any *v)
{
	return any_type(v) == ANY_LIST && v->n == 1 ? any_at(v, 0) : v;
}

static bool
right_kind(const struct any *v, enum key_kind kind)
{
	switch (kind) {
	case KEY_TEXT:
		return any_type(v) == ANY_STR;
	case KEY_LIST:
		return any_type(v) == ANY_LIST;
	case KEY_MAP:
		return any_type(map_of(v)) == ANY_MAP;
	}
	return false;
}

static const struct key *
key_named(const char *name)
{
	for (size_t i = 0; i < NELEM(keys); i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static int
check(const struct any *config, struct err *e)
{
	static const char *const kind_text[] = { "a string", "a list of strings",
		"a block of label = port" };

	for (size_t i = 0; any_type(config) == ANY_MAP && i < config->n; i++) {
		const char *name = config->map.key[i];
		const struct key *k = key_named(name);
		if (k == NULL)
			return err_new(
			    e, ERR_INPUT, "config of driver pot: unknown key \"%s\"", name);
		if (any_type(config->map.value[i]) != ANY_NULL &&
		    !right_kind(config->map.value[i], k->kind))
			return err_new(e, ERR_INPUT,
			    "config of driver pot: \"%s\" must be %s, not a %s", name,
			    kind_text[k->kind], any_type_name(config->map.value[i]));
	}
	for (size_t i = 0; i < NELEM(keys); i++)
		if (keys[i].required && any_empty(any_get(config, keys[i].name)))
			return err_new(
			    e, ERR_INPUT, "config of driver pot: \"%s\" is required", keys[i].name);
	const char *mode = any_text(any_get(config, "network_mode"));
	if (mode != NULL && mode[0] != '\0' && strcmp(mode, "host") != 0 &&
	    strcmp(mode, "public-bridge") != 0)
		return err_new(e, ERR_INPUT,
		    "config of driver pot: network_mode \"%s\" is not supported (public-bridge, "
		    "host)",
		    mode);
	return 0;
}

static const char *
text_of(const struct any *config, const char *key)
{
	const char *s = any_text(any_get(config, key));

	return s != NULL ? s : "";
}

/* ---- one start ---- */

struct start {
	struct driver *driver;
	struct arena mem;
	struct driver_task task;
	driver_note *note;
	driver_started *started;
	void *ctx;
	const char *pot, *image, *tag, *url, *network;
	struct strs argv, ports, hosts, attributes;
	struct objs copies; /* struct driver_bind */
	struct objs binds;  /* struct driver_bind */
	size_t copied;
	bool imported;
	int64_t shown; /* percent of the download that was told */
};

/* "<task>_<allocation>", as nomad-pot-driver forms it; what a pot's name may not hold becomes "_".
 */
static char *
pot_name(const struct driver_task *t, struct arena *a)
{
	char *name = arena_printf(a, "%s_%s", t->task, t->alloc_id);

	for (char *p = name; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_')
			*p = '_';
	return name;
}

static void
start_ended(struct start *s, const struct driver_run *run, const struct err *e, bool retry)
{
	s->started(s->ctx, run, e, retry);
	arena_fini(&s->mem);
	free(s);
}

static const char *const *
list(const struct strs *l, struct arena *a)
{
	const char **out = arena_array(a, l->n + 1, const char *);

	if (l->n > 0)
		memcpy(out, l->at, l->n * sizeof(*out));
	return out;
}

static void
on_started(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct start *s = ctx;

	if (e != NULL) {
		start_ended(s, NULL, e, e->kind != ERR_INPUT && e->kind != ERR_UNSUPPORTED);
		return;
	}
	const struct runner_run *run = &r->runs[0];
	struct driver_run out = {
		.handle = arena_printf(&s->mem, "%s %s", s->pot, run->run_id),
		.ip = run->ip,
		.ip6 = run->ip6,
	};
	start_ended(s, &out, NULL, false);
}

static void
do_start(struct start *s)
{
	const struct driver_task *t = &s->task;
	struct runner_bind *binds = arena_array(&s->mem, s->binds.n + 1, struct runner_bind);
	struct runner_request req = { .op = RUNNER_POT_START, .pot = s->pot };

	for (size_t i = 0; i < s->binds.n; i++) {
		const struct driver_bind *b = s->binds.at[i];
		binds[i] = (struct runner_bind){ b->source, b->target, b->read_only };
	}
	req.binds = binds;
	req.n_binds = s->binds.n;
	req.env = list(&t->env, &s->mem);
	req.hosts = list(&s->hosts, &s->mem);
	req.user = t->user != NULL && t->user[0] != '\0' ? t->user : NULL;
	req.log = (struct runner_log){ t->log_dir, t->task, t->log_max_files, t->log_max_bytes };
	req.memory_bytes = (uint64_t)t->memory_mb << 20;
	req.cpu_shares = (unsigned)t->cpu_mhz;
	req.stop_signal = t->stop_signal;
	req.stop_timeout_ms = t->stop_timeout_ms;
	runner_call(s->driver->runner, &req, NULL, 0, NULL, on_started, s);
}

static void on_copied(void *ctx, const struct runner_reply *r, const struct err *e);

static void
next_copy(struct start *s)
{
	if (s->copied == s->copies.n) {
		do_start(s);
		return;
	}
	const struct driver_bind *c = s->copies.at[s->copied++];
	struct runner_request req = {
		.op = RUNNER_POT_COPY_IN, .pot = s->pot, .source = c->source, .target = c->target
	};
	runner_call(s->driver->runner, &req, NULL, 0, NULL, on_copied, s);
}

static void
on_copied(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct start *s = ctx;

	(void)r;
	if (e != NULL)
		start_ended(s, NULL, e, false);
	else
		next_copy(s);
}

/* ---- the image ---- */

static void do_prepare(struct start *s);

static void
on_import_progress(void *ctx, const struct runner_reply *r, int fd)
{
	struct start *s = ctx;
	char text[128];

	(void)fd;
	int64_t percent = r->total > 0 ? (int64_t)(r->done * 100 / r->total) : -1;
	if (percent < s->shown + 25)
		return;
	s->shown = percent;
	snprintf(text, sizeof(text), "Downloading image: %d %% of %.1f MB", (int)percent,
	    (double)r->total / 1e6);
	s->note(s->ctx, text);
}

static void
on_imported(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct start *s = ctx;

	(void)r;
	/* Another task may have brought the same image meanwhile. */
	if (e != NULL && e->kind != ERR_EXISTS) {
		struct err told = *e;
		err_ctx(&told, "image %s_%s from %s", s->image, s->tag, s->url);
		start_ended(s, NULL, &told, e->kind != ERR_INPUT);
		return;
	}
	s->imported = true;
	do_prepare(s);
}

static void
do_import(struct start *s)
{
	struct runner_request req = {
		.op = RUNNER_IMAGE_IMPORT, .image = s->image, .tag = s->tag, .url = s->url
	};

	s->note(s->ctx, "Downloading image");
	runner_call(s->driver->runner, &req, NULL, 0, on_import_progress, on_imported, s);
}

static void
on_prepared(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct start *s = ctx;

	(void)r;
	if (e == NULL)
		next_copy(s);
	else if (e->kind == ERR_ABSENT && !s->imported)
		do_import(s);
	else
		start_ended(s, NULL, e, e->kind != ERR_INPUT && e->kind != ERR_UNSUPPORTED);
}

static void
do_prepare(struct start *s)
{
	struct runner_request req = {
		.op = RUNNER_POT_PREPARE,
		.pot = s->pot,
		.image = s->image,
		.tag = s->tag,
		.argv = s->argv.n > 0 ? list(&s->argv, &s->mem) : NULL,
		.ports = list(&s->ports, &s->mem),
		.attributes = list(&s->attributes, &s->mem),
		.network = s->network,
		.memory_bytes = (uint64_t)s->task.memory_mb << 20,
	};

	runner_call(s->driver->runner, &req, NULL, 0, NULL, on_prepared, s);
}

/* ---- what the config asks for ---- */

static int
inside_port(const struct any *port_map, const struct driver_port *p, int64_t *out, struct err *e)
{
	const struct any *v = any_get(port_map, p->label);
	uint64_t n;
	double d;

	if (v == NULL) {
		*out = p->to > 0 ? p->to : p->host_port;
		return 0;
	}
	if (any_number(v, &d) && d >= 1 && d <= 65535)
		*out = (int64_t)d;
	else if (any_text(v) != NULL && str_u64(any_text(v), 65535, &n) && n > 0)
		*out = (int64_t)n;
	else
		return err_new(e, ERR_INPUT,
		    "config of driver pot: port_map: \"%s\" must be a port from 1 to 65535",
		    p->label);
	return 0;
}

static int
gather_ports(struct start *s, struct err *e)
{
	const struct any *port_map = map_of(any_get(s->task.config, "port_map"));

	for (size_t i = 0; any_type(port_map) == ANY_MAP && i < port_map->n; i++) {
		bool known = false;
		for (size_t k = 0; k < s->task.n_ports; k++)
			known = known || strcmp(s->task.ports[k].label, port_map->map.key[i]) == 0;
		if (!known)
			return err_new(e, ERR_INPUT,
			    "config of driver pot: port_map: no port is labelled \"%s\"",
			    port_map->map.key[i]);
	}
	for (size_t i = 0; i < s->task.n_ports; i++) {
		const struct driver_port *p = &s->task.ports[i];
		int64_t inside = 0;
		if (inside_port(port_map, p, &inside, e) < 0)
			return -1;
		strs_add(&s->ports, &s->mem,
		    arena_printf(
			&s->mem, "tcp:%lld:%lld", (long long)inside, (long long)p->host_port));
	}
	return 0;
}

/* "source:target" lists of copy and mount */
static int
gather_pairs(struct start *s, const char *key, bool read_only, struct objs *out, struct err *e)
{
	const struct any *l = any_get(s->task.config, key);

	for (size_t i = 0; any_type(l) == ANY_LIST && i < l->n; i++) {
		const char *text = any_text(any_at(l, i)),
			   *colon = text != NULL ? strchr(text, ':') : NULL;
		if (colon == NULL || text[0] != '/' || colon[1] != '/')
			return err_new(e, ERR_INPUT,
			    "config of driver pot: %s: \"%s\" is not \"/source:/target\"", key,
			    text != NULL ? text : "");
		struct driver_bind *b = arena_new(&s->mem, struct driver_bind);
		b->source = arena_strndup(&s->mem, text, (size_t)(colon - text));
		b->target = arena_strdup(&s->mem, colon + 1);
		b->read_only = read_only;
		objs_add(out, &s->mem, b);
	}
	return 0;
}

/* "KEY:VALUE" of attributes becomes "KEY=VALUE", "name:ip" of extra_hosts "ip name". */
static int
gather_words(struct start *s, const char *key, bool swap, struct strs *out, struct err *e)
{
	const struct any *l = any_get(s->task.config, key);

	for (size_t i = 0; any_type(l) == ANY_LIST && i < l->n; i++) {
		const char *text = any_text(any_at(l, i)),
			   *colon = text != NULL ? strchr(text, ':') : NULL;
		if (colon == NULL || colon == text || colon[1] == '\0')
			return err_new(e, ERR_INPUT,
			    "config of driver pot: %s: \"%s\" needs a colon between two words", key,
			    text != NULL ? text : "");
		int first = (int)(colon - text);
		strs_add(out, &s->mem,
		    swap ? arena_printf(&s->mem, "%s %.*s", colon + 1, first, text)
			 : arena_printf(&s->mem, "%.*s=%s", first, text, colon + 1));
	}
	return 0;
}

static int
gather(struct start *s, struct err *e)
{
	const struct any *config = s->task.config, *args = any_get(config, "args");

	if (check(config, e) < 0)
		return -1;
	s->image = text_of(config, "pot");
	s->tag = text_of(config, "tag");
	s->url = text_of(config, "image");
	s->network =
	    strcmp(text_of(config, "network_mode"), "host") == 0 ? "inherit" : "public-bridge";
	if (text_of(config, "command")[0] != '\0')
		strs_add(&s->argv, &s->mem, text_of(config, "command"));
	for (size_t i = 0; s->argv.n > 0 && any_type(args) == ANY_LIST && i < args->n; i++)
		strs_add(&s->argv, &s->mem, any_scalar_text(any_at(args, i), &s->mem));
	for (size_t i = 0; i < s->task.n_binds; i++)
		objs_add(&s->binds, &s->mem,
		    arena_memdup(&s->mem, &s->task.binds[i], sizeof(s->task.binds[i])));
	if (strcmp(s->network, "inherit") != 0 && gather_ports(s, e) < 0)
		return -1;
	if (gather_pairs(s, "copy", false, &s->copies, e) < 0 ||
	    gather_pairs(s, "mount", false, &s->binds, e) < 0 ||
	    gather_pairs(s, "mount_read_only", true, &s->binds, e) < 0)
		return -1;
	return gather_words(s, "attributes", false, &s->attributes, e) < 0 ||
		       gather_words(s, "extra_hosts", true, &s->hosts, e) < 0
		   ? -1
		   : 0;
}

static void
copy_task(struct start *s, const struct driver_task *t)
{
	struct driver_port *ports = arena_array(&s->mem, t->n_ports + 1, struct driver_port);
	struct driver_bind *binds = arena_array(&s->mem, t->n_binds + 1, struct driver_bind);

	s->task = *t;
	for (size_t i = 0; i < t->n_ports; i++) {
		ports[i] = t->ports[i];
		ports[i].label = arena_strdup(&s->mem, t->ports[i].label);
	}
	for (size_t i = 0; i < t->n_binds; i++)
		binds[i] = (struct driver_bind){ arena_strdup(&s->mem, t->binds[i].source),
			arena_strdup(&s->mem, t->binds[i].target), t->binds[i].read_only };
	s->task.ports = ports;
	s->task.binds = binds;
	s->task.env = (struct strs){ 0 };
	for (size_t i = 0; i < t->env.n; i++)
		strs_add(&s->task.env, &s->mem, t->env.at[i]);
	s->task.config = any_copy(t->config, &s->mem);
	s->task.task = arena_strdup(&s->mem, t->task);
	s->task.alloc_id = arena_strdup(&s->mem, t->alloc_id);
	s->task.log_dir = arena_strdup(&s->mem, t->log_dir);
	s->task.user = t->user != NULL ? arena_strdup(&s->mem, t->user) : NULL;
}

static void
start(struct driver *d, const struct driver_task *t, driver_note *note, driver_started *started,
    void *ctx)
{
	struct start *s = xcalloc(1, sizeof(*s));
	struct err e = ERR_INIT;

	s->driver = d;
	s->note = note;
	s->started = started;
	s->ctx = ctx;
	copy_task(s, t);
	s->pot = pot_name(t, &s->mem);
	if (gather(s, &e) < 0) {
		driver_refuse(d->runner, &e, false, started, ctx);
		arena_fini(&s->mem);
		free(s);
		return;
	}
	do_prepare(s);
}

/* ---- a handle is "<pot> <run id>" ---- */

static const char *
handle_pot(const char *handle, struct arena *a, const char **run_id)
{
	const char *blank = strchr(handle, ' ');

	if (run_id != NULL)
		*run_id = blank != NULL ? arena_strdup(a, blank + 1) : NULL;
	return arena_strndup(a, handle, blank != NULL ? (size_t)(blank - handle) : strlen(handle));
}

static char *
handle(const struct driver_task *t, struct arena *a)
{
	return pot_name(t, a);
}

struct adopt {
	char *handle;
	driver_started *started;
	void *ctx;
};

static void
on_listed(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct adopt *ad = ctx;
	struct err gone = ERR_INIT;
	struct arena mem = ARENA_INIT;
	const char *run_id, *pot = handle_pot(ad->handle, &mem, &run_id);
	const struct runner_run *found = NULL;

	for (size_t i = 0; e == NULL && i < r->n_runs; i++)
		if (str_eq(r->runs[i].pot, pot) && str_eq(r->runs[i].run_id, run_id) &&
		    r->runs[i].running)
			found = &r->runs[i];
	if (found != NULL) {
		struct driver_run run = {
			.handle = ad->handle, .ip = found->ip, .ip6 = found->ip6
		};
		ad->started(ad->ctx, &run, NULL, false);
	} else {
		if (e == NULL)
			err_new(&gone, ERR_ABSENT, "pot %s does not run any more", pot);
		ad->started(ad->ctx, NULL, e != NULL ? e : &gone, true);
	}
	arena_fini(&mem);
	free(ad->handle);
	free(ad);
}

static void
adopt(struct driver *d, const char *h, driver_started *started, void *ctx)
{
	struct adopt *ad = xcalloc(1, sizeof(*ad));
	autoarena struct arena mem = ARENA_INIT;
	struct runner_request req = { .op = RUNNER_POT_LIST, .pot = handle_pot(h, &mem, NULL) };

	*ad = (struct adopt){ .handle = xstrdup(h), .started = started, .ctx = ctx };
	runner_call(d->runner, &req, NULL, 0, NULL, on_listed, ad);
}

/* ---- the rest ---- */

static void
wait_for(struct driver *d, const char *h, driver_ended *ended, void *ctx)
{
	autoarena struct arena mem = ARENA_INIT;
	struct runner_request req = { .op = RUNNER_POT_WAIT };

	req.pot = handle_pot(h, &mem, &req.run_id);
	driver_call_ended(d->runner, &req, ended, ctx);
}

static void
stop(struct driver *d, const char *h, int stop_signal, int64_t timeout_ms, driver_done *done,
    void *ctx)
{
	autoarena struct arena mem = ARENA_INIT;
	struct runner_request req = {
		.op = RUNNER_POT_STOP, .stop_signal = stop_signal, .stop_timeout_ms = timeout_ms
	};

	req.pot = handle_pot(h, &mem, NULL);
	driver_call_done(d->runner, &req, done, ctx);
}

static void
signal_it(struct driver *d, const char *h, int sig, driver_done *done, void *ctx)
{
	autoarena struct arena mem = ARENA_INIT;
	struct runner_request req = { .op = RUNNER_POT_SIGNAL, .signal = sig };

	req.pot = handle_pot(h, &mem, NULL);
	driver_call_done(d->runner, &req, done, ctx);
}

static void
destroy(struct driver *d, const char *h, driver_done *done, void *ctx)
{
	autoarena struct arena mem = ARENA_INIT;
	struct runner_request req = { .op = RUNNER_POT_DESTROY, .force = true };

	req.pot = handle_pot(h, &mem, NULL);
	driver_call_done(d->runner, &req, done, ctx);
}

static void
usage(struct driver *d, const char *h, driver_usage_fn *fn, void *ctx)
{
	autoarena struct arena mem = ARENA_INIT;
	struct runner_request req = { .op = RUNNER_POT_USAGE };

	req.pot = handle_pot(h, &mem, NULL);
	driver_call_usage(d->runner, &req, fn, ctx);
}

static uint64_t
exec_in(struct driver *d, const char *h, const struct driver_exec *x, const int fds[3],
    runner_event *event, runner_done *done, void *ctx)
{
	autoarena struct arena mem = ARENA_INIT;
	struct runner_request req = { .op = RUNNER_POT_EXEC,
		.argv = x->argv,
		.env = x->env,
		.tty = x->tty,
		.rows = x->rows,
		.columns = x->columns };

	req.pot = handle_pot(h, &mem, NULL);
	return runner_call(d->runner, &req, fds, x->tty ? 0 : 3, event, done, ctx);
}

const struct driver_ops driver_pot = {
	.name = "pot",
	.check = check,
	.start = start,
	.adopt = adopt,
	.wait = wait_for,
	.stop = stop,
	.signal = signal_it,
	.destroy = destroy,
	.usage = usage,
	.exec = exec_in,
	.handle = handle,
};
