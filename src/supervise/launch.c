#include "supervise/launch.h"

#include "codec/wire.h"

#include <stddef.h>
#include <string.h>

enum { KIND_LAUNCH = 1, LIST_MAX = 4096 };

static const struct wire_row mount_rows[] = {
	WIRE_ROW_INT(1, struct mount_item, kind, 0, MOUNT_KINDS - 1),
	WIRE_ROW(2, WIRE_STR, struct mount_item, source),
	WIRE_ROW(3, WIRE_STR, struct mount_item, target),
	WIRE_ROW_INT(4, struct mount_item, flags, 0, MOUNT_FLAGS),
	WIRE_ROW(5, WIRE_U64, struct mount_item, size_bytes),
	WIRE_ROW_INT(6, struct mount_item, mode, 0, 07777),
	WIRE_ROW(7, WIRE_STR, struct mount_item, tree.plain),
	WIRE_ROW(8, WIRE_STRS, struct mount_item, tree.lower),
	WIRE_ROW(9, WIRE_STR, struct mount_item, tree.upper),
	WIRE_ROW(10, WIRE_STR, struct mount_item, tree.work),
	WIRE_ROW(11, WIRE_BOOL, struct mount_item, tree.read_only),
	WIRE_ROW(12, WIRE_BOOL, struct mount_item, tree.no_links),
	WIRE_ROWS_END,
};

static const struct wire_row file_rows[] = {
	WIRE_ROW(1, WIRE_STR, struct isolate_file, path),
	WIRE_ROW_INT(2, struct isolate_file, mode, 0, 07777),
	WIRE_ROW_BYTES(3, struct isolate_file, content, len),
	WIRE_ROW(4, WIRE_BOOL, struct isolate_file, only_if_parent),
	WIRE_ROW(5, WIRE_BOOL, struct isolate_file, for_this_run),
	WIRE_ROWS_END,
};

static const struct wire_row launch_rows[] = {
	WIRE_ROW(1, WIRE_STR, struct launch, run_id),
	WIRE_ROW(2, WIRE_STR, struct launch, pot),
	WIRE_ROW_INT(3, struct launch, isolate.what, 0, ISOLATE_ALL),
	WIRE_ROW(4, WIRE_STR, struct launch, isolate.hostname),
	WIRE_ROW(5, WIRE_STR, struct launch, isolate.root.plain),
	WIRE_ROW(6, WIRE_STRS, struct launch, isolate.root.lower),
	WIRE_ROW(7, WIRE_STR, struct launch, isolate.root.upper),
	WIRE_ROW(8, WIRE_STR, struct launch, isolate.root.work),
	WIRE_ROW(9, WIRE_BOOL, struct launch, isolate.root.read_only),
	WIRE_ROW_ITEMS(10, struct launch, isolate.mounts, isolate.n_mounts, struct mount_item,
	    mount_rows, LAUNCH_MOUNTS_MAX),
	WIRE_ROW_ITEMS(11, struct launch, isolate.files, isolate.n_files, struct isolate_file,
	    file_rows, LAUNCH_FILES_MAX),
	WIRE_ROW(12, WIRE_STRS, struct launch, isolate.cgroups),
	WIRE_ROW(13, WIRE_STRS, struct launch, isolate.process.argv),
	WIRE_ROW(14, WIRE_STRS, struct launch, isolate.process.env),
	WIRE_ROW(15, WIRE_STR, struct launch, isolate.process.cwd),
	WIRE_ROW(16, WIRE_STR, struct launch, isolate.process.user),
	WIRE_ROW(17, WIRE_BOOL, struct launch, isolate.process.login),
	WIRE_ROW(18, WIRE_U64, struct launch, isolate.process.caps),
	WIRE_ROW(19, WIRE_BOOL, struct launch, isolate.process.new_privileges),
	WIRE_ROW(20, WIRE_BOOL, struct launch, isolate.process.no_filter),
	WIRE_ROW(21, WIRE_U64, struct launch, isolate.process.max_files),
	WIRE_ROW(22, WIRE_BOOL, struct launch, isolate.persist),
	WIRE_ROW_INT(23, struct launch, stdio, 0, LAUNCH_STDIO_KINDS - 1),
	WIRE_ROW(24, WIRE_STR, struct launch, log_dir),
	WIRE_ROW(25, WIRE_STR, struct launch, log_prefix),
	WIRE_ROW_INT(26, struct launch, log_max_files, 0, 100000),
	WIRE_ROW(27, WIRE_U64, struct launch, log_max_file_bytes),
	WIRE_ROW(28, WIRE_U32, struct launch, log_uid),
	WIRE_ROW(29, WIRE_U32, struct launch, log_gid),
	WIRE_ROW_INT(30, struct launch, log_mode, 0, 0777),
	WIRE_ROW_INT(31, struct launch, stop_signal, 0, 64),
	WIRE_ROW(32, WIRE_I64, struct launch, stop_timeout_ms),
	WIRE_ROW(33, WIRE_STR, struct launch, run_dir),
	WIRE_ROW(34, WIRE_STR, struct launch, stats_path),
	WIRE_ROW(35, WIRE_STRS, struct launch, finish),
	WIRE_ROW_INT(36, struct launch, isolate.no_ipc, 0, ISOLATE_NO_IPC),
	WIRE_ROW(37, WIRE_BOOL, struct launch, attended),
	WIRE_ROW_INT(38, struct launch, isolate.process.no_family, 0, 3),
	WIRE_ROW(39, WIRE_STR, struct launch, isolate.network),
	WIRE_ROW(40, WIRE_STR, struct launch, isolate.name),
	WIRE_ROW(41, WIRE_STR, struct launch, isolate.release),
	WIRE_ROW(42, WIRE_STRS, struct launch, isolate.attributes),
	WIRE_ROW(43, WIRE_STRS, struct launch, isolate.addresses),
	WIRE_ROW(44, WIRE_STR, struct launch, isolate.root.at),
	WIRE_ROW(45, WIRE_BOOL, struct launch, isolate.root.no_links),
	WIRE_ROWS_END,
};

