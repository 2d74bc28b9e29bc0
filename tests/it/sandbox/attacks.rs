//! What a hostile program tries, and what it gets.

use std::process::Command;

use karisimbi::sandbox::{NetworkAccess, stopped};

use super::attack_list::{ATTACKS, PRELUDE, script};
use super::{Rig, USERS, User, as_user, said};
use crate::support::{fail, karisimbi, run, shown, tool, write};

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
        .args([
            "--set",
            "recipe.go.cgo=dynamic",
            "--base",
            "embedded:static",
        ])
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
