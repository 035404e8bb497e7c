#include "plugin/grpc_priv.h"

#include "base/log.h"
#include "codec/json.h"
#include "plugin.pb-c.h"

#include <stdio.h>
#include <string.h>

/*
 * One call: messages cut out of the stream's bytes, handed to the method, and the answer.
 */

enum { HEAD = 5, TEXT_MAX = 1200, DRAINED = 64 * 1024 };

struct grpc_call *
call_new(struct grpc_conn *c, int32_t stream)
{
	struct grpc_call *call = xcalloc(1, sizeof(*call));

	call->conn = c;
	call->stream = stream;
	call->next = c->calls;
	call->self = &c->calls;
	if (call->next != NULL)
		call->next->self = &call->next;
	c->calls = call;
	return call;
}

void
call_free(struct grpc_call *call)
{
	*call->self = call->next;
	if (call->next != NULL)
		call->next->self = call->self;
	buf_fini(&call->in);
	buf_fini(&call->out);
	free(call->path);
	free(call->text);
	free(call->details);
	free(call);
}

void
call_closed(struct grpc_call *call)
{
	void (*gone)(void *ctx) = call->ended ? NULL : call->gone;
	void *ctx = call->gone_ctx;

	call_free(call);
	if (gone != NULL)
		gone(ctx);
}

/* ---- the answer ---- */

static nghttp2_nv
header(const char *name, const char *value)
{
	return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name,
		.value = (uint8_t *)(uintptr_t)value,
		.namelen = strlen(name),
		.valuelen = strlen(value) };
}

static size_t
trailers(const struct grpc_call *call, char status[8], nghttp2_nv *out)
{
	size_t n = 0;

	snprintf(status, 8, "%d", (int)call->status);
	out[n++] = header("grpc-status", status);
	out[n++] = header("grpc-message", call->text != NULL ? call->text : "");
	if (call->details != NULL)
		out[n++] = header("grpc-status-details-bin", call->details);
	return n;
}

static ssize_t
give(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room, uint32_t *flags,
    nghttp2_data_source *source, void *ctx)
{
	struct grpc_call *call = source->ptr;
	nghttp2_nv nv[4];
	char status[8];
	size_t n = call->out.len < room ? call->out.len : room;

	(void)ctx;
	if (n == 0 && !call->ended) {
		call->resting = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (n > 0) {
		memcpy(to, call->out.data, n);
		buf_drop(&call->out, n);
	}
	if (call->drained != NULL && !call->ended && call->out.len < DRAINED)
		call->drained(call->drained_ctx);
	if (call->ended && call->out.len == 0) {
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		nghttp2_submit_trailer(session, stream, nv, trailers(call, status, nv));
	}
	return (ssize_t)n;
}

/* Headers first; a call that fails before it said anything has nothing else. */
static void
begin(struct grpc_call *call)
{
	nghttp2_nv nv[6];
	char status[8];
	size_t n = 0;
	nghttp2_data_provider provider = { .source = { .ptr = call }, .read_callback = give };

	nv[n++] = header(":status", "200");
	nv[n++] = header("content-type", "application/grpc");
	call->begun = true;
	if (call->ended) {
		n += trailers(call, status, nv + n);
		nghttp2_submit_response(call->conn->session, call->stream, nv, n, NULL);
	} else {
		nghttp2_submit_response(call->conn->session, call->stream, nv, n, &provider);
	}
}

static void
wake(struct grpc_call *call)
{
	if (!call->begun)
		begin(call);
	else if (call->resting) {
		call->resting = false;
		nghttp2_session_resume_data(call->conn->session, call->stream);
	}
	conn_wake(call->conn);
}

void
grpc_send(struct grpc_call *call, const ProtobufCMessage *message)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	const unsigned char head[HEAD] = { 0, (unsigned char)(len >> 24),
		(unsigned char)(len >> 16), (unsigned char)(len >> 8), (unsigned char)len };

	if (call->ended)
		return;
	if (!call->begun)
		begin(call);
	buf_add(&call->out, head, HEAD);
	buf_reserve(&call->out, len);
	protobuf_c_message_pack(message, (uint8_t *)call->out.data + call->out.len);
	call->out.len += len;
	wake(call);
}

static void
end(struct grpc_call *call, enum grpc_status status)
{
	call->ended = true;
	call->status = status;
	call->gone = NULL;
	call->drained = NULL;
	wake(call);
}

void
grpc_done(struct grpc_call *call)
{
	if (call->ended)
		return;
	/* without a message there are headers and trailers all the same */
	if (!call->begun)
		begin(call);
	end(call, GRPC_OK);
}

void
grpc_reply(struct grpc_call *call, const ProtobufCMessage *message)
{
	grpc_send(call, message);
	grpc_done(call);
}

void
grpc_reply_empty(struct grpc_call *call)
{
	Np__Empty empty = NP__EMPTY__INIT;

	grpc_reply(call, &empty.base);
}

static char *
percent(const char *text)
{
	struct buf out = BUF_INIT;

	for (size_t i = 0; text[i] != '\0' && i < TEXT_MAX; i++) {
		unsigned char c = (unsigned char)text[i];
		/* not in the middle of a character */
		if (i > TEXT_MAX - 4 && c >= 0x80)
			break;
		if (c < 0x20 || c > 0x7e || c == '%')
			buf_addf(&out, "%%%02X", c);
		else
			buf_addc(&out, (char)c);
	}
	return buf_take(&out);
}

