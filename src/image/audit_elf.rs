//! Do the native files of an image fit its platform and base?

use std::collections::BTreeSet;

use super::audit::{Finding, listed};
use super::target::{LibcKind, Target, version_numbers};
use super::tree::Tree;
use crate::layer::entry::escape;
use crate::layer::{ElfSummary, EntrySummary, LayerSummary};

/// The C library that a file was built for; none when it says nothing.
fn built_for(elf: &ElfSummary) -> Option<LibcKind> {
    let interpreter = elf.interpreter.as_deref().unwrap_or_default();
    let needs = |wanted: &dyn Fn(&str) -> bool| elf.needed.iter().any(|name| wanted(name));
    if interpreter.contains("ld-musl") || needs(&|name| name.starts_with("libc.musl-")) {
        return Some(LibcKind::Musl);
    }
    if interpreter.contains("/ld-linux") || needs(&|name| name == "libc.so.6") {
        return Some(LibcKind::Glibc);
    }
    None
}

/// Adds the findings of all ELF files; `started` is what the container starts.
pub(super) fn audit(
    target: &Target,
    layers: &[&LayerSummary],
    tree: &Tree<'_>,
    started: Option<&EntrySummary>,
    findings: &mut Vec<Finding>,
) {
    let elf: Vec<&ElfSummary> = layers.iter().flat_map(|layer| &layer.elf).collect();
    if elf.is_empty() {
        return;
    }
    let check = Check {
        target,
        tree,
        names: tree.names(),
        started: started.map(|entry| entry.path.as_str()),
    };
    let (native, foreign): (Vec<&ElfSummary>, Vec<_>) =
        elf.into_iter().partition(|elf| check.fits_machine(elf));
    findings.extend(foreign.into_iter().filter_map(|elf| check.machine(elf)));
    findings.extend(native.iter().filter_map(|elf| check.libc(elf)));
    findings.extend(native.iter().filter_map(|elf| check.libraries(elf)));
}

struct Check<'a> {
    target: &'a Target,
    tree: &'a Tree<'a>,
    names: BTreeSet<&'a str>,
    started: Option<&'a str>,
}

fn shown(elf: &ElfSummary) -> String {
    format!("/{}", escape(elf.path.as_bytes()))
}

impl Check<'_> {
    fn fits_machine(&self, elf: &ElfSummary) -> bool {
        elf.machine == self.target.platform.architecture
    }

    /// Packages that carry one native file for each platform, below `prebuilds/linux-arm64/` and
    /// the like, load the fitting one.
    fn is_choice(&self, elf: &ElfSummary) -> bool {
        Some(elf.path.as_str()) != self.started
            && elf.path.split('/').any(|part| part == "prebuilds")
    }

    fn machine(&self, elf: &ElfSummary) -> Option<Finding> {
        if self.is_choice(elf) {
            return None;
        }
        Some(Finding::error(
            "BASE-ARCH",
            format!(
                "{} is built for {}, the image is for {}",
                shown(elf),
                escape(elf.machine.as_bytes()),
                self.target.platform
            ),
            format!(
                "build it for {}, or leave it out of the image",
                self.target.platform
            ),
        ))
    }

    fn libc(&self, elf: &ElfSummary) -> Option<Finding> {
        let base = self.target.facts.libc.as_ref();
        let interpreter = elf
            .interpreter
            .as_deref()
            .filter(|path| self.tree.find(path).is_none());
        let mismatch = built_for(elf)
            .zip(base.map(|base| base.kind))
            .filter(|(file, base)| file != base);
        match (interpreter, mismatch) {
            (Some(_), Some((file, base))) => Some(Finding::error(
                "BASE-MUSL",
                wrong_libc(elf, file, base),
                format!("use a base with {}", file.name()),
            )),
            (Some(interpreter), None) => Some(self.interpreter(elf, interpreter)),
            // Its package may carry a library for each libc and load the fitting one.
            (None, Some((file, base))) if elf.interpreter.is_none() && !self.is_choice(elf) => {
                Some(Finding::warning(
                    "BASE-MUSL",
                    wrong_libc(elf, file, base),
                    format!("use a base with {}", file.name()),
                ))
            }
            (None, None) => glibc(elf, base?.version.as_deref()?),
            (None, Some(_)) => None,
        }
    }

    fn interpreter(&self, elf: &ElfSummary, interpreter: &str) -> Finding {
        let base = escape(self.target.base.name.as_bytes());
        Finding::error(
            "BASE-INTERP",
            format!(
                "{} is dynamic and needs {}, which base {base} does not have",
                shown(elf),
                escape(interpreter.as_bytes())
            ),
            "link it statically (Go: CGO_ENABLED=0), or use a base with this C library",
        )
    }

    fn libraries(&self, elf: &ElfSummary) -> Option<Finding> {
        // Without the loader, BASE-INTERP or BASE-MUSL says it already.
        let loads = |path: &str| self.tree.find(path).is_some();
        if elf.interpreter.as_deref().is_some_and(|path| !loads(path)) {
            return None;
        }
        let missing: Vec<&str> = elf
            .needed
            .iter()
            .map(String::as_str)
            .filter(|name| !self.names.contains(name.rsplit('/').next().unwrap_or(name)))
            // musl is its own loader: these names lead to it.
            .filter(|name| !name.starts_with("libc.musl-") && *name != "libc.so")
            .collect();
        if missing.is_empty() || self.is_choice(elf) {
            return None;
        }
        let text = format!(
            "{} needs {}, which the image does not have",
            shown(elf),
            escape(missing.join(", ").as_bytes())
        );
        let hint = "use a base that has these libraries";
        if Some(elf.path.as_str()) == self.started {
            return Some(Finding::error("BASE-LIBRARY", text, hint));
        }
        Some(Finding::warning("BASE-LIBRARY", text, hint))
    }
}

fn wrong_libc(elf: &ElfSummary, file: LibcKind, base: LibcKind) -> String {
    format!(
        "{} is built for {}, the base has {}",
        listed(&[&elf.path]),
        file.name(),
        base.name()
    )
}

/// A file that asks for a newer glibc than the base has.
fn glibc(elf: &ElfSummary, base: &str) -> Option<Finding> {
    let wanted = elf.glibc.as_deref()?;
    let newer = version_numbers(wanted)? > version_numbers(base)?;
    newer.then(|| {
        Finding::error(
            "BASE-GLIBC",
            format!(
                "{} needs GLIBC_{}, the base has glibc {base}",
                shown(elf),
                escape(wanted.as_bytes())
            ),
            format!("use a base with glibc {wanted} or newer, or build it on an older system"),
        )
    })
}
