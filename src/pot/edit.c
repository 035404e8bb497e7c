#include "pot/edit.h"

#include <string.h>
#include <unistd.h>

void
edit_fini(struct edit *x)
{
	conf_fini(&x->conf);
	arena_fini(&x->mem);
	if (x->lock >= 0)
		close(x->lock);
}

int
edit_begin(struct edit *x, struct pot_env *env, const char *name, const char *act, struct err *e)
{
	*x = (struct edit){ .env = env, .name = name, .lock = -1, .mem = ARENA_INIT };
	x->conf = (struct conf)CONF_INIT(&x->mem);
	if (pot_name_check(name, e) < 0 || need_root(act, e) < 0)
		return -1;
	x->lock = lock_pot(env, name, LOCK_WAIT, e);
	if (x->lock < 0)
		return -1;
	if (pot_spec_load(env, name, &x->mem, &x->spec, e) < 0 ||
	    conf_load(&x->conf, env, name, e) < 0)
		return err_ctx(e, "%s", act);
	return 0;
}

int
edit_end(struct edit *x, struct err *e)
{
	struct pot_spec *spec;
	autobuf struct buf text = BUF_INIT;

	/* never write what could not be read back */
	conf_write(&x->conf, &text);
	if (pot_spec_parse(x->name, buf_str(&text), text.len, &x->mem, &spec, e) < 0)
		return -1;
	return conf_save(&x->conf, x->env, x->name, e);
}
