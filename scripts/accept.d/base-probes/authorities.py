"""Prints how many certificate authorities Python finds with an empty environment."""

import os

os.environ.clear()
import ssl  # noqa: E402: OpenSSL shall not see the environment

print(ssl.create_default_context().cert_store_stats()["x509_ca"])
