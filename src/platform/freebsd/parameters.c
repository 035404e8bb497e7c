#include "platform/freebsd/parameters.h"

#include "base/own.h"
#include "base/str.h"
#include "platform/freebsd/mounts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/param.h>
#include <sys/ioctl.h>
#include <sys/jail.h>
#include <sys/linker.h>
#include <sys/module.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ENFORCE_STATFS = 2, DEVFS_RULESET = 4 };

enum kind {
	KIND_NUMBER,
	KIND_SWITCH, /* YES grants it, NO leaves the kernel's own refusal */
	KIND_SYSV,   /* new, inherit, disable */
	KIND_OTHER   /* not of the kernel's jail: looked at by name below */
};

static const struct {
	const char *attribute, *parameter;
	enum kind kind;
	const char *module; /* without it the kernel does not know the parameter */
} map[] = {
	{ "enforce_statfs", "enforce_statfs", KIND_NUMBER, NULL },
	{ "devfs_ruleset", "devfs_ruleset", KIND_NUMBER, NULL },
	{ "children", "children.max", KIND_NUMBER, NULL },
	{ "mount", "allow.mount", KIND_SWITCH, NULL },
	{ "linprocfs", "allow.mount.linprocfs", KIND_SWITCH, "linprocfs" },
	{ "nullfs", "allow.mount.nullfs", KIND_SWITCH, "nullfs" },
	{ "tmpfs", "allow.mount.tmpfs", KIND_SWITCH, "tmpfs" },
	{ "zfs", "allow.mount.zfs", KIND_SWITCH, "zfs" },
	{ "raw_sockets", "allow.raw_sockets", KIND_SWITCH, NULL },
	{ "mlock", "allow.mlock", KIND_SWITCH, NULL },
	{ "sysvshm", "sysvshm", KIND_SYSV, "sysvshm" },
	{ "sysvsem", "sysvsem", KIND_SYSV, "sysvsem" },
	{ "sysvmsg", "sysvmsg", KIND_SYSV, "sysvmsg" },
	{ "fdescfs", NULL, KIND_OTHER, NULL },
	{ "procfs", NULL, KIND_OTHER, NULL },
};

const char *const parameters_attributes[] = { "enforce_statfs", "devfs_ruleset", "children",
	"mount", "linprocfs", "nullfs", "tmpfs", "zfs", "raw_sockets", "mlock", "sysvshm",
	"sysvsem", "sysvmsg", "fdescfs", "procfs", NULL };

/* ---- attributes ---- */

static int
number(const char *attribute, const char *value, int *out, struct err *e)
{
	uint64_t n;

	if (!str_u64(value, INT32_MAX, &n))
		return err_new(e, ERR_INPUT, "attribute %s: '%s' is no number that a jail takes",
		    attribute, value);
	*out = (int)n;
	return 0;
}

static int
sysv(const char *attribute, const char *value, int *out, struct err *e)
{
	static const struct {
		const char *word;
		int value;
	} words[] = { { "new", JAIL_SYS_NEW }, { "inherit", JAIL_SYS_INHERIT },
		{ "disable", JAIL_SYS_DISABLE } };

	for (size_t i = 0; i < NELEM(words); i++)
		if (str_eq(value, words[i].word)) {
			*out = words[i].value;
			return 0;
		}
	return err_new(
	    e, ERR_INPUT, "attribute %s: '%s' is none of new, inherit, disable", attribute, value);
}

/* It is in the kernel or a module that is there already, or it is loaded now; if neither, the
 * kernel says so when the jail is made. */
static void
need_module(const char *module)
{
	if (module != NULL && modfind(module) < 0)
		(void)kldload(module);
}

static int
read_attribute(struct parameters *p, size_t i, const char *value, struct err *e)
{
	const char *name = map[i].attribute;
	bool yes = str_eq(value, "YES");
	int n = 0;

	switch (map[i].kind) {
	case KIND_NUMBER:
		if (number(name, value, &n, e) < 0)
			return -1;
		jail_number(&p->jail, map[i].parameter, n);
		if (str_eq(name, "devfs_ruleset"))
			p->ruleset = n;
		return 0;
	case KIND_SWITCH:
		if (!yes)
			return 0;
		need_module(map[i].module);
		jail_switch(&p->jail, map[i].parameter, true);
		return 0;
	case KIND_SYSV:
		if (sysv(name, value, &n, e) < 0)
			return -1;
		need_module(map[i].module);
		jail_number(&p->jail, map[i].parameter, n);
		return 0;
	case KIND_OTHER:
		if (str_eq(name, "fdescfs"))
			p->fdescfs = yes;
		if (str_eq(name, "procfs"))
			p->procfs = yes;
		return 0;
	}
	return 0;
}

static int
read_attributes(struct parameters *p, const char *const *list, struct err *e)
{
	for (; list != NULL && *list != NULL; list++) {
		const char *eq = strchr(*list, '=');
		size_t n = eq != NULL ? (size_t)(eq - *list) : 0;
		for (size_t i = 0; i < NELEM(map) && eq != NULL; i++)
			if (strlen(map[i].attribute) == n &&
			    strncmp(map[i].attribute, *list, n) == 0 &&
			    read_attribute(p, i, eq + 1, e) < 0)
				return -1;
	}
	return 0;
}

