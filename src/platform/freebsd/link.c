/* Requests about one interface. */
#include "platform/freebsd/links.h"

#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/param.h>
#include <sys/ioctl.h>
#include <sys/linker.h>
#include <sys/module.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <net/if_dl.h>
#include <net/if_types.h>
#include <unistd.h>

int
link_check_name(const char *name, struct err *e)
{
	size_t len = strlen(name);

	if (len == 0 || len >= IFNAMSIZ || strchr(name, '/') != NULL || name[0] == '.')
		return err_new(e, ERR_INPUT,
		    "interface name '%s': 1 to %d characters, no '/', no leading dot", name,
		    IFNAMSIZ - 1);
	return 0;
}

int
link_module(const char *module, struct err *e)
{
	if (modfind(module) >= 0)
		return 0;
	/* somebody else may load it at the same time */
	if (kldload(module) < 0 && errno != EEXIST)
		return err_sys(e, "load the kernel module %s", module);
	return 0;
}

void
stack_fini(struct stack *s)
{
	own_close(&s->inet);
	own_close(&s->inet6);
	own_close(&s->route);
	*s = (struct stack)STACK_INIT;
}

int
stack_open(struct stack *s, struct err *e)
{
	s->inet = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->inet < 0)
		return err_sys(e, "open a socket for interfaces");
	s->inet6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return 0;
}

static struct ifreq
request(const char *name)
{
	struct ifreq r = { .ifr_name = "" };

	(void)str_copy(r.ifr_name, sizeof(r.ifr_name), name);
	return r;
}

int
link_exists(int fd, const char *name, struct err *e)
{
	struct ifreq r = request(name);

	if (ioctl(fd, SIOCGIFFLAGS, &r) == 0)
		return 1;
	return errno == ENXIO ? 0 : err_sys(e, "look up interface %s", name);
}

int
link_flags(int fd, const char *name, int set, int clear, struct err *e)
{
	struct ifreq r = request(name);
	int flags, wanted;

	if (ioctl(fd, SIOCGIFFLAGS, &r) < 0)
		return err_sys(e, "look up interface %s", name);
	flags = (int)((uint32_t)(r.ifr_flags & 0xffff) | (uint32_t)r.ifr_flagshigh << 16);
	wanted = (flags | set) & ~clear;
	if (wanted == flags)
		return 0;
	r.ifr_flags = (short)(wanted & 0xffff);
	r.ifr_flagshigh = (short)(wanted >> 16);
	return ioctl(fd, SIOCSIFFLAGS, &r) < 0 ? err_sys(e, "change interface %s", name) : 0;
}

int
link_describe(int fd, const char *name, const char *text, struct err *e)
{
	struct ifreq r = request(name);
	autofree char *copy = xstrndup(text, NETIF_ALIAS - 1);

	r.ifr_buffer.buffer = copy;
	r.ifr_buffer.length = strlen(copy) + 1;
	return ioctl(fd, SIOCSIFDESCR, &r) < 0 ? err_sys(e, "describe interface %s", name) : 0;
}

void
link_description(int fd, const char *name, char *out, size_t size)
{
	struct ifreq r = request(name);

	out[0] = '\0';
	r.ifr_buffer.buffer = out;
	r.ifr_buffer.length = size;
	/* the kernel clears the buffer's address when the text is longer */
	if (ioctl(fd, SIOCGIFDESCR, &r) < 0 || r.ifr_buffer.buffer == NULL)
		out[0] = '\0';
	out[size - 1] = '\0';
}

int
link_join_group(int fd, const char *name, const char *group, struct err *e)
{
	struct ifgroupreq r = { .ifgr_name = "" };

	(void)str_copy(r.ifgr_name, sizeof(r.ifgr_name), name);
	(void)str_copy(r.ifgr_group, sizeof(r.ifgr_group), group);
	if (ioctl(fd, SIOCAIFGROUP, &r) < 0 && errno != EEXIST)
		return err_sys(e, "put interface %s into the group %s", name, group);
	return 0;
}

int
link_create(int fd, const char *kind, char out[IFNAMSIZ], struct err *e)
{
	struct ifreq r = request(kind);

	if (ioctl(fd, SIOCIFCREATE2, &r) < 0)
		return err_sys(e, "make an interface of the kind %s", kind);
	(void)str_copy(out, IFNAMSIZ, r.ifr_name);
	return 0;
}

int
link_rename(int fd, const char *from, const char *to, struct err *e)
{
	struct ifreq r = request(from);
	char name[IFNAMSIZ];

	(void)str_copy(name, sizeof(name), to);
	r.ifr_data = name;
	return ioctl(fd, SIOCSIFNAME, &r) < 0 ? err_sys(e, "rename interface %s to %s", from, to)
					      : 0;
}

int
link_destroy(int fd, const char *name, struct err *e)
{
	struct ifreq r = request(name);

	if (ioctl(fd, SIOCIFDESTROY, &r) < 0 && errno != ENXIO)
		return err_sys(e, "remove interface %s", name);
	return 0;
}

int
link_mac(int fd, const char *name, const uint8_t mac[6], struct err *e)
{
	struct ifreq r = request(name);

	r.ifr_addr.sa_len = 6;
	r.ifr_addr.sa_family = AF_LINK;
	memcpy(r.ifr_addr.sa_data, mac, 6);
	return ioctl(fd, SIOCSIFLLADDR, &r) < 0 ? err_sys(e, "give %s its MAC address", name) : 0;
}