void
grpc_fail(struct grpc_call *call, enum grpc_status status, const char *text)
{
	if (call->ended)
		return;
	log_debug("grpc", "%s: status %d: %s", call->path, (int)status, text);
	call->text = percent(text);
	end(call, status);
}

void
grpc_fail_recoverable(struct grpc_call *call, const char *text)
{
	Np__RecoverableError error = NP__RECOVERABLE_ERROR__INIT;
	Np__Any any = NP__ANY__INIT, *list[] = { &any };
	Np__Status status = NP__STATUS__INIT;
	uint8_t value[16];
	autobuf struct buf packed = BUF_INIT, shown = BUF_INIT;
	char type[] = "type.googleapis.com/hashicorp.nomad.plugins.shared.structs.RecoverableError";

	if (call->ended)
		return;
	buf_adds(&shown, text);
	if (shown.len > 512)
		shown.len = 512;
	while (shown.len > 0 && (shown.data[shown.len - 1] & 0x80) != 0)
		shown.len--;
	error.recoverable = 1;
	any.type_url = type;
	any.value.data = value;
	any.value.len = np__recoverable_error__pack(&error, value);
	status.code = GRPC_FAILED_PRECONDITION;
	status.message = (char *)(uintptr_t)buf_str(&shown);
	status.n_details = 1;
	status.details = list;
	buf_reserve(&packed, np__status__get_packed_size(&status));
	packed.len = np__status__pack(&status, (uint8_t *)packed.data);
	autobuf struct buf coded = BUF_INIT;
	struct jsonw w = JSONW_INIT(&coded);
	jsonw_base64(&w, packed.data, packed.len);
	call->details = xstrndup(coded.data + 1, coded.len - 2); /* without the quotes */
	grpc_fail(call, GRPC_FAILED_PRECONDITION, text);
}

/* ---- the requests ---- */

static void
hand_on(struct grpc_call *call, const void *bytes, size_t len)
{
	ProtobufCMessage *m = protobuf_c_message_unpack(call->method->request, NULL, len, bytes);

	if (m == NULL) {
		grpc_fail(call, GRPC_INTERNAL, "the request is malformed");
		return;
	}
	call->handled = true;
	call->method->handler(server_ctx(call->conn->server), call, m);
	protobuf_c_message_free_unpacked(m, NULL);
}

/* 1: a whole message is there; 0: more is needed; -1: refused. */
static int
look(struct grpc_call *call, size_t *len)
{
	const unsigned char *p = (const unsigned char *)call->in.data;

	if (call->in.len < HEAD)
		return 0;
	if (p[0] != 0) {
		grpc_fail(call, GRPC_UNIMPLEMENTED, "compressed messages are not understood");
		return -1;
	}
	*len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
	if (*len > GRPC_MESSAGE_MAX) {
		grpc_fail(call, GRPC_TOO_MUCH, "the message is too large");
		return -1;
	}
	return call->in.len >= HEAD + *len;
}

static void
give_credit(struct grpc_call *call)
{
	if (call->held || call->credit == 0)
		return;
	nghttp2_session_consume_stream(call->conn->session, call->stream, call->credit);
	call->credit = 0;
	conn_wake(call->conn);
}

static void
take_messages(struct grpc_call *call)
{
	size_t len;

	while (!call->ended && call->method->many && look(call, &len) > 0) {
		hand_on(call, call->in.data + HEAD, len);
		buf_drop(&call->in, HEAD + len);
	}
}

void
call_data(struct grpc_call *call, const uint8_t *data, size_t len)
{
	size_t message;

	call->credit += len;
	if (!call->ended && call->method != NULL) {
		buf_add(&call->in, data, len);
		if (call->method->many)
			take_messages(call);
		else if (look(call, &message) > 0 && call->in.len > HEAD + message)
			grpc_fail(
			    call, GRPC_INTERNAL, "more than one message came where one is due");
	}
	give_credit(call);
}

void
call_headers(struct grpc_call *call)
{
	call->method = call->path != NULL ? server_method(call->conn->server, call->path) : NULL;
	if (call->method == NULL)
		grpc_fail(call, GRPC_UNIMPLEMENTED, "unknown method");
}

void
call_half_closed(struct grpc_call *call)
{
	size_t len;

	call->half_closed = true;
	if (call->ended || call->method == NULL)
		return;
	if (call->method->many) {
		call->method->handler(server_ctx(call->conn->server), call, NULL);
		return;
	}
	int got = look(call, &len);
	if (got == 0)
		grpc_fail(call, GRPC_INTERNAL, "the request ends early");
	else if (got > 0) {
		struct buf whole = call->in;
		call->in = (struct buf)BUF_INIT;
		hand_on(call, whole.data + HEAD, len);
		buf_fini(&whole);
	}
}

/* ---- what handlers use ---- */

void
grpc_on_gone(struct grpc_call *call, void (*gone)(void *ctx), void *ctx)
{
	call->gone = gone;
	call->gone_ctx = ctx;
}

size_t
grpc_pending(const struct grpc_call *call)
{
	return call->out.len;
}

void
grpc_on_drained(struct grpc_call *call, void (*drained)(void *ctx), void *ctx)
{
	call->drained = drained;
	call->drained_ctx = ctx;
}

void
grpc_hold(struct grpc_call *call, bool hold)
{
	call->held = hold;
	give_credit(call);
}

void
grpc_set_data(struct grpc_call *call, void *data)
{
	call->data = data;
}

void *
grpc_data(const struct grpc_call *call)
{
	return call->data;
}
