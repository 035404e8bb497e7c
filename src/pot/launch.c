#include "pot/net.h"
#include "pot/start.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/*
 * All that a keeper is told about a pot: from its configuration and the options of this start.
 */

/* "VAR=value" into the list; a later one replaces an earlier one of the same name. */
static void
env_put(struct strs_builder *b, char *assignment)
{
	size_t n = strcspn(assignment, "=") + 1;

	for (size_t i = 0; i < b->out->n; i++)
		if (strncmp(b->out->at[i], assignment, n) == 0) {
			b->out->at[i] = assignment;
			return;
		}
	list_add(b, assignment);
}

static int
environment(struct start *s, struct err *e)
{
	struct strs_builder b = STRS_BUILDER(&s->environ, s->mem);
	const struct pot_state not_yet = { .init_pid = 0 };
	struct pot_strs self;

	if (pot_self_env(s->env, s->spec, &not_yet, s->mem, &self, e) < 0)
		return -1;
	for (size_t i = 0; i < s->spec->env.n; i++)
		env_put(&b, s->spec->env.at[i]);
	for (size_t i = 0; i < self.n; i++)
		env_put(&b, self.at[i]);
	for (size_t i = 0; s->o->env != NULL && s->o->env[i] != NULL; i++)
		env_put(&b, arena_strdup(s->mem, s->o->env[i]));
	if (s->environ.at == NULL)
		s->environ.at = arena_array(s->mem, 1, char *);
	return 0;
}

/* ---- /etc/resolv.conf, /etc/hosts, /tmp/environment.sh ---- */

static struct isolate_file *
add_file(struct start *s, const char *path, unsigned mode, const struct buf *text)
{
	struct isolate_file *f = &s->files[s->launch.isolate.n_files++];

	*f = (struct isolate_file){
		.path = path, .mode = mode, .len = text->len, .only_if_parent = true
	};
	f->content = arena_memdup(s->mem, buf_str(text), text->len + 1);
	return f;
}

/* The address in a line "nameserver ADDRESS"; NULL: it is none. */
static const char *
server_of(const char *line)
{
	line += strspn(line, " \t");
	if (!str_starts(line, "nameserver"))
		return NULL;
	line += strlen("nameserver");
	size_t blanks = strspn(line, " \t");
	return blanks > 0 && line[blanks] != '\0' ? line + blanks : NULL;
}

static bool
loopback_server(const char *line)
{
	const char *server = server_of(line);

	return server != NULL && (str_starts(server, "127.") || strcmp(server, "::1") == 0);
}

/* The host's resolver for a pot with a network of its own: the host's loopback is not its. */
static bool
reachable_servers(const char *text, struct arena *mem, struct buf *out)
{
	bool server = false;
	size_t n;
	char **line = str_split(mem, text, '\n', &n);

	buf_reset(out);
	for (size_t i = 0; i < n; i++) {
		if (loopback_server(line[i]) || (i + 1 == n && *line[i] == '\0'))
			continue;
		server = server || server_of(line[i]) != NULL;
		buf_addf(out, "%s\n", line[i]);
	}
	return server;
}

static int
inherited_resolver(struct start *s, struct buf *out, struct err *e)
{
	static const char *const sources[] = { "/etc/resolv.conf",
		"/run/systemd/resolve/resolv.conf" };
	bool found = false;

	for (size_t i = 0; i < NELEM(sources); i++) {
		autobuf struct buf text = BUF_INIT;
		if (buf_read_file(&text, sources[i], 65536, e) < 0)
			continue;
		found = true;
		if (s->spec->net == POT_NET_INHERIT && s->o->network_path == NULL) {
			buf_add(out, buf_str(&text), text.len);
			return 0;
		}
		if (reachable_servers(buf_str(&text), s->mem, out))
			return 0;
	}
	if (!found)
		return err_new(e, ERR_ABSENT,
		    "this machine has no /etc/resolv.conf to inherit: give the pot another "
		    "resolver (clone -d off, pot or custom:FILE)");
	buf_reset(out);
	buf_addf(out, "nameserver %s\n",
	    pot_spec_stack(s->env, s->spec) != POT_STACK_IPV6 ? s->env->conf.gateway
							      : s->env->conf.gateway6);
	return 0;
}

