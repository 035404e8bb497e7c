/*
 * rules.h: Traefik's routing rules, of version 2 and 3, as an OR of ANDs.
 *
 * Pure. Which version a rule was written for is seen from its matchers: several values in Host,
 * Path, PathPrefix, Method and ClientIP, templates {name:regexp}, and Headers, HeadersRegexp and
 * Query(`k=v`) are version 2's. Regular expressions are limited to what RE2 and PCRE2 both read the
 * same way; look-around and back references are refused.
 *
 * What a normalised rule cannot hold is refused, never dropped: more than RULE_TERMS alternatives,
 * or more than RULE_MATCHES conditions in one of them.
 */
#ifndef INGRESS_RULES_H
#define INGRESS_RULES_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum match_kind {
	MATCH_HOST,	   /* value: host name, lower case */
	MATCH_HOST_REGEXP, /* against the lower-cased host without its port */
	MATCH_PATH,	   /* the whole path */
	MATCH_PATH_PREFIX, /* plain prefix: /a also matches /ab */
	MATCH_PATH_REGEXP,
	MATCH_HEADER, /* key: header name; value: a whole header value */
	MATCH_HEADER_REGEXP,
	MATCH_METHOD, /* value: upper case */
	MATCH_QUERY,  /* key: parameter; value NULL: present with any value */
	MATCH_QUERY_REGEXP,
	MATCH_CLIENT_IP, /* value: address or CIDR */
	MATCH_KINDS
};

enum { RULE_TERMS = 64, RULE_MATCHES = 24, RULE_TEXT_MAX = 2048, RULE_VALUE_MAX = 512 };

struct match {
	enum match_kind kind;
	bool negate;
	const char *key, *value;
};
struct rule_term { /* all must hold */
	struct match *at;
	size_t n;
};
struct rule { /* one must hold */
	struct rule_term *at;
	size_t n;
};

/* Everything in *out lives in the arena. Errors name the place in the rule: "rule: column 7: …". */
int rule_parse(const char *text, struct arena *a, struct rule *out, struct err *e);

/* Every term is one positive Host: such rules need no configuration of their own, only map entries.
 */
bool rule_is_hosts(const struct rule *r);
const char *match_kind_name(enum match_kind kind);

/* Is this a regular expression that RE2 and PCRE2 both understand alike? */
int regex_check(const char *re, struct err *e);

/* An IPv4 or IPv6 address, with or without /bits. */
bool is_cidr(const char *text);

#endif
