/* minipot init: users, directories, pot's framework, the agent's configuration, the service. */
#include "cli/minipot.h"

#include "base/buf.h"
#include "platform/settings.h"
#include "pot/machine.h"
#include "store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20 };

static int
make_group(struct minipot *m, const char *name, struct err *e)
{
	if (getgrnam(name) != NULL)
		return 0;
	minipot_say("Creating the group %s", name);
	if (ledger_add(&m->ledger, LEDGER_GROUP, name, e) < 0)
		return -1;
	return minipot_act(SERVICE_ADD_GROUP, name, e);
}

static int
make_user(struct minipot *m, struct err *e)
{
	if (getpwnam(MINIPOT_USER) != NULL)
		return 0;
	minipot_say("Creating the user %s, as which the agent runs", MINIPOT_USER);
	if (ledger_add(&m->ledger, LEDGER_USER, MINIPOT_USER, e) < 0)
		return -1;
	return minipot_act(SERVICE_ADD_USER, MINIPOT_USER, e);
}

static int
make_dir(struct minipot *m, const char *path, bool of_agent, mode_t mode, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		if (ledger_add(&m->ledger, LEDGER_DIR, path, e) < 0)
			return -1;
		minipot_say("Creating the directory %s", path);
		if (mkdir(path, mode) < 0)
			return err_sys(e, "make %s", path);
	}
	const struct passwd *pw = of_agent ? getpwnam(MINIPOT_USER) : NULL;
	if (of_agent && pw == NULL)
		return err_new(e, ERR_ABSENT, "there is no user %s", MINIPOT_USER);
	if (pw != NULL && chown(path, pw->pw_uid, pw->pw_gid) < 0)
		return err_sys(e, "give %s to %s", path, MINIPOT_USER);
	if (chmod(path, mode) < 0)
		return err_sys(e, "chmod %s", path);
	return 0;
}

/* The ledger itself lies in the data directory, so that one is made first. */
static int
make_data_dir(struct minipot *m, struct err *e)
{
	bool made = mkdir(service_places.data, 0755) == 0;

	if (!made && errno != EEXIST)
		return err_sys(e, "make %s", service_places.data);
	if (made) {
		minipot_say("Creating the directory %s", service_places.data);
		return ledger_add(&m->ledger, LEDGER_DIR, service_places.data, e);
	}
	return 0;
}

/* A file that was there, and is not ours as we wrote it, is kept as <path>.bkp-minipot. */
static int
keep_backup(struct minipot *m, const char *path, const char *old, size_t len, int dir,
    const char *name, struct err *e)
{
	autofree char *backup = xasprintf("%s.bkp-minipot", name);

	if (ledger_has(&m->ledger, LEDGER_BACKUP, path))
		return 0; /* the first one is what destroy brings back */
	minipot_say("Creating a backup of your %s: %s.bkp-minipot", path, path);
	if (!ledger_has(&m->ledger, LEDGER_FILE, path) &&
	    ledger_add(&m->ledger, LEDGER_BACKUP, path, e) < 0)
		return -1;
	return file_replace(dir, backup, old, len, 0644, e);
}

static int
write_file(struct minipot *m, const char *path, const char *text, struct err *e)
{
	autobuf struct buf old = BUF_INIT;
	const char *slash = strrchr(path, '/');
	autofree char *dir_path = xstrndup(path, (size_t)(slash - path));
	autofd int dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_sys(e, "open %s", dir_path);
	if (access(path, F_OK) == 0) {
		if (buf_read_file(&old, path, FILE_MAX, e) < 0)
			return -1;
		if (strcmp(buf_str(&old), text) == 0)
			return 0;
		if (keep_backup(m, path, buf_str(&old), old.len, dir, slash + 1, e) < 0)
			return -1;
	} else if (ledger_add(&m->ledger, LEDGER_FILE, path, e) < 0)
		return -1;
	minipot_say("Writing %s", path);
	return file_replace(dir, slash + 1, text, strlen(text), 0644, e);
}

static int
write_config(struct minipot *m, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	autofree char *dir = xasprintf("%s/etc/minipot", m->prefix);
	const char *address = m->address != NULL ? m->address : "127.0.0.1";

	if (make_dir(m, dir, false, 0755, e) < 0)
		return -1;
	/* Once it is there it is the operator's: only another address writes it anew. */
	if (access(m->config, F_OK) == 0 &&
	    (m->address == NULL || strcmp(m->address, minipot_address(m)) == 0))
		return 0;
	buf_addf(&text,
	    "# Made by minipot init. `minipot init -i ADDRESS` writes it anew and keeps a backup.\n"
	    "datacenter = \"minipot\"\n"
	    "data_dir   = \"%s\"\n"
	    "bind_addr  = \"%s\"\n"
	    "log_level  = \"INFO\"\n"
	    "\n"
	    "server {\n"
	    "  enabled          = true\n"
	    "  bootstrap_expect = 1\n"
	    "}\n"
	    "\n"
	    "client {\n"
	    "  enabled = true\n"
	    "}\n"
	    "\n"
	    "plugin \"raw_exec\" {\n"
	    "  config {\n"
	    "    enabled = false\n"
	    "  }\n"
	    "}\n",
	    service_places.data, address);
	return write_file(m, m->config, buf_str(&text), e);
}

