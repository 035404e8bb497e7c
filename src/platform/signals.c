/* Names of signals: POSIX's, and those that Linux and the BSDs share. */
#include "platform/proc.h"

#include "base/own.h"
#include "base/str.h"

#include <signal.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *name;
	int sig;
} signals[] = {
	{ "HUP", SIGHUP },
	{ "INT", SIGINT },
	{ "QUIT", SIGQUIT },
	{ "ILL", SIGILL },
	{ "TRAP", SIGTRAP },
	{ "ABRT", SIGABRT },
	{ "BUS", SIGBUS },
	{ "FPE", SIGFPE },
	{ "KILL", SIGKILL },
	{ "USR1", SIGUSR1 },
	{ "SEGV", SIGSEGV },
	{ "USR2", SIGUSR2 },
	{ "PIPE", SIGPIPE },
	{ "ALRM", SIGALRM },
	{ "TERM", SIGTERM },
	{ "CHLD", SIGCHLD },
	{ "CONT", SIGCONT },
	{ "STOP", SIGSTOP },
	{ "TSTP", SIGTSTP },
	{ "TTIN", SIGTTIN },
	{ "TTOU", SIGTTOU },
	{ "URG", SIGURG },
	{ "XCPU", SIGXCPU },
	{ "XFSZ", SIGXFSZ },
	{ "VTALRM", SIGVTALRM },
	{ "PROF", SIGPROF },
	{ "WINCH", SIGWINCH },
	{ "IO", SIGIO },
	{ "SYS", SIGSYS },
	{ "IOT", SIGABRT },
#ifdef SIGINFO
	{ "INFO", SIGINFO },
#endif
#ifdef SIGPWR
	{ "PWR", SIGPWR },
#endif
};

int
proc_signal_named(const char *name, struct err *e)
{
	uint64_t number;

	if (str_u64(name, 64, &number) && number > 0)
		return (int)number;
	const char *bare = strncasecmp(name, "SIG", 3) == 0 ? name + 3 : name;
	for (size_t i = 0; i < NELEM(signals); i++)
		if (strcasecmp(bare, signals[i].name) == 0)
			return signals[i].sig;
	return err_new(e, ERR_INPUT,
	    "unknown signal \"%.40s\"; give a name as SIGTERM or TERM, or a number", name);
}

const char *
proc_signal_name(int sig)
{
	for (size_t i = 0; i < NELEM(signals); i++)
		if (signals[i].sig == sig)
			return signals[i].name;
	return "?";
}

static void
kept(int sig)
{
	(void)sig;
}

void
proc_keep_sigchld(void)
{
	(void)sigaction(
	    SIGCHLD, &(struct sigaction){ .sa_handler = kept, .sa_flags = SA_RESTART }, NULL);
}
