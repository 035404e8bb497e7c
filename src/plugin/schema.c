#include "plugin/plugin.h"

/*
 * What may be written into the agent's plugin block and into a task's config block. Nomad refuses
 * other keys before it asks us, so every key that jobs use stands here.
 */

struct key {
	const char *name, *type;
	bool required;
	const char *fallback; /* HCL text */
};

static const struct key plugin_keys[] = {
	{ "enabled", "bool", false, "true" },
	{ "pot_conf", "string", false, NULL },
	{ "libexec", "string", false, NULL },
	{ "runner_socket", "string", false, NULL },
	{ "pot_root", "string", false, NULL },
	{ "signatures", "string", false, NULL },
	{ "signature_pubkey", "string", false, NULL },
	{ "fs_isolation", "string", false, "\"none\"" },
	{ "registry_mirrors", "list(string)", false, NULL },
	{ "image_gc", "bool", false, "false" },
	{ "image_gc_delay", "string", false, "\"1h\"" },
};

static const struct key task_keys[] = {
	{ "image", "string", false, NULL },
	{ "pot", "string", false, NULL },
	{ "tag", "string", false, NULL },
	{ "command", "string", false, NULL },
	{ "args", "list(string)", false, NULL },
	{ "port_map", "list(map(string))", false, NULL },
	{ "network_mode", "string", false, NULL },
	{ "bridge", "string", false, NULL },
	{ "address", "list(string)", false, NULL },
	{ "copy", "list(string)", false, NULL },
	{ "mount", "list(string)", false, NULL },
	{ "mount_read_only", "list(string)", false, NULL },
	{ "extra_hosts", "list(string)", false, NULL },
	{ "hosts", "list(string)", false, NULL },
	{ "attributes", "list(string)", false, NULL },
	{ "path", "string", false, NULL },
	{ "env_file", "string", false, NULL },
	{ "init", "bool", false, NULL },
	{ "dns", "list(string)", false, NULL },
	{ "limits", "list(map(string))", false, NULL },
};

enum { KEYS_MAX = 32 };

struct row {
	Np__Spec spec, primary, literal;
	Np__SpecAttr attr;
	Np__SpecDefault fallback;
	Np__SpecLiteral text;
	Np__SpecEntry entry;
};

struct tree {
	bool made;
	Np__Spec spec;
	Np__SpecObject object;
	struct row rows[KEYS_MAX];
	Np__SpecEntry *entries[KEYS_MAX];
};

/* The messages are only read, but protobuf-c's members are not const. */
static char *
text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static void
fill(struct row *r, const struct key *k)
{
	np__spec__init(&r->spec);
	np__spec__init(&r->primary);
	np__spec__init(&r->literal);
	np__spec_attr__init(&r->attr);
	np__spec_default__init(&r->fallback);
	np__spec_literal__init(&r->text);
	np__spec_entry__init(&r->entry);
	r->attr.name = text(k->name);
	r->attr.type = text(k->type);
	r->attr.required = k->required;
	r->primary.kind_case = NP__SPEC__KIND_ATTR;
	r->primary.attr = &r->attr;
	r->entry.key = text(k->name);
	r->entry.value = &r->primary;
	if (k->fallback == NULL)
		return;
	r->text.value = text(k->fallback);
	r->literal.kind_case = NP__SPEC__KIND_LITERAL;
	r->literal.literal = &r->text;
	r->fallback.primary = &r->primary;
	r->fallback.fallback = &r->literal;
	r->spec.kind_case = NP__SPEC__KIND_WITH_DEFAULT;
	r->spec.with_default = &r->fallback;
	r->entry.value = &r->spec;
}

static const Np__Spec *
tree(struct tree *t, const struct key *keys, size_t n)
{
	if (t->made)
		return &t->spec;
	t->made = true;
	np__spec__init(&t->spec);
	np__spec_object__init(&t->object);
	for (size_t i = 0; i < n; i++) {
		fill(&t->rows[i], &keys[i]);
		t->entries[i] = &t->rows[i].entry;
	}
	t->object.n_attributes = n;
	t->object.attributes = t->entries;
	t->spec.kind_case = NP__SPEC__KIND_OBJECT;
	t->spec.object = &t->object;
	return &t->spec;
}

const Np__Spec *
schema_plugin(void)
{
	static struct tree t;

	return tree(&t, plugin_keys, NELEM(plugin_keys));
}

const Np__Spec *
schema_task(void)
{
	static struct tree t;

	return tree(&t, task_keys, NELEM(task_keys));
}
