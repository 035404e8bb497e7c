#include "store/log.h"

#include "store/wal.h"

#include "base/clock.h"
#include "base/ids.h"
#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { APPLICATION_ID = 0x506f7474 /* "Pott" */, FORMAT = 1 };

enum statement { BEGIN, COMMIT, ROLLBACK, APPEND, ROW, STATEMENTS };

static const char *const statement_text[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[APPEND] = "INSERT INTO log(idx, type, body, sum) VALUES (?1, ?2, ?3, ?4)",
	[ROW] = "INSERT INTO snapshot_row(generation, kind, body, sum) VALUES (?1, ?2, ?3, ?4)",
};

static const char schema[] =
    "CREATE TABLE log(idx INTEGER PRIMARY KEY, type TEXT NOT NULL, body BLOB NOT NULL,"
    " sum INTEGER NOT NULL);"
    "CREATE TABLE snapshot(generation INTEGER PRIMARY KEY, idx INTEGER NOT NULL,"
    " rows INTEGER NOT NULL, complete INTEGER NOT NULL);"
    "CREATE TABLE snapshot_row(seq INTEGER PRIMARY KEY, generation INTEGER NOT NULL,"
    " kind TEXT NOT NULL, body BLOB NOT NULL, sum INTEGER NOT NULL);";

struct counters { /* what a rollback takes back */
	uint64_t last, entries, bytes;
	int64_t generation, rows; /* of the snapshot being written; generation 0: none */
	int64_t complete;	  /* generation of the one that counts; 0: none */
};

struct store_log {
	sqlite3 *db;
	char *path; /* as messages name it */
	sqlite3_stmt *statement[STATEMENTS];
	bool in_transaction;
	struct counters now, committed;
};

/* ---- errors ---- */

/* "the copy of 2026-01-02T03:04:05Z, …", or how to begin anew. */
static const char *
way_out(const char *path, char *out, size_t size)
{
	char backup[512], when[CLOCK_TEXT];
	struct stat st;

	snprintf(backup, sizeof(backup), "%s.backup", path);
	if (stat(backup, &st) == 0)
		snprintf(out, size,
		    "To go back to the copy made at %s: remove %s-wal if it is there, and move %s "
		    "over "
		    "it",
		    clock_rfc3339((int64_t)st.st_mtime * NS_PER_SEC, when), path, backup);
	else
		snprintf(out, size,
		    "There is no copy beside it: move it (and its -wal file) away to begin with an "
		    "empty state; running pots are not touched, jobs must be submitted again");
	return out;
}

static int
corrupt(struct store_log *s, struct err *e, const char *what)
{
	char way[700];

	if (s->db != NULL) /* closing must not fold the WAL in and remove it */
		(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return err_new(e, ERR_CORRUPT, "state file %s is damaged: %.300s. It was left as it is. %s",
	    s->path, what, way_out(s->path, way, sizeof(way)));
}

static int
fail(struct store_log *s, struct err *e, const char *what)
{
	int code = sqlite3_errcode(s->db) & 0xff;
	const char *text = sqlite3_errmsg(s->db);

	switch (code) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_FORMAT:
		return corrupt(s, e, text);
	case SQLITE_FULL:
		return err_new(
		    e, ERR_FULL, "%s: %s: %s; make room on its file system", s->path, what, text);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_new(e, ERR_BUSY,
		    "%s: %s: another process has it open; is another agent running with this data "
		    "directory?",
		    s->path, what);
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return err_new(e, ERR_RIGHTS, "%s: %s: %s", s->path, what, text);
	case SQLITE_CANTOPEN: {
		int sys = sqlite3_system_errno(s->db);
		return err_new(e, sys != 0 ? err_kind_of_errno(sys) : ERR_SYS, "%s: %s: %s",
		    s->path, what, sys != 0 ? strerror(sys) : text);
	}
	default:
		return err_new(e, ERR_SYS, "%s: %s: %s", s->path, what, text);
	}
}

static int
run(struct store_log *s, const char *sql, struct err *e)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(s, e, sql);
}

static int
step(struct store_log *s, enum statement which, const char *what, struct err *e)
{
	sqlite3_stmt *st = s->statement[which];
	int code = sqlite3_step(st);

	if (code != SQLITE_DONE)
		fail(s, e, what);
	(void)sqlite3_reset(st); /* repeats the error of the step */
	return code == SQLITE_DONE ? 0 : -1;
}

