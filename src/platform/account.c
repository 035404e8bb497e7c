#include "platform/account.h"

#include "base/buf.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20, FIELDS = 10, ID_MAX = 0x7fffffff };

/* An absent file is an empty one; anything but an ordinary file is refused. */
static int
load(const char *path, struct buf *out, struct err *e)
{
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
			   ? 0
			   : err_sys(e, "open %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_new(e, ERR_INPUT, "%s is not an ordinary file", path);
	return buf_read_fd(out, fd, FILE_MAX, e) < 0 ? err_ctx(e, "%s", path) : 0;
}

/* Takes the next line of *text apart at its colons, in place. False: no line is left. */
static bool
next_entry(char **text, char *field[FIELDS])
{
	char *line = *text;

	if (line == NULL || *line == '\0')
		return false;
	*text = strchr(line, '\n');
	if (*text != NULL)
		*(*text)++ = '\0';
	for (int i = 0; i < FIELDS; i++) {
		field[i] = line;
		line += strcspn(line, ":");
		if (*line == ':')
			*line++ = '\0';
	}
	return true;
}

static void
user_entry(struct account *out, char *const field[FIELDS], uint64_t uid, uint64_t gid)
{
	out->uid = (uid_t)uid;
	out->gid = (gid_t)gid;
	(void)str_copy(out->name, sizeof(out->name), field[0]);
	if (field[5][0] == '/')
		(void)str_copy(out->home, sizeof(out->home), field[5]);
	(void)str_copy(out->shell, sizeof(out->shell), field[6]);
}

static int
find_user(const char *user, char *at, struct account *out, struct err *e)
{
	char *field[FIELDS];
	uint64_t wanted = 0, uid, gid;
	bool number = str_u64(user, ID_MAX, &wanted);

	while (next_entry(&at, field)) {
		if (!str_u64(field[2], ID_MAX, &uid) || !str_u64(field[3], ID_MAX, &gid))
			continue;
		if (number ? uid == wanted : strcmp(field[0], user) == 0) {
			user_entry(out, field, uid, gid);
			return 0;
		}
	}
	if (!number && strcmp(user, "root") != 0)
		return err_new(e, ERR_ABSENT,
		    "there is no user \"%.60s\" in /etc/passwd; give a number or add it", user);
	out->uid = (uid_t)wanted;
	out->gid = (gid_t)wanted;
	if (wanted == 0)
		strcpy(out->name, "root");
	return 0;
}

/* The members' field holds names separated by commas. */
static bool
is_member(const char *members, const char *name)
{
	size_t len = strlen(name);

	while (len > 0 && *members != '\0') {
		size_t n = strcspn(members, ",");
		if (n == len && strncmp(members, name, n) == 0)
			return true;
		members += n + (members[n] == ',');
	}
	return false;
}

static int
find_groups(const char *group, char *at, struct account *out, struct err *e)
{
	char *field[FIELDS];
	uint64_t gid, wanted;
	bool found = group == NULL;

	if (!found && str_u64(group, ID_MAX, &wanted)) {
		out->gid = (gid_t)wanted;
		found = true;
	}
	while (next_entry(&at, field)) {
		if (!str_u64(field[2], ID_MAX, &gid))
			continue;
		if (!found && strcmp(field[0], group) == 0) {
			out->gid = (gid_t)gid;
			found = true;
		}
		if (is_member(field[3], out->name) && out->n_groups < NELEM(out->groups))
			out->groups[out->n_groups++] = (gid_t)gid;
	}
	if (out->n_groups < NELEM(out->groups))
		out->groups[out->n_groups++] = out->gid;
	if (!found)
		return err_new(e, ERR_ABSENT,
		    "there is no group \"%.60s\" in /etc/group; give a number or add it", group);
	return 0;
}

int
account_parse(const char *user, char *passwd, char *group, struct account *out, struct err *e)
{
	char name[128];
	struct account found = { .home = "/", .shell = "/bin/sh" };

	if (user == NULL || *user == '\0')
		user = "root";
	if (!str_copy(name, sizeof(name), user))
		return err_new(e, ERR_INPUT, "user name too long");
	char *own_group = strchr(name, ':');
	if (own_group != NULL)
		*own_group++ = '\0';
	if (find_user(name, passwd, &found, e) < 0 || find_groups(own_group, group, &found, e) < 0)
		return -1;
	if (found.shell[0] != '/')
		strcpy(found.shell, "/bin/sh");
	*out = found;
	return 0;
}

int
account_find(const char *user, struct account *out, struct err *e)
{
	autobuf struct buf passwd = BUF_INIT, group = BUF_INIT;

	if (load("/etc/passwd", &passwd, e) < 0 || load("/etc/group", &group, e) < 0)
		return -1;
	return account_parse(user, passwd.data, group.data, out, e);
}
