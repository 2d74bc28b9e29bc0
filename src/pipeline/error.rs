//! What can stop a build, beside the errors of its parts.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use crate::error::{AnyError, Coded, Exit};
use crate::image::audit::Finding;
use crate::layer::LayerError;
use crate::store::StoreError;

/// Why a build stopped.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum PipelineError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("layer {layer}: {source}")]
    Layer { layer: String, source: LayerError },
    #[error("can't start {program}")]
    Spawn { program: PathBuf, source: io::Error },
    #[error("step \"{step}\" ended well, but did not write {output}")]
    Output { step: String, output: String },
    #[error("{path}: no recipe fits: {reasons}")]
    NoRecipe { path: String, reasons: String },
    #[error("there is no recipe \"{name}\"; there are: {known}")]
    UnknownRecipe { name: String, known: String },
    #[error("{}", show(.0))]
    Audit(Vec<Finding>),
    #[error("--expect-cached: {layers} had to be built")]
    NotCached { layers: String },
    #[error(
        "--verify-cache: layer {layer} was rebuilt with other bytes\n  cached  {cached}\n  rebuilt {rebuilt}"
    )]
    Mismatch {
        layer: String,
        cached: String,
        rebuilt: String,
    },
    #[error("ca_certs: {path}: can't be read")]
    CaCerts { path: PathBuf, source: io::Error },
    #[error("the image has {size} bytes; --max-size allows {limit}")]
    TooLarge { size: u64, limit: u64 },
    #[error("platform {platform} can't be built: images are for linux and a known architecture")]
    Platform { platform: String },
    /// An error of a recipe, a base, the source or an image.
    #[error(transparent)]
    Part(AnyError),
}

impl PipelineError {
    /// An error of another module.
    pub fn part(error: impl Into<AnyError>) -> Self {
        Self::Part(error.into())
    }
}

/// The code of the first is the error's, and printed before it.
fn show(findings: &[Finding]) -> String {
    let mut text = String::new();
    for (index, finding) in findings.iter().enumerate() {
        if index > 0 {
            let _infallible = write!(text, "\nerror[{}]: ", finding.code);
        }
        text.push_str(&finding.text);
    }
    text
}

/// Each hint once, a line for each.
fn hints(findings: &[Finding]) -> Option<String> {
    let mut hints: Vec<&str> = Vec::new();
    for finding in findings {
        if !hints.contains(&finding.hint.as_str()) {
            hints.push(&finding.hint);
        }
    }
    (!hints.is_empty()).then(|| hints.join("\n"))
}

impl Coded for PipelineError {
    fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Layer { source, .. } => source.code(),
            Self::Spawn { .. } => "STEP-SPAWN",
            Self::Output { .. } => "STEP-OUTPUT",
            Self::NoRecipe { .. } => "SRC-NO-RECIPE",
            Self::UnknownRecipe { .. } => "USE-RECIPE",
            Self::Audit(findings) => findings.first().map_or("AUDIT", |finding| finding.code),
            Self::NotCached { .. } => "CACHE-EXPECTED",
            Self::Mismatch { .. } => "CACHE-MISMATCH",
            Self::TooLarge { .. } => "IMAGE-SIZE",
            Self::Platform { .. } => "USE-PLATFORM",
            Self::CaCerts { .. } => "BASE-CA-READ",
            Self::Part(error) => error.code(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Store(error) => error.exit(),
            Self::Layer { source, .. } => source.exit(),
            Self::UnknownRecipe { .. } | Self::Platform { .. } | Self::CaCerts { .. } => {
                Exit::Usage
            }
            Self::Part(error) => error.exit(),
            _ => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Layer { source, .. } => source.hint(),
            Self::NoRecipe { .. } => Some(
                "name one with --recipe; `--recipe files --base IMAGE --entrypoint PROGRAM` puts any \
                 tree onto a base"
                    .to_owned(),
            ),
            Self::Audit(findings) => hints(findings),
            Self::NotCached { .. } => {
                Some("the lines that begin with \"explained\" name the field that changed".to_owned())
            }
            Self::Platform { .. } => {
                Some("write linux/amd64, linux/arm64 or another OS/ARCHITECTURE of the base".to_owned())
            }
            Self::UnknownRecipe { .. } => Some("leave --recipe out to see what is detected".to_owned()),
            Self::TooLarge { .. } => {
                Some("`plan` shows the layers; `.dockerignore` keeps files out".to_owned())
            }
            Self::CaCerts { .. } => {
                Some("paths count from the folder of deployment.yaml".to_owned())
            }
            Self::Spawn { .. } => Some("install it, or put its folder on PATH".to_owned()),
            Self::Mismatch { .. } => {
                Some("a tool is not reproducible, or the cache is damaged: karisimbi cache clear --layers".to_owned())
            }
            Self::Part(error) => error.hint(),
            Self::Output { .. } => Some("run again with -v to see what the tool printed".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::audit::Severity;

    #[test]
    fn each_finding_has_its_code_and_each_hint_is_said_once() {
        let finding = |code, text: &str, hint: &str| Finding {
            code,
            severity: Severity::Error,
            text: text.to_owned(),
            hint: hint.to_owned(),
        };
        let error = PipelineError::Audit(vec![
            finding("A", "one", "do this"),
            finding("B", "two", "do that"),
            finding("A", "three", "do this"),
        ]);
        assert_eq!(error.code(), "A");
        assert_eq!(error.to_string(), "one\nerror[B]: two\nerror[A]: three");
        assert_eq!(error.hint().as_deref(), Some("do this\ndo that"));
    }
}
