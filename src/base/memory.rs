//! What names stood for on this machine: an earlier resolution under the same settings.

use serde::{Deserialize, Serialize};

use super::lock::LockedBase;
use super::{BaseName, PinContext};
use crate::digest::Digest;

/// What is kept of a resolution on this machine.
#[derive(Serialize, Deserialize)]
pub(super) struct Memory {
    /// Seconds since 1970.
    pub(super) resolved: i64,
    /// What was found.
    pub(super) base: LockedBase,
}

impl PinContext<'_> {
    /// Names the settings that decide what a name stands for.
    fn memory_key(&self, name: &BaseName) -> Digest {
        let options = self.options;
        let alias = match name {
            BaseName::Short(short) => options.names.get(short).map(ToString::to_string),
            _ => None,
        };
        let mirror = options.mirrors.mirror.as_deref();
        // Whose signatures count is a setting like any other: what a foreign key vouched for must
        // not outlive the flag that trusted it.
        let keyrings: Vec<_> = options
            .mirrors
            .keyrings
            .iter()
            .map(|path| path.to_string_lossy())
            .collect();
        let parts = [
            name.lock_key().unwrap_or_default(),
            alias.unwrap_or_default(),
            options.registry.clone().unwrap_or_default(),
            mirror.unwrap_or_default().to_owned(),
            options.os_packages.join(" "),
            keyrings.join("\0"),
        ];
        Digest::of(format!("karisimbi resolved base 2\n{}", parts.join("\n")).as_bytes())
    }

    pub(super) fn remembered(&self, name: &BaseName) -> Option<Memory> {
        let memo = self.base.store.memo(&self.memory_key(name))?;
        // Of another version of the program: as good as none.
        serde_json::from_slice(&memo).ok()
    }

    pub(super) fn remember(&self, name: &BaseName, base: &LockedBase) {
        let memory = Memory {
            resolved: self.now,
            base: base.clone(),
        };
        if let Ok(memo) = serde_json::to_vec(&memory) {
            let what = format!("what base {name} stands for");
            let key = self.memory_key(name);
            self.base.store.remember(&what, &key, &memo);
        }
    }
}

/// `3 days`
pub(super) fn age(seconds: i64) -> String {
    let (count, unit) = match seconds {
        ..120 => return "a minute".to_owned(),
        120..7_200 => (seconds / 60, "minutes"),
        7_200..172_800 => (seconds / 3_600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{count} {unit}")
}
