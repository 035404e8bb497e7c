/*
 * Addresses of the outside that pots have. An alias pot uses this host's network stack, restricted
 * to its addresses by its jail; here the interfaces get and lose them. Which ones are pots' is kept
 * in <POT_RUN_DIR>/aliases, a file for each, which is there before the address is.
 */
#include "platform/freebsd/links.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/vec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysctl.h>
#include <time.h>
#include <unistd.h>

static char *
place(struct host *h)
{
	return xasprintf("%s/aliases", h->roots.run_dir);
}

/* "em0,10.0.0.7" */
static char *
note_path(struct host *h, const struct netif_alias *a)
{
	autofree char *dir = place(h);
	char text[IP_TEXT];

	return xasprintf("%s/%s,%s", dir, a->nic, ip_text(&a->ip, text));
}

/* The names of all runs are of one length, so that one write makes one the other. */
static int
note(struct host *h, const struct netif_alias *a, const char *run, struct err *e)
{
	autofree char *dir = place(h), *path = note_path(h, a);
	ssize_t len = (ssize_t)strlen(run);

	if (mkdir(dir, 0711) < 0 && errno != EEXIST)
		return err_sys(e, "make %s", dir);
	autofd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, run, (size_t)len) != len || ftruncate(fd, len) < 0)
		return err_sys(e, "make %s", path);
	return 0;
}

static int
forget(struct host *h, const struct netif_alias *a, struct err *e)
{
	autofree char *path = note_path(h, a);

	return unlink(path) < 0 && errno != ENOENT ? err_sys(e, "remove %s", path) : 0;
}

/* Is it noted, and as that run's? NULL: as anybody's. */
static bool
noted(struct host *h, const struct netif_alias *a, const char *run)
{
	autofree char *path = note_path(h, a);
	autobuf struct buf by = BUF_INIT;
	struct err e = ERR_INIT;

	if (run == NULL)
		return access(path, F_OK) == 0;
	return buf_read_file(&by, path, 2 * NETIF_NAME, &e) == 0 &&
	       (by.len == 0 || str_eq(buf_str(&by), run));
}

static bool
parse(const char *text, struct netif_alias *out)
{
	const char *comma = strchr(text, ',');

	*out = (struct netif_alias){ .nic = "" };
	if (comma == NULL || comma == text || (size_t)(comma - text) >= sizeof(out->nic) ||
	    !ip_parse(comma + 1, &out->ip))
		return false;
	memcpy(out->nic, text, (size_t)(comma - text));
	return true;
}

int
aliases_list(struct host *h, struct netif_alias **out, size_t *n, struct err *e)
{
	VEC(struct netif_alias) all = VEC_INIT;
	autofree char *dir = place(h);
	DIR *d = opendir(dir);
	struct dirent *entry;

	if (d == NULL && errno != ENOENT)
		return err_sys(e, "open %s", dir);
	while (d != NULL && (entry = readdir(d)) != NULL) {
		struct netif_alias a;

		if (parse(entry->d_name, &a))
			VEC_PUSH(&all, a);
	}
	if (d != NULL)
		closedir(d);
	*out = all.at;
	*n = all.n;
	return 0;
}

/* An address that is the host's own stays the host's: the end of the pot would take it away. What a
 * run left that was killed is ours to take again. */
static int
check_free(struct host *h, const struct netif_alias *at, size_t n, struct err *e)
{
	autonetif_links struct netif_links links = NETIF_LINKS_INIT;
	char text[IP_TEXT];

	if (links_list(h, "", &links, e) < 0)
		return -1;
	for (size_t i = 0; i < links.n; i++) {
		autofree struct ipnet *addrs = NULL;
		struct err gone = ERR_INIT;
		size_t n_addrs = 0;

		if (links_addresses(h, links.at[i].name, &addrs, &n_addrs, &gone) < 0)
			continue;
		for (size_t k = 0; k < n_addrs * n; k++)
			if (ip_eq(&addrs[k / n].addr, &at[k % n].ip) && !noted(h, &at[k % n], NULL))
				return err_new(e, ERR_EXISTS,
				    "%s is an address of this machine itself: a pot needs one that "
				    "nobody has, or the network type inherit",
				    ip_text(&at[k % n].ip, text));
	}
	return 0;
}

int
alias_down(struct host *h, const char *pair, const struct netif_alias *at, size_t n, struct err *e)
{
	autostack struct stack s = STACK_INIT;
	bool all = str_eq(pair, ""); /* of a pot that the shell implementation started */

	if (stack_open(&s, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if ((all || noted(h, &at[i], pair)) &&
		    (address_remove(&s, at[i].nic, &at[i].ip, e) < 0 || forget(h, &at[i], e) < 0))
			return -1;
	return 0;
}

int
alias_up(struct host *h, const struct netif_pair *p, const struct netif_alias *at, size_t n,
    struct err *e)
{
	autostack struct stack s = STACK_INIT;
	struct err again = ERR_INIT;

	if (stack_open(&s, e) < 0 || check_free(h, at, n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct ipnet own = { .addr = at[i].ip, .prefix = (int)ip_size(&at[i].ip) * 8 };
		int there = link_exists(s.inet, at[i].nic, e);

		if (there == 0)
			err_new(e, ERR_ABSENT, "this machine has no interface %s", at[i].nic);
		if (there > 0 && note(h, &at[i], p->name, e) == 0 &&
		    address_add(&s, at[i].nic, &own, e) == 0)
			continue;
		(void)alias_down(h, p->name, at, n, &again);
		return -1;
	}
	return 0;
}

/* How long the kernel asks for duplicates: a second for each time, and as long at most before the
 * first of them. */
static int64_t
asks_until(void)
{
	int times = 1;
	size_t size = sizeof(times);

	(void)sysctlbyname("net.inet6.ip6.dad_count", &times, &size, NULL, 0);
	return clock_mono_ns() + (times + 2) * NS_PER_SEC;
}

int
alias_ready(struct host *h, const struct netif_alias *at, size_t n, struct err *e)
{
	static const struct timespec moment = { .tv_nsec = 5 * NS_PER_MS };
	autostack struct stack s = STACK_INIT;
	int64_t end = asks_until();

	(void)h;
	if (stack_open(&s, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int usable = 0;
		while ((usable = address_usable(&s, at[i].nic, &at[i].ip, e)) == 0 &&
		       clock_mono_ns() < end)
			nanosleep(&moment, NULL);
		/* not in time: the interface has no link, and the pot starts without */
		if (usable < 0)
			return -1;
	}
	return 0;
}
