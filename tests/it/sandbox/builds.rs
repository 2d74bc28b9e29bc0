//! What builds need goes on working.

use std::io::Write;
use std::process::Stdio;

use super::{Rig, USERS, User, as_user, said};
use crate::support::{shown, tool};

#[test]
fn what_python_builds_do_works() {
    for user in USERS {
        let output = Rig::new(user).python(
            r"
import os, socket, subprocess, tempfile, threading, sqlite3, ssl
# Sockets between parts of one program.
a, b = socket.socketpair(); a.send(b'x'); assert b.recv(1) == b'x'
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET); a.send(b'x'); assert b.recv(9) == b'x'
server = socket.socket(socket.AF_UNIX); server.bind('sock'); server.listen()
# Processes, threads, pipes.
assert subprocess.run(['sh', '-c', 'echo $((6*7)) | cat'], stdout=-1).stdout == b'42\n'
assert subprocess.run(['sh', '-c', 'exit 3'], start_new_session=True).returncode == 3
t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()
# Files: folders, links, renames across folders, modes, temporary ones, locks.
os.makedirs('d/e'); open('d/f', 'w').write('f'); os.rename('d/f', 'd/e/g'); os.link('d/e/g', 'h')
os.symlink('h', 's'); os.chmod('h', 0o600); os.truncate('h', 0); os.mkfifo('p')
os.chmod('d', 0o1777); os.mkdir('sticky', 0o1755); os.open('made', os.O_CREAT | os.O_WRONLY, 0o755)
os.environ['TMPDIR'] = os.getcwd()
with tempfile.TemporaryFile() as f: f.write(b'x')
sqlite3.connect('db').execute('create table t (x)')
open('/dev/null', 'w').write('x'); assert len(os.urandom(4)) == 4
assert open('/dev/urandom', 'rb').read(2) and open('/proc/self/status').read()
assert open(os.environ['OUTSIDE'] + '/source/main.c').read().startswith('int main')
assert ssl.create_default_context().cert_store_stats()['x509_ca'] > 0
assert os.umask(0) == 0o022
# Nobody's terminal, a session of its own, and no file that was open outside.
assert os.getsid(0) == os.getpid()
assert sorted(map(int, os.listdir('/proc/self/fd')))[:3] == [0, 1, 2]
print('done')
",
        );
        assert_eq!(
            said(&output),
            "thread\ndone\n",
            "{user:?}: {}",
            shown(&output)
        );
    }
}

#[test]
fn what_node_builds_do_works() {
    tool("node");
    for user in USERS {
        let rig = Rig::new(user);
        // A worker, a child with a channel (a socketpair), and a server as tsx has one.
        let script = r"
const { fork, execFileSync } = require('child_process');
const { Worker, isMainThread, parentPort } = require('worker_threads');
if (process.send) { process.send('child'); process.disconnect(); }
else if (!isMainThread) parentPort.postMessage('worker');
else {
  const server = require('net').createServer().listen('pipe.sock', () => {
    new Worker(__filename).on('message', (m) => {
      fork(__filename).on('message', (n) => {
        console.log(m, n, execFileSync('echo', ['x']).toString().trim());
        server.close();
      });
    });
  });
  require('net').connect(9, '127.0.0.1').on('error', (e) => console.log(e.code));
}
";
        crate::support::write(&rig.path("work/main.js"), script);
        let output = rig
            .command("/usr/bin/node", &["main.js"])
            .output()
            .expect("node");
        assert_eq!(
            said(&output),
            "EPERM\nworker child x\n",
            "{user:?}: {}",
            shown(&output)
        );
    }
}

#[test]
fn c_is_compiled_and_the_result_runs() {
    tool("gcc");
    for user in USERS {
        let output = Rig::new(user)
            .sh("TMPDIR=$PWD gcc -o main \"$OUTSIDE/source/main.c\" && ./main && echo ran");
        assert_eq!(said(&output), "ran\n", "{user:?}: {}", shown(&output));
    }
}

#[test]
fn streams_codes_signals_folder_and_environment_are_the_programs() {
    let rig = Rig::new(User::Plain);
    let mut command = rig.command(
        "/bin/sh",
        &["-c", "pwd; env | sort; cat; echo e >&2; exit 42"],
    );
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the launcher");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(b"to cat\n").expect("an open pipe");
    drop(stdin);
    let output = child.wait_with_output().expect("its end");
    let folder = rig.path("work");
    let outside = rig.path("");
    let outside = outside.to_str().expect("UTF-8").trim_end_matches('/');
    let folder = folder.display();
    assert_eq!(
        said(&output),
        format!("{folder}\nOUTSIDE={outside}\nPATH=/usr/bin:/bin\nPWD={folder}\nto cat\ne\n")
    );
    assert_eq!(output.status.code(), Some(42));
    for signal in [9, 11, 13, 15, 6] {
        let output = rig.sh(&format!("kill -{signal} $$"));
        let ended = std::os::unix::process::ExitStatusExt::signal(&output.status);
        // Our runtime ignores a closed pipe, and can't end of one.
        let expected = if signal == 13 { None } else { Some(signal) };
        assert_eq!(ended, expected, "{signal}: {}", shown(&output));
        assert!(!output.status.success());
    }
}

#[test]
fn what_can_not_be_started_is_told() {
    let rig = Rig::new(User::Plain);
    for (program, code, why) in [
        (
            "/nonexistent",
            127,
            "/nonexistent can't be started: No such file",
        ),
        (
            "/etc/passwd",
            126,
            "/etc/passwd can't be started: Permission denied",
        ),
    ] {
        let plain = std::process::Command::new(program);
        let boxed = rig
            .sandbox
            .confine(&plain, &karisimbi::sandbox::Confinement::default());
        let output = as_user(rig.user, &boxed.expect("a box"))
            .output()
            .expect("the launcher");
        assert_eq!(output.status.code(), Some(code), "{}", shown(&output));
        let told = karisimbi::sandbox::stopped(&said(&output)).expect("a word");
        assert!(told.starts_with(why), "{told}");
    }
}
