/* Looking: ps, list, info. */
#include "cli/pot_look.h"
#include "cli/potnet.h"
#include "cli/table.h"

#include "base/str.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define GROUP "Information"
#define END                                                                                        \
	{                                                                                          \
		0                                                                                  \
	}

/* ---- what several commands say in JSON ---- */

static void
json_state(struct jsonw *w, const struct pot_state *s)
{
	jsonw_kstr(w, "state", pot_running_text(s->running));
	jsonw_kbool(w, "active", s->running == POT_RUNNING);
	if (s->run_id[0] != '\0')
		jsonw_kstr(w, "run_id", s->run_id);
	if (s->init_pid != 0)
		jsonw_kint(w, "pid", s->init_pid);
	if (s->keeper_pid != 0)
		jsonw_kint(w, "keeper_pid", s->keeper_pid);
	if (s->link[0] != '\0')
		jsonw_kstr(w, "interface", s->link);
	jsonw_key(w, "port_map");
	jsonw_array(w);
	for (size_t i = 0; i < s->n_maps; i++) {
		jsonw_object(w);
		jsonw_kstr(w, "protocol", s->maps[i].udp ? "udp" : "tcp");
		jsonw_kint(w, "host_port", s->maps[i].host_port);
		jsonw_kint(w, "pot_port", s->maps[i].pot_port);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
}

static void
json_attributes(struct jsonw *w, const struct pot_spec *spec)
{
	size_t n;
	const struct pot_attr *attrs = pot_attrs(&n);

	jsonw_key(w, "attributes");
	jsonw_object(w);
	for (size_t i = 0; i < n; i++)
		jsonw_kstr(w, attrs[i].name, spec->attr[i] != NULL ? spec->attr[i] : attrs[i].def);
	jsonw_end_object(w);
}

static void
json_limits(struct jsonw *w, const struct pot_spec *spec)
{
	jsonw_key(w, "limits");
	jsonw_object(w);
	jsonw_kstr(w, "pin", spec->rss_pin);
	jsonw_kuint(w, "processes", spec->rss_processes);
	jsonw_kuint(w, "files", spec->rss_files);
	jsonw_kuint(w, "io_weight", spec->rss_io_weight);
	jsonw_kuint(w, "cpu_weight", spec->rss_cpu_weight);
	jsonw_end_object(w);
}

static void
json_spec(struct jsonw *w, const struct pot_spec *spec, struct arena *mem)
{
	jsonw_kstr(w, "type", pot_type_text(spec->type));
	jsonw_kint(w, "level", spec->level);
	jsonw_kstr(w, "base", spec->base);
	jsonw_kstr(w, "base_pot", spec->potbase);
	jsonw_kstr(w, "hostname", spec->hostname);
	jsonw_kstr(w, "network_type", pot_net_text(spec->net));
	jsonw_kstr(w, "stack", pot_stack_text(spec->stack));
	jsonw_kstr(w, "ip", spec->ip);
	jsonw_kstr(w, "ip6", spec->ip6);
	jsonw_kstr(w, "bridge", spec->bridge);
	jsonw_kstr(w, "dns", pot_dns_text(spec->dns));
	jsonw_kstr(w, "command", spec->cmd);
	json_strs(w, "env", &spec->env);
	json_strs(w, "hosts", &spec->hosts);
	json_strs(w, "depend", &spec->depend);
	jsonw_key(w, "exported_ports");
	jsonw_array(w);
	for (size_t i = 0; i < spec->n_ports; i++)
		jsonw_str(w, pot_port_text(&spec->ports[i], mem));
	jsonw_end_array(w);
	jsonw_kint(w, "cpus", spec->rss_cpus);
	jsonw_kuint(w, "memory_bytes", spec->rss_memory_bytes);
	json_limits(w, spec);
	json_attributes(w, spec);
}

void
json_pot_row(struct jsonw *w, const struct pot_row *row, struct arena *mem)
{
	jsonw_object(w);
	jsonw_kstr(w, "name", row->name);
	jsonw_kstr(w, "path", row->path);
	if (row->spec != NULL)
		json_spec(w, row->spec, mem);
	else
		jsonw_kstr(w, "corrupted", row->why);
	json_state(w, &row->state);
	jsonw_end_object(w);
}

static int
rows_json(struct pot_call *c, const struct pot_row *rows, size_t n)
{
	struct jsonw w = json_begin(c);

	jsonw_array(&w);
	for (size_t i = 0; i < n; i++)
		json_pot_row(&w, &rows[i], &c->mem);
	jsonw_end_array(&w);
	return json_done(c);
}

/* ---- ps ---- */

static const char *
address_of(const struct pot_spec *spec)
{
	if (spec == NULL || spec->net == POT_NET_INHERIT)
		return "-";
	return spec->ip[0] != '\0' ? spec->ip : spec->ip6[0] != '\0' ? spec->ip6 : "-";
}

static void
ps_table(const struct pot_row *rows, size_t n)
{
	autotable struct table t = TABLE_INIT(4);

	table_row(&t, "   JID", "IP Address", "Hostname", "Path", NULL);
	for (size_t i = 0; i < n; i++) {
		table_cellf(&t, "%6d", rows[i].state.number);
		table_cell(&t, address_of(rows[i].spec));
		table_cell(&t, rows[i].spec != NULL ? rows[i].spec->hostname : rows[i].name);
		table_cell(&t, rows[i].path);
	}
	table_print(&t);
}

static int
run_ps(struct pot_call *c)
{
	struct pot_row *rows;
	struct err e;
	size_t n;

	if (pot_list(c->env, true, &c->mem, &rows, &n, &e) < 0)
		return fail(c, &e);
	if (c->json)
		return rows_json(c, rows, n);
	if (given(c, 'q')) {
		for (size_t i = 0; i < n; i++)
			puts(rows[i].name);
		return 0;
	}
	int wide = given_wide(c);
	if (wide < 0)
		return 1;
	int up = pot_vnet_up(c->env);
	if (up < 0)
		say_info(c, "only root can tell whether the public virtual network is up");
	else
		say_info(c, "the public virtual network is %s", up > 0 ? "up" : "down");
	if (wide)
		pot_wide_table(c, rows, n);
	else
		ps_table(rows, n);
	return 0;
}

static const struct pot_option ps_options[] = {
	{ 'q', NULL, 0, 0, "only names" },
	WIDE_ROW,
	END,
};
const struct pot_command pot_cmd_ps = { "ps", NULL, "running pots: id, address, host name and root",
	COMMAND_JSON, ps_options, NULL, run_ps, GROUP };

/* ---- list ---- */

static const struct {
	char letter;
	enum pot_kind kind;
	const char *label, *key;
} kinds[] = {
	{ 'b', POT_KIND_BASE, "bases", "bases" },
	{ 'p', POT_KIND_POT, "pot name ", "pots" },
	{ 'f', POT_KIND_FSCOMP, "fscomp", "fscomps" },
	{ 'F', POT_KIND_FLAVOUR, "flavour", "flavours" },
	{ 'B', POT_KIND_BRIDGE, "bridge", "bridges" },
};

/* "/media => fscomp/www": datasets relative to the root, as all that read this know them. */
static void
list_datasets(struct pot_call *c, const struct pot_info *info)
{
	const char *root = c->env->conf.zfs_root;
	size_t n = strlen(root);

	puts("\tdatasets:");
	if (info->spec->type == POT_SINGLE)
		printf("\t\t%s/m\n", info->spec->name);
	for (size_t i = 0; i < info->n_mounts; i++) {
		const struct pot_fscomp *f = &info->mounts[i];
		bool below = str_starts(f->source, root) && f->source[n] == '/';

		printf("\t\t%s => %s%s\n", f->target, f->source + (below ? n + 1 : 0),
		    f->read_only ? " (ro)" : "");
	}
}

static void
list_more(struct pot_call *c, const char *name)
{
	struct pot_info info;
	struct err e;

	if (pot_info(c->env, name, &c->mem, &info, &e) < 0) {
		say_error(c, "%s", e.text);
		return;
	}
	printf("\tbase : %s\n\tlevel : %u\n", info.spec->base, info.spec->level);
	if (info.spec->level == 2)
		printf("\tbase pot : %s\n", info.spec->potbase);
	list_datasets(c, &info);
	puts("\tsnapshot:");
	for (size_t i = 0; i < info.full_snapshots.n; i++)
		printf("\t\t%s\n", info.full_snapshots.at[i]);
	if (info.snapshots.n == 0)
		puts("\t\tno snapshots");
}

static void
list_pot(struct pot_call *c, const struct pot_row *row)
{
	printf("pot name : %s\n", row->name);
	if (row->spec == NULL) {
		printf("\tcorrupted : %s\n\n", row->why);
		return;
	}
	printf("\tnetwork : %s\n", pot_net_text(row->spec->net));
	if (row->spec->net != POT_NET_INHERIT) {
		printf("\tip : %s\n", address_of(row->spec));
		if (row->spec->ip6[0] != '\0' && row->spec->ip[0] != '\0')
			printf("\tip6 : %s\n", row->spec->ip6);
	}
	printf("\tactive : %s\n",
	    row->state.running == POT_RUNNING ? paint(c, PAINT_GOOD, "true") : "false");
	if (c->verbosity > 1)
		list_more(c, row->name);
	putchar('\n');
}

static int
list_pots(struct pot_call *c)
{
	struct pot_row *rows;
	struct err e;
	size_t n;

	if (pot_list(c->env, false, &c->mem, &rows, &n, &e) < 0)
		return fail(c, &e);
	if (c->json)
		return rows_json(c, rows, n);
	int wide = given_wide(c);
	if (wide < 0)
		return 1;
	if (wide && n > 0)
		pot_wide_table(c, rows, n);
	for (size_t i = 0; i < n && !wide; i++)
		list_pot(c, &rows[i]);
	if (n == 0)
		say_info(c, "no pots");
	return 0;
}

static int
list_names(struct pot_call *c, size_t k)
{
	struct pot_strs names = { NULL, 0 };
	struct err e;

	if (pot_names(c->env, kinds[k].kind, &c->mem, &names, &e) < 0)
		return fail(c, &e);
	if (c->json) {
		struct jsonw w = json_begin(c);

		jsonw_object(&w);
		json_strs(&w, kinds[k].key, &names);
		jsonw_end_object(&w);
		return json_done(c);
	}
	for (size_t i = 0; i < names.n; i++) {
		if (given(c, 'q'))
			puts(names.at[i]);
		else
			printf("%s: %s\n", kinds[k].label, names.at[i]);
	}
	if (names.n == 0 && !given(c, 'q'))
		say_info(c, "no %s", kinds[k].key);
	return 0;
}

static int
list_all_json(struct pot_call *c)
{
	struct jsonw w = json_begin(c);

	jsonw_object(&w);
	for (size_t k = 0; k < NELEM(kinds); k++) {
		struct pot_strs names = { NULL, 0 };
		struct err e;

		if (pot_names(c->env, kinds[k].kind, &c->mem, &names, &e) < 0)
			return fail(c, &e);
		json_strs(&w, kinds[k].key, &names);
	}
	jsonw_end_object(&w);
	return json_done(c);
}

static int
list_all(struct pot_call *c)
{
	int rc = 0;

	if (given(c, 'q'))
		return fail_usage(c, "-a and -q exclude each other");
	if (c->json)
		return list_all_json(c);
	for (size_t k = 0; k < NELEM(kinds) && rc == 0; k++)
		rc = kinds[k].kind == POT_KIND_POT ? list_pots(c) : list_names(c, k);
	return rc;
}

static int
run_list(struct pot_call *c)
{
	size_t chosen = 0, k = 1; /* pots */

	for (size_t i = 0; i < NELEM(kinds); i++)
		if (given(c, kinds[i].letter)) {
			chosen++;
			k = i;
		}
	if (chosen + given(c, 'a') > 1)
		return fail_usage(c, "only one of -p, -b, -f, -F, -B and -a");
	if (given(c, 'a'))
		return list_all(c);
	if (kinds[k].kind == POT_KIND_POT && !given(c, 'q'))
		return list_pots(c);
	return list_names(c, k);
}

static const struct pot_option list_options[] = {
	{ 'p', NULL, 0, 0, "pots (default)" },
	{ 'b', NULL, 0, 0, "bases" },
	{ 'f', NULL, 0, 0, "file system components" },
	{ 'F', NULL, 0, 0, "flavours" },
	{ 'B', NULL, 0, 0, "private bridges" },
	{ 'a', NULL, 0, 0, "all of them" },
	{ 'q', NULL, 0, 0, "only names" },
	WIDE_ROW,
	END,
};
const struct pot_command pot_cmd_list = { "list", "ls", "what is there: pots, bases, flavours",
	COMMAND_JSON, list_options, NULL, run_list, GROUP };

/* ---- info ---- */

static void
info_attributes(const struct pot_spec *spec, bool jail)
{
	size_t n;
	const struct pot_attr *attrs = pot_attrs(&n);

	for (size_t i = 0; i < n; i++) {
		if (attrs[i].jail != jail)
			continue;
		printf("\t\t%s: %s\n", attrs[i].name,
		    spec->attr[i] != NULL ? spec->attr[i] : attrs[i].def);
	}
}

static void
info_idle(struct pot_call *c, const struct pot_spec *spec)
{
	bool first = true;
	size_t n;
	const struct pot_attr *attrs = pot_attrs(&n);

	for (size_t i = 0; i < n; i++) {
		if (!pot_attr_idle(c->env, spec, &attrs[i]))
			continue;
		if (first)
			puts("\tkept, without effect on this system:");
		first = false;
		printf("\t\t%s: %s\n", attrs[i].name, attrs[i].meaning);
	}
}

static void
info_limits(const struct pot_spec *spec)
{
	char text[SIZE_TEXT];

	if (spec->rss_cpus + spec->rss_memory_bytes + spec->rss_processes + spec->rss_files +
		    spec->rss_io_weight + spec->rss_cpu_weight ==
		0 &&
	    *spec->rss_pin == '\0')
		return;
	puts("\tresource limits:");
	if (spec->rss_cpus > 0)
		printf("\t\tmax amount cpus: %u\n", spec->rss_cpus);
	if (spec->rss_memory_bytes > 0)
		printf("\t\tmax amount memory: %s\n", size_text(spec->rss_memory_bytes, text));
	if (*spec->rss_pin != '\0')
		printf("\t\tbound to cpus: %s\n", spec->rss_pin);
	if (spec->rss_processes > 0)
		printf("\t\tmax amount processes: %" PRIu64 "\n", spec->rss_processes);
	if (spec->rss_files > 0)
		printf("\t\tmax amount open files: %" PRIu64 "\n", spec->rss_files);
	if (spec->rss_io_weight > 0)
		printf("\t\tio weight: %u\n", spec->rss_io_weight);
	if (spec->rss_cpu_weight > 0)
		printf("\t\tcpu weight: %u\n", spec->rss_cpu_weight);
}

static void
info_network(struct pot_call *c, const struct pot_info *info)
{
	const struct pot_spec *spec = info->spec;

	printf("\tnetwork_type : %s\n", pot_net_text(spec->net));
	if (spec->net != POT_NET_INHERIT) {
		printf("\tip : %s\n", address_of(spec));
		if (spec->ip6[0] != '\0' && spec->ip[0] != '\0')
			printf("\tip6 : %s\n", spec->ip6);
	}
	if (spec->bridge[0] != '\0')
		printf("\tbridge : %s\n", spec->bridge);
	if (c->verbosity < 2)
		return;
	printf("\t\t%s", spec->n_ports > 0 ? "exported ports:" : "no ports exported");
	for (size_t i = 0; i < spec->n_ports; i++)
		printf(" %s", pot_port_text(&spec->ports[i], &c->mem));
	putchar('\n');
	for (size_t i = 0; i < info->state.n_maps; i++)
		printf("\t\t%s port %u of the host leads to port %u\n",
		    info->state.maps[i].udp ? "udp" : "tcp", info->state.maps[i].host_port,
		    info->state.maps[i].pot_port);
}

static void
info_more(struct pot_call *c, const struct pot_info *info)
{
	list_datasets(c, info);
	puts("\tsnapshots:");
	for (size_t i = 0; i < info->full_snapshots.n; i++)
		printf("\t\t%s\n", info->full_snapshots.at[i]);
	if (info->snapshots.n == 0)
		puts("\t\tno snapshots");
}

static void
info_text(struct pot_call *c, const struct pot_info *info)
{
	const struct pot_spec *spec = info->spec;

	printf("pot name : %s\n\ttype : %s\n\tbase : %s\n\tlevel : %u\n", spec->name,
	    pot_type_text(spec->type), spec->base, spec->level);
	if (spec->level == 2)
		printf("\tbase pot : %s\n", spec->potbase);
	info_network(c, info);
	printf("\tactive : %s\n",
	    info->state.running == POT_RUNNING ? paint(c, PAINT_GOOD, "true") : "false");
	if (info->state.running != POT_RUNNING && info->state.running != POT_STOPPED)
		printf("\tstate : %s\n", pot_running_text(info->state.running));
	if (c->verbosity > 1)
		info_more(c, info);
	puts("\tattributes:");
	info_attributes(spec, false);
	puts("\tjail attributes:");
	info_attributes(spec, true);
	if (c->verbosity > 1) {
		info_idle(c, spec);
		info_limits(spec);
	}
	putchar('\n');
}

static int
info_json(struct pot_call *c, const struct pot_info *info)
{
	struct jsonw w = json_begin(c);

	jsonw_object(&w);
	jsonw_kstr(&w, "name", info->spec->name);
	jsonw_kstr(&w, "path", info->path);
	json_spec(&w, info->spec, &c->mem);
	jsonw_key(&w, "without_effect");
	jsonw_array(&w);
	size_t n;
	const struct pot_attr *attrs = pot_attrs(&n);
	for (size_t i = 0; i < n; i++)
		if (pot_attr_idle(c->env, info->spec, &attrs[i]))
			jsonw_str(&w, attrs[i].name);
	jsonw_end_array(&w);
	json_state(&w, &info->state);
	json_strs(&w, "datasets", &info->datasets);
	json_strs(&w, "snapshots", &info->snapshots);
	jsonw_key(&w, "mounts");
	jsonw_array(&w);
	for (size_t i = 0; i < info->n_mounts; i++) {
		jsonw_object(&w);
		jsonw_kstr(&w, "source", info->mounts[i].source);
		jsonw_kstr(&w, "target", info->mounts[i].target);
		jsonw_kbool(&w, "read_only", info->mounts[i].read_only);
		jsonw_end_object(&w);
	}
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	return json_done(c);
}

/* What a shell reads back as the same text. */
static void
print_export(const char *assignment)
{
	fputs("export ", stdout);
	for (const char *p = assignment; *p != '\0'; p++) {
		if (strchr(" \t'\"\\$`&|;<>()*?[]{}~#!", *p) != NULL)
			putchar('\\');
		putchar(*p);
	}
	putchar('\n');
}

static int
env_json(struct pot_call *c, const struct pot_strs *env)
{
	struct jsonw w = json_begin(c);

	jsonw_object(&w);
	for (size_t i = 0; i < env->n; i++) {
		const char *eq = strchr(env->at[i], '=');
		if (eq == NULL)
			continue;
		jsonw_kstr(
		    &w, arena_printf(&c->mem, "%.*s", (int)(eq - env->at[i]), env->at[i]), eq + 1);
	}
	jsonw_end_object(&w);
	return json_done(c);
}

static int
info_env(struct pot_call *c, const struct pot_info *info)
{
	struct pot_strs env = { NULL, 0 };
	struct err e;

	if (pot_self_env(c->env, info->spec, &info->state, &c->mem, &env, &e) < 0)
		return fail(c, &e);
	if (c->json)
		return env_json(c, &env);
	for (size_t i = 0; i < env.n; i++)
		print_export(env.at[i]);
	return 0;
}

static void
info_snapshots(struct pot_call *c, const struct pot_info *info)
{
	for (size_t i = 0; i < info->snapshots.n; i++) {
		uint64_t seconds;
		const char *name = info->snapshots.at[i];
		char text[64];

		if (c->verbosity > 1 && str_u64(name, UINT32_MAX, &seconds)) {
			time_t when = (time_t)seconds;
			struct tm tm;

			strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", localtime_r(&when, &tm));
			printf("%s: -> %s\n", name, text);
		} else {
			puts(name);
		}
	}
}

static int
info_bridge(struct pot_call *c, const char *name)
{
	struct pot_bridge b;
	struct err e;

	if (given_pot(c) != NULL)
		return fail_usage(c, "-p and -B exclude each other");
	if (given(c, 'E') || given(c, 's') || given(c, 'r'))
		return fail_usage(c, "-E, -s and -r are about a pot (-p), not a bridge");
	if (pot_bridge_info(c->env, name, &c->mem, &b, &e) < 0)
		return given(c, 'q') ? 1 : fail(c, &e);
	if (given(c, 'q'))
		return 0;
	return potnet_show(c->env, name, c->json, &e) < 0 ? fail(c, &e) : 0;
}

static int
run_info(struct pot_call *c)
{
	struct pot_info info;
	struct err e;

	if (given(c, 'B'))
		return info_bridge(c, given_one(c, 'B'));
	if (given_pot(c) == NULL)
		return fail_usage(c, "option -p is mandatory");
	if (given(c, 'q') && c->verbosity > 1)
		return fail_usage(c, "-q and -v exclude each other");
	if (given(c, 'q') || given(c, 'r')) {
		struct pot_state s;
		struct pot_spec *spec;

		/* Only an exit code is wanted: says nothing either way. */
		if (pot_spec_load(c->env, given_pot(c), &c->mem, &spec, &e) < 0)
			return 1;
		return !given(c, 'r') ? 0
				      : pot_state(c->env, given_pot(c), &c->mem, &s, &e) < 0 ||
					    s.running != POT_RUNNING;
	}
	bool all = c->json || given(c, 's') || c->verbosity > 1;
	if ((all ? pot_info : pot_info_brief)(c->env, given_pot(c), &c->mem, &info, &e) < 0)
		return fail(c, &e);
	if (given(c, 'E'))
		return info_env(c, &info);
	if (c->json)
		return info_json(c, &info);
	if (given(c, 's'))
		info_snapshots(c, &info);
	else
		info_text(c, &info);
	return 0;
}

static const struct pot_option info_options[] = {
	{ 'p', "pot", COMPLETE_POT, 0, "the pot" },
	{ 'B', "bridge", COMPLETE_BRIDGE, 0, "a private bridge" },
	{ 'q', NULL, 0, 0, "say nothing; the exit code tells whether it exists" },
	{ 'r', NULL, 0, 0, "say nothing; the exit code tells whether it runs" },
	{ 's', NULL, 0, 0, "its snapshots" },
	{ 'E', NULL, 0, 0, "what it learns about itself, as shell exports" },
	END,
};
const struct pot_command pot_cmd_info = { "info", NULL, "all about one pot",
	COMMAND_JSON | COMMAND_NAME, info_options, NULL, run_info, GROUP };