/* A copy of a file that others are about to change, or we value by value; destroy removes it. */
static int
keep_copy(struct minipot *m, const char *path, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	autofree char *backup = xasprintf("%s.bkp-minipot", path);
	const char *slash = strrchr(path, '/');
	autofree char *dir_path = xstrndup(path, (size_t)(slash - path));
	struct stat st;

	if (stat(path, &st) < 0 || ledger_has(&m->ledger, LEDGER_FILE, backup))
		return 0;
	autofd int dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "open %s", dir_path);
	minipot_say("Creating a backup of your %s", path);
	minipot_say("%s -> %s", path, backup);
	if (buf_read_file(&text, path, FILE_MAX, e) < 0 ||
	    ledger_add(&m->ledger, LEDGER_FILE, backup, e) < 0)
		return -1;
	return file_replace(
	    dir, strrchr(backup, '/') + 1, text.data, text.len, st.st_mode & 07777, e);
}

static int
write_setting(struct minipot *m, const struct service_setting *set, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	struct err none = ERR_INIT;
	const char *before;
	char *old = NULL;

	if (buf_read_file(&text, set->file, FILE_MAX, &none) == 0)
		old = settings_get(buf_str(&text), set->name, &m->mem);
	before = old != NULL ? old : settings_default(set->defaults, set->name, &m->mem);
	if (strcmp(before, set->value) == 0)
		return 0;
	if (keep_copy(m, set->file, e) < 0 ||
	    ledger_add(&m->ledger, LEDGER_SET,
		arena_printf(&m->mem, "%s %s%s%s", set->file, set->name, old != NULL ? "=" : "",
		    old != NULL ? old : ""),
		e) < 0)
		return -1;
	if (pot_setting(set->file, set->name, set->value, &old, &m->mem, e) < 0)
		return -1;
	minipot_say("%s: %s -> %s", set->name, before, set->value);
	if (set->note != NULL)
		minipot_say("%s", set->note);
	return 0;
}

/* The agent as a service of this machine, from the next boot on too. */
static int
write_service(struct minipot *m, struct err *e)
{
	const struct service_plan *s = &m->service;

	for (size_t i = 0; i < s->n_set; i++)
		if (write_setting(m, &s->set[i], e) < 0)
			return -1;
	if (!s->managed || s->path == NULL)
		return 0;
	if (write_file(m, s->path, s->text, e) < 0 || minipot_act(SERVICE_RELOAD, s->name, e) < 0 ||
	    ledger_add(&m->ledger, LEDGER_UNIT, s->name, e) < 0)
		return -1;
	return minipot_act(SERVICE_ENABLE, s->name, e);
}

static int
init_pot(struct minipot *m, struct err *e)
{
	autofree char *pot = xasprintf("%s/bin/pot", m->prefix);
	const char *const probe[] = { pot, "ls", "-q", NULL };
	const char *const init[] = { pot, "init", NULL };

	if (minipot_run(probe, true, e) == 0)
		return 0;
	for (size_t i = 0; i < m->service.n_keep; i++)
		if (keep_copy(m, m->service.keep[i], e) < 0)
			return -1;
	minipot_say("Initialising pot");
	if (ledger_add(&m->ledger, LEDGER_POT, "init", e) < 0)
		return -1;
	return minipot_run(init, false, e);
}

static int
all_steps(struct minipot *m, struct err *e)
{
	if (make_data_dir(m, e) < 0 || make_group(m, "pot", e) < 0 || make_user(m, e) < 0)
		return -1;
	if (make_dir(m, service_places.data, true, 0755, e) < 0 ||
	    make_dir(m, m->registry, true, 0755, e) < 0 ||
	    make_dir(m, service_places.logs, true, 0755, e) < 0)
		return -1;
	return init_pot(m, e) < 0 || write_config(m, e) < 0 || write_service(m, e) < 0 ? -1 : 0;
}

int
minipot_init(struct minipot *m)
{
	struct err e = ERR_INIT;

	if (all_steps(m, &e) < 0) {
		err_ctx(&e, "init");
		return minipot_fail(&e);
	}
	minipot_say("Ready: minipot start");
	return 0;
}
