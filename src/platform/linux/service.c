#include "platform/service.h"

#include "base/own.h"

#include <string.h>
#include <unistd.h>

const struct service_places service_places = { "/var/lib/potter", "/run/potter",
	"/var/log/potter" };

static const char *
unit_text(const char *prefix, const char *config, const char *pid_file, struct arena *a)
{
	return arena_printf(a,
	    "[Unit]\n"
	    "Description=Potter: a cluster of one\n"
	    "Documentation=man:minipot(8) man:potter(8)\n"
	    "After=network.target local-fs.target\n"
	    "\n"
	    "[Service]\n"
	    "Type=notify\n"
	    "NotifyAccess=all\n"
	    "ExecStartPre=%s/bin/pot vnet-start\n"
	    "ExecStart=%s/bin/potter agent -config %s -pid-file %s\n"
	    "RuntimeDirectory=potter\n"
	    "RuntimeDirectoryPreserve=yes\n"
	    "ExecReload=/bin/kill -HUP $MAINPID\n"
	    "# Pots and the ingress go on while the agent is replaced.\n"
	    "KillMode=process\n"
	    "Restart=always\n"
	    "Delegate=yes\n"
	    "\n"
	    "[Install]\n"
	    "WantedBy=multi-user.target\n",
	    prefix, prefix, config, pid_file);
}

void
service_plan(const char *prefix, const char *config, const char *pid_file, struct service_plan *out,
    struct arena *a)
{
	*out = (struct service_plan){ .name = "minipot.service" };
	out->managed = access("/run/systemd/system", F_OK) == 0;
	if (!out->managed)
		return;
	out->path = "/etc/systemd/system/minipot.service";
	out->text = unit_text(prefix, config, pid_file, a);
}

void
service_log(const char *flags, struct service_log *out)
{
	(void)flags;
	*out = (struct service_log){ .dirs = { NULL } };
}

const char *const *
service_command(enum service_act act, const char *name, struct arena *a)
{
	const char *const commands[][10] = {
		[SERVICE_RELOAD] = { "systemctl", "daemon-reload" },
		[SERVICE_ENABLE] = { "systemctl", "enable", "--quiet", name },
		[SERVICE_DISABLE] = { "systemctl", "disable", "--quiet", name },
		[SERVICE_START] = { "systemctl", "start", name },
		[SERVICE_END_JOBS] = { "systemctl", "kill", "--kill-whom=main", "--signal=SIGINT",
		    name },
		[SERVICE_STOP] = { "systemctl", "stop", name },
		[SERVICE_ADD_GROUP] = { "groupadd", "--system", name },
		[SERVICE_ADD_USER] = { "useradd", "--system", "--user-group", "--no-create-home",
		    "--home-dir", service_places.data, "--shell", "/usr/sbin/nologin", name },
		[SERVICE_REMOVE_GROUP] = { "groupdel", name },
		[SERVICE_REMOVE_USER] = { "userdel", name },
	};
	const char **argv = arena_array(a, NELEM(commands[0]), const char *);

	memcpy(argv, commands[act], sizeof(commands[act]));
	return argv;
}
