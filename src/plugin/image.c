#include "plugin/plugin.h"

#include "base/log.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

/*
 * Images. Two starts that want the same one share one import; when the last of them is cancelled so
 * is the import. With garbage collection an image goes when no task has used it for a while.
 */

struct pull_want {
	struct pull *pull;
	struct pull_want *next, **self;
	void (*note)(void *ctx, const char *text);
	pulled_fn *done;
	void *ctx;
};

struct pull {
	struct plugin *plugin;
	char *key, *image, *tag;
	struct pull_want *wants;
	char **urls; /* ended by NULL: mirrors, then the job's own */
	size_t at;
	uint64_t request;
	int64_t shown; /* percent that was told */
	bool given_up; /* nobody wanted it any more: its import was cancelled */
};

static void
pull_free(struct pull *l)
{
	map_del(&l->plugin->pulls, l->key);
	for (size_t i = 0; l->urls[i] != NULL; i++)
		free(l->urls[i]);
	free(l->urls);
	free(l->key);
	free(l->image);
	free(l->tag);
	free(l);
}

static void
pull_end(struct pull *l, const struct err *e)
{
	struct pull_want *w;

	/* none may join any more: what they want is decided */
	map_del(&l->plugin->pulls, l->key);
	while ((w = l->wants) != NULL) {
		pulled_fn *done = w->done;
		void *ctx = w->ctx;
		image_want_free(w);
		done(ctx, e);
	}
	pull_free(l);
}

static void
pull_note(struct pull *l, const char *text)
{
	for (struct pull_want *w = l->wants; w != NULL; w = w->next)
		w->note(w->ctx, text);
}

static void
on_progress(void *ctx, const struct runner_reply *r, int fd)
{
	struct pull *l = ctx;
	char text[128];

	(void)fd;
	int64_t percent = r->total > 0 ? (int64_t)(r->done * 100 / r->total) : -1;
	if (percent < l->shown + 25)
		return;
	l->shown = percent;
	snprintf(text, sizeof(text), "Downloading image: %d %% of %.1f MB", (int)percent,
	    (double)r->total / 1e6);
	pull_note(l, text);
}

static void begin(struct pull *l);

static void
on_imported(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct pull *l = ctx;
	struct err told;

	(void)r;
	l->request = 0;
	if (e != NULL && l->given_up && l->wants != NULL) { /* but somebody does again */
		begin(l);
		return;
	}
	/* somebody else may have brought it meanwhile */
	if (e == NULL || e->kind == ERR_EXISTS || l->wants == NULL) {
		pull_end(l, NULL);
		return;
	}
	if (l->urls[l->at + 1] != NULL) {
		log_warn("image", "%s from the mirror %s: %s", l->key, l->urls[l->at], e->text);
		l->at++;
		begin(l);
		return;
	}
	told = *e;
	err_ctx(&told, "image %s from %s", l->key, l->urls[l->at]);
	pull_end(l, &told);
}

static void
begin(struct pull *l)
{
	struct runner_request req = {
		.op = RUNNER_IMAGE_IMPORT, .image = l->image, .tag = l->tag, .url = l->urls[l->at]
	};
	struct err e = ERR_INIT;
	struct runner *r = plugin_runner(l->plugin, &e);

	l->shown = 0;
	l->given_up = false;
	if (r != NULL)
		l->request = runner_call(r, &req, NULL, 0, on_progress, on_imported, l);
}

static struct pull *
pull_new(struct plugin *p, const char *key, const char *image, const char *tag, const char *url)
{
	struct pull *l = xcalloc(1, sizeof(*l));
	size_t n = 0;

	l->plugin = p;
	l->key = xstrdup(key);
	l->image = xstrdup(image);
	l->tag = xstrdup(tag);
	l->urls = xcalloc(p->config.mirrors.n + 2, sizeof(*l->urls));
	for (size_t i = 0; i < p->config.mirrors.n; i++)
		l->urls[n++] = xstrdup(p->config.mirrors.at[i]);
	l->urls[n++] = xstrdup(url);
	map_set(&p->pulls, key, l);
	begin(l);
	return l;
}

struct pull_want *
image_pull(struct plugin *p, const char *image, const char *tag, const char *url,
    void (*note)(void *ctx, const char *text), pulled_fn *done, void *ctx)
{
	char key[600];

	snprintf(key, sizeof(key), "%s_%s", image, tag);
	struct pull *l = map_get(&p->pulls, key);
	if (l == NULL)
		l = pull_new(p, key, image, tag, url);
	struct pull_want *w = xcalloc(1, sizeof(*w));
	*w = (struct pull_want){ .pull = l,
		.note = note,
		.done = done,
		.ctx = ctx,
		.next = l->wants,
		.self = &l->wants };
	if (w->next != NULL)
		w->next->self = &w->next;
	l->wants = w;
	return w;
}

void
image_want_free(struct pull_want *w)
{
	struct pull *l = w->pull;
	struct err e = ERR_INIT;

	*w->self = w->next;
	if (w->next != NULL)
		w->next->self = w->self;
	free(w);
	if (l->wants == NULL && l->request != 0) {
		l->given_up = true;
		runner_cancel(plugin_runner(l->plugin, &e), l->request);
	}
}

/* ---- garbage ---- */

struct image {
	struct plugin *plugin;
	char *name; /* of its pot */
	unsigned uses;
	struct loop_timer *timer;
};

static void
on_removed(void *ctx, const struct runner_reply *r, const struct err *e)
{
	char *name = ctx;

	(void)r;
	if (e != NULL)
		log_info("image", "%s stays: %s", name, e->text);
	else
		log_info("image", "%s was not used any more and is removed", name);
	free(name);
}

static void
on_unused(void *ctx)
{
	struct image *i = ctx;
	struct runner_request req = { .op = RUNNER_POT_DESTROY, .pot = i->name };
	struct err e = ERR_INIT;
	struct runner *r = plugin_runner(i->plugin, &e);

	if (i->uses == 0 && r != NULL)
		runner_call(r, &req, NULL, 0, NULL, on_removed, xstrdup(i->name));
}

void
image_used(struct plugin *p, const char *image, int change)
{
	struct image *i = map_get(&p->images, image);

	if (p->config.image_gc_ns < 0 || *image == '\0')
		return;
	if (i == NULL) {
		i = xcalloc(1, sizeof(*i));
		i->plugin = p;
		i->name = xstrdup(image);
		i->timer = loop_timer(p->loop, -1, 0, on_unused, i);
		map_set(&p->images, image, i);
	}
	i->uses = (unsigned)((int)i->uses + change);
	loop_timer_set(i->timer, i->uses == 0 ? p->config.image_gc_ns / 1000000 : -1);
}

void
image_fini(struct plugin *p)
{
	size_t at = 0;
	void *value;

	while (map_next(&p->images, &at, NULL, &value)) {
		struct image *i = value;
		loop_timer_free(&i->timer);
		free(i->name);
		free(i);
	}
	map_fini(&p->images);
	at = 0;
	while (map_next(&p->pulls, &at, NULL, &value)) {
		struct pull *l = value;
		while (l->wants != NULL) {
			l->request = 0;
			image_want_free(l->wants);
		}
		pull_free(l);
	}
	map_fini(&p->pulls);
}
