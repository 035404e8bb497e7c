#include "cli/pot_release.h"

#include "base/str.h"
#include "codec/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RELEASES "https://ftp.freebsd.org/pub/FreeBSD/releases"

enum { SHA256 = 32, MANIFEST_MAX = 1 << 16 };

char *
release_name(struct pot_call *c, const char *given)
{
	bool whole = strstr(given, "RELEASE") != NULL || strstr(given, "RC") != NULL ||
		     strstr(given, "BETA") != NULL || strstr(given, "ALPHA") != NULL;

	return arena_printf(&c->mem, "%s%s", given, whole ? "" : "-RELEASE");
}

/* The digest that the manifest has for base.txz, in hex: "base.txz<TAB>digest<TAB>…". */
static int
manifest_digest(struct pot_call *c, const char *path, char out[2 * SHA256 + 1], struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	size_t n;

	if (buf_read_file(&text, path, MANIFEST_MAX, e) < 0)
		return -1;
	char **line = str_split(&c->mem, buf_str(&text), '\n', &n);
	for (size_t i = 0; i < n; i++) {
		if (!str_starts(line[i], "base.txz\t"))
			continue;
		const char *hex = line[i] + strlen("base.txz\t");
		if (strspn(hex, "0123456789abcdef") != 2 * SHA256)
			break;
		memcpy(out, hex, 2 * SHA256);
		out[2 * SHA256] = '\0';
		return 0;
	}
	return err_new(e, ERR_CORRUPT, "%s does not tell the digest of base.txz", path);
}

/* 1: it is what the manifest says; 0: it is not there, or something else. */
static int
is_genuine(const char *path, const char *hex, struct err *e)
{
	uint8_t sum[DIGEST_MAX];
	char text[2 * SHA256 + 1];
	struct stat st;
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "open %s", path);
	if (fstat(fd, &st) < 0)
		return err_sys(e, "look at %s", path);
	if (st.st_size == 0)
		return 0;
	void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return err_sys(e, "read %s", path);
	(void)digest_sha256(data, (size_t)st.st_size, sum);
	(void)munmap(data, (size_t)st.st_size);
	for (size_t i = 0; i < SHA256; i++)
		snprintf(text + 2 * i, 3, "%02x", sum[i]);
	return str_eq(text, hex);
}

int
release_tarball(struct pot_call *c, const char *release, char **path, struct err *e)
{
	struct image_tool tool = call_image_tool(c);
	char hex[2 * SHA256 + 1];
	const char *arch, *kind = pot_release_machine(&c->mem, &arch);

	if (pot_word_check("release", release, e) < 0)
		return -1;
	if (kind == NULL)
		return err_new(e, ERR_UNSUPPORTED,
		    "-r %s: FreeBSD releases do not run on this system: use -s SUITE (Debian), -t "
		    "TARBALL or -d DIRECTORY",
		    release);
	const char *manifest = arena_printf(
	    &c->mem, "%s/share/freebsd/MANIFESTS/%s-%s-%s", c->env->prefix, kind, arch, release);
	if (access(manifest, R_OK) < 0)
		return err_new(e, ERR_ABSENT,
		    "no release %s is known here: there is no %s (package "
		    "freebsd-release-manifests)",
		    release, manifest);
	*path = arena_printf(&c->mem, "%s/%s_base.txz", c->env->conf.cache, release);
	if (manifest_digest(c, manifest, hex, e) < 0)
		return -1;
	int genuine = is_genuine(*path, hex, e);
	if (genuine != 0)
		return genuine < 0 ? -1 : 0;
	const char *url = arena_printf(&c->mem, RELEASES "/%s/%s/%s/base.txz", kind, arch, release);
	say_info(c, "release %s: fetched from %s", release, url);
	if (image_fetch(&tool, url, *path, e) < 0)
		return err_ctx(e, "release %s", release);
	genuine = is_genuine(*path, hex, e);
	if (genuine == 0) {
		(void)unlink(*path);
		return err_new(e, ERR_CORRUPT,
		    "release %s: what was fetched is not what its manifest says", release);
	}
	return genuine < 0 ? -1 : 0;
}