/* The checksum covers all that an entry or row says. */
static int64_t
sum_of(int64_t number, const char *type, const void *body, size_t len)
{
	uint64_t part[3] = { (uint64_t)number, ids_hash64(type, strlen(type)),
		ids_hash64(body, len) };

	return (int64_t)ids_hash64(part, sizeof(part));
}

/* ---- opening ---- */

static int
configure(struct store_log *s, struct err *e)
{
	/* The cache is small: pages are written in order and read once, at the start. */
	static const char settings[] = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA cache_size=-256;"
				       "PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
				       "PRAGMA foreign_keys=OFF; PRAGMA cell_size_check=ON;"
				       "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=1000;"
				       "PRAGMA journal_size_limit=4194304;";

	return run(s, settings, e);
}

static int
open_db(struct store_log *s, const char *path, int flags, struct err *e)
{
	if (sqlite3_open_v2(path, &s->db, flags, NULL) != SQLITE_OK)
		return fail(s, e, "open");
	sqlite3_extended_result_codes(s->db, 1);
	return configure(s, e);
}

static int
make_tables(struct store_log *s, struct err *e)
{
	char text[128];

	snprintf(text, sizeof(text), "PRAGMA application_id=%d; PRAGMA user_version=%d;",
	    APPLICATION_ID, FORMAT);
	return run(s, "BEGIN", e) < 0 || run(s, schema, e) < 0 || run(s, text, e) < 0 ||
		       run(s, "COMMIT", e) < 0
		   ? -1
		   : 0;
}

static int
sync_parent(const char *path, struct err *e)
{
	autofree char *copy = xstrdup(path);
	const char *dir = dirname(copy);
	autofd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_sys(e, "sync %s", dir);
	return 0;
}

/* Made under another name and renamed, so that a file of the right name is never half-made, and an
 * empty one is damage and no beginning. */
static int
create_file(const char *path, struct err *e)
{
	autofree char *temp = xasprintf("%s.new", path);
	autofree char *wal = xasprintf("%s.new-wal", path);
	struct store_log s = { .path = temp };

	if ((unlink(temp) < 0 && errno != ENOENT) || (unlink(wal) < 0 && errno != ENOENT))
		return err_sys(e, "remove the unfinished %s", temp);
	autofd int fd = open(temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "create state file %s", temp);
	int rc = open_db(&s, temp, SQLITE_OPEN_READWRITE, e);
	if (rc == 0)
		rc = make_tables(&s, e);
	if (sqlite3_close(s.db) != SQLITE_OK && rc == 0)
		rc = err_new(e, ERR_SYS, "close %s", temp);
	if (rc == 0 && rename(temp, path) < 0)
		rc = err_sys(e, "rename %s", temp);
	return rc == 0 ? sync_parent(path, e) : -1;
}

static int
pragma_int(struct store_log *s, const char *sql, int64_t *out, struct err *e)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
		return fail(s, e, sql);
	int code = sqlite3_step(st);
	*out = code == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	int rc = code == SQLITE_ROW || code == SQLITE_DONE ? 0 : fail(s, e, sql);
	(void)sqlite3_finalize(st);
	return rc;
}

static int
check_format(struct store_log *s, struct err *e)
{
	int64_t id = 0, version = 0;

	if (pragma_int(s, "PRAGMA application_id", &id, e) < 0 ||
	    pragma_int(s, "PRAGMA user_version", &version, e) < 0)
		return -1;
	if (id != APPLICATION_ID)
		return corrupt(s, e, "it is not a state file of Potter");
	if (version != FORMAT)
		return err_new(e, ERR_UNSUPPORTED,
		    "state file %s has format %lld, this version of Potter reads %d; use the "
		    "version "
		    "that wrote it",
		    s->path, (long long)version, FORMAT);
	return 0;
}

static int
prepare_all(struct store_log *s, struct err *e)
{
	for (int i = 0; i < STATEMENTS; i++)
		if (sqlite3_prepare_v3(s->db, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT,
			&s->statement[i], NULL) != SQLITE_OK)
			return fail(s, e, statement_text[i]);
	return 0;
}

