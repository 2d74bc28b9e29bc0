//! What a hostile program tries, and what it gets.

use std::process::Command;

use karisimbi::sandbox::{NetworkAccess, stopped};

use super::{Rig, USERS, User, as_user, said};
use crate::support::{fail, karisimbi, run, shown, tool, write};

/// Each attack: a name, an expression of Python, what comes of it.
const ATTACKS: &[(&str, &str, &str)] = &[
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

const PRELUDE: &str = r"
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

fn script(attacks: &[(&str, &str, &str)]) -> String {
    let lines = attacks
        .iter()
        .map(|(name, what, _)| format!("attack({name:?}, lambda: {what})\n"));
    lines.fold(PRELUDE.to_owned(), |script, line| script + &line)
}

#[test]
fn nothing_outside_is_read_written_or_reached() {
    for user in USERS {
        let rig = Rig::new(user);
        // Somebody of the same user with a secret, and a server.
        let mut neighbour = tool("/usr/bin/python3");
        let server = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); \
                      s.listen(); print('up', flush=True); sys.stdin.read()";
        neighbour
            .args(["-c", server])
            .arg(rig.path("work/server"))
            .env("KARISIMBI_TEST_SECRET", "x");
        let mut neighbour = as_user(user, &neighbour);
        neighbour
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped());
        let mut neighbour = neighbour.spawn().expect("a server");
        let mut up = [0; 3];
        let stdout = neighbour.stdout.as_mut().expect("a pipe");
        std::io::Read::read_exact(stdout, &mut up).expect("a word");

        let output = rig.python(&script(ATTACKS));
        drop(neighbour.stdin.take());
        neighbour.wait().expect("its end");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{user:?}: {}", shown(&output));
        for (name, _, expected) in ATTACKS {
            let found = text
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{name}\t")));
            let found = found.unwrap_or_else(|| panic!("{user:?}: {name} is missing: {text}"));
            let expected: Vec<&str> = expected.split(' ').collect();
            assert!(expected.contains(&found), "{user:?}: {name}: {found}");
        }
        assert!(!rig.path("outside").exists() && !rig.path("x").exists());
        let source = std::fs::read_to_string(rig.path("source/main.c")).expect("the source");
        assert_eq!(source, "int main(void) { return 0; }\n");
    }
}

#[test]
fn what_root_starts_owns_no_file_of_roots_and_opens_those_of_others() {
    let rig = Rig::new(User::Root);
    let source = rig.path("source");
    std::os::unix::fs::chown(&source, Some(1234), Some(1234)).expect("an owner");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&source, private).expect("a mode");
    let output = rig.python(&format!(
        "{PRELUDE}
attack('mode', lambda: os.chmod(OUT + '/home', 0o777))
attack('owner', lambda: os.chown(OUT + '/home', os.getuid(), -1))
attack('times', lambda: os.utime(OUT + '/home', (1, 1)))
attack('shadow', lambda: os.chmod('/etc/shadow', 0o644))
attack('kill', lambda: os.kill(1, 0))
assert os.access(OUT + '/source/main.c', os.R_OK) and os.access('.', os.W_OK)
assert open(OUT + '/source/main.c').read()
os.mkdir('d', 0o700); os.chmod(new('d/own'), 0o755); os.utime('d/own', (1, 1))
attack('user', os.getuid)
"
    ));
    let expected = "mode\tEPERM\nowner\tEPERM\ntimes\tEPERM\nshadow\tEPERM\nkill\tEPERM\n\
                    user\t65530\n";
    assert_eq!(said(&output), expected, "{}", shown(&output));
    let mode = std::fs::metadata(rig.path("home")).expect("a folder");
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions());
    assert_eq!(mode & 0o777, 0o755);
}

#[test]
fn git_reads_the_checkout_of_another_in_the_box() {
    tool("git");
    let rig = Rig::new(User::Root);
    let output = rig.sh("git init -q . && git -C . rev-parse --is-inside-work-tree");
    assert_eq!(said(&output), "true\n", "{}", shown(&output));
    let work = rig.path("work/.git");
    std::os::unix::fs::chown(rig.path("work"), Some(1234), Some(1234)).expect("an owner");
    std::os::unix::fs::chown(work, Some(1234), Some(1234)).expect("an owner");
    let output = rig.sh("git status --porcelain && echo read");
    assert_eq!(said(&output), "read\n", "{}", shown(&output));
}

