#include "codec/digest.h"
#include "pot/priv.h"
#include "store/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * The machine's configuration with some keys of one's own: a file that stands in place of it, since
 * what ends a run later must read the same. It is named by what it holds.
 */

static int
add_file(struct buf *text, const char *path, bool may_lack, struct err *e)
{
	if (buf_read_file(text, path, 1 << 20, e) < 0 && !(may_lack && e->kind == ERR_ABSENT))
		return -1;
	buf_addc(text, '\n');
	return 0;
}

static int
gather(const struct pot_env *env, const char *const *set, struct buf *text, struct err *e)
{
	char path[PATH_SIZE];

	if (env->conf_file[0] != '\0') {
		if (add_file(text, env->conf_file, false, e) < 0)
			return -1;
	} else {
		static const char *const names[] = { "pot.default.conf", "pot.conf" };
		for (size_t i = 0; i < NELEM(names); i++)
			if (add_file(text, path_at(path, "%s/%s", env->etc, names[i]), true, e) < 0)
				return -1;
	}
	for (size_t i = 0; set[i] != NULL; i++) {
		const char *eq = strchr(set[i], '=');
		if (eq == NULL || eq == set[i] || strpbrk(set[i], "'\n\r") != NULL)
			return err_new(
			    e, ERR_INPUT, "\"%s\" is not KEY=VALUE without quotes", set[i]);
		buf_addf(text, "%.*s='%s'\n", (int)(eq - set[i]), set[i], eq + 1);
	}
	return 0;
}

static int
write_it(const struct pot_env *env, const struct buf *text, char path[PATH_SIZE], struct err *e)
{
	uint8_t sum[DIGEST_MAX];
	char name[32] = "conf-";

	(void)digest_sha256(text->data, text->len, sum);
	for (size_t i = 0; i < 8; i++)
		snprintf(name + strlen(name), 3, "%02x", sum[i]);
	if (make_dirs(env->conf.run_dir, 0711, e) < 0)
		return -1;
	autofd int dir = open(env->conf.run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "open %s", env->conf.run_dir);
	path_at(path, "%s/%s", env->conf.run_dir, name);
	return file_swap(dir, name, text->data, text->len, 0600, e);
}

int
pot_env_open_with(const char *const *set, struct pot_env **out, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	struct pot_env *env = NULL;
	char path[PATH_SIZE];

	if (pot_env_open(&env, e) < 0)
		return -1;
	if (set == NULL || set[0] == NULL) {
		*out = env;
		return 0;
	}
	int rc = gather(env, set, &text, e);
	if (rc == 0)
		rc = write_it(env, &text, path, e);
	pot_env_close(env);
	if (rc < 0)
		return err_ctx(e, "configuration");
	if (setenv("POT_CONF", path, 1) < 0)
		return err_sys(e, "set POT_CONF");
	return pot_env_open(out, e);
}
