#!/usr/bin/env python3
"""hostile.py all|fork|fill|daemon|endless: what a hostile build script tries.

`all` prints a line for each attack: refused and why, or SUCCEEDED. OUTSIDE names a folder that it has
no business in, with home/.ssh/id in it; the parent's environment holds SECRET.
"""
import ctypes
import errno
import os
import socket
import sys
import time

OUTSIDE = os.environ["OUTSIDE"]
LIBC = ctypes.CDLL(None, use_errno=True)


def call(*arguments):
    numbers = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    if LIBC.syscall(*numbers) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def read(path):
    with open(path, "rb") as file:
        return file.read()


def parent_environment():
    assert b"SECRET=token" in read(f"/proc/{os.getppid()}/environ")


def any_environment():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if b"SECRET=token" in read(f"/proc/{pid}/environ"):
                return
        except OSError:
            pass
    raise PermissionError(errno.EACCES, "no process shows it")


def write_outside():
    with open(OUTSIDE + "/outside", "w", encoding="utf-8"):
        pass


def unix_server():
    socket.socket(socket.AF_UNIX).connect(OUTSIDE + "/server")


def serve():
    """A server outside, as a Docker socket would be: only where it can be made."""
    if os.path.exists("server"):
        os.unlink("server")
    server = socket.socket(socket.AF_UNIX)
    server.bind("server")
    server.listen()
    client = socket.socket(socket.AF_UNIX)
    client.connect("server")
    os.unlink("server")


ATTACKS = {
    "read ~/.ssh": lambda: read(OUTSIDE + "/home/.ssh/id"),
    "list the home": lambda: os.listdir(OUTSIDE + "/home"),
    "parent's environment": parent_environment,
    "any environment": any_environment,
    "write outside": write_outside,
    "change the source": lambda: open(OUTSIDE + "/source/hostile.py", "a", encoding="utf-8"),
    "tcp socket": socket.socket,
    "tcp6 socket": lambda: socket.socket(socket.AF_INET6),
    "udp socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "unix datagrams": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
    "datagram pair": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
    "connect to a unix socket": unix_server,
    "connect to its own": serve,
    "ptrace": lambda: call(101, 16, os.getppid(), 0, 0),
    "ptrace itself": lambda: call(101, 0, 0, 0, 0),
    "io_uring": lambda: call(425, 8, ctypes.create_string_buffer(120)),
    "x32": lambda: call(39 | 0x40000000),
    "namespace": lambda: call(272, 0x10000000),
    "mount": lambda: call(165, b"none", b"/tmp", b"tmpfs", 0, 0),
    "keyring": lambda: call(250, 0, -3, 0),
    "signal to the parent": lambda: os.kill(os.getppid(), 0),
    "shared memory": lambda: call(29, 0, 4096, 0o1600),
}


def fork():
    os.execv(OUTSIDE + "/source/forks", ["forks"])


def fill():
    chunk = bytes(1 << 20)
    for number in range(10_000):
        with open(f"fill{number}", "wb") as file:
            for _ in range(16):
                file.write(chunk)


def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for descriptor in range(3):
                os.close(descriptor)
            time.sleep(600)
        os._exit(0)
    time.sleep(0.2)


def endless():
    while True:
        time.sleep(1)


def main(name):
    if name != "all":
        return {"fork": fork, "fill": fill, "daemon": daemon, "endless": endless}[name]()
    for attack, run in ATTACKS.items():
        try:
            run()
            print(f"{attack}: SUCCEEDED")
        except OSError as error:
            print(f"{attack}: refused, {error.strerror}")


main(sys.argv[1])
