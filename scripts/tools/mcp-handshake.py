#!/usr/bin/env python3
"""Speaks MCP over stdio with a server and checks that it answers.

    mcp-handshake.py [--tools N] [--timeout SECONDS] -- COMMAND…

Sends `initialize`, `notifications/initialized` and `tools/list` (all pages), prints one line with
the server's name, protocol and tools, and exits 0 only if all were answered, standard output held
nothing but messages, and the number of tools is the expected one.
"""

import argparse
import json
import os
import selectors
import subprocess
import sys
import time

PROTOCOL = "2025-06-18"
GRACE = 5  # seconds a server may take to end after its standard input was closed


class Failure(Exception):
    """Why the handshake failed, in one line."""


class Server:
    """A child process that speaks one JSON message a line."""

    def __init__(self, command, timeout):
        self.deadline = time.monotonic() + timeout
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ, "out")
        self.selector.register(self.process.stderr, selectors.EVENT_READ, "err")
        self.pending = b""
        self.log = b""
        self.stray = []

    def send(self, message):
        line = json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"
        try:
            self.process.stdin.write(line)
            self.process.stdin.flush()
        except BrokenPipeError:
            self.fail("the server closed its standard input")

    def request(self, number, method, params):
        self.send({"id": number, "method": method, "params": params})
        while True:
            message = self.next_message(method)
            if "method" in message:
                if "id" in message:
                    self.send({"id": message["id"], "result": {}})
                continue
            if message.get("id") == number:
                if not isinstance(message.get("result"), dict):
                    self.fail(f"{method} answered {json.dumps(message)[:300]}")
                return message["result"]

    def next_message(self, method):
        while True:
            while b"\n" in self.pending:
                line, self.pending = self.pending.split(b"\n", 1)
                try:
                    message = json.loads(line)
                except ValueError:
                    message = None
                if isinstance(message, dict):
                    return message
                self.stray.append(line[:120])
            self.read(method)

    def read(self, method):
        left = self.deadline - time.monotonic()
        if left <= 0:
            self.fail(f"no answer to {method} in time")
        if not self.selector.get_map():
            self.fail(f"the server ended before it answered {method}")
        for key, _ in self.selector.select(left):
            data = os.read(key.fileobj.fileno(), 65536)
            if not data:
                self.selector.unregister(key.fileobj)
            elif key.data == "out":
                self.pending += data
            else:
                self.log += data

    def fail(self, reason):
        log = self.log[-600:].decode(errors="replace").strip()
        try:
            end = f"exit code {self.process.wait(0.2)}"
        except subprocess.TimeoutExpired:
            end = "still running"
        raise Failure(f"{reason}; {end}; standard error: {log or 'empty'}")

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        for stop in (lambda: None, self.process.terminate, self.process.kill):
            stop()
            try:
                return self.process.wait(GRACE)
            except subprocess.TimeoutExpired:
                continue
        return None


def handshake(server):
    start = time.monotonic()
    hello = server.request(1, "initialize", {
        "protocolVersion": PROTOCOL,
        "capabilities": {},
        "clientInfo": {"name": "karisimbi-accept", "version": "0"},
    })
    answered = time.monotonic() - start
    server.send({"method": "notifications/initialized"})
    tools, cursor, number = [], None, 2
    while True:
        page = server.request(number, "tools/list", {"cursor": cursor} if cursor else {})
        if not isinstance(page.get("tools"), list):
            server.fail(f"tools/list answered {json.dumps(page)[:300]}")
        tools += page["tools"]
        cursor, number = page.get("nextCursor"), number + 1
        if not cursor:
            return hello, tools, answered


def main():
    parser = argparse.ArgumentParser(description="MCP handshake over stdio")
    parser.add_argument("--tools", type=int, help="how many tools the server must list")
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    server = Server(options.command, options.timeout)
    try:
        hello, tools, seconds = handshake(server)
        if server.stray:
            server.fail(f"standard output holds more than messages: {server.stray[0]!r}")
        if options.tools is not None and len(tools) != options.tools:
            server.fail(f"{len(tools)} tools instead of {options.tools}")
    except Failure as failure:
        print(f"handshake failed: {failure}", file=sys.stderr)
        return 1
    finally:
        code = server.close()
    info = hello.get("serverInfo", {})
    name = f"{info.get('name')} {info.get('version')}".strip()
    print(f"{name}: protocol {hello.get('protocolVersion')}, {len(tools)} "
          f"tools, initialize in {seconds:.2f} s, exit code {code} after end of input")
    return 0


if __name__ == "__main__":
    sys.exit(main())
