#include "plugin/text.h"

#include "base/err.h"
#include "base/str.h"
#include "platform/proc.h"

#include <ctype.h>
#include <string.h>

/* How many bytes the character at s has; 0: none begins there. */
static size_t
character(const unsigned char *s)
{
	size_t n = s[0] < 0x80			 ? 1
		   : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
		   : (s[0] & 0xf0) == 0xe0	 ? 3
		   : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
						 : 0;

	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* overlong forms, surrogates, beyond the last plane */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

char *
text_utf8(const char *s, struct arena *a)
{
	char *out = arena_strdup(a, s);

	for (char *p = out; *p != '\0';) {
		size_t n = character((const unsigned char *)p);
		if (n == 0) {
			*p = '?';
			n = 1;
		}
		p += n;
	}
	return out;
}

char *
text_pot_name(const char *task_id, struct arena *a)
{
	size_t n;
	char **part = str_split(a, task_id, '/', &n);
	char *name = n == 3 ? arena_printf(a, "%s_%s_%s", part[1], part[2], part[0])
			    : arena_strdup(a, task_id);

	for (char *p = name; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_')
			*p = '_';
	/* a name begins with a letter or a digit */
	if (*name == '-' || *name == '_')
		*name = 'x';
	return name;
}

int
text_signal(const char *name)
{
	struct err e = ERR_INIT;
	int sig = *name != '\0' ? proc_signal_named(name, &e) : -1;

	return sig > 0 ? sig : 0;
}
