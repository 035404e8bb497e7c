#include "platform/freebsd/pffile.h"

#include "base/buf.h"
#include "base/str.h"
#include "platform/pf/pf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20 };

void
pffile_rules(char *out, size_t size)
{
	/* a later one counts */
	static const char *const files[] = { "/etc/defaults/rc.conf", "/etc/rc.conf",
		"/etc/rc.conf.local" };

	(void)str_copy(out, size, "/etc/pf.conf");
	for (size_t i = 0; i < NELEM(files); i++) {
		autobuf struct buf text = BUF_INIT;
		struct err none = ERR_INIT;

		if (buf_read_file(&text, files[i], FILE_MAX, &none) == 0)
			(void)pf_rc_value(buf_str(&text), "pf_rules", out, size);
	}
}

int
pffile_write(const char *path, const char *text, size_t len, mode_t mode, struct err *e)
{
	autofree char *temporary = xasprintf("%s.%d.new", path, (int)getpid());
	autofd int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	if (fd < 0)
		return err_sys(e, "make %s", temporary);
	if (fd_write_all(fd, text, len, e) == 0) {
		if (fchmod(fd, mode) == 0 && rename(temporary, path) == 0)
			return 0;
		err_sys(e, "replace %s", path);
	}
	(void)unlink(temporary);
	return -1;
}

/* It is needed no more when the file is what it was. */
static void
drop_copy(const char *backup, const struct buf *now)
{
	autobuf struct buf was = BUF_INIT;
	struct err none = ERR_INIT;

	if (buf_read_file(&was, backup, FILE_MAX, &none) == 0 && was.len == now->len &&
	    memcmp(buf_str(&was), buf_str(now), was.len) == 0)
		(void)unlink(backup);
}

int
pffile_install(struct host *h, const char *file, bool undo, char *out, size_t size, struct err *e)
{
	autobuf struct buf old = BUF_INIT, new = BUF_INIT;
	struct stat st = { .st_mode = 0644 };
	bool there, changed;

	(void)h;
	if (file != NULL)
		(void)str_copy(out, size, file);
	else
		pffile_rules(out, size);
	there = stat(out, &st) == 0;
	if (!there && (errno != ENOENT || undo))
		return errno == ENOENT ? 0 : err_sys(e, "look at %s", out);
	if (there && buf_read_file(&old, out, FILE_MAX, e) < 0)
		return -1;
	changed = undo ? pf_conf_drop(buf_str(&old), &new) : pf_conf_add(buf_str(&old), &new);
	if (!changed)
		return 0;
	autofree char *backup = xasprintf("%s.bkp-pot", out);
	if (there && !undo &&
	    pffile_write(backup, buf_str(&old), old.len, st.st_mode & 07777, e) < 0)
		return err_ctx(e, "keep a copy of %s", out);
	if (undo && new.len == 0 && access(backup, F_OK) < 0 && errno == ENOENT)
		return unlink(out) < 0 ? err_sys(e, "remove %s", out) : 1;
	if (pffile_write(out, buf_str(&new), new.len, st.st_mode & 07777, e) < 0)
		return -1;
	if (undo)
		drop_copy(backup, &new);
	return 1;
}
