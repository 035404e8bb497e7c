#include "plugin/plugin.h"

#include "base/ids.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/*
 * What plugin and host agree upon before the first call: the cookie says that Nomad started us, and
 * not a curious user.
 */

#define COOKIE_NAME  "NOMAD_PLUGIN_MAGIC_COOKIE"
#define COOKIE_VALUE "e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255"

#define SOCKET_NAME "pot-driver-"
enum { LEFT_OVER_S = 60 };

static bool
speaks_version_2(const char *list)
{
	autoarena struct arena mem = ARENA_INIT;
	size_t n;
	char **version = str_split(&mem, list, ',', &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(version[i], "2") == 0)
			return true;
	return false;
}

int
handshake_check(struct err *e)
{
	const char *cookie = getenv(COOKIE_NAME), *versions = getenv("PLUGIN_PROTOCOL_VERSIONS"),
		   *certificate = getenv("PLUGIN_CLIENT_CERT");

	if (cookie == NULL || strcmp(cookie, COOKIE_VALUE) != 0)
		return err_new(e, ERR_INPUT,
		    "this is a plugin of Nomad and does nothing by itself: put it into the "
		    "directory plugin_dir of Nomad's agent; nomad-pot-driver(8) tells more");
	if (versions != NULL && !speaks_version_2(versions))
		return err_new(e, ERR_UNSUPPORTED,
		    "this Nomad speaks the plugin protocol in version %s, the plugin in version 2",
		    versions);
	if (certificate != NULL && *certificate != '\0')
		return err_new(e, ERR_UNSUPPORTED,
		    "this Nomad asks for TLS between itself and its plugins, which this one does "
		    "not speak");
	return 0;
}

static const char *
directory(void)
{
	static const char *const names[] = { "PLUGIN_UNIX_SOCKET_DIR", "TMPDIR" };

	for (size_t i = 0; i < NELEM(names); i++) {
		const char *dir = getenv(names[i]);
		if (dir != NULL && *dir == '/' && strpbrk(dir, "|\n") == NULL && strlen(dir) < 64)
			return dir;
	}
	return "/tmp";
}

/* One of ours at which nobody has listened for a while: another plugin may be between bind(2) and
 * listen(2). */
static bool
is_left_over(const char *dir, int fd, const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct stat st;
	int len = snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", dir, name);

	if (!str_starts(name, SOCKET_NAME) || len < 0 || (size_t)len >= sizeof(at.sun_path) ||
	    fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISSOCK(st.st_mode) ||
	    st.st_uid != geteuid() || st.st_mtime > time(NULL) - LEFT_OVER_S)
		return false;
	autofd int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return sock >= 0 && connect(sock, (struct sockaddr *)&at, sizeof(at)) < 0 &&
	       errno == ECONNREFUSED;
}

/* A plugin that was killed, or whose machine was, could not remove its socket. */
static void
remove_left_over(const char *dir)
{
	DIR *d = opendir(dir);

	for (struct dirent *entry; d != NULL && (entry = readdir(d)) != NULL;)
		if (is_left_over(dir, dirfd(d), entry->d_name))
			(void)unlinkat(dirfd(d), entry->d_name, 0);
	if (d != NULL)
		closedir(d);
}

int
handshake_listen(char *path, size_t size, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char id[RUN_ID_TEXT];

	remove_left_over(directory());
	snprintf(path, size, "%s/" SOCKET_NAME "%s.sock", directory(), ids_run(id));
	if (!str_copy(at.sun_path, sizeof(at.sun_path), path))
		return err_new(e, ERR_INPUT, "the path %s is too long for a socket", path);
	autofd int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t before = umask(077);
	int rc = sock < 0 ? -1 : bind(sock, (struct sockaddr *)&at, sizeof(at));
	(void)umask(before);
	if (rc < 0 || listen(sock, 64) < 0)
		return err_sys(e, "listen at %s", path);
	return take_fd(&sock);
}