static int
open_file(struct store_log *s, const char *path, struct err *e)
{
	struct stat st;
	bool damaged = false;

	if (stat(path, &st) < 0) {
		if (errno != ENOENT)
			return err_sys(e, "state file %s", path);
		if (create_file(path, e) < 0)
			return -1;
	} else if (st.st_size == 0)
		return corrupt(s, e, "it is empty");
	if (wal_check(path, &damaged, e) < 0)
		return -1;
	if (damaged)
		return corrupt(s, e, "a frame in its -wal file fails its check");
	if (open_db(s, path, SQLITE_OPEN_READWRITE, e) < 0)
		return -1;
	return check_format(s, e);
}

int
store_log_open(const char *path, struct store_log **out, struct err *e)
{
	struct store_log *s = xcalloc(1, sizeof(*s));

	s->path = xstrdup(path != NULL ? path : "(memory)");
	int rc;
	if (path != NULL)
		rc = open_file(s, path, e);
	else
		rc = open_db(s, ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, e) < 0
			 ? -1
			 : make_tables(s, e);
	if (rc < 0 || prepare_all(s, e) < 0) {
		store_log_close(s);
		return -1;
	}
	*out = s;
	return 0;
}

void
store_log_close(struct store_log *s)
{
	if (s == NULL)
		return;
	store_log_rollback(s);
	for (int i = 0; i < STATEMENTS; i++)
		(void)sqlite3_finalize(s->statement[i]);
	(void)sqlite3_close(s->db);
	free(s->path);
	free(s);
}

/* ---- recovery ---- */

static int
read_failed(struct store_log *s, struct err *e)
{
	struct err inner = *e;
	char what[600];

	snprintf(what, sizeof(what), "%s", inner.text);
	return corrupt(s, e, what);
}

static int
checked(sqlite3_stmt *st, int64_t number, const char **type, const char **body, size_t *len)
{
	*type = (const char *)sqlite3_column_text(st, 1);
	*body = sqlite3_column_blob(st, 2);
	*len = (size_t)sqlite3_column_bytes(st, 2);
	if (*type == NULL)
		return -1;
	if (*body == NULL)
		*body = "";
	return sum_of(number, *type, *body, *len) == sqlite3_column_int64(st, 3) ? 0 : -1;
}

static int
read_rows(struct store_log *s, int64_t generation, int64_t expected,
    const struct store_log_reader *r, struct err *e)
{
	static const char sql[] =
	    "SELECT seq, kind, body, sum FROM snapshot_row WHERE generation = ?1 ORDER BY seq";
	sqlite3_stmt *st = NULL;
	int64_t n = 0;
	int rc = 0, code;
	char what[80];

	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
		return fail(s, e, "read the snapshot");
	sqlite3_bind_int64(st, 1, generation);
	while (rc == 0 && (code = sqlite3_step(st)) == SQLITE_ROW) {
		const char *kind, *body;
		size_t len;
		if (checked(st, generation, &kind, &body, &len) < 0) {
			snprintf(what, sizeof(what), "row %lld of the snapshot fails its check",
			    (long long)n);
			rc = corrupt(s, e, what);
		} else if (r->row(r->ctx, kind, body, len, e) < 0)
			rc = read_failed(s, e);
		n++;
	}
	if (rc == 0 && code != SQLITE_DONE)
		rc = fail(s, e, "read the snapshot");
	if (rc == 0 && n != expected) {
		snprintf(what, sizeof(what), "its snapshot has %lld rows where %lld were written",
		    (long long)n, (long long)expected);
		rc = corrupt(s, e, what);
	}
	(void)sqlite3_finalize(st);
	return rc;
}

static int
read_snapshot(struct store_log *s, const struct store_log_reader *r, struct err *e)
{
	static const char sql[] = "SELECT generation, idx, rows FROM snapshot WHERE complete = 1 "
				  "ORDER BY generation DESC LIMIT 1";
	sqlite3_stmt *st = NULL;
	int64_t generation = 0, index = 0, rows = 0;

	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
		return fail(s, e, "read the list of snapshots");
	int code = sqlite3_step(st);
	if (code == SQLITE_ROW) {
		generation = sqlite3_column_int64(st, 0);
		index = sqlite3_column_int64(st, 1);
		rows = sqlite3_column_int64(st, 2);
	}
	int rc = code == SQLITE_ROW || code == SQLITE_DONE
		     ? 0
		     : fail(s, e, "read the list of snapshots");
	(void)sqlite3_finalize(st);
	if (rc == 0 && generation != 0)
		rc = read_rows(s, generation, rows, r, e);
	if (rc < 0)
		return -1;
	s->now.complete = generation;
	s->now.last = (uint64_t)index;
	r->rows_done(r->ctx, (uint64_t)index);
	return 0;
}

