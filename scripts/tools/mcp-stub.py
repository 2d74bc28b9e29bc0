#!/usr/bin/env python3
"""An MCP server that behaves as it is told: what smoke tests are tested with.

    mcp-stub.py stdio BEHAVIOUR
    mcp-stub.py http BEHAVIOUR PORT

Without a special behaviour (`legacy`, `modern`) it is a correct server of that era with the tools
`echo` and `add`. The other behaviours each do one thing that real servers were seen to do, or that
a hostile one might; the code below is their list.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOOLS = [
    {"name": "echo", "description": "Says it again\nin full", "inputSchema": {"type": "object"}},
    {"name": "add", "description": "Adds", "inputSchema": {"type": "object", "required": ["a"]}},
]
INFO = {"name": "stub", "version": "1.2.3"}
MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"


def result(request, value):
    return {"jsonrpc": "2.0", "id": request["id"], "result": value}


def error(request, code, message="no", data=None):
    body = {"code": code, "message": message}
    if data is not None:
        body["data"] = data
    return {"jsonrpc": "2.0", "id": request.get("id"), "error": body}


class Server:
    """Answers one request; the transports are below."""

    def __init__(self, behaviour):
        self.behaviour = behaviour
        self.pages = 0
        self.discovers = 0

    def answer(self, request):
        """The answer; None is silence."""
        special = getattr(self, "on_" + self.behaviour.replace("-", "_"), None)
        if special:
            done, value = special(request)
            if done:
                return value
        if self.is_modern():
            return self.modern(request)
        return self.legacy(request)

    def is_modern(self):
        return self.behaviour.startswith("modern")

    def common(self, request):
        method, params = request["method"], request.get("params") or {}
        if method == "tools/list":
            return result(request, {"tools": TOOLS})
        if method == "tools/call" and params["name"] == "echo":
            text = json.dumps(params["arguments"], sort_keys=True)
            return result(request, {"content": [{"type": "text", "text": text}]})
        if method == "tools/call":
            content = [{"type": "text", "text": "it went wrong"}]
            return result(request, {"content": content, "isError": True})
        return error(request, -32601, "Method not found")

    def legacy(self, request):
        if request["method"] == "initialize":
            version = request["params"]["protocolVersion"]
            return result(request, {"protocolVersion": version, "capabilities": {"tools": {}},
                                    "serverInfo": INFO})
        return self.common(request)

    def modern(self, request):
        meta = (request.get("params") or {}).get("_meta") or {}
        wanted = meta.get(META + "protocolVersion")
        if META + "clientCapabilities" not in meta or META + "clientInfo" not in meta:
            return error(request, -32602, "params._meta must be an object")
        if wanted != MODERN:
            return error(request, -32022, "unsupported", {"supported": [MODERN]})
        if request["method"] == "server/discover":
            return result(request, {
                "resultType": "complete", "supportedVersions": [MODERN],
                "capabilities": {"tools": {}}, "_meta": {META + "serverInfo": INFO}})
        answer = self.common(request)
        if "result" in answer:
            answer["result"]["resultType"] = "complete"
        return answer

    # --- eras -------------------------------------------------------------------------------

    def on_invalid_params(self, request):
        return request["method"] == "server/discover", error(request, -32602, "Invalid params")

    def on_null_id(self, request):
        answer = error(request, -32600, "Invalid")
        answer["id"] = None
        return request["method"] == "server/discover", answer

    def on_silent_on_unknown(self, request):
        return request["method"] == "server/discover", None

    def on_exit_on_unknown(self, request):
        if request["method"] == "server/discover":
            print("unknown method", file=sys.stderr)
            os._exit(3)
        return False, None

    def on_old_version(self, request):
        return request["method"] == "initialize", result(request, {
            "protocolVersion": "2024-11-05", "capabilities": {"tools": {}}, "serverInfo": INFO})

    def on_unknown_version(self, request):
        return request["method"] == "initialize", result(request, {
            "protocolVersion": "2024-10-07", "capabilities": {"tools": {}}, "serverInfo": INFO})

    def on_modern_newer(self, request):
        """Speaks only a later modern revision."""
        later = "2027-01-15"
        meta = request["params"].get("_meta") or {}
        if meta.get(META + "protocolVersion") != later:
            return True, error(request, -32022, "unsupported", {"supported": [later, "2027-01-01"]})
        if request["method"] == "server/discover":
            return True, result(request, {"supportedVersions": [later], "capabilities": {},
                                          "_meta": {META + "serverInfo": INFO}})
        return True, self.common(request)

    def on_modern_names_legacy(self, request):
        """Refuses the modern version and names a legacy one."""
        if "_meta" in (request.get("params") or {}):
            return True, error(request, -32022, "unsupported", {"supported": ["2025-06-18"]})
        return True, self.legacy(request)

    def on_modern_capability(self, request):
        meta = request["params"]["_meta"]
        if "sampling" not in meta[META + "clientCapabilities"]:
            required = {"requiredCapabilities": {"sampling": {}}}
            return True, error(request, -32021, "needs sampling", required)
        return False, None

    def on_modern_never_falls_back(self, request):
        if request["method"] == "initialize":
            return True, self.legacy(request)
        return True, error(request, -32020, "header mismatch")

    def on_modern_slow(self, request):
        """Answers everything in order, six seconds late: a connection that is modern by then."""
        if request["method"] == "server/discover":
            time.sleep(6)
        if request["method"] == "initialize":
            return True, error(request, -32022, "this connection is modern",
                               {"supported": [MODERN]})
        return False, None

    # --- tools ------------------------------------------------------------------------------

    def on_pages(self, request):
        if request["method"] != "tools/list":
            return False, None
        cursor = (request.get("params") or {}).get("cursor")
        page = int(cursor or 0)
        value = {"tools": [{"name": f"tool{page}", "inputSchema": {}}]}
        if page < 3:
            value["nextCursor"] = str(page + 1)
        return True, result(request, value)

    def on_cursor_loop(self, request):
        self.pages += 1
        return request["method"] == "tools/list", result(request, {
            "tools": [{"name": f"tool{self.pages}"}], "nextCursor": "again"})

    def on_endless_pages(self, request):
        self.pages += 1
        return request["method"] == "tools/list", result(request, {
            "tools": [{"name": f"tool{self.pages}"}], "nextCursor": f"page{self.pages}"})

    def on_long_cursor(self, request):
        self.pages += 1
        return request["method"] == "tools/list", result(request, {
            "tools": [], "nextCursor": str(self.pages) + "x" * 70000})

    def on_long_list(self, request):
        self.pages += 1
        return request["method"] == "tools/list", result(request, {
            "tools": [{"name": f"tool{self.pages}", "description": "x" * (5 << 20)}],
            "nextCursor": str(self.pages)})

    def on_steers(self, request):
        tools = [{"name": "a\x9b31m\u202eb\x1b", "inputSchema": {}}]
        return request["method"] == "tools/list", result(request, {"tools": tools})

    def on_twice(self, request):
        return request["method"] == "tools/list", result(request, {"tools": [TOOLS[0]] * 2})

    def on_no_tools(self, request):
        return request["method"] == "tools/list", result(request, {"tools": []})

    def on_resources_only(self, request):
        if request["method"] == "initialize":
            return True, result(request, {"protocolVersion": "2025-06-18", "serverInfo": INFO,
                                          "capabilities": {"resources": {}}})
        return request["method"] == "tools/list", error(request, -32601, "Method not found")

    def on_tools_no_list(self, request):
        return request["method"] == "tools/list", result(request, {"tools": {"echo": 1}})

    def on_changed(self, request):
        tools = [dict(TOOLS[0], description="Other"), {"name": "new", "inputSchema": {}}]
        return request["method"] == "tools/list", result(request, {"tools": tools})

    def on_modern_input(self, request):
        return request["method"] == "tools/call", result(request, {
            "resultType": "input_required",
            "inputRequests": {"a": {"method": "elicitation/create", "params": {}}}})

    def on_slow_call(self, request):
        if request["method"] == "tools/call":
            time.sleep(30)
        return False, None

    # --- ends and demands -------------------------------------------------------------------

    def on_crash_later(self, request):
        if request["method"] == "tools/list":
            print("Traceback: boom, token is " + os.environ.get("API_TOKEN", ""), file=sys.stderr)
            os._exit(7)
        return False, None

    def on_config_late(self, request):
        return request["method"] == "tools/list", error(
            request, -32000, "WEATHER_API_KEY is required")

    def on_refuses(self, request):
        return request["method"] == "initialize", error(request, -32603, "out of order")

    def on_foreign_ids(self, request):
        if request["method"] == "initialize":
            return True, dict(self.legacy(request), id=str(request["id"]))
        return False, None


START = {  # what a server writes to standard error before it ends, and its exit code
    "needs-variable": ("Error: WEATHER_API_KEY environment variable is required", 1),
    "needs-key": ("ValueError: Missing API key", 1),
    "needs-field": ("1 validation error for Settings\napi_token\n  Field required [type=missing, "
                    "input_value={}, input_type=dict]", 1),
    "needs-usage": ("usage: stub [-h] --project PROJECT\nstub: error: wrong", 2),
    "needs-flag": ("must provide -http (comma-separated list of addresses)", 1),
    "needs-environ": ("Traceback (most recent call last):\n  File \"<frozen os>\", line 685\n"
                      "KeyError: 'WEATHER_API_KEY'", 1),
    "broken": ("Traceback (most recent call last):\nTypeError: f() missing 1 required positional "
               "argument: 'key'", 1),
    "library": ("stub: error while loading shared libraries: libssl.so.1.1: cannot open shared "
                "object file: No such file or directory", 127),
    "offline": ("getaddrinfo ENOTFOUND api.example", 1),
    "quiet-end": ("", 0),
}


def start(behaviour):
    """What happens before the first message is read."""
    if behaviour in START:
        text, code = START[behaviour]
        print(text, file=sys.stderr, flush=True)
        os._exit(code)
    if behaviour == "needs-token" and not os.environ.get("API_TOKEN"):
        print("API_TOKEN must be set", file=sys.stderr, flush=True)
        os._exit(1)
    if behaviour == "slow-start":
        time.sleep(1.5)
    if behaviour == "killed":
        os.kill(os.getpid(), signal.SIGSEGV)
    if behaviour == "ignores-term":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


# --- stdio ----------------------------------------------------------------------------------


def write(text):
    out = sys.stdout.buffer
    out.write(text if isinstance(text, bytes) else text.encode())
    out.flush()


def line(value):
    write(json.dumps(value) + "\n")


def chatter(behaviour, request):
    """What stands on standard output before an answer."""
    if behaviour == "noise" and request["method"] == "initialize":
        write("Welcome to the stub!\n\nstarting\n")
    if behaviour == "json-noise" and request["method"] == "initialize":
        write('{"level":"info"}\n')
    if behaviour == "bad-utf8" and request["method"] == "initialize":
        write(b"\xff\xfe{}\x1b[2J\n")
    if behaviour == "deep":
        write('{"jsonrpc":"2.0","id":1,"result":' + "[" * 100000 + "]" * 100000 + "}\n")
    if behaviour == "huge-line":
        for _ in range(200):
            write("x" * 100000)
    if behaviour == "huge-text":
        text = "x" * (9 << 20)
        line({"jsonrpc": "2.0", "id": request["id"], "result": {"text": text}})
    if behaviour == "endless-noise":
        while True:
            write("noise\n" * 1000)
    if behaviour == "endless-questions":
        while True:
            line({"jsonrpc": "2.0", "id": "x" * (4 << 20), "method": "ping"})
    if behaviour == "endless-notifications":
        while True:
            line({"jsonrpc": "2.0", "method": "notifications/message", "params": {}})
    if behaviour == "questions" and request["method"] == "tools/list":
        questions()


def questions():
    """Asks the client; goes on only after the right answers."""
    line({"jsonrpc": "2.0", "method": "notifications/message"})
    for number, method, key in [("p", "ping", "result"), (2, "sampling/createMessage", "error"),
                                (None, "roots/list", "error")]:
        line({"jsonrpc": "2.0", "id": number, "method": method, "params": {}})
        reply = json.loads(sys.stdin.buffer.readline())
        if reply["id"] != number or key not in reply:
            os._exit(9)
        if key == "error" and reply["error"]["code"] != -32601:
            os._exit(8)


def stdio(behaviour):
    start(behaviour)
    if behaviour == "banner":
        write("Hi user\n")
        os._exit(0)
    if behaviour == "help":
        write("A stub.\n\nUsage:\n  stub [command]\n\nFlags:\n  --toolsets strings\n")
        os._exit(0)
    if behaviour == "cut-token":
        # Where a line that is no message, a line of a log, and its beginning are cut off.
        token = os.environ["API_TOKEN"]
        write("x" * 100 + token + "\n")
        os.write(2, ("y" * 4090 + token + "\n" + "z" * 100 + token + "-" * 16364).encode())
        os._exit(1)
    if behaviour == "closes-stdout":
        os.close(1)
        time.sleep(60)
    if behaviour == "stays-silent":
        write("")
        time.sleep(60)
    server = Server(behaviour)
    for text in sys.stdin.buffer:
        request = json.loads(text)
        if "id" not in request or "method" not in request:
            continue
        chatter(behaviour, request)
        answer = server.answer(request)
        if answer is not None and behaviour == "batch":
            line([{"jsonrpc": "2.0", "method": "notifications/message"}, answer])
        elif answer is not None:
            line(answer)
    if behaviour == "farewell":
        write("good bye\n")
    if behaviour == "exit-one":
        os._exit(1)
    if behaviour in ("stays", "ignores-term"):
        time.sleep(60)


# --- HTTP -----------------------------------------------------------------------------------

BOTH = "application/json, text/event-stream"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sessions = {}  # id -> requests left
    streams = {}  # id -> handler with an open stream

    def log_message(self, form, *args):
        print(self.command, self.path, form % args, file=sys.stderr, flush=True)

    def reply(self, status, body=b"", kind="application/json", headers=()):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if body:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def chunk(self, data):
        data = data if isinstance(data, bytes) else data.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def stream(self, headers=()):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    @property
    def kind(self):
        return self.server.behaviour

    def refused(self):
        """Refusals that don't look at the message."""
        host = self.headers["Host"]
        if self.kind == "unauthorized":
            self.reply(401, headers=[("WWW-Authenticate", 'Bearer realm="stub"')])
        elif self.kind == "forbidden":
            self.reply(403, {"error": "go away"})
        elif self.kind == "host-421" and not host.startswith("allowed.example"):
            self.reply(421, b"Invalid Host header", "text/plain")
        elif self.kind == "host-403" and not host.startswith("allowed.example"):
            self.reply(403, {"jsonrpc": "2.0", "id": None,
                             "error": {"code": -32000, "message": "Invalid Host: " + host}})
        elif self.kind == "moved" and self.path == "/mcp":
            self.reply(307, headers=[("Location", "/mcp/")])
        elif self.kind == "moved-named" and self.path == "/mcp":
            self.reply(308, headers=[("Location", f"http://{host}/elsewhere")])
        elif self.kind == "moved-away":
            self.reply(307, headers=[("Location", "http://elsewhere.example/mcp")])
        elif self.kind == "moved-round":
            self.reply(308, headers=[("Location", self.path + "x")])
        elif self.kind == "page":
            self.reply(200, b"<html>a page</html>", "text/html")
        elif self.kind == "encoded":
            self.reply(200, b"\x1f\x8b", headers=[("Content-Encoding", "gzip")])
        elif self.kind == "nothing":
            self.reply(404, b"nothing here", "text/plain")
        elif self.kind == "silent":
            time.sleep(60)
        elif self.kind == "broken-500":
            self.reply(500, b"boom", "text/plain")
        else:
            return False
        return True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.refused():
            return
        message = json.loads(body)
        if self.kind.startswith("old-sse"):
            return self.old_post(message)
        if self.headers["Accept"] != BOTH:
            return self.reply(406)
        if self.server.app.is_modern():
            return self.modern_post(message)
        return self.legacy_post(message)

    def modern_post(self, message):
        version = message["params"]["_meta"][META + "protocolVersion"]
        name = message["params"].get("name")
        heads = (version, message["method"], name)
        mine = tuple(self.headers[h] for h in ("MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"))
        if heads != mine or "Mcp-Session-Id" in self.headers:
            return self.reply(400, error(message, -32020, "header mismatch"))
        answer = self.server.app.answer(message)
        status = 200
        if "error" in answer:
            status = 404 if answer["error"]["code"] == -32601 else 400
        if self.kind == "modern-framed" and status == 200:
            return self.framed(answer)
        return self.reply(status, answer)

    def framed(self, answer, headers=()):
        """An answer in a stream: comments, other messages, CR LF, data in several lines."""
        self.stream(headers)
        self.chunk(": keep-alive\r\n\r\n")
        self.chunk('event: message\r\ndata: {"jsonrpc":"2.0","method":"notifications/x"}\r\n\r\n')
        text = json.dumps(answer, indent=1)
        framed = "id: 7\r\n" + "".join(f"data: {part}\r\n" for part in text.split("\n")) + "\r\n"
        for place in range(0, len(framed), 50):
            self.chunk(framed[place:place + 50])
        self.chunk("")

    def legacy_post(self, message):
        if self.kind == "hangs-up" and message["method"] == "tools/list":
            return self.hang_up()
        kind = self.kind
        method = message.get("method")
        if method == "server/discover" and kind != "unknown-method":
            if kind == "empty-400":
                return self.reply(400)
            text = {"jsonrpc": "2.0", "id": "server-error",
                    "error": {"code": -32600, "message": "Bad Request: Missing session ID"}}
            return self.reply(400, text)
        if kind == "endless-body":
            self.stream()
            while True:
                self.chunk("data: " + "x" * 65536)
        if kind == "endless-stream":
            self.stream()
            while True:
                self.chunk(": keep-alive\n\n")
                time.sleep(0.05)
        if kind == "cut-stream":
            self.stream()
            return self.chunk("")
        if method == "initialize":
            return self.open_session(message)
        if kind != "stateless":
            session = self.headers["Mcp-Session-Id"]
            if session not in self.sessions:
                return self.reply(404, {"jsonrpc": "2.0", "id": "server-error",
                                        "error": {"code": -32600, "message": "Session not found"}})
            self.sessions[session] -= 1
            if self.sessions[session] == 0:
                del self.sessions[session]
                return self.reply(404, b"Session not found", "text/plain")
        if self.headers["MCP-Protocol-Version"] != "2025-11-25":
            return self.reply(400, b"version header", "text/plain")
        if "id" not in message or method is None:
            return self.reply(202)
        answer = self.server.app.answer(message)
        if kind == "framed":
            return self.framed(answer)
        return self.reply(200, answer)

    def hang_up(self):
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def open_session(self, message):
        answer = self.server.app.answer(message)
        headers = []
        if self.kind != "stateless":
            session = f"session-{len(self.sessions)}-{time.monotonic_ns()}"
            first = not getattr(self.server, "opened", False)
            self.server.opened = True
            lost = self.kind == "session-lost" or (self.kind == "session-lost-once" and first)
            # The notification is still taken.
            self.sessions[session] = 2 if lost else -1
            headers = [("Mcp-Session-Id", session)]
        if self.kind == "bad-session":
            headers = [("Mcp-Session-Id", "s" * 5000)]
        if self.kind == "framed":
            return self.framed(answer, headers)
        return self.reply(200, answer, headers=headers)

    def do_DELETE(self):
        gone = self.sessions.pop(self.headers["Mcp-Session-Id"], None) is not None
        self.reply(200 if gone else 404)

    # HTTP+SSE of 2024-11-05

    def do_GET(self):
        if self.refused():
            return
        if not self.kind.startswith("old-sse"):
            return self.reply(405)
        self.stream()
        if self.kind == "old-sse-foreign":
            self.chunk("event: endpoint\ndata: http://elsewhere.example/messages\n\n")
        elif self.kind == "old-sse-other-first":
            self.chunk("event: message\ndata: {}\n\n")
        elif self.kind == "old-sse-flood":
            self.chunk("event: endpoint\ndata: /messages\n\n")
            while True:
                self.chunk("data\n\n" * 10000)
        else:
            self.streams["1"] = self
            self.chunk("event: endpoint\r\ndata: /messages?session=1\r\n\r\n")
        self.server.ended.wait(60)

    def old_post(self, message):
        if not self.path.startswith("/messages"):
            return self.reply(405)
        if self.kind == "old-sse-flood":
            self.server.ended.wait(60)
        if "id" in message and "method" in message:
            answer = json.dumps(self.server.app.answer(message))
            # Before the POST is answered, which clients must bear.
            self.streams["1"].chunk(f"event: message\r\ndata: {answer}\r\n\r\n")
        self.reply(202, b"Accepted", "text/plain")


def http(behaviour, port):
    start(behaviour)
    if behaviour == "other-port":
        time.sleep(60)
    if behaviour == "slow-listen":
        time.sleep(1)
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.behaviour = behaviour
    server.app = Server(behaviour)
    server.ended = threading.Event()
    print("listening", flush=True)
    server.serve_forever()


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    if sys.argv[1] == "stdio":
        stdio(sys.argv[2])
    else:
        http(sys.argv[2], int(sys.argv[3]))


if __name__ == "__main__":
    main()
