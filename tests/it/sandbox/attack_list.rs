//! The attacks of a hostile program, as one script of Python.

/// Each attack: a name, an expression of Python, what comes of it.
pub(super) const ATTACKS: &[(&str, &str, &str)] = &[
    (
        "key",
        "open(OUT + '/home/.ssh/id').read().strip()",
        "EACCES",
    ),
    ("home", "os.listdir(OUT + '/home')", "EACCES"),
    ("link", "link(OUT + '/home/.ssh/id')", "EACCES"),
    ("shadow", "open('/etc/shadow').read()", "EACCES"),
    ("machine", "os.listdir('/var/log')", "EACCES"),
    ("device", "os.listdir('/dev')", "EACCES"),
    ("memory", "open('/dev/mem', 'rb').read(1)", "EACCES ENOENT"),
    ("shm", "open('/dev/shm/karisimbi-test', 'w')", "EACCES"),
    (
        "parent's environment",
        "open(f'/proc/{os.getppid()}/environ').read()",
        "EACCES",
    ),
    ("any environment", "environments()", "nothing"),
    (
        "parent's root",
        "os.listdir(f'/proc/{os.getppid()}/root')",
        "EACCES",
    ),
    (
        "parent's memory",
        "open(f'/proc/{os.getppid()}/mem', 'rb')",
        "EACCES",
    ),
    ("write outside", "open(OUT + '/outside', 'w')", "EACCES"),
    (
        "write the source",
        "open(OUT + '/source/main.c', 'a')",
        "EACCES",
    ),
    (
        "remove the source",
        "os.unlink(OUT + '/source/main.c')",
        "EACCES",
    ),
    (
        "rename out",
        "os.rename(new('x'), OUT + '/x')",
        "EACCES EXDEV",
    ),
    ("tcp", "socket.socket()", "EPERM"),
    ("tcp6", "socket.socket(socket.AF_INET6)", "EPERM"),
    (
        "udp",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "EPERM",
    ),
    (
        "raw",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        "EPERM",
    ),
    (
        "packet",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "EPERM",
    ),
    (
        "netlink",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "EPERM",
    ),
    ("vsock", "socket.socket(40)", "EPERM"),
    (
        "datagram",
        "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)",
        "EPERM",
    ),
    (
        "pair of datagrams",
        "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
        "EPERM",
    ),
    (
        "unix server",
        "socket.socket(socket.AF_UNIX).connect(OUT + '/server')",
        "EPERM",
    ),
    (
        "abstract server",
        "socket.socket(socket.AF_UNIX).connect('\\0karisimbi')",
        "EPERM",
    ),
    ("signal", "os.kill(os.getppid(), 0)", "EPERM"),
    (
        "limit of another",
        "resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
        "EPERM",
    ),
    (
        "priority of another",
        "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
        "EPERM",
    ),
    (
        "priority of the user",
        "os.setpriority(os.PRIO_USER, 0, 19)",
        "EPERM",
    ),
    (
        "class of another",
        "os.sched_setscheduler(os.getppid(), os.SCHED_IDLE, os.sched_param(0))",
        "EPERM",
    ),
    (
        "processors of another",
        "os.sched_setaffinity(os.getppid(), {0})",
        "EPERM",
    ),
    (
        "disks of another",
        "call(251, 1, os.getppid(), 3 << 13)",
        "EPERM",
    ),
    (
        "watched folder",
        "call(254, call(294, 0), OUT.encode() + b'/home', 0xfff)",
        "EPERM",
    ),
    (
        "attribute of outside",
        "os.setxattr(OUT + '/home', 'user.x', b'x')",
        "EPERM",
    ),
    (
        "flags of what is read",
        "fcntl.ioctl(os.open(OUT + '/source/main.c', 0), 0x40086602, bytes(8))",
        "EPERM",
    ),
    ("ptrace", "call(101, 0, 0, 0, 0)", "EPERM"),
    (
        "process_vm_readv",
        "call(310, os.getppid(), 0, 0, 0, 0, 0)",
        "EPERM",
    ),
    ("io_uring", "call(425, 8, 0)", "EPERM"),
    ("x32", "call(39 | 0x40000000)", "ENOSYS"),
    ("clone3", "call(435, 0, 0)", "ENOSYS"),
    ("later calls", "call(900)", "ENOSYS"),
    ("user namespace", "call(272, 0x10000000)", "EPERM"),
    (
        "clone with a namespace",
        "call(56, 0x10000000 | 17, 0, 0, 0, 0)",
        "EPERM",
    ),
    ("setns", "call(308, 0, 0)", "EPERM"),
    (
        "mount",
        "call(165, b'none', b'/tmp', b'tmpfs', 0, 0)",
        "EPERM",
    ),
    ("chroot", "os.chroot('.')", "EPERM"),
    ("keyring", "call(250, 0, -3, 0)", "EPERM"),
    ("bpf", "call(321, 0, 0, 0)", "EPERM"),
    ("perf", "call(298, 0, 0, 0, 0, 0)", "EPERM"),
    ("userfaultfd", "call(323, 0)", "EPERM"),
    ("by handle", "call(304, 0, 0, 0)", "EPERM"),
    ("shared memory", "call(29, 0, 4096, 0o1600)", "EPERM"),
    ("block device", "os.mknod('disk', 0o60600, 0x800)", "EPERM"),
    ("set-uid", "os.chmod(new('s'), 0o4755)", "EPERM"),
    ("set-gid", "os.fchmod(os.open('.', 0), 0o2755)", "EPERM"),
    (
        "set-uid program of root",
        "os.chmod('/bin/true', 0o4755)",
        "EPERM",
    ),
    (
        "born set-uid",
        "os.open('b', os.O_CREAT | os.O_WRONLY, 0o4755)",
        "EPERM",
    ),
    (
        "unnamed set-uid",
        "os.open('.', os.O_TMPFILE | os.O_WRONLY, 0o4755)",
        "EPERM",
    ),
    ("openat2", "call(437, -100, b'b', 0, 24)", "ENOSYS"),
    (
        "truncate outside",
        "os.truncate(OUT + '/source/main.c', 0)",
        "EACCES",
    ),
    ("terminal", "fcntl.ioctl(0, 0x5412, b'x')", "EPERM"),
    ("become another", "os.setuid(12345)", "EPERM"),
    ("privileges", "privileges()", "nothing"),
];

