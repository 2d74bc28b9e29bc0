//! What can stop a rebase, beside what its new base does not allow.

use crate::error::{Coded, Exit};
use crate::image::NotOurs;

use super::super::PipelineError;

/// Why an image can't be put on another base.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum RebaseError {
    #[error("{image} can't be rebased: {source}")]
    Foreign { image: String, source: NotOurs },
    #[error("the index holds no image")]
    Empty,
}

impl Coded for RebaseError {
    fn code(&self) -> &'static str {
        match self {
            Self::Foreign { .. } => "REBASE-FOREIGN",
            Self::Empty => "REBASE-EMPTY",
        }
    }

    fn exit(&self) -> Exit {
        Exit::Failed
    }

    fn hint(&self) -> Option<String> {
        Some(
            "rebase takes images as karisimbi wrote them, copied by karisimbi, skopeo or crane \
             without conversion; else build again with --base"
                .to_owned(),
        )
    }
}

impl From<RebaseError> for PipelineError {
    fn from(error: RebaseError) -> Self {
        Self::part(error)
    }
}