/* How many of its lines name a server; they go to out, which may be NULL. */
static size_t
servers_in(const struct buf *text, struct arena *mem, struct buf *out)
{
	size_t n, found = 0;
	char **line = str_split(mem, buf_str(text), '\n', &n);

	for (size_t i = 0; i < n; i++) {
		if (server_of(line[i]) == NULL)
			continue;
		found++;
		if (out != NULL)
			buf_addf(out, "%s\n", line[i]);
	}
	return found;
}

/* Who wishes for search domains alone wants names resolved all the same: the servers are then those
 * of a pot that inherits. */
static void
complete_resolver(struct start *s, struct buf *text)
{
	autobuf struct buf inherited = BUF_INIT, whole = BUF_INIT;
	struct err e = ERR_INIT;

	if (!s->o->needs_servers || servers_in(text, s->mem, NULL) > 0)
		return;
	if (inherited_resolver(s, &inherited, &e) < 0) {
		pot_say(
		    s->env, POT_SAY_INFO, "pot %s has no name servers: %s", s->spec->name, e.text);
		return;
	}
	(void)servers_in(&inherited, s->mem, &whole);
	buf_add(&whole, buf_str(text), text->len);
	buf_reset(text);
	buf_add(text, buf_str(&whole), whole.len);
}

/* The second label, as pot always had it, and the whole of the rest where there is more. */
static void
search_domain(const char *hostname, struct buf *out)
{
	const char *dot = strchr(hostname, '.'), *rest = dot != NULL ? dot + 1 : hostname;
	size_t label = strcspn(rest, ".");

	buf_addf(out, "search %.*s", (int)label, rest);
	if (rest[label] != '\0')
		buf_addf(out, " %s", rest);
	buf_addc(out, '\n');
}

static int
resolver(struct start *s, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	char path[PATH_SIZE];

	switch (s->spec->dns) {
	case POT_DNS_OFF:
		return 0;
	case POT_DNS_INHERIT:
		if (inherited_resolver(s, &text, e) < 0)
			return -1;
		break;
	case POT_DNS_POT:
		search_domain(s->spec->hostname, &text);
		buf_addf(&text, "nameserver %s\n", s->env->conf.dns_ip);
		break;
	case POT_DNS_CUSTOM:
		path_at(path, "%s/jails/%s/conf/resolv.conf", s->env->conf.fs_root, s->spec->name);
		if (buf_read_file(&text, path, 65536, e) < 0)
			return err_ctx(e, "the pot's own resolver file");
		complete_resolver(s, &text);
		break;
	}
	if (text.len > 0)
		add_file(s, "/etc/resolv.conf", 0644, &text)->for_this_run = true;
	return 0;
}

static void
hosts(struct start *s)
{
	autobuf struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	struct pot_strs others = { 0 };

	buf_addf(&text, "::1 localhost %s\n127.0.0.1 localhost %s\n", s->spec->hostname,
	    s->spec->hostname);
	if (!pot_spec_yes(s->spec, "no-etc-hosts") &&
	    hosts_of_pots(s->env, s->spec, s->mem, &others, &e) < 0)
		pot_say(s->env, POT_SAY_INFO, "the other pots are missing in /etc/hosts of %s: %s",
		    s->spec->name, e.text);
	for (size_t i = 0; i < others.n; i++)
		buf_addf(&text, "%s\n", others.at[i]);
	for (size_t i = 0; i < s->spec->hosts.n; i++)
		buf_addf(&text, "%s\n", s->spec->hosts.at[i]);
	for (size_t i = 0; s->o->hosts != NULL && s->o->hosts[i] != NULL; i++)
		buf_addf(&text, "%s\n", s->o->hosts[i]);
	(void)add_file(s, "/etc/hosts", 0644, &text);
}