pub(super) const PRELUDE: &str = r"
import ctypes, errno, fcntl, os, resource, socket
OUT = os.environ['OUTSIDE']
libc = ctypes.CDLL(None, use_errno=True)
def call(*numbers):
    result = libc.syscall(*(ctypes.c_long(n) if isinstance(n, int) else n for n in numbers))
    if result < 0:
        raise OSError(ctypes.get_errno(), '')
    return result
def new(name):
    open(name, 'w').close()
    return name
def link(target):
    os.symlink(target, 'link')
    return open('link').read()
def environments():
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            if b'KARISIMBI_TEST_SECRET' in open(f'/proc/{pid}/environ', 'rb').read():
                return pid
        except OSError:
            pass
    return 'nothing'
def privileges():
    status = dict(line.split(':', 1) for line in open('/proc/self/status'))
    assert status['NoNewPrivs'].strip() == '1'
    # What opens files of others, and that only for root.
    return 'nothing' if int(status['CapBnd'], 16) & ~0x6 == 0 or os.getuid() else status['CapBnd']
def attack(name, what):
    try:
        result = what()
    except OSError as error:
        result = errno.errorcode[error.errno]
    print(name, result, sep='\t', flush=True)
";

pub(super) fn script(attacks: &[(&str, &str, &str)]) -> String {
    let lines = attacks
        .iter()
        .map(|(name, what, _)| format!("attack({name:?}, lambda: {what})\n"));
    lines.fold(PRELUDE.to_owned(), |script, line| script + &line)
}
