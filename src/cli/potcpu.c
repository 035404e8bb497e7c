/* potcpu: which pots are bound to which processors. Same questions and answers as the program of
 * that name which came with the shell implementation; rebalance can do by itself what it says. */
#include "cli/potcpu.h"
#include "cli/table.h"

#include "base/str.h"
#include "codec/json.h"
#include "pot/machine.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { LONG_JSON = 256, LONG_HELP };

struct question {
	struct pot_env *env;
	struct arena mem;
	uint64_t count;
	bool json, apply;
};

static void
print_json(const struct pot_cpus *c)
{
	autobuf struct buf out = BUF_INIT;
	struct jsonw w = JSONW_INDENT(&out, 2);

	jsonw_object(&w);
	jsonw_key(&w, "pots");
	jsonw_array(&w);
	for (size_t i = 0; i < c->n; i++) {
		jsonw_object(&w);
		jsonw_kstr(&w, "pot", c->at[i].pot);
		jsonw_kuint(&w, "wanted", c->at[i].wanted);
		jsonw_kstr(&w, "cpus", c->at[i].cpus);
		if (c->at[i].moved != NULL)
			jsonw_kstr(&w, "moved", c->at[i].moved);
		jsonw_end_object(&w);
	}
	jsonw_end_array(&w);
	jsonw_key(&w, "pots_by_cpu");
	jsonw_array(&w);
	for (unsigned i = 0; i < c->count; i++)
		jsonw_uint(&w, c->used[i]);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	puts(buf_str(&out));
}

static int
ask_show(struct question *q, struct err *e)
{
	autotable struct table t = TABLE_INIT(3);
	struct pot_cpus c;

	if (pot_cpus(q->env, &q->mem, &c, e) < 0)
		return -1;
	if (q->json) {
		print_json(&c);
		return 0;
	}
	table_row(&t, "Pot", "Requested", "Used", NULL);
	for (size_t i = 0; i < c.n; i++) {
		table_cell(&t, c.at[i].pot);
		if (c.at[i].wanted > 0)
			table_cellf(&t, "%u", c.at[i].wanted);
		else
			table_cell(&t, "-");
		table_cell(&t, c.at[i].cpus[0] != '\0' ? c.at[i].cpus : "all");
	}
	table_print(&t);
	return 0;
}

static int
ask_get_cpu(struct question *q, struct err *e)
{
	struct pot_cpus c;

	if (pot_cpus(q->env, &q->mem, &c, e) < 0)
		return -1;
	const char *list = pot_cpus_least(&c, (unsigned)q->count, &q->mem);
	if (q->json)
		printf("{\"cpus\":\"%s\"}\n", list);
	else if (*list != '\0')
		puts(list);
	return 0;
}

static int
ask_rebalance(struct question *q, struct err *e)
{
	struct pot_cpus c;

	if (pot_cpus_rebalance(q->env, q->apply, &q->mem, &c, e) < 0)
		return -1;
	if (q->json) {
		print_json(&c);
		return 0;
	}
	for (size_t i = 0; i < c.n; i++)
		if (c.at[i].command != NULL)
			puts(c.at[i].command);
		else if (c.at[i].moved != NULL)
			printf("%s %s -> %s\n", c.at[i].pot, c.at[i].cpus, c.at[i].moved);
	return 0;
}

static const struct row {
	const char *name, *options, *meaning;
	int (*ask)(struct question *q, struct err *e);
} rows[] = {
	{ "show", "", "running pots: how many processors they want, which they have", ask_show },
	{ "get-cpu", "-n number", "the least used processors; nothing when that is all of them",
	    ask_get_cpu },
	{ "rebalance", "[-a]",
	    "where pots would go to use all processors alike; -a moves them there", ask_rebalance },
};

static void
help(FILE *to)
{
	fputs("usage: potcpu QUESTION [options] [--json]\n", to);
	for (size_t i = 0; i < NELEM(rows); i++)
		fprintf(to, "  %-10s %-10s  %s\n", rows[i].name, rows[i].options, rows[i].meaning);
}

/* -1: go on; else the exit code. */
static int
parse(struct question *q, const struct row *row, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, LONG_JSON },
		{ "help", no_argument, NULL, LONG_HELP },
		{ NULL, 0, NULL, 0 },
	};
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, ":hvan:", longs, NULL)) != -1) {
		if (o == 'h' || o == LONG_HELP) {
			help(stdout);
			return 0;
		}
		if (o == LONG_JSON) {
			q->json = true;
		} else if (o == 'a' && row->ask == ask_rebalance) {
			q->apply = true;
		} else if (o == 'n' && row->ask == ask_get_cpu) {
			if (!str_u64(optarg, 65535, &q->count) || q->count == 0) {
				fprintf(stderr, "potcpu %s: -n %s: is no number of processors\n",
				    row->name, optarg);
				return 1;
			}
		} else if (o != 'v') {
			fprintf(stderr, "potcpu %s: wrong use of option -%c\n", row->name,
			    o == ':' || o == '?' ? optopt : o);
			return 1;
		}
	}
	if (row->ask != ask_get_cpu || q->count > 0)
		return -1;
	fprintf(stderr, "potcpu %s: option -n is missing\n", row->name);
	return 1;
}

int
potcpu_main(int argc, char **argv)
{
	struct question q = { .mem = ARENA_INIT };
	const struct row *row = NULL;
	struct err e = ERR_INIT;

	for (size_t i = 0; argc > 1 && i < NELEM(rows); i++)
		if (str_eq(rows[i].name, argv[1]))
			row = &rows[i];
	if (row == NULL) {
		bool asked = argc > 1 && (str_eq(argv[1], "-h") || str_eq(argv[1], "--help"));
		help(asked ? stdout : stderr);
		return !asked;
	}
	int rc = parse(&q, row, argc - 1, argv + 1);
	if (rc < 0) {
		rc = pot_env_open(&q.env, &e) < 0 || row->ask(&q, &e) < 0;
		if (rc != 0)
			fprintf(stderr, "potcpu %s: %s\n", row->name, e.text);
	}
	pot_env_close(q.env);
	arena_fini(&q.mem);
	return fflush(stdout) != 0 ? 1 : rc;
}
