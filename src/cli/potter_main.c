/* potter_main.c: the table of commands, their options, help. */
#include "cli/potter.h"

#include "base/str.h"
#include "io/loop.h"
#include "io/url.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct potter_command *const commands[] = {
	&potter_job_run,
	&potter_job_plan,
	&potter_job_status,
	&potter_job_stop,
	&potter_job_inspect,
	&potter_job_validate,
	&potter_job_init,
	&potter_alloc_status,
	&potter_alloc_logs,
	&potter_alloc_exec,
	&potter_alloc_stop,
	&potter_alloc_restart,
	&potter_node_status,
	&potter_eval_status,
	&potter_deployment_status,
	&potter_agent_info,
	&potter_server_members,
	&potter_system_gc,
};

static const struct potter_option general[] = {
	{ "address", "addr", "of the API; NOMAD_ADDR; http://127.0.0.1:4646" },
	{ "region", "name", "where to ask; NOMAD_REGION" },
	{ "namespace", "name", "of the job; NOMAD_NAMESPACE" },
	{ "token", "secret", "ACL token; NOMAD_TOKEN" },
	{ "no-color", NULL, "accepted for compatibility: there is none" },
	{ NULL, NULL, NULL },
};

/* ---- options ---- */

const char *
potter_value(const struct potter_call *c, const char *option)
{
	const char *value = NULL;

	for (size_t i = 0; i < c->n_given; i++)
		if (strcmp(c->given[i].name, option) == 0)
			value = c->given[i].value;
	return value;
}

bool
potter_on(const struct potter_call *c, const char *option)
{
	const char *v = potter_value(c, option);

	return v != NULL && strcmp(v, "false") != 0 && strcmp(v, "0") != 0;
}

size_t
potter_values(const struct potter_call *c, const char *option, const char **out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_given && n < max; i++)
		if (strcmp(c->given[i].name, option) == 0)
			out[n++] = c->given[i].value;
	return n;
}

size_t
potter_length(const struct potter_call *c)
{
	return potter_on(c, "verbose") ? 36 : 8;
}

int
potter_fail(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return 1;
}

int
potter_usage(struct potter_call *c, const char *takes)
{
	potter_fail("This command takes %s", takes);
	return potter_fail("For additional help try 'potter %s -help'", c->command->name);
}

char *
potter_escape(struct potter_call *c, const char *text)
{
	return url_escaped(&c->mem, text);
}

static const struct potter_option *
find_option(const struct potter_command *cmd, const char *name, size_t len)
{
	const struct potter_option *lists[] = { cmd->options, general };

	for (size_t i = 0; i < NELEM(lists); i++)
		for (const struct potter_option *o = lists[i]; o->name != NULL; o++)
			if (strlen(o->name) == len && strncmp(o->name, name, len) == 0)
				return o;
	return NULL;
}

static void
command_help(const struct potter_command *cmd)
{
	printf(
	    "Usage: potter %s [options] %s\n\n  %s\n\nOptions:\n", cmd->name, cmd->args, cmd->what);
	for (const struct potter_option *o = cmd->options; o->name != NULL; o++)
		printf("  -%s%s%-*s %s\n", o->name, o->value != NULL ? "=" : "",
		    (int)(24 - strlen(o->name) - (o->value != NULL)),
		    o->value != NULL ? o->value : "", o->what);
	puts("\nGeneral options:");
	for (const struct potter_option *o = general; o->name != NULL; o++)
		printf("  -%s%s%-*s %s\n", o->name, o->value != NULL ? "=" : "",
		    (int)(24 - strlen(o->name) - (o->value != NULL)),
		    o->value != NULL ? o->value : "", o->what);
}

/* One "-name", "-name=value" or "-name value". 1: taken; 0: no option; -1: told; 2: help was shown.
 */
static int
take_option(struct potter_call *c, char **argv, int *i)
{
	const char *arg = argv[*i];

	if (arg[0] != '-' || arg[1] == '\0' || strcmp(arg, "--") == 0)
		return 0;
	const char *name = arg + 1 + (arg[1] == '-');
	size_t len = strcspn(name, "=");
	if ((len == 4 && strncmp(name, "help", 4) == 0) || (len == 1 && name[0] == 'h')) {
		command_help(c->command);
		return 2;
	}
	const struct potter_option *o = find_option(c->command, name, len);
	if (o == NULL) {
		potter_fail("flag provided but not defined: -%.*s", (int)len, name);
		potter_fail("For additional help try 'potter %s -help'", c->command->name);
		return -1;
	}
	const char *value = name[len] == '=' ? name + len + 1 : NULL;
	if (value == NULL && o->value != NULL && strcmp(o->value, "bool") != 0) {
		if (argv[*i + 1] == NULL) {
			potter_fail("flag needs an argument: -%s", o->name);
			return -1;
		}
		value = argv[++*i];
	}
	c->given[c->n_given++] = (struct potter_given){ o->name, value != NULL ? value : "true" };
	return 1;
}