void
launch_encode(const struct launch *l, struct buf *body)
{
	wire_begin(body, KIND_LAUNCH, 0);
	wire_put(body, launch_rows, l);
}

/* ---- what a keeper relies on ---- */

static int
need_absolute(const char *what, const char *path, bool may_lack, struct err *e)
{
	if (path == NULL ? may_lack : path[0] == '/')
		return 0;
	return err_new(e, ERR_INPUT, "launch: %s must be an absolute path, not \"%.200s\"", what,
	    path != NULL ? path : "");
}

static int
check_root(const struct mount_root *r, struct err *e)
{
	if ((r->plain != NULL) == (r->lower != NULL))
		return err_new(e, ERR_INPUT, "launch: a root is one directory or layers");
	if ((r->upper == NULL) != (r->work == NULL) || (r->upper != NULL && r->lower == NULL))
		return err_new(
		    e, ERR_INPUT, "launch: layers that can be changed need both upper and work");
	if (need_absolute("root", r->plain, true, e) < 0 ||
	    need_absolute("place of the root", r->at, true, e) < 0 ||
	    need_absolute("upper layer", r->upper, true, e) < 0 ||
	    need_absolute("work directory", r->work, true, e) < 0)
		return -1;
	for (size_t i = 0; r->lower != NULL && r->lower[i] != NULL; i++)
		if (need_absolute("layer", r->lower[i], false, e) < 0)
			return -1;
	return 0;
}

static int
check_inside(const struct isolate_spec *s, struct err *e)
{
	if (s->what & ISOLATE_MOUNT) {
		if (check_root(&s->root, e) < 0)
			return -1;
	} else if (s->n_mounts > 0 || s->n_files > 0) {
		return err_new(e, ERR_INPUT, "launch: mounts and files need a root of their own");
	}
	for (size_t i = 0; i < s->n_mounts; i++) {
		const struct mount_item *m = &s->mounts[i];
		if (need_absolute("mount point", m->target, false, e) < 0 ||
		    need_absolute("source of a mount", m->source, m->kind != MOUNT_BIND, e) < 0 ||
		    (m->kind == MOUNT_TREE && check_root(&m->tree, e) < 0))
			return -1;
	}
	for (size_t i = 0; i < s->n_files; i++)
		if (need_absolute("file", s->files[i].path, false, e) < 0)
			return -1;
	for (size_t i = 0; s->cgroups != NULL && s->cgroups[i] != NULL; i++)
		if (need_absolute("cgroup", s->cgroups[i], false, e) < 0)
			return -1;
	if (need_absolute("network", s->network, true, e) < 0)
		return -1;
	if (s->network != NULL && (s->what & ISOLATE_NET))
		return err_new(e, ERR_INPUT, "launch: a network of its own, or one to join");
	if (s->process.argv == NULL && !s->process.login && !s->persist)
		return err_new(e, ERR_INPUT, "launch: no command");
	if (s->persist && !(s->what & ISOLATE_PID))
		return err_new(e, ERR_INPUT, "launch: only a pot can persist without its command");
	return 0;
}

static int
check(struct launch *l, struct err *e)
{
	if (l->run_id == NULL || l->pot == NULL)
		return err_new(e, ERR_INPUT, "launch: without run id or name");
	if (check_inside(&l->isolate, e) < 0)
		return -1;
	if (l->stdio == LAUNCH_FILES) {
		if (need_absolute("directory of the logs", l->log_dir, false, e) < 0)
			return -1;
		if (l->log_prefix == NULL || l->log_prefix[0] == '\0' || l->log_prefix[0] == '.' ||
		    strchr(l->log_prefix, '/') != NULL)
			return err_new(
			    e, ERR_INPUT, "launch: the prefix of the logs must be a file name");
	}
	if (l->stop_timeout_ms < 0 || l->stop_timeout_ms > 7LL * 24 * 3600 * 1000)
		return err_new(e, ERR_INPUT, "launch: stop timeout out of range (0 to a week)");
	if (need_absolute("run directory", l->run_dir, true, e) < 0 ||
	    need_absolute("file of the last run", l->stats_path, true, e) < 0 ||
	    need_absolute("finish program", l->finish != NULL ? l->finish[0] : NULL, true, e) < 0)
		return -1;
	return 0;
}

int
launch_decode(const void *body, size_t len, struct arena *a, struct launch *l, struct err *e)
{
	struct wire_head head;
	struct wire_reader r;

	if (wire_read(body, len, &head, &r, e) < 0)
		return -1;
	if (head.kind != KIND_LAUNCH)
		return err_new(e, ERR_INPUT, "not a launch message");
	memset(l, 0, sizeof(*l));
	if (wire_take(&r, launch_rows, a, l, e) < 0)
		return err_ctx(e, "launch");
	return check(l, e);
}
