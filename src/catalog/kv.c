/* kv.c: keys and values. */
#include "catalog/view.h"

#include "base/str.h"

#include <stdlib.h>
#include <string.h>

enum { VALUE_MAX = 512 * 1024, KEY_MAX = 4096 };

struct change {
	struct catalog *c;
	struct http_req *r;
	char *key;
	bool remove, cas;
};

static void
changed(void *arg, uint64_t index, const struct err *e)
{
	struct change *ch = arg;
	const struct kv_row *row = state_kv(ch->c->state, ch->key);

	if (e != NULL)
		reply_err(ch->r, e);
	else {
		bool done =
		    !ch->cas || (ch->remove ? row == NULL
					    : row != NULL && (uint64_t)row->modify_index == index);
		http_reply(ch->r, 200, "application/json", done ? "true" : "false", done ? 4 : 5);
	}
	free(ch->key);
	free(ch);
}

static void
propose(struct catalog *c, struct http_req *r, struct kv_op *op)
{
	struct command cmd = { 0 };
	struct change *ch = xcalloc(1, sizeof(*ch));
	struct err e = ERR_INIT;

	*ch = (struct change){ c, r, xstrdup(op->key), op->remove, op->with_cas };
	objs_add(&cmd.kv_ops, http_arena(r), op);
	if (c->hooks.propose(c->hooks.ctx, &cmd, changed, ch, &e) < 0)
		changed(ch, 0, &e);
}

/* What the request says beside key and value. False: it was refused. */
static bool
read_options(struct http_req *r, struct kv_op *op)
{
	const char *cas = http_query(r, "cas"), *flags = http_query(r, "flags");
	uint64_t n;

	if (http_query(r, "acquire") != NULL || http_query(r, "release") != NULL) {
		http_reply_text(r, 400, "Locks and sessions are not supported yet");
		return false;
	}
	if (flags != NULL) {
		if (!str_u64(flags, UINT64_MAX, &n)) {
			http_reply_text(r, 400, "Invalid flags value: %.100s", flags);
			return false;
		}
		op->flags = (int64_t)n;
	}
	if (cas != NULL) {
		if (!str_u64(cas, INT64_MAX, &n)) {
			http_reply_text(r, 400, "Invalid cas value: %.100s", cas);
			return false;
		}
		op->with_cas = true;
		op->cas = (int64_t)n;
	}
	return true;
}

void
kv_put(struct catalog *c, struct http_req *r, const char *key)
{
	struct kv_op *op = arena_new(http_arena(r), struct kv_op);
	size_t len;
	const char *body = http_body(r, &len);

	if (*key == '\0' || strlen(key) > KEY_MAX) {
		http_reply_text(r, 400, *key == '\0' ? "Missing key name" : "Key name is too long");
		return;
	}
	if (len > VALUE_MAX) {
		http_reply_text(r, 413, "Request body(%zu bytes) too large, max size: %d bytes.",
		    len, VALUE_MAX);
		return;
	}
	op->key = key;
	if (!read_options(r, op))
		return;
	autobuf struct buf value = BUF_INIT;
	struct jsonw w = JSONW_INIT(&value);
	jsonw_base64(&w, body, len); /* in quotes */
	op->value = arena_strndup(http_arena(r), value.data + 1, value.len - 2);
	propose(c, r, op);
}

void
kv_delete(struct catalog *c, struct http_req *r, const char *key)
{
	struct kv_op *op = arena_new(http_arena(r), struct kv_op);

	op->key = key;
	op->remove = true;
	op->recurse = http_query(r, "recurse") != NULL;
	if (*key == '\0' && !op->recurse) {
		http_reply_text(r, 400, "Missing key name");
		return;
	}
	if (!read_options(r, op))
		return;
	if (op->recurse && op->with_cas) {
		http_reply_text(r, 400, "Conflicting flags: cas, recurse");
		return;
	}
	propose(c, r, op);
}

/* A single key has its own index; for a missing one, and for many, any change of the table counts,
 * so that a deletion is seen, too. */
uint64_t
kv_index(const struct catalog *c, const struct http_req *r, const char *key)
{
	const struct kv_row *row = state_kv(c->state, key);

	if (row != NULL && http_query(r, "recurse") == NULL && http_query(r, "keys") == NULL)
		return (uint64_t)row->modify_index;
	return state_table_index(c->state, STATE_KV);
}

static void
render_entry(const struct kv_row *row, struct jsonw *w)
{
	jsonw_object(w);
	jsonw_kint(w, "LockIndex", row->lock_index);
	jsonw_kstr(w, "Key", row->key);
	jsonw_kuint(w, "Flags", (uint64_t)row->flags);
	jsonw_kstr(w, "Value", row->value != NULL && *row->value != '\0' ? row->value : NULL);
	jsonw_kint(w, "CreateIndex", row->create_index);
	jsonw_kint(w, "ModifyIndex", row->modify_index);
	jsonw_end_object(w);
}

/* Keys, cut behind the separator where one follows the prefix; equal ones stand side by side. */
static void
render_keys(const struct rows *list, const char *prefix, const char *separator, struct jsonw *w)
{
	size_t len = strlen(prefix);
	autofree char *last = NULL;

	jsonw_array(w);
	for (size_t i = 0; i < list->n; i++) {
		const char *key = ((const struct kv_row *)list->at[i])->key;
		const char *cut = *separator != '\0' ? strstr(key + len, separator) : NULL;
		autofree char *name = cut != NULL
					  ? xstrndup(key, (size_t)(cut - key) + strlen(separator))
					  : xstrdup(key);
		if (str_eq(name, last))
			continue;
		jsonw_str(w, name);
		free(last);
		last = take(&name);
	}
	jsonw_end_array(w);
}

bool
kv_render(struct catalog *c, struct http_req *r, const char *key, struct jsonw *w)
{
	bool keys = http_query(r, "keys") != NULL;

	if (!keys && http_query(r, "recurse") == NULL) {
		const struct kv_row *row = state_kv(c->state, key);
		if (row == NULL)
			return false;
		jsonw_array(w);
		render_entry(row, w);
		jsonw_end_array(w);
		return true;
	}
	autorows struct rows list = state_list(c->state, STATE_KV, key);
	if (list.n == 0)
		return false;
	if (keys) {
		const char *separator = http_query(r, "separator");
		render_keys(&list, key, separator != NULL ? separator : "", w);
		return true;
	}
	jsonw_array(w);
	for (size_t i = 0; i < list.n; i++)
		render_entry(list.at[i], w);
	jsonw_end_array(w);
	return true;
}
