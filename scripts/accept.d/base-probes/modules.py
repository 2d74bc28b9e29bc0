"""Imports every module of the standard library; prints how many, and those that fail.

Left out: what starts a browser or a program when it is imported.
"""

import importlib
import os
import sys
import warnings

LEFT_OUT = {"antigravity", "this", "turtle"}
FOLDERS = {"__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3",
           "site-packages", "dist-packages"}


def names():
    library = os.path.dirname(os.__file__)
    found = set(sys.builtin_module_names)
    for folder, folders, files in os.walk(library):
        folders[:] = [name for name in folders
                      if name not in FOLDERS and not name.startswith("config-")]
        package = os.path.relpath(folder, library).replace("/", ".")
        prefix = "" if package in (".", "lib-dynload") else package + "."
        for file in files:
            stem, _, suffix = file.partition(".")
            if suffix == "py" or suffix.endswith("so"):
                found.add(prefix[:-1] if stem == "__init__" else prefix + stem)
    return sorted(name for name in found if name and name not in LEFT_OUT and "__main__" not in name)


def main():
    warnings.simplefilter("ignore")
    failed = []
    imported = 0
    for name in names():
        try:
            importlib.import_module(name)
            imported += 1
        except BaseException as error:  # a module may even exit
            failed.append(name)
            print(f"{name}: {error!r}", file=sys.stderr)
    print(imported, *failed)


main()
