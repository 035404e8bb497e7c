/*
 * What changes something leaves a line in the system's log: the command and its options, but for
 * the values of variables and the commands of pots, which hold secrets more often than not.
 */
#include "cli/pot_cli.h"

#include "base/str.h"

#include <string.h>
#include <syslog.h>

static int
facility_of(const char *name)
{
	static const struct {
		const char *name;
		int facility;
	} rows[] = { { "auth", LOG_AUTH }, { "authpriv", LOG_AUTHPRIV }, { "cron", LOG_CRON },
		{ "daemon", LOG_DAEMON }, { "user", LOG_USER }, { "local0", LOG_LOCAL0 },
		{ "local1", LOG_LOCAL1 }, { "local2", LOG_LOCAL2 }, { "local3", LOG_LOCAL3 },
		{ "local4", LOG_LOCAL4 }, { "local5", LOG_LOCAL5 }, { "local6", LOG_LOCAL6 },
		{ "local7", LOG_LOCAL7 } };

	for (size_t i = 0; i < NELEM(rows); i++)
		if (str_eq(rows[i].name, name))
			return rows[i].facility;
	return LOG_LOCAL2;
}

/* Control characters would forge lines. */
static void
add_plain(struct buf *b, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_addc(b, (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i]);
}

static void
add_option(struct buf *b, const struct pot_option *o, const char *value, struct arena *mem)
{
	size_t n = value != NULL ? strlen(value) : 0;
	bool variable = o->argument != NULL && str_eq(o->argument, "VAR=value");
	bool command = o->argument != NULL && str_eq(o->argument, "command");

	buf_addf(b, " %s", option_text(o, mem));
	if (value == NULL)
		return;
	if (command) {
		buf_adds(b, " ...");
		return;
	}
	buf_addc(b, ' ');
	if (variable)
		n = strcspn(value, "=");
	add_plain(b, value, n);
	buf_adds(b, variable && value[n] == '=' ? "=..." : "");
}

void
pot_audit(struct pot_call *c, const char *facility)
{
	autobuf struct buf line = BUF_INIT;

	for (const struct pot_option *o = c->command->options; o != NULL && o->letter != 0; o++) {
		const struct pot_given *g = &c->given[(unsigned char)o->letter];
		for (size_t i = 0; i < g->n; i++)
			add_option(&line, o, o->argument != NULL ? g->at[i] : NULL, &c->mem);
	}
	/* of a command inside a pot the name says enough */
	for (int i = 0; i < c->argc && i < ((c->command->flags & COMMAND_ARGS) != 0 ? 1 : 8); i++) {
		buf_addc(&line, ' ');
		add_plain(&line, c->argv[i], strlen(c->argv[i]));
	}
	openlog("pot", 0, facility_of(facility));
	syslog(LOG_INFO, "%s%s", c->command->name, buf_str(&line));
	closelog();
}
