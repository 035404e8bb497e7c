#include "platform/service.h"

#include "base/own.h"

#include <string.h>
#include <unistd.h>

#define RC_CONF	    "/etc/rc.conf"
#define RC_DEFAULTS "/etc/defaults/rc.conf"

const struct service_places service_places = { "/var/db/potter", "/var/run/potter",
	"/var/log/potter" };

/* The script came with the programs (packaging/rc.d); rc.conf says that it runs, and with what. */
void
service_plan(const char *prefix, const char *config, const char *pid_file, struct service_plan *out,
    struct arena *a)
{
	(void)pid_file; /* the script's own default */
	*out = (struct service_plan){ .name = "potter",
		.stops_running_only = true,
		.set = { { RC_CONF, "pf_enable", "YES", RC_DEFAULTS, NULL },
		    { RC_CONF, "pot_enable", "YES", RC_DEFAULTS, NULL },
		    { RC_CONF, "potter_enable", "YES", RC_DEFAULTS, NULL },
		    { RC_CONF, "potter_config", config, RC_DEFAULTS, NULL },
		    { "/boot/loader.conf", "kern.racct.enable", "1", "/boot/defaults/loader.conf",
			"limits of pots (rctl) work from the next boot on" } },
		.n_set = 5,
		.keep = { RC_CONF, "/etc/pf.conf" },
		.n_keep = 2 };
	out->managed = access(arena_printf(a, "%s/etc/rc.d/potter", prefix), X_OK) == 0;
}

void
service_log(const char *flags, struct service_log *out)
{
	*out = (struct service_log){
		.set = { RC_CONF, "syslogd_flags", flags, RC_DEFAULTS, NULL },
		.dirs = { "/usr/local/etc/syslog.d", "/usr/local/etc/newsyslog.conf.d",
		    "/var/log/pot" },
	};
}

const char *const *
service_command(enum service_act act, const char *name, struct arena *a)
{
	/* rc.conf says what starts with the machine; `stop` ends the jobs' pots too */
	const char *const commands[][12] = {
		[SERVICE_START] = { "service", name, "start" },
		[SERVICE_STOP] = { "service", name, "onestop" },
		[SERVICE_ADD_GROUP] = { "pw", "groupadd", name },
		[SERVICE_ADD_USER] = { "pw", "useradd", name, "-c", "Potter's agent", "-d",
		    service_places.data, "-s", "/usr/sbin/nologin", "-w", "no" },
		[SERVICE_REMOVE_GROUP] = { "pw", "groupdel", name },
		[SERVICE_REMOVE_USER] = { "pw", "userdel", name },
	};
	const char **argv = arena_array(a, NELEM(commands[0]), const char *);

	if (act >= NELEM(commands) || commands[act][0] == NULL)
		return NULL;
	memcpy(argv, commands[act], sizeof(commands[act]));
	return argv;
}
