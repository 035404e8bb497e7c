#!/usr/bin/env python3
"""As much of Consul's agent as Nomad needs to register services and to tell how their checks went.

    small_consul.py FILE [PORT]    # each registration and each result of a check becomes a line "<path> <body>" of FILE
"""
import http.server
import json
import sys

SELF = {"Config": {"Datacenter": "dc1", "NodeName": "here", "NodeID": "1", "Version": "1.9.0", "Revision": "x", "Server": True},
        "Member": {"Name": "here", "Addr": "127.0.0.1", "Tags": {}}, "Stats": {}, "DebugConfig": {}, "Meta": {}}


class Handler(http.server.BaseHTTPRequestHandler):
    services, checks = {}, {}

    def reply(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = self.path.partition("?")[0]
        answers = {"/v1/agent/self": SELF, "/v1/agent/services": self.services, "/v1/agent/checks": self.checks,
                   "/v1/status/leader": "127.0.0.1:8300", "/v1/catalog/datacenters": ["dc1"]}
        self.reply(answers.get(path, {}))

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        path = self.path.partition("?")[0]
        with open(sys.argv[1], "a") as out:
            out.write(f"{path} {' '.join(body.split())}\n")
        if path == "/v1/agent/service/register":
            row = json.loads(body)
            self.services[row["ID"]] = {**row, "Service": row["Name"]}
        elif path == "/v1/agent/check/register":
            row = json.loads(body)
            self.checks[row["ID"]] = {**row, "CheckID": row["ID"], "Status": "critical"}
        elif path.startswith("/v1/agent/service/deregister/"):
            self.services.pop(path.rsplit("/", 1)[1], None)
        self.reply({})

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 8500), Handler).serve_forever()