static int
read_entry(struct store_log *s, sqlite3_stmt *st, const struct store_log_reader *r, struct err *e)
{
	uint64_t index = (uint64_t)sqlite3_column_int64(st, 0);
	const char *type, *body;
	size_t len;
	char what[100];

	if (index != s->now.last + 1) {
		snprintf(what, sizeof(what), "entry %llu of its log is missing",
		    (unsigned long long)s->now.last + 1);
		return corrupt(s, e, what);
	}
	if (checked(st, (int64_t)index, &type, &body, &len) < 0) {
		snprintf(what, sizeof(what), "entry %llu of its log fails its check",
		    (unsigned long long)index);
		return corrupt(s, e, what);
	}
	if (r->entry(r->ctx, index, type, body, len, e) < 0) {
		err_ctx(e, "entry %llu of its log", (unsigned long long)index);
		return read_failed(s, e);
	}
	s->now.last = index;
	s->now.entries++;
	s->now.bytes += len;
	return 0;
}

int
store_log_recover(struct store_log *s, const struct store_log_reader *r, struct err *e)
{
	static const char sql[] =
	    "SELECT idx, type, body, sum FROM log WHERE idx > ?1 ORDER BY idx";
	sqlite3_stmt *st = NULL;
	int rc = 0, code = SQLITE_DONE;

	s->now = (struct counters){ 0 };
	if (read_snapshot(s, r, e) < 0)
		return -1;
	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
		return fail(s, e, "read the log");
	sqlite3_bind_int64(st, 1, (int64_t)s->now.last);
	while (rc == 0 && (code = sqlite3_step(st)) == SQLITE_ROW)
		rc = read_entry(s, st, r, e);
	if (rc == 0 && code != SQLITE_DONE)
		rc = fail(s, e, "read the log");
	(void)sqlite3_finalize(st);
	s->committed = s->now;
	return rc;
}

/* ---- writing ---- */

uint64_t
store_log_last(const struct store_log *s)
{
	return s->now.last;
}

uint64_t
store_log_entries(const struct store_log *s)
{
	return s->now.entries;
}

uint64_t
store_log_bytes(const struct store_log *s)
{
	return s->now.bytes;
}

static int
begin(struct store_log *s, struct err *e)
{
	if (s->in_transaction)
		return 0;
	if (step(s, BEGIN, "begin", e) < 0)
		return -1;
	s->in_transaction = true;
	return 0;
}

static int
insert(struct store_log *s, enum statement which, int64_t number, const char *type,
    const char *body, size_t len, struct err *e)
{
	sqlite3_stmt *st = s->statement[which];

	if (begin(s, e) < 0)
		return -1;
	sqlite3_bind_int64(st, 1, number);
	sqlite3_bind_text(st, 2, type, -1, SQLITE_STATIC);
	sqlite3_bind_blob64(st, 3, body, len, SQLITE_STATIC);
	sqlite3_bind_int64(st, 4, sum_of(number, type, body, len));
	int rc = step(s, which, "write", e);
	(void)sqlite3_clear_bindings(st);
	return rc;
}

int
store_log_append(struct store_log *s, uint64_t index, const char *type, const char *body,
    size_t len, struct err *e)
{
	if (index != s->now.last + 1)
		return err_new(e, ERR_INPUT, "%s: entry %llu does not follow %llu", s->path,
		    (unsigned long long)index, (unsigned long long)s->now.last);
	if (insert(s, APPEND, (int64_t)index, type, body, len, e) < 0)
		return -1;
	s->now.last = index;
	s->now.entries++;
	s->now.bytes += len;
	return 0;
}

int
store_log_commit(struct store_log *s, struct err *e)
{
	if (!s->in_transaction)
		return 0;
	if (step(s, COMMIT, "commit", e) < 0) {
		store_log_rollback(s);
		return -1;
	}
	s->in_transaction = false;
	s->committed = s->now;
	return 0;
}

void
store_log_rollback(struct store_log *s)
{
	struct err ignored = ERR_INIT;

	if (!s->in_transaction)
		return;
	if (sqlite3_get_autocommit(s->db) == 0) /* some failures have rolled back by themselves */
		(void)step(s, ROLLBACK, "roll back", &ignored);
	s->in_transaction = false;
	s->now = s->committed;
}

