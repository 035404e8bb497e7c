#include "platform/filter.h"
#include "platform/netif.h"
#include "pot/priv.h"
#include "pot/start.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * POT_EXPORT_PORTS_PF_RULES_HOOK: a program of the administrator's that prints the rules of an
 * exported port, in place of ours, where the packet filter is pf. It is given the external
 * interface, that of the public bridge, POT_NETWORK, POT_GATEWAY, "tcp" or "udp", the port of the
 * host, the pot's address and its port.
 */

enum { RULES_MAX = 65536 };

static char *const environment[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:"
				     "/bin",
	"LC_ALL=C", NULL };

static int
spawn(char *const *argv, int out, pid_t *pid)
{
	posix_spawn_file_actions_t actions;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	int rc = posix_spawn(pid, argv[0], &actions, NULL, argv, environment);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

static int
run_hook(char *const *argv, struct buf *out, struct err *e)
{
	int ends[2], status = 0;
	struct err why = ERR_INIT;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "make a pipe");
	autofd int ours = ends[0], theirs = ends[1];
	errno = spawn(argv, theirs, &pid);
	if (errno != 0)
		return err_sys(e, "run %s", argv[0]);
	own_close(&theirs);
	theirs = -1;
	int rc = buf_read_fd(out, ours, RULES_MAX, &why);
	own_close(&ours); /* who says too much is not waited for in vain */
	ours = -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "wait for %s", argv[0]);
	if (rc < 0) {
		*e = why;
		return err_ctx(e, "what %s prints", argv[0]);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_new(e, ERR_REMOTE, "%s failed", argv[0]);
	return 0;
}

/* Where packets come in, and the bridge, by the names that rules have for them. */
static int
interfaces(struct pot_env *env, char external[NETIF_NAME], char bridge[IF_NAMESIZE], struct err *e)
{
	autonetif_bridge struct netif_bridge info = NETIF_BRIDGE_INIT;
	const struct netif_ops *netif = env->host->netif;

	str_copy(external, NETIF_NAME, env->conf.extif);
	if (*external == '\0' && netif->external(env->host, AF_INET, external, e) < 0)
		return err_ctx(e, "which interface is the external one? (POT_EXTIF is empty)");
	if (netif->bridge_info(env->host, env->conf.bridge, &info, e) < 0)
		return -1;
	return if_indextoname(info.index, bridge) != NULL
		   ? 0
		   : err_sys(e, "the interface of the bridge %s", env->conf.bridge);
}

int
ports_rules(
    struct pot_env *env, struct filter_port *ports, size_t n, struct arena *mem, struct err *e)
{
	char external[NETIF_NAME], bridge[IF_NAMESIZE], to[IP_TEXT];
	char *hook = env->conf.pf_rules_hook;

	if (n == 0 || *hook == '\0' || !env->host->filter->prints_pf)
		return 0;
	if (interfaces(env, external, bridge, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		autobuf struct buf text = BUF_INIT;
		char proto[] = "tcp";

		if (ports[i].proto == IPPROTO_UDP)
			memcpy(proto, "udp", sizeof(proto));
		ip_text(&ports[i].to, to);
		char *argv[] = { hook, external, bridge, env->conf.network, env->conf.gateway,
			proto, arena_printf(mem, "%u", (unsigned)ports[i].host_port), to,
			arena_printf(mem, "%u", (unsigned)ports[i].pot_port), NULL };
		if (run_hook(argv, &text, e) < 0)
			return err_ctx(e, "POT_EXPORT_PORTS_PF_RULES_HOOK");
		if (text.len > 0 && text.data[text.len - 1] != '\n')
			buf_addc(&text, '\n');
		ports[i].rules = arena_strdup(mem, buf_str(&text));
	}
	return 0;
}
