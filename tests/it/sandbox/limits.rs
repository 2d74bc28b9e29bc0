//! What a program may take, and what is said when it takes more.

use karisimbi::sandbox::{Limits, stopped};

use super::{Rig, User, said};
use crate::support::shown;

#[test]
fn too_many_processes_too_much_disk_and_too_long_are_stopped_and_told() {
    let second = std::time::Duration::from_secs(1);
    let fork = "import os, time\nfor _ in range(10000):\n    if os.fork() == 0: time.sleep(600)\n";
    let chain = "import os\nwhile True:\n    if os.fork(): os._exit(0)\n";
    let fill = "import time\nwith open('full', 'wb') as f:\n    while True:\n        \
                f.write(bytes(1 << 20)); f.flush()\n        if f.tell() > 30 << 20: \
                f = open('full2', 'wb')\n        time.sleep(0.005)\n";
    let few = Limits {
        processes: 300,
        ..Limits::default()
    };
    let small = Limits {
        disk: 40 << 20,
        ..Limits::default()
    };
    let short = Limits {
        time: Some(second),
        ..Limits::default()
    };
    for (user, script, limits, why) in [
        (User::Root, fork, few, "300 are allowed"),
        (User::Plain, fork, few, "300 are allowed"),
        (
            User::Plain,
            fill,
            small,
            "it wrote more than 41.9 MB to the disk of /",
        ),
        (
            User::Plain,
            "while True: pass",
            short,
            "it did not end within 1 s",
        ),
        (
            User::Root,
            "import signal, time\nsignal.signal(15, lambda *_: 0)\nwhile True: time.sleep(9)",
            short,
            "it did not end within 1 s",
        ),
    ] {
        let rig = Rig::new(user).limits(limits);
        let output = rig.python(script);
        assert_eq!(output.status.code(), Some(125), "{}", shown(&output));
        let told = stopped(&said(&output)).unwrap_or_default();
        assert!(told.contains(why), "{user:?}: {told}");
    }
    // A process that is another one each time: it ends with its box.
    let rig = Rig::new(User::Plain).limits(short);
    let started = std::time::Instant::now();
    let output = rig.python(chain);
    assert!(output.status.success(), "{}", shown(&output));
    assert!(started.elapsed() < 8 * second);
    assert!(said(&output).contains("killed what the program left running: python3"));
}

#[test]
fn one_file_has_a_limit_too() {
    let rig = Rig::new(User::Root).limits(Limits {
        disk: 1 << 20,
        ..Limits::default()
    });
    let output = rig.sh("head -c 3000000 /dev/zero >big; echo $?");
    assert!(
        said(&output).contains("File size limit exceeded"),
        "{}",
        shown(&output)
    );
    let size = std::fs::metadata(rig.path("work/big"))
        .expect("a file")
        .len();
    assert_eq!(size, 1 << 20);
}
