#include "plugin/plugin.h"
#include "plugin/task.h"

#include "plugin/text.h"

#include <jansson.h>
#include <string.h>

/*
 * Fingerprint: can pots run here, and with what? Asked of the runner every half minute, told when
 * something has changed. The description says nothing that changes by itself: each change is an
 * event of the node.
 */

enum { EVERY_MS = 30000, ANSWER_MS = 5000, ROWS_MAX = 8 };
enum health { UNDETECTED, UNHEALTHY, HEALTHY };

struct asking {
	struct plugin *plugin;
};

static void
send_last(const struct plugin *p, struct grpc_call *call)
{
	Np__Fingerprint *f =
	    np__fingerprint__unpack(NULL, p->fingerprint.len, (const uint8_t *)p->fingerprint.data);

	if (f != NULL)
		grpc_send(call, &f->base);
	if (f != NULL)
		np__fingerprint__free_unpacked(f, NULL);
}

static void
publish(struct plugin *p, const Np__Fingerprint *f)
{
	struct buf fresh = BUF_INIT;

	buf_reserve(&fresh, np__fingerprint__get_packed_size(f) + 1);
	fresh.len = np__fingerprint__pack(f, (uint8_t *)fresh.data);
	if (fresh.len == p->fingerprint.len && p->fingerprint.len > 0 &&
	    memcmp(fresh.data, p->fingerprint.data, fresh.len) == 0) {
		buf_fini(&fresh);
		return;
	}
	buf_fini(&p->fingerprint);
	p->fingerprint = fresh;
	for (struct stream *s = p->fingerprints; s != NULL; s = s->next)
		send_last(p, s->call);
}

static void
publish_plain(struct plugin *p, enum health health, const char *why)
{
	autoarena struct arena mem = ARENA_INIT;
	Np__Fingerprint f = NP__FINGERPRINT__INIT;

	f.health = (int)health;
	f.health_description = text_utf8(why, &mem);
	publish(p, &f);
}

struct rows {
	Np__Attribute value[ROWS_MAX];
	Np__AttributeEntry entry[ROWS_MAX], *list[ROWS_MAX];
	size_t n;
};

static Np__Attribute *
row(struct rows *r, const char *key)
{
	size_t i = r->n++;

	np__attribute__init(&r->value[i]);
	np__attribute_entry__init(&r->entry[i]);
	r->entry[i].key = (char *)(uintptr_t)key;
	r->entry[i].value = &r->value[i];
	r->list[i] = &r->entry[i];
	return &r->value[i];
}

static void
row_text(struct rows *r, const char *key, const char *text)
{
	Np__Attribute *a;

	if (text == NULL)
		return;
	a = row(r, key);
	a->value_case = NP__ATTRIBUTE__VALUE_STRING_VAL;
	a->string_val = (char *)(uintptr_t)text;
}

static void
publish_facts(struct plugin *p, const char *text)
{
	json_t *j = json_loads(text != NULL ? text : "", 0, NULL);
	Np__Fingerprint f = NP__FINGERPRINT__INIT;
	struct rows rows = { .n = 0 };
	Np__Attribute *present = row(&rows, "driver.pot");

	present->value_case = NP__ATTRIBUTE__VALUE_BOOL_VAL;
	present->bool_val = 1;
	row_text(&rows, "driver.pot.version", POTTER_VERSION);
	row_text(&rows, "driver.pot.compatible", json_string_value(json_object_get(j, "pot")));
	row_text(&rows, "driver.pot.isolation", json_string_value(json_object_get(j, "isolation")));
	row_text(&rows, "driver.pot.dataset", json_string_value(json_object_get(j, "dataset")));
	row_text(&rows, "driver.pot.limits", json_string_value(json_object_get(j, "limits")));
	f.n_attributes = rows.n;
	f.attributes = rows.list;
	bool ready = json_is_true(json_object_get(j, "ready"));
	f.health = ready ? HEALTHY : UNHEALTHY;
	f.health_description = (char *)(uintptr_t)(ready ? "Healthy" : "run 'pot init' first");
	publish(p, &f);
	json_decref(j);
}

static void
on_facts(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct asking *a = ctx;
	struct plugin *p = a->plugin;

	p->asking = NULL;
	free(a);
	if (e != NULL)
		publish_plain(p, UNHEALTHY, e->text);
	else
		publish_facts(p, r->text);
	loop_timer_set(p->fingerprint_timer, EVERY_MS);
}

static void
look(void *ctx)
{
	struct plugin *p = ctx;
	struct runner_request req = { .op = RUNNER_FACTS };
	struct err e = ERR_INIT;
	struct runner *r;

	loop_timer_set(p->fingerprint_timer, EVERY_MS);
	if (p->asking != NULL) {
		publish_plain(
		    p, UNHEALTHY, "pot-runner gives no answer; the agent's log says more");
		return;
	}
	if (!p->config.enabled) {
		publish_plain(p, UNDETECTED, "disabled");
		return;
	}
	if ((r = plugin_runner(p, &e)) == NULL) {
		publish_plain(p, UNDETECTED, e.text);
		return;
	}
	p->asking = xcalloc(1, sizeof(*p->asking));
	p->asking->plugin = p;
	runner_call(r, &req, NULL, 0, NULL, on_facts, p->asking);
	loop_timer_set(p->fingerprint_timer, ANSWER_MS);
}

void
on_fingerprint(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	struct plugin *p = ctx;

	(void)message;
	stream_add(&p->fingerprints, call);
	if (p->fingerprint.len > 0)
		send_last(p, call);
	if (p->fingerprint_timer == NULL) {
		p->fingerprint_timer = loop_timer(p->loop, -1, 0, look, p);
		look(p);
	}
}

void
fingerprint_fini(struct plugin *p)
{
	loop_timer_free(&p->fingerprint_timer);
	free(p->asking);
	buf_fini(&p->fingerprint);
}