static void
environment_script(struct start *s)
{
	autobuf struct buf text = BUF_INIT;

	for (size_t i = 0; i < s->environ.n; i++) {
		const char *assignment = s->environ.at[i], *eq = strchr(assignment, '=');
		/* names that no shell knows stay out; the process has them all the same */
		if (eq == NULL || (*assignment >= '0' && *assignment <= '9') ||
		    strspn(assignment, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789_") != (size_t)(eq - assignment))
			continue;
		buf_addf(&text, "export %.*s=", (int)(eq - assignment), assignment);
		words_quote(eq + 1, &text);
		buf_addc(&text, '\n');
	}
	(void)add_file(s, "/tmp/environment.sh", 0600, &text);
}

/* ---- mounts ---- */

static void
mounts(struct start *s)
{
	const struct pot_tree *t = &s->tree;
	struct mount_item *all = arena_array(s->mem, t->n + s->o->n_binds + 2, struct mount_item);
	size_t n = 0;

	/* what shares its root with others cannot change it, and finds its places elsewhere */
	if (t->root.read_only)
		all[n++] = (struct mount_item){ .kind = MOUNT_TMPFS,
			.target = "/run",
			.flags = MOUNT_NOSUID | MOUNT_NODEV | MOUNT_MAY_LACK,
			.mode = 0755 };
	if (t->root.read_only || !pot_spec_yes(s->spec, "no-tmpfs"))
		all[n++] = (struct mount_item){ .kind = MOUNT_TMPFS,
			.target = "/tmp",
			.flags = MOUNT_NOSUID | MOUNT_NODEV,
			.mode = 01777 };
	for (size_t i = 0; i < t->n; i++)
		all[n++] = t->items[i];
	for (size_t i = 0; i < s->o->n_binds; i++)
		all[n++] = (struct mount_item){ .kind = MOUNT_BIND,
			.source = s->o->binds[i].source,
			.target = s->o->binds[i].target,
			.flags = (s->o->binds[i].read_only ? MOUNT_RO : 0u) | MOUNT_RECURSIVE |
				 (s->o->binds[i].no_links ? MOUNT_NO_LINKS : 0u) };
	s->launch.isolate.mounts = all;
	s->launch.isolate.n_mounts = n;
}

/* ---- the command ---- */

static bool
is_default_command(const struct pot_strs *words)
{
	return (words->n == 2 && strcmp(words->at[0], "sh") == 0 &&
		   strcmp(words->at[1], "/etc/rc") == 0) ||
	       (words->n == 2 && strcmp(words->at[0], "/bin/sh") == 0 &&
		   strcmp(words->at[1], "/etc/rc") == 0);
}

static int
no_command(struct start *s, struct err *e)
{
	if (!s->launch.isolate.persist)
		return err_new(e, ERR_INPUT,
		    "pot %s has nothing to run: there is no /etc/rc in it; 'pot set-cmd -p %s -c "
		    "…' sets a command",
		    s->spec->name, s->spec->name);
	pot_say(s->env, POT_SAY_INFO,
	    "pot %s has no /etc/rc: it is up without a command ('pot set-cmd' sets one, 'pot exec' "
	    "runs one)",
	    s->spec->name);
	s->launch.isolate.process.argv = NULL;
	return 0;
}

static int
command(struct start *s, struct err *e)
{
	const struct pot_spec *spec = s->spec;
	struct pot_strs words = spec->argv;
	bool shell = false;

	if (s->o->idle) {
		s->launch.isolate.persist = true;
		return 0;
	}
	if (s->o->argv != NULL && s->o->argv[0] != NULL) {
		s->launch.isolate.process.argv = s->o->argv;
		return 0;
	}
	if (words.n == 0 && words_split(spec->cmd, s->mem, &words, &shell, e) < 0)
		return err_ctx(e, "command of pot %s", spec->name);
	if (words.n == 0 || (is_default_command(&words) && !tree_has(&s->tree, "/etc/rc")))
		return no_command(s, e);
	if (shell) {
		const char **argv = arena_array(s->mem, 4, const char *);
		argv[0] = "/bin/sh";
		argv[1] = "-c";
		argv[2] = spec->cmd;
		s->launch.isolate.process.argv = argv;
		return 0;
	}
	s->launch.isolate.process.argv = (const char *const *)words.at;
	return 0;
}

static void
output(struct start *s)
{
	static const enum launch_stdio kinds[] = { [POT_STDIO_INHERIT] = LAUNCH_INHERIT,
		[POT_STDIO_NULL] = LAUNCH_NULL,
		[POT_STDIO_FILES] = LAUNCH_FILES };
	struct launch *l = &s->launch;

	l->stdio = kinds[s->o->stdio];
	l->log_dir = s->o->log_dir;
	l->log_prefix = s->o->log_prefix;
	l->log_max_files = s->o->log_max_files;
	l->log_max_file_bytes = s->o->log_max_bytes;
	l->log_uid = s->o->log_uid;
	l->log_gid = s->o->log_gid;
	l->log_mode = s->o->log_mode;
}

/* ---- the network ---- */

static bool
shares_network(const struct start *s)
{
	return s->spec->net == POT_NET_INHERIT ||
	       (s->spec->net == POT_NET_ALIAS && s->env->host->isolate->aliases_are_shared);
}

static int
addresses(struct start *s, const char *const **out, struct err *e)
{
	autoaliases struct aliases at = ALIASES_INIT;
	char text[IP_TEXT];

	if (aliases_of(s->env, s->spec->ip, pot_spec_stack(s->env, s->spec), &at, e) < 0)
		return -1;
	const char **list = arena_array(s->mem, at.all.n + 1, const char *);
	for (size_t i = 0; i < at.all.n; i++)
		list[i] = arena_printf(
		    s->mem, "%s|%s", at.all.at[i].nic, ip_text(&at.all.at[i].ip, text));
	*out = list;
	return 0;
}

int64_t
stop_timeout_of(const struct pot_spec *spec, const struct pot_start_options *o)
{
	uint64_t seconds = 10;

	if (o->stop_timeout_ms > 0)
		return o->stop_timeout_ms;
	(void)str_u64(pot_spec_attr(spec, "stop_timeout"), 86400, &seconds);
	return (int64_t)seconds * 1000;
}

static int
given_network(struct start *s, struct err *e)
{
	const char *path = s->o->network_path;

	if (path == NULL)
		return 0;
	if (s->spec->net != POT_NET_INHERIT)
		return err_new(e, ERR_INPUT, "pot %s has a network of its own and joins no other",
		    s->spec->name);
	if (!s->env->host->isolate->joins_networks)
		return err_new(e, ERR_UNSUPPORTED,
		    "pots of this system cannot join the network %s: theirs come from pot", path);
	s->launch.isolate.network = path;
	return 0;
}

int
launch_fill(struct start *s, struct err *e)
{
	struct launch *l = &s->launch;
	struct isolate_spec *i = &l->isolate;

	l->run_id = s->run.id;
	l->pot = s->spec->name;
	i->name = s->spec->name;
	i->release = s->spec->osrelease;
	i->what = shares_network(s) ? (unsigned)ISOLATE_ALL & ~(unsigned)ISOLATE_NET
				    : (unsigned)ISOLATE_ALL;
	i->what = attr_what(s->env, s->spec, i->what, &i->no_ipc);
	i->attributes = attr_system(s->env, s->spec, s->mem);
	if (given_network(s, e) < 0 || (s->spec->net == POT_NET_ALIAS && shares_network(s) &&
					   addresses(s, &i->addresses, e) < 0))
		return -1;
	i->hostname = *s->spec->hostname != '\0' ? s->spec->hostname : s->spec->name;
	i->persist = pot_spec_yes(s->spec, "persistent");
	i->process.caps = attr_caps(s->env, s->spec);
	i->process.no_family = stack_lacks(s->env, s->spec);
	i->process.max_files = s->spec->rss_files;
	i->process.user = s->o->user;
	i->process.cwd = s->o->workdir;
	i->files = s->files;
	if (tree_of(s->env, s->spec, s->mem, &s->tree, e) < 0)
		return -1;
	i->root = s->tree.root;
	mounts(s);
	if (command(s, e) < 0)
		return -1;
	if (environment(s, e) < 0)
		return -1;
	i->process.env = (const char *const *)s->environ.at;
	if (resolver(s, e) < 0)
		return -1;
	hosts(s);
	if (!pot_spec_yes(s->spec, "no-rc-script"))
		environment_script(s);
	output(s);
	l->stop_signal = s->run.stop_signal;
	l->stop_timeout_ms = s->run.stop_timeout_ms;
	l->run_dir = run_dir(s->env, s->spec->name, s->mem);
	l->attended = !s->o->detach;
	l->stats_path = arena_printf(
	    s->mem, "%s/jails/%s/conf/.last_run_stats", s->env->conf.fs_root, s->spec->name);
	l->finish = run_finish_argv(s->env, s->spec->name, s->run.id, s->mem);
	return 0;
}

const char *const *
run_finish_argv(struct pot_env *env, const char *name, const char *run_id, struct arena *mem)
{
	const char **argv = arena_array(mem, 6, const char *);

	argv[0] = arena_printf(mem, "%s/pot-runner", env->libexec);
	argv[1] = "--finish";
	argv[2] = arena_strdup(mem, name);
	argv[3] = arena_strdup(mem, run_id);
	argv[4] = env->conf_file[0] != '\0' ? arena_strdup(mem, env->conf_file) : NULL;
	return argv;
}