/* ---- addresses ---- */

static int
add_address(struct parameters *p, const char *text, struct err *e)
{
	const char *bar = strchr(text, '|'), *ip = bar != NULL ? bar + 1 : text;

	if (p->n_four < NELEM(p->four) && inet_pton(AF_INET, ip, &p->four[p->n_four]) == 1) {
		p->n_four++;
		return 0;
	}
	if (p->n_six < NELEM(p->six) && inet_pton(AF_INET6, ip, &p->six[p->n_six]) == 1) {
		p->n_six++;
		return 0;
	}
	return err_new(e, ERR_INPUT, "'%s' is no address, or one too many", text);
}

/* A network of its own; or some addresses of the machine's; or the machine's, by family. */
static int
read_network(struct parameters *p, const struct isolate_spec *spec, struct err *e)
{
	unsigned none = spec->process.no_family;

	if (spec->what & ISOLATE_NET) {
		jail_number(&p->jail, "vnet", JAIL_SYS_NEW);
		return 0;
	}
	for (const char *const *a = spec->addresses; a != NULL && *a != NULL; a++)
		if (add_address(p, *a, e) < 0)
			return -1;
	if (p->n_four + p->n_six > 0) {
		jail_bytes(&p->jail, "ip4.addr", p->four, p->n_four * sizeof(p->four[0]));
		jail_bytes(&p->jail, "ip6.addr", p->six, p->n_six * sizeof(p->six[0]));
		return 0;
	}
	jail_number(&p->jail, "ip4", none & ISOLATE_NO_IPV4 ? JAIL_SYS_DISABLE : JAIL_SYS_INHERIT);
	jail_number(&p->jail, "ip6", none & ISOLATE_NO_IPV6 ? JAIL_SYS_DISABLE : JAIL_SYS_INHERIT);
	return 0;
}

/* ---- devices ---- */

/* An empty set of rules would show the whole machine. */
static int
check_ruleset(int ruleset, struct err *e)
{
	uint16_t next = (uint16_t)(ruleset - 1);
	autofd int dev = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (ruleset == 0)
		return 0; /* asked for: no rules */
	/* DEVFSIO_SGETNEXT of fs/devfs/devfs.h: the next set after this one */
	if (dev < 0 || ioctl(dev, _IOWR('D', 12, uint16_t), &next) < 0 || next != ruleset)
		return err_new(e, ERR_ABSENT,
		    "devfs ruleset %d is not loaded, and without it the pot would see every device "
		    "of this machine: 'service devfs restart' loads the rules",
		    ruleset);
	return 0;
}

int
parameters_mount(const struct parameters *p, int root_fd, struct err *e)
{
	char rules[16];

	snprintf(rules, sizeof(rules), "%d", p->ruleset);
	if (check_ruleset(p->ruleset, e) < 0 ||
	    mounts_kernel_fs(root_fd, "devfs", "/dev", "ruleset", rules, e) < 0)
		return -1;
	if (p->fdescfs && mounts_kernel_fs(root_fd, "fdescfs", "/dev/fd", NULL, NULL, e) < 0)
		return -1;
	if (p->procfs && mounts_kernel_fs(root_fd, "procfs", "/proc", NULL, NULL, e) < 0)
		return -1;
	return 0;
}

/* ---- the release ---- */

/* USERLAND_VERSION="14.2-RELEASE-p1" of freebsd-version(1), a script. */
static bool
userland_version(char *text, char out[PARAMETERS_RELEASE])
{
	static const char key[] = "\nUSERLAND_VERSION=\"";
	char *at = strstr(text, key);
	size_t n = at != NULL ? strcspn(at + strlen(key), "\"\n") : 0;

	if (n == 0 || n >= PARAMETERS_RELEASE)
		return false;
	memcpy(out, at + strlen(key), n);
	out[n] = '\0';
	return true;
}

void
parameters_release(struct parameters *p, int root_fd)
{
	struct err none = ERR_INIT;
	char text[8192];
	autofd int fd =
	    beneath_open(root_fd, "/bin/freebsd-version", O_RDONLY | O_NONBLOCK, 0, &none);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	if (userland_version(text, p->found))
		jail_text(&p->jail, "osrelease", p->found);
	else if (p->release != NULL && *p->release != '\0' &&
		 strlen(p->release) < PARAMETERS_RELEASE)
		jail_text(&p->jail, "osrelease", p->release);
}

int
parameters_read(struct parameters *p, const struct isolate_spec *spec, struct err *e)
{
	*p = (struct parameters){ .ruleset = DEVFS_RULESET, .release = spec->release };
	jail_text(&p->jail, "name", spec->name);
	jail_text(&p->jail, "path", mounts_place(&spec->root));
	if (spec->hostname != NULL)
		jail_text(&p->jail, "host.hostname", spec->hostname);
	/* until the pot is taken down */
	jail_switch(&p->jail, "persist", true);
	/* what pot has always given and refused */
	jail_switch(&p->jail, "allow.set_hostname", false);
	jail_switch(&p->jail, "allow.socket_af", true);
	jail_switch(&p->jail, "allow.chflags", true);
	return read_attributes(p, spec->attributes, e) < 0 ? -1 : read_network(p, spec, e);
}
