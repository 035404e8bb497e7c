/* Values in the machine's own files of settings; and its log, which takes lines from pots. */
#include "platform/service.h"
#include "platform/settings.h"
#include "pot/priv.h"
#include "store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SETTINGS_MAX = 1 << 20 };

/* A file of settings as it is; an absent one is empty. */
struct settings {
	struct buf text;
	int dir;
	const char *name; /* beneath it */
	mode_t mode;
	bool there;
};

#define SETTINGS_INIT                                                                              \
	{                                                                                          \
		.text = BUF_INIT, .dir = -1                                                        \
	}

static void
settings_fini(struct settings *s)
{
	buf_fini(&s->text);
	own_close(&s->dir);
}
#define autosettings CLEANUP(settings_fini)

static int
settings_open(struct settings *s, const char *file, struct err *e)
{
	const char *slash = strrchr(file, '/');
	autofree char *dir = xstrndup(file, (size_t)(slash - file));
	struct stat st = { .st_mode = 0644 };

	s->name = slash + 1;
	s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		return err_sys(e, "open %s", dir);
	s->there = fstatat(s->dir, s->name, &st, 0) == 0;
	s->mode = st.st_mode & 07777;
	return s->there ? buf_read_file(&s->text, file, SETTINGS_MAX, e) : 0;
}

int
pot_setting(const char *file, const char *name, const char *value, char **old, struct arena *a,
    struct err *e)
{
	autosettings struct settings s = SETTINGS_INIT;
	autobuf struct buf new = BUF_INIT;

	if (value != NULL && !settings_valid(value))
		return err_new(e, ERR_INPUT, "%s: \"%s\" cannot be written there", name, value);
	if (settings_open(&s, file, e) < 0)
		return -1;
	*old = settings_get(buf_str(&s.text), name, a);
	if (!settings_set(buf_str(&s.text), name, value, &new))
		return 0;
	return file_replace(s.dir, s.name, new.data, new.len, s.mode, e);
}

const char *
pot_syslogd_flags(const struct pot_config *conf, struct arena *mem)
{
	return arena_printf(mem, "-b 127.0.0.1 -b %s -a %s", conf->gateway, conf->network);
}

static int
keep_copy(struct pot_env *env, const struct settings *s, const char *file, struct err *e)
{
	autofree char *copy = xasprintf("%s.bkp-pot", s->name);

	if (!s->there)
		return 0;
	if (file_replace(s->dir, copy, s->text.data, s->text.len, s->mode, e) < 0)
		return err_ctx(e, "keep a copy of %s", file);
	pot_say(env, POT_SAY_INFO, "a backup of %s is %s.bkp-pot", file, file);
	return 0;
}

int
syslogd_setup(struct pot_env *env, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	autosettings struct settings s = SETTINGS_INIT;
	struct service_log log;
	char *old;

	service_log(pot_syslogd_flags(&env->conf, &mem), &log);
	for (const char **dir = log.dirs; *dir != NULL; dir++)
		if (make_dirs(*dir, 0755, e) < 0)
			return -1;
	if (log.set.name == NULL)
		return 0;
	if (settings_open(&s, log.set.file, e) < 0)
		return -1;
	old = settings_get(buf_str(&s.text), log.set.name, &mem);
	if (old != NULL && str_eq(old, log.set.value))
		return 0;
	if (keep_copy(env, &s, log.set.file, e) < 0 ||
	    pot_setting(log.set.file, log.set.name, log.set.value, &old, &mem, e) < 0)
		return -1;
	pot_say(env, POT_SAY_INFO, "%s: %s -> %s", log.set.name,
	    old != NULL ? old : settings_default(log.set.defaults, log.set.name, &mem),
	    log.set.value);
	return 0;
}

/* A copy that says what the file says is of no use any more. */
static int
drop_copy(const char *file, struct err *e)
{
	autosettings struct settings s = SETTINGS_INIT;
	autofree char *copy = xasprintf("%s.bkp-pot", file);
	autobuf struct buf kept = BUF_INIT;

	if (access(copy, F_OK) < 0)
		return 0;
	if (settings_open(&s, file, e) < 0 || buf_read_file(&kept, copy, SETTINGS_MAX, e) < 0)
		return -1;
	if (!str_eq(buf_str(&kept), buf_str(&s.text)) || unlink(copy) == 0)
		return 0;
	return err_sys(e, "remove %s", copy);
}

int
syslogd_undo(struct pot_env *env, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	autosettings struct settings s = SETTINGS_INIT;
	autobuf struct buf kept = BUF_INIT;
	struct err none = ERR_INIT;
	struct service_log log;
	char *now, *before = NULL;

	service_log(pot_syslogd_flags(&env->conf, &mem), &log);
	for (const char **dir = log.dirs; *dir != NULL; dir++)
		(void)rmdir(*dir); /* what others have put there stays */
	if (log.set.name == NULL)
		return 0;
	if (settings_open(&s, log.set.file, e) < 0)
		return -1;
	now = settings_get(buf_str(&s.text), log.set.name, &mem);
	if (now == NULL || !str_eq(now, log.set.value))
		return 0; /* somebody has changed it since */
	if (buf_read_file(
		&kept, arena_printf(&mem, "%s.bkp-pot", log.set.file), SETTINGS_MAX, &none) == 0)
		before = settings_get(buf_str(&kept), log.set.name, &mem);
	if (pot_setting(log.set.file, log.set.name, before, &now, &mem, e) < 0)
		return -1;
	pot_say(env, POT_SAY_INFO, "%s: %s -> %s", log.set.name, now,
	    before != NULL ? before : settings_default(log.set.defaults, log.set.name, &mem));
	return drop_copy(log.set.file, e);
}
