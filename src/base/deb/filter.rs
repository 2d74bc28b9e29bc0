//! Which files of packages a base holds, and where. Nothing here depends on the architecture.

use super::sets::Usr;

/// Folders and files that are left out, with everything below them.
const DROPPED: [&str; 39] = [
    "boot",
    "etc/default",
    "etc/init.d",
    "etc/issue",
    "etc/issue.net",
    "etc/motd",
    "etc/opt",
    "etc/profile.d",
    "etc/skel",
    "etc/update-motd.d",
    "media",
    "mnt",
    "opt",
    "srv",
    "usr/games",
    "usr/lib/binfmt.d",
    "usr/share/applications",
    "usr/share/base-files",
    "usr/share/binfmts",
    "usr/share/bug",
    "usr/share/dict",
    "usr/share/doc-base",
    "usr/share/gcc",
    "usr/share/gdb",
    "usr/share/groff",
    "usr/share/info",
    "usr/share/linda",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/menu",
    "usr/share/pixmaps",
    "usr/src",
    "var/backups",
    "var/local",
    "var/mail",
    "var/opt",
    "var/spool",
    "usr/lib/python3/dist-packages/apt",
];

/// The same for every name that begins so.
const DROPPED_STARTS: [&str; 2] = ["etc/cron", "usr/lib/python3/dist-packages/apt_"];

/// Folders of Python's library that only its developers and desktop programs use.
const PYTHON_DROPPED: [&str; 5] = ["test", "idlelib", "tkinter", "turtledemo", "lib2to3/tests"];

/// Top-level folders that are links on a system whose `/usr` is merged.
const MERGED: [&str; 6] = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"];

/// What the filter asks about a member besides its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Directory,
    Symlink,
    File,
}

/// Where a member lies in the base.
pub(super) fn place(usr: Usr, path: &str, shape: Shape) -> String {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    // The links themselves are no folders to be moved.
    let moved = !rest.is_empty() || shape == Shape::Directory;
    if usr == Usr::Merged && moved && MERGED.contains(&first) {
        format!("usr/{path}")
    } else {
        path.to_owned()
    }
}

/// Whether a member belongs into a base.
pub(super) fn keep(path: &str, shape: Shape) -> bool {
    let below = |folder: &str| {
        path.strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if DROPPED.iter().any(|folder| below(folder))
        || DROPPED_STARTS.iter().any(|start| path.starts_with(start))
    {
        return false;
    }
    if let Some(rest) = path.strip_prefix("usr/share/doc/") {
        return is_licence(rest, shape);
    }
    let Some(rest) = path.strip_prefix("usr/lib/") else {
        return true;
    };
    let (first, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let within = |folder: &str| {
        rest.strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if first.starts_with("python3") {
        return !PYTHON_DROPPED.iter().any(|folder| within(folder));
    }
    // Tables of iconv for old encodings; a triplet such as `x86_64-linux-gnu` before them.
    !(first.contains("-linux-") && within("gconv"))
}

/// Licences stay, and links to the folder of another package that has the licence.
fn is_licence(path: &str, shape: Shape) -> bool {
    match path.split_once('/') {
        None => shape == Shape::Symlink,
        Some((_, file)) => file == "copyright" && shape != Shape::Directory,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_and_what_goes() {
        use Shape::{Directory, File, Symlink};
        for (path, shape, kept) in [
            ("etc", Directory, true),
            ("etc/cron.d", Directory, false),
            ("etc/cron.daily/x", File, false),
            ("etc/default", Directory, false),
            ("etc/defaults", File, true),
            ("etc/issue.net", File, false),
            ("usr/share/man/man1/x.1.gz", File, false),
            ("usr/share/manual", Directory, true),
            // Perl of os_packages is nothing without its modules.
            ("usr/share/perl5/x.pm", File, true),
            ("usr/share/doc", Directory, true),
            ("usr/share/doc/libc6", Directory, false),
            ("usr/share/doc/libc6/copyright", File, true),
            ("usr/share/doc/libc6/copyright", Symlink, true),
            ("usr/share/doc/libc6/changelog.gz", File, false),
            ("usr/share/doc/libc6/more/copyright", File, false),
            ("usr/share/doc/libstdc++6", Symlink, true),
            ("usr/lib/python3.13/test/x.py", File, false),
            ("usr/lib/python3.13/unittest/x.py", File, true),
            ("usr/lib/python3.13/lib2to3/tests", Directory, false),
            ("usr/lib/python3.13/lib2to3/x.py", File, true),
            ("usr/lib/python3/dist-packages/apt/x.py", File, false),
            ("usr/lib/python3/dist-packages/apt_pkg.so", File, false),
            ("usr/lib/python3/dist-packages/aptly.py", File, true),
            ("usr/lib/x86_64-linux-gnu/gconv/UTF-16.so", File, false),
            ("usr/lib/aarch64-linux-gnu/gconv", Directory, false),
            ("usr/lib/aarch64-linux-gnu/gconv.so", File, true),
            ("usr/lib/ssl/gconv", File, true),
            ("opt", Directory, false),
            ("optional", File, true),
            ("var/local", Directory, false),
            ("var/lib", Directory, true),
        ] {
            assert_eq!(keep(path, shape), kept, "{path}");
        }
    }

    #[test]
    fn usr_is_merged_where_the_release_does_so() {
        use Shape::{Directory, File, Symlink};
        for (path, shape, merged) in [
            ("lib/x/y.so", File, "usr/lib/x/y.so"),
            ("lib", Directory, "usr/lib"),
            ("lib", Symlink, "lib"),
            ("lib64/ld.so", Symlink, "usr/lib64/ld.so"),
            ("library/x", File, "library/x"),
            ("etc/lib/x", File, "etc/lib/x"),
        ] {
            assert_eq!(place(Usr::Merged, path, shape), merged);
            assert_eq!(place(Usr::Split, path, shape), path);
        }
    }
}
