//! The MCP handshake against a server: does the image answer?
