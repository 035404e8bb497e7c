#include "plugin/task.h"

#include "base/log.h"
#include "plugin/text.h"

#include <string.h>

/*
 * The methods, one row each, and those of them that need no file of their own. What is not here is
 * answered with "unimplemented", as newer hosts expect of older plugins.
 */

/* ---- go-plugin's own ---- */

/* Stays open until the host cancels it: ended streams are opened again and again. */
static void
on_stay(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	(void)ctx;
	(void)message;
	(void)call;
}

static void
on_shutdown(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	struct plugin *p = ctx;

	(void)message;
	grpc_reply_empty(call);
	p->stop(p);
}

static void
on_health(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	const Np__HealthRequest *m = (const Np__HealthRequest *)message;
	Np__HealthResponse reply = NP__HEALTH_RESPONSE__INIT;

	(void)ctx;
	if (*m->service != '\0' && strcmp(m->service, "plugin") != 0) {
		grpc_fail(call, GRPC_NOT_FOUND, "unknown service");
		return;
	}
	reply.status = 1;
	grpc_reply(call, &reply.base);
}

/* ---- base plugin ---- */

static void
on_plugin_info(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	Np__PluginInfo reply = NP__PLUGIN_INFO__INIT;
	char api[] = PLUGIN_API, version[] = "v" POTTER_VERSION, name[] = "pot", *apis[] = { api };

	(void)ctx;
	(void)message;
	reply.type = 2;
	reply.n_plugin_api_versions = 1;
	reply.plugin_api_versions = apis;
	reply.plugin_version = version;
	reply.name = name;
	grpc_reply(call, &reply.base);
}

static void
on_config_schema(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	Np__ConfigSchema reply = NP__CONFIG_SCHEMA__INIT;

	(void)ctx;
	(void)message;
	reply.spec = (Np__Spec *)(uintptr_t)schema_plugin();
	grpc_reply(call, &reply.base);
}

static void
on_set_config(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	const Np__SetConfig *m = (const Np__SetConfig *)message;
	autoarena struct arena mem = ARENA_INIT;
	struct plugin *p = ctx;
	struct err e = ERR_INIT;

	/* only the launch that is to serve is told about the agent */
	if (m->nomad_config != NULL)
		p->in_service = true;
	if (plugin_config_read(&p->config, m->msgpack_config.data, m->msgpack_config.len, &e) < 0)
		grpc_fail(call, GRPC_UNKNOWN, text_utf8(e.text, &mem));
	else
		grpc_reply_empty(call);
}

/* ---- driver ---- */

static void
on_task_schema(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	Np__TaskConfigSchema reply = NP__TASK_CONFIG_SCHEMA__INIT;

	(void)ctx;
	(void)message;
	reply.spec = (Np__Spec *)(uintptr_t)schema_task();
	grpc_reply(call, &reply.base);
}

static void
on_capabilities(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	const struct plugin *p = ctx;
	Np__CapabilitiesResponse reply = NP__CAPABILITIES_RESPONSE__INIT;
	Np__Capabilities c = NP__CAPABILITIES__INIT;
	int32_t modes[] = { 0, 1, 3 }; /* the host's; what Nomad makes for a group, or for none */

	(void)message;
	c.send_signals = 1;
	c.exec = 1;
	c.fs_isolation = p->config.image_isolation ? 2 : 0;
	c.n_network_isolation_modes = NELEM(modes);
	c.network_isolation_modes = modes;
	reply.capabilities = &c;
	grpc_reply(call, &reply.base);
}

void
on_task_events(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	struct plugin *p = ctx;

	(void)message;
	stream_add(&p->events, call);
}

static void
on_no_network(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	(void)ctx;
	(void)message;
	grpc_fail(call, GRPC_UNIMPLEMENTED,
	    "this driver makes no networks for allocations; pots have their own");
}

static void
on_nothing(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	(void)ctx;
	(void)message;
	grpc_reply_empty(call);
}

#define BASE   "/hashicorp.nomad.plugins.base.proto.BasePlugin/"
#define DRIVER "/hashicorp.nomad.plugins.drivers.proto.Driver/"

const struct grpc_method plugin_methods[] = {
	{ "/plugin.GRPCStdio/StreamStdio", &np__empty__descriptor, false, on_stay },
	{ "/plugin.GRPCBroker/StartStream", &np__empty__descriptor, true, on_stay },
	{ "/plugin.GRPCController/Shutdown", &np__empty__descriptor, false, on_shutdown },
	{ "/grpc.health.v1.Health/Check", &np__health_request__descriptor, false, on_health },
	{ BASE "PluginInfo", &np__empty__descriptor, false, on_plugin_info },
	{ BASE "ConfigSchema", &np__empty__descriptor, false, on_config_schema },
	{ BASE "SetConfig", &np__set_config__descriptor, false, on_set_config },
	{ DRIVER "Init", &np__empty__descriptor, false, on_nothing },
	{ DRIVER "TaskConfigSchema", &np__empty__descriptor, false, on_task_schema },
	{ DRIVER "Capabilities", &np__empty__descriptor, false, on_capabilities },
	{ DRIVER "Fingerprint", &np__empty__descriptor, false, on_fingerprint },
	{ DRIVER "TaskEvents", &np__empty__descriptor, false, on_task_events },
	{ DRIVER "StartTask", &np__start_task__descriptor, false, on_start_task },
	{ DRIVER "RecoverTask", &np__recover_task__descriptor, false, on_recover_task },
	{ DRIVER "WaitTask", &np__task_id__descriptor, false, on_wait_task },
	{ DRIVER "StopTask", &np__stop_task__descriptor, false, on_stop_task },
	{ DRIVER "DestroyTask", &np__destroy_task__descriptor, false, on_destroy_task },
	{ DRIVER "InspectTask", &np__task_id__descriptor, false, on_inspect_task },
	{ DRIVER "TaskStats", &np__task_stats_request__descriptor, false, on_task_stats },
	{ DRIVER "SignalTask", &np__signal_task__descriptor, false, on_signal_task },
	{ DRIVER "ExecTask", &np__exec_task__descriptor, false, on_exec_task },
	{ DRIVER "ExecTaskStreaming", &np__exec_input__descriptor, true, on_exec_streaming },
	{ DRIVER "CreateNetwork", &np__network_request__descriptor, false, on_no_network },
	{ DRIVER "DestroyNetwork", &np__network_request__descriptor, false, on_nothing },
	{ DRIVER "Shutdown", &np__empty__descriptor, false, on_nothing },
	{ .path = NULL },
};