#[test]
fn the_attacks_are_real() {
    // Without a box most of them succeed: else the test above would show nothing.
    let rig = Rig::new(User::Root);
    std::fs::create_dir_all(rig.path("plain")).expect("a folder");
    let harmless = [
        "key",
        "home",
        "machine",
        "tcp",
        "udp",
        "datagram",
        "signal",
        "parent's root",
    ];
    let attacks: Vec<_> = ATTACKS
        .iter()
        .filter(|(name, ..)| harmless.contains(name))
        .copied()
        .collect();
    let mut python = tool("/usr/bin/python3");
    python
        .args(["-c", &script(&attacks)])
        .env("OUTSIDE", rig.path(""))
        .current_dir(rig.path("plain"));
    let text = run(&mut python);
    assert_eq!(text.lines().count(), harmless.len(), "{text}");
    for line in text.lines() {
        assert!(
            !line.ends_with("EPERM") && !line.ends_with("EACCES"),
            "{line}"
        );
    }
}

#[test]
fn with_the_network_there_are_connections_but_no_files() {
    for user in USERS {
        let mut rig = Rig::new(user);
        rig.network = NetworkAccess::Allowed;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let output = rig.python(&format!(
            "{PRELUDE}
socket.create_connection(('127.0.0.1', {port})).close()
socket.getaddrinfo('localhost', 80)
socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
attack('key', lambda: open(OUT + '/home/.ssh/id').read())
attack('vsock', lambda: socket.socket(40))
attack('io_uring', lambda: call(425, 8, 0))
attack('environment', lambda: open(f'/proc/{{os.getppid()}}/environ').read())
"
        ));
        assert!(output.status.success(), "{user:?}: {}", shown(&output));
        let expected = "key\tEACCES\nvsock\tEPERM\nio_uring\tEPERM\nenvironment\tEACCES\n";
        assert_eq!(said(&output), expected, "{user:?}");
    }
}

#[test]
fn calls_of_another_instruction_set_end_the_program_and_are_told() {
    let rig = Rig::new(User::Plain);
    // mov eax, 20 (getpid); int 0x80; ret
    let output = rig.python(
        "import ctypes, mmap\n\
         m = mmap.mmap(-1, 4096, prot=7)\n\
         m.write(bytes.fromhex('b814000000cd80c3'))\n\
         address = ctypes.addressof(ctypes.c_char.from_buffer(m))\n\
         print(ctypes.CFUNCTYPE(ctypes.c_int)(address)())\n",
    );
    assert_eq!(output.status.code(), Some(125), "{}", shown(&output));
    assert_eq!(
        stopped(&said(&output)).as_deref(),
        Some("it made a system call of another instruction set")
    );
}

/// A build of a Go program whose C code reads a file by its path.
fn build_reading(rig: &Rig, how: &str, sandbox: &str) -> Command {
    let key = rig.path("home/.ssh/id");
    let how = how.replace("KEY", &key.display().to_string());
    let code = format!(
        "package main\n\n// static int zero(void) {{ return 0; }}\n// {how}\nimport \"C\"\n\n\
         func main() {{ println(C.zero()) }}\n"
    );
    write(&rig.path("go/go.mod"), "module example.org/x\n\ngo 1.20\n");
    write(&rig.path("go/main.go"), code);
    let mut command = karisimbi();
    command
        .arg("build")
        .arg(rig.path("go"))
        .args(["--set", "recipe.go.cgo=dynamic", "--base", "static"])
        .args(["--no-cache", "--sandbox", sandbox])
        // The C library's part is compiled once for all tests.
        .arg("--cache-dir")
        .arg(super::cache())
        .arg("-o")
        .arg(format!("oci:{}:x", rig.path("out").display()))
        .env("HOME", rig.path("home"));
    command
}

#[test]
fn c_code_that_reads_a_key_is_refused_in_a_real_build() {
    tool("gcc");
    let rig = Rig::new(User::Root);
    let include = "#include \"KEY\"";
    let (exit, stderr) = fail(&mut build_reading(&rig, include, "require"));
    assert_eq!(exit, 1, "{stderr}");
    for word in [
        "error[GO-BUILD]",
        "warning[SBX-HINT]: something was refused to \"go build . (linux/amd64)\"",
        "(level full) it is offline",
        "home/.ssh/id: Permission denied",
    ] {
        assert!(stderr.contains(word), "no {word} in {stderr}");
    }
    // It is real: without a box the compiler quotes the key.
    let (_, stderr) = fail(&mut build_reading(&rig, include, "off"));
    assert!(stderr.contains("warning[SBX-OFF]"), "{stderr}");
    assert!(stderr.contains("private"), "{stderr}");

    // Worse: the key would be part of the image.
    let assemble = "__asm__(\".incbin \\\"KEY\\\"\");";
    let (_, stderr) = fail(&mut build_reading(&rig, assemble, "auto"));
    assert!(stderr.contains("error[GO-BUILD]"), "{stderr}");
    // And here only the image is refused afterwards, because the program needs a C library.
    let (_, stderr) = fail(&mut build_reading(&rig, assemble, "off"));
    assert!(stderr.contains("ran      go build"), "{stderr}");
}
