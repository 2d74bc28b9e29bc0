//! What the launcher is told: its arguments. The environment is the program's own, so that
//! nothing of it has to be taken out again, and no argument holds more than a path or a number.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use super::{Confinement, Input, Level, Limits, NetworkAccess};

/// The first argument of each part of the launcher.
pub(super) const SUPERVISE: &str = "__launch";
pub(super) const ENTER: &str = "__launch-enter";
pub(super) const PROBE: &str = "__launch-probe";

/// One program to run in a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    /// The process that gives it: when it ends, so does the program.
    pub(super) parent: u32,
    pub(super) level: Level,
    pub(super) limits: Limits,
    pub(super) input: Input,
    pub(super) confinement: Confinement,
    /// The program and its arguments; never empty.
    pub(super) command: Vec<OsString>,
}

impl Order {
    /// As arguments of the launcher; `part` is the first of them.
    pub(super) fn arguments(&self, part: &str) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec![part.into()];
        let mut put = |name: &str, value: &OsStr| args.extend([name.into(), value.to_owned()]);
        put("--parent", self.parent.to_string().as_ref());
        put("--level", self.level.word().as_ref());
        put("--disk", self.limits.disk.to_string().as_ref());
        put("--processes", self.limits.processes.to_string().as_ref());
        if let Some(time) = self.limits.time {
            put("--milliseconds", time.as_millis().to_string().as_ref());
        }
        if self.input == Input::Nothing {
            put("--input", "nothing".as_ref());
        }
        if self.confinement.network == NetworkAccess::Allowed {
            put("--network", "allowed".as_ref());
        }
        for path in &self.confinement.read {
            put("--read", path.as_os_str());
        }
        for path in &self.confinement.write {
            put("--write", path.as_os_str());
        }
        args.push("--".into());
        args.extend_from_slice(&self.command);
        args
    }

    /// From the arguments after the first.
    pub(super) fn parse(args: &[OsString]) -> Result<Self, InvalidOrder> {
        let mut order = Self {
            parent: 0,
            level: Level::Full,
            limits: Limits::default(),
            input: Input::Passed,
            confinement: Confinement::default(),
            command: Vec::new(),
        };
        let mut rest = args.iter();
        while let Some(name) = rest.next() {
            if name == "--" {
                order.command = rest.cloned().collect();
                break;
            }
            let value = rest
                .next()
                .ok_or_else(|| InvalidOrder(name.to_string_lossy().into_owned()))?;
            order.set(&name.to_string_lossy(), value)?;
        }
        if order.command.is_empty() {
            return Err(InvalidOrder("--".to_owned()));
        }
        Ok(order)
    }

    fn set(&mut self, name: &str, value: &OsStr) -> Result<(), InvalidOrder> {
        let invalid = || InvalidOrder(format!("{name} {}", value.to_string_lossy()));
        let text = || value.to_str().ok_or_else(invalid);
        let number = || text()?.parse::<u64>().map_err(|_not_one| invalid());
        let small = || u32::try_from(number()?).map_err(|_too_large| invalid());
        match name {
            "--parent" => self.parent = small()?,
            "--level" => self.level = Level::from_word(text()?).ok_or_else(invalid)?,
            "--disk" => self.limits.disk = number()?,
            "--processes" => self.limits.processes = small()?,
            "--milliseconds" => self.limits.time = Some(Duration::from_millis(number()?)),
            "--input" => self.input = Input::Nothing,
            "--network" => self.confinement.network = NetworkAccess::Allowed,
            "--read" => self.confinement.read.push(PathBuf::from(value)),
            "--write" => self.confinement.write.push(PathBuf::from(value)),
            _ => return Err(invalid()),
        }
        Ok(())
    }
}

/// Arguments that are no order: somebody typed them.
#[derive(Debug, thiserror::Error)]
#[error("not an argument of the sandbox's launcher, or one without its value: {0}")]
pub(super) struct InvalidOrder(String);

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn an_order_survives_its_arguments() {
        let order = Order {
            parent: 7,
            level: Level::FsOnly,
            limits: Limits {
                disk: 1 << 40,
                processes: 12,
                time: Some(Duration::from_millis(1500)),
            },
            input: Input::Nothing,
            confinement: Confinement {
                read: vec!["/a b".into(), OsString::from_vec(vec![b'/', 0xff]).into()],
                write: vec!["--".into()],
                network: NetworkAccess::Allowed,
            },
            command: ["sh", "-c", "--", "--read"].map(OsString::from).to_vec(),
        };
        let args = order.arguments(SUPERVISE);
        assert_eq!(args[0], SUPERVISE);
        assert_eq!(Order::parse(&args[1..]).unwrap(), order);
        for (args, said) in [
            (vec!["--read"], "--read"),
            (vec!["--disk", "much", "--", "true"], "--disk much"),
            (vec!["--level", "full"], "--"),
            (vec!["--other", "x", "--", "true"], "--other x"),
        ] {
            let args: Vec<OsString> = args.into_iter().map(OsString::from).collect();
            let error = Order::parse(&args).unwrap_err().to_string();
            assert!(error.ends_with(said), "{error}");
        }
    }
}