static const char *
setting(struct potter_call *c, const char *option, const char *env, const char *otherwise)
{
	const char *v = potter_value(c, option);

	if (v == NULL)
		v = getenv(env);
	return v != NULL && v[0] != '\0' ? v : otherwise;
}

static int
run_command(const struct potter_command *cmd, char **argv)
{
	struct potter_call c = { .command = cmd, .mem = ARENA_INIT };
	int i = 0, n = 0, rc = 1;

	while (argv[n] != NULL)
		n++;
	c.given = arena_array(&c.mem, (size_t)n + 1, struct potter_given);
	while (i < n && (rc = take_option(&c, argv, &i)) == 1)
		i++;
	if (rc < 0 || rc == 2) {
		arena_fini(&c.mem);
		return rc == 2 ? 0 : 1;
	}
	if (i < n && strcmp(argv[i], "--") == 0)
		i++;
	c.argv = argv + i;
	c.argc = n - i;
	c.address = setting(&c, "address", "NOMAD_ADDR", "http://127.0.0.1:4646");
	c.region = setting(&c, "region", "NOMAD_REGION", NULL);
	c.namespace = setting(&c, "namespace", "NOMAD_NAMESPACE", NULL);
	c.token = setting(&c, "token", "NOMAD_TOKEN", NULL);
	c.loop = loop_new();
	rc = cmd->run(&c);
	if (fflush(stdout) != 0)
		rc = 1;
	loop_free(c.loop);
	arena_fini(&c.mem);
	return rc;
}

/* ---- which command ---- */

static void
overview(FILE *out)
{
	fprintf(out, "Usage: potter [-version] [-help] <command> [args]\n\nCommands:\n");
	fprintf(out, "    %-20s %s\n", "agent", "Runs an agent: server, client, or both");
	for (size_t i = 0; i < NELEM(commands); i++) {
		char name[64];
		snprintf(name, sizeof(name), "%s%s%s", commands[i]->name,
		    commands[i]->alias ? ", " : "", commands[i]->alias ? commands[i]->alias : "");
		fprintf(out, "    %-20s %s\n", name, commands[i]->what);
	}
	fprintf(out, "    %-20s %s\n", "version", "Prints the version");
}

/* *words: how many of argv name it. */
static const struct potter_command *
find_command(char **argv, int *words)
{
	char two[64] = "";

	if (argv[1] != NULL)
		snprintf(two, sizeof(two), "%s %s", argv[0], argv[1]);
	for (size_t i = 0; i < NELEM(commands); i++) {
		*words = strcmp(commands[i]->name, two) == 0 ? 2 : 1;
		if (*words == 2 || strcmp(commands[i]->name, argv[0]) == 0 ||
		    (commands[i]->alias != NULL && strcmp(commands[i]->alias, argv[0]) == 0))
			return commands[i];
	}
	return NULL;
}

static int
unknown(char **argv)
{
	const char *names[2 * NELEM(commands)];
	size_t n = 0, len = strlen(argv[0]);

	for (size_t i = 0; i < NELEM(commands); i++) {
		const char *name = commands[i]->name;
		if (strncmp(name, argv[0], len) == 0 && name[len] == ' ') {
			if (n == 0)
				printf(
				    "Usage: potter %s <subcommand> [options] [args]\n\n", argv[0]);
			printf("    %-20s %s\n", name, commands[i]->what);
			n++;
		}
	}
	if (n > 0)
		return argv[1] != NULL && argv[1][0] != '-';
	for (size_t i = 0; i < NELEM(commands); i++) {
		names[n++] = commands[i]->name;
		if (commands[i]->alias != NULL)
			names[n++] = commands[i]->alias;
	}
	const char *near = str_nearest(argv[0], names, n);
	return potter_fail("potter: there is no command \"%s\"%s%s%s", argv[0],
	    near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static void
version(void)
{
	puts("Potter v" POTTER_VERSION " (speaks Nomad's API v1.1)");
}

int
potter_main(int argc, char **argv, potter_agent_fn *agent)
{
	int words;

	signal(SIGPIPE, SIG_IGN);
	if (argc < 2 || strcmp(argv[1], "-help") == 0 || strcmp(argv[1], "--help") == 0 ||
	    strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		overview(argc < 2 ? stderr : stdout);
		return argc < 2 ? 127 : 0;
	}
	if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "-version") == 0 ||
	    strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-v") == 0) {
		version();
		return 0;
	}
	if (strcmp(argv[1], "agent") == 0)
		return agent(argc - 1, argv + 1);
	const struct potter_command *cmd = find_command(argv + 1, &words);
	return cmd == NULL ? unknown(argv + 1) : run_command(cmd, argv + 1 + words);
}
