/*
 * agent_config.h: what an agent is told: files in HCL or JSON, then flags.
 *
 * The keys are Nomad's, as far as they mean something here, and own blocks for what Nomad leaves to
 * other programs (catalog, ingress, registry). Unknown keys are refused with file and line; known
 * ones that this version cannot honour are refused or warned of by name.
 */
#ifndef BIN_AGENT_CONFIG_H
#define BIN_AGENT_CONFIG_H

#include "base/log.h"
#include "codec/model.h"

struct agent_ports {
	uint64_t set;
	int64_t http, rpc, serf;
};
struct agent_addresses {
	const char *http, *rpc, *serf;
};
struct agent_server {
	uint64_t set;
	bool enabled;
	int64_t bootstrap_expect, heartbeat_grace, min_heartbeat_ttl;
	const char *encrypt;
	const struct any *server_join;
	struct strs retry_join, start_join;
};
struct agent_reserved {
	uint64_t set;
	int64_t cpu, memory, disk;
	const char *reserved_ports;
};
struct agent_named { /* a host volume or network */
	const char *name, *path, *cidr, *interface, *reserved_ports;
	bool read_only;
};
struct agent_client {
	uint64_t set;
	bool enabled;
	struct strs servers;
	struct strmap options, meta;
	const char *node_class, *node_pool, *network_interface, *state_dir, *alloc_dir;
	int64_t cpu_total_compute, memory_total_mb, max_kill_timeout;
	struct agent_reserved *reserved;
	struct objs host_volume, host_network; /* struct agent_named */
	const struct any *server_join;
};
struct agent_plugin {
	const char *name;
	const struct any *config;
	struct strs args;
};
struct agent_catalog {
	uint64_t set;
	bool enabled;
	const char *address; /* "": bind_addr */
	int64_t http_port, dns_port;
	bool bridge_dns; /* also port 53 on the pots' bridge */
};
struct agent_ingress {
	uint64_t set;
	bool enabled;
	const char *address; /* "": every address */
	int64_t port, dashboard_port;
	const char *haproxy;	  /* path of the program */
	const char *default_rule; /* of services that enable the ingress and name no rule */
};
struct agent_registry {
	uint64_t set;
	bool enabled;
	const char *dir;
};
struct agent_telemetry {
	uint64_t set;
	bool prometheus_metrics, publish_allocation_metrics, publish_node_metrics, disable_hostname;
	int64_t collection_interval;
};
struct agent_switch { /* acl, ui */
	uint64_t set;
	bool enabled;
};
struct agent_limits {
	uint64_t set;
	int64_t http_max_conns_per_client;
	int64_t https_handshake_timeout, rpc_handshake_timeout, rpc_max_conns_per_client;
};

struct agent_config {
	uint64_t set;
	const char *region, *datacenter, *name, *data_dir, *bind_addr, *log_level, *log_file,
	    *pid_file, *plugin_dir;
	bool log_json, enable_syslog, enable_debug, leave_on_interrupt, leave_on_terminate,
	    disable_update_check;
	struct agent_ports *ports;
	struct agent_addresses *addresses, *advertise;
	struct agent_server *server;
	struct agent_client *client;
	struct objs plugins; /* struct agent_plugin */
	struct agent_catalog *catalog;
	struct agent_ingress *ingress;
	struct agent_registry *registry;
	struct agent_telemetry *telemetry;
	struct agent_switch *acl, *ui;
	struct agent_limits *limits;
	const struct any *tls, *vault, *consul, *audit, *autopilot, *sentinel;
	/* from the command line alone */
	bool dev, detach;
	struct strs config_paths;
};
extern const struct model agent_config_model;

/* Reads the flags and the files they name, merges them in order, fills in what was not said. argv
 * does not hold the words "potter agent". *help: only the usage was asked for. warnings: one line
 * each. All memory is the arena's. */
int agent_config_load(int argc, char **argv, struct arena *a, struct agent_config **out,
    struct strs *warnings, bool *help, struct err *e);
/* One file, without flags or defaults; its text is given. name ends in .json: JSON. */
int agent_config_parse(const char *name, const char *text, size_t len, struct arena *a,
    struct agent_config **out, struct err *e);
void agent_config_usage(struct buf *out);
/* A switch of plugin "raw_exec": "enabled" (on in -dev), "root" (its tasks may be root's). */
bool agent_raw_exec(const struct agent_config *c, const char *key);
/* Is a listener at this address reached by loopback too: loopback itself, or all addresses? */
bool agent_address_is_local(const char *address);

#endif
