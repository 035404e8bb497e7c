#include "platform/isolate.h"

static int
isolate_probe(struct err *e)
{
	return err_new(
	    e, ERR_UNSUPPORTED, "jails are not there yet: this build keeps pots on Linux only");
}

static int
isolate_create(
    const struct isolate_spec *spec, const int stdio[3], struct isolate *out, struct err *e)
{
	(void)spec;
	(void)stdio;
	(void)out;
	return isolate_probe(e);
}

static int
isolate_go(struct isolate *i, struct err *e)
{
	(void)i;
	return isolate_probe(e);
}

static int
isolate_event(struct isolate *i, struct isolate_event *event, struct err *e)
{
	(void)i;
	(void)event;
	return isolate_probe(e);
}

static int
isolate_signal(struct isolate *i, int sig, bool stop, struct err *e)
{
	(void)i;
	(void)sig;
	(void)stop;
	return isolate_probe(e);
}

static int
isolate_kill(struct isolate *i, const char *const *cgroups, struct err *e)
{
	(void)i;
	(void)cgroups;
	return isolate_probe(e);
}

static void
isolate_close(struct isolate *i)
{
	i->handle = i->channel = -1;
}

static int64_t
isolate_oom_kills(const char *const *cgroups)
{
	(void)cgroups;
	return -1;
}

static int
isolate_enter(const struct isolate_enter *how, pid_t *child, int *pty, struct err *e)
{
	(void)how;
	(void)child;
	(void)pty;
	return isolate_probe(e);
}

static int
isolate_forward(pid_t init, uint64_t start, int sig, struct err *e)
{
	(void)init;
	(void)start;
	(void)sig;
	return isolate_probe(e);
}

const struct isolate_ops isolate_native = {
	.name = "jails",
	.probe = isolate_probe,
	.create = isolate_create,
	.go = isolate_go,
	.event = isolate_event,
	.signal = isolate_signal,
	.kill = isolate_kill,
	.close = isolate_close,
	.oom_kills = isolate_oom_kills,
	.enter = isolate_enter,
	.forward = isolate_forward,
};

int
isolate_enter_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return 126;
}
