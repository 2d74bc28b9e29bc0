#!/usr/bin/env python3
"""A reverse proxy on loopback that writes one line for each request it forwards.

    logging-proxy.py PORT_FILE LOG UPSTREAM_PORT

Listens on a free port of 127.0.0.1, writes the port to PORT_FILE, and appends
`METHOD STATUS REQUEST-BODY-BYTES ANSWER-BODY-BYTES PATH` to LOG. Bodies are streamed.
"""

import http.client
import http.server
import os
import sys
import threading

BLOCK = 1 << 16
HOP = {"connection", "keep-alive", "transfer-encoding"}
LOCK = threading.Lock()


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """The access log below replaces the one of http.server."""

    def body(self, counted):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data = self.rfile.read(size)
                self.rfile.readline()
                counted[0] += len(data)
                yield data
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left:
            data = self.rfile.read(min(BLOCK, left))
            if not data:
                raise ConnectionError("the client went away within a body")
            left -= len(data)
            counted[0] += len(data)
            yield data

    def forward(self):
        sent, received = [0], 0
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=300)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
        for name, value in self.headers.items():
            if name.lower() not in HOP:
                upstream.putheader(name, value)
        if chunked:
            upstream.putheader("Transfer-Encoding", "chunked")
        upstream.endheaders()
        for data in self.body(sent):
            upstream.send(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
        if chunked:
            upstream.send(b"0\r\n\r\n")
        answer = upstream.getresponse()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP:
                self.send_header(name, value)
        known = answer.getheader("Content-Length") is not None
        bodiless = self.command == "HEAD" or answer.status in (204, 304)
        if not known and not bodiless:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        while not bodiless and (data := answer.read(BLOCK)):
            received += len(data)
            self.wfile.write(data)
        upstream.close()
        with LOCK:
            self.server.log.write(f"{self.command} {answer.status} {sent[0]} {received} {self.path}\n")
            self.server.log.flush()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = forward


def main():
    port_file, log, upstream = sys.argv[1:4]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.daemon_threads = True
    server.upstream = int(upstream)
    with open(log, "a", encoding="utf-8") as server.log:
        with open(port_file + ".new", "w", encoding="utf-8") as file:
            file.write(str(server.server_address[1]))
        os.rename(port_file + ".new", port_file)
        server.serve_forever()


if __name__ == "__main__":
    main()
