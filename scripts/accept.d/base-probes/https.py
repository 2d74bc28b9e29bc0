"""Asks an HTTPS server of its own, whose key is beside this file, with the system's authorities.

Prints `answered`, or the reason why the certificate is not trusted.
"""

import http.server
import os
import ssl
import threading
import urllib.error
import urllib.request

FOLDER = os.path.dirname(os.path.abspath(__file__))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"answered")

    def log_message(self, *arguments):
        pass


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER + "/server.crt", FOLDER + "/server.key")
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with urllib.request.urlopen(f"https://127.0.0.1:{server.server_port}/", timeout=20) as answer:
            print(answer.read().decode())
    except urllib.error.URLError as error:
        print(type(error.reason).__name__, getattr(error.reason, "verify_message", error.reason))


main()
