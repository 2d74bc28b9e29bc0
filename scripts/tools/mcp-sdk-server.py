#!/usr/bin/env python3
"""A server of each Python SDK with the tools `add` and `greet`, over any transport.

    mcp-sdk-server.py SDK stdio|streamable-http|sse [HOST PORT [json|stateless]]

SDK: `mcp1` (mcp 1.x), `mcp2` (mcp 2.x) or `fastmcp`; run it with the Python that has it installed.
"""

import sys


def server(sdk, settings):
    if sdk == "mcp1":
        from mcp.server.fastmcp import FastMCP
        return FastMCP("sdk-server", **settings)
    if sdk == "mcp2":
        from mcp.server.mcpserver import MCPServer
        return MCPServer("sdk-server", version="2")
    from fastmcp import FastMCP
    return FastMCP("sdk-server", version="3")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sdk, transport, *rest = sys.argv[1:]
    settings = {}
    if rest:
        settings = {"host": rest[0], "port": int(rest[1])}
    for option in rest[2:]:
        settings[{"json": "json_response", "stateless": "stateless_http"}[option]] = True
    app = server(sdk, settings)

    @app.tool()
    def add(a: int, b: int) -> int:
        """Adds two numbers."""
        return a + b

    @app.tool()
    def greet(name: str) -> str:
        """Says hello."""
        return f"hello {name}"

    # mcp 1.x takes its address when it is made, the others when they run.
    app.run(transport=transport, **({} if sdk == "mcp1" else settings))


if __name__ == "__main__":
    main()