/* ---- snapshots ---- */

static int
run_numbers(struct store_log *s, const char *sql, int64_t a, int64_t b, struct err *e)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
		return fail(s, e, sql);
	sqlite3_bind_int64(st, 1, a);
	sqlite3_bind_int64(st, 2, b);
	int rc = sqlite3_step(st) == SQLITE_DONE ? 0 : fail(s, e, "write the snapshot");
	(void)sqlite3_finalize(st);
	return rc;
}

int
store_log_snapshot_begin(struct store_log *s, uint64_t index, struct err *e)
{
	int64_t keep = s->now.complete, generation;

	if (begin(s, e) < 0 ||
	    run_numbers(
		s, "DELETE FROM snapshot_row WHERE generation <> ?1 AND ?2 = 0", keep, 0, e) < 0 ||
	    run_numbers(s, "DELETE FROM snapshot WHERE generation <> ?1 AND ?2 = 0", keep, 0, e) <
		0)
		return -1;
	generation = keep + 1;
	if (run_numbers(s,
		"INSERT INTO snapshot(generation, idx, rows, complete) VALUES (?1, ?2, 0, 0)",
		generation, (int64_t)index, e) < 0)
		return -1;
	s->now.generation = generation;
	s->now.rows = 0;
	return 0;
}

int
store_log_snapshot_add(
    struct store_log *s, const char *kind, const char *body, size_t len, struct err *e)
{
	if (s->now.generation == 0)
		return err_new(e, ERR_INPUT, "%s: no snapshot was begun", s->path);
	if (insert(s, ROW, s->now.generation, kind, body, len, e) < 0)
		return -1;
	s->now.rows++;
	return 0;
}

int
store_log_snapshot_end(struct store_log *s, struct err *e)
{
	int64_t g = s->now.generation, left = 0;

	if (g == 0)
		return err_new(e, ERR_INPUT, "%s: no snapshot was begun", s->path);
	if (begin(s, e) < 0 ||
	    run_numbers(s, "UPDATE snapshot SET rows = ?2, complete = 1 WHERE generation = ?1", g,
		s->now.rows, e) < 0 ||
	    run_numbers(s,
		"DELETE FROM log WHERE idx <= (SELECT idx FROM snapshot WHERE generation = ?1 "
		"AND ?2 = ?2)",
		g, g, e) < 0 ||
	    run_numbers(s, "DELETE FROM snapshot_row WHERE generation < ?1 AND ?2 = ?2", g, g, e) <
		0 ||
	    run_numbers(s, "DELETE FROM snapshot WHERE generation < ?1 AND ?2 = ?2", g, g, e) < 0 ||
	    pragma_int(s, "SELECT count(*) FROM log", &left, e) < 0)
		return -1;
	s->now.complete = g;
	s->now.generation = 0;
	s->now.entries = (uint64_t)left;
	return pragma_int(s, "SELECT coalesce(sum(length(body)), 0) FROM log", &left, e) < 0
		   ? -1
		   : (s->now.bytes = (uint64_t)left, 0);
}

int
store_log_backup(struct store_log *s, struct err *e)
{
	const char *file = sqlite3_db_filename(s->db, "main");
	sqlite3_stmt *st = NULL;

	if (file == NULL || file[0] == '\0')
		return 0;
	autofree char *temp = xasprintf("%s.backup.new", s->path);
	autofree char *final = xasprintf("%s.backup", s->path);
	if (unlink(temp) < 0 && errno != ENOENT)
		return err_sys(e, "remove %s", temp);
	if (sqlite3_prepare_v2(s->db, "VACUUM INTO ?1", -1, &st, NULL) != SQLITE_OK)
		return fail(s, e, "copy");
	sqlite3_bind_text(st, 1, temp, -1, SQLITE_STATIC);
	int rc = sqlite3_step(st) == SQLITE_DONE ? 0 : fail(s, e, "copy");
	(void)sqlite3_finalize(st);
	if (rc == 0 && chmod(temp, 0600) < 0)
		rc = err_sys(e, "chmod %s", temp);
	if (rc == 0 && rename(temp, final) < 0)
		rc = err_sys(e, "rename %s", temp);
	if (rc < 0)
		(void)unlink(temp);
	return rc == 0 ? sync_parent(final, e) : -1;
}
