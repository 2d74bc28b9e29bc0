# Compiles modules of Python to .pyc files that need no check of their source.
#
#   loop.py ROOT LIST OUT: LIST holds paths below ROOT, each ended by a NUL; OUT/<n>.pyc is what the
#   n-th of them becomes. Those that are no valid source are left out.
#
# The bytes depend on the sources, their paths and the version of Python alone: one process compiles
# all in the order of LIST, with the path that a module has in the image, and PYTHONHASHSEED=0.
import _imp
import importlib._bootstrap_external as external
import sys

root, names, out = sys.argv[1:]
magic = int.from_bytes(external.MAGIC_NUMBER, "little")

with open(names, "rb") as listed:
    paths = listed.read().decode().split("\0")[:-1]

for number, path in enumerate(paths):
    with open(root + "/" + path, "rb") as file:
        source = file.read()
    try:
        code = compile(source, "/" + path, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError):
        continue
    digest = _imp.source_hash(magic, source)
    with open(f"{out}/{number}.pyc", "wb") as file:
        file.write(external._code_to_hash_pyc(code, digest, False))
