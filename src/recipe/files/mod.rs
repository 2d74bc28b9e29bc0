//! The files recipe. (skeleton)
pub mod canonical;

use super::{Context, Needs, Options, Recipe, RecipeError};
use crate::base::Target;
use crate::plan::{Evidence, Notice, Plan, Step, StepOutcome};
use crate::source::SourceTree;

/// Puts a tree of files onto a base: `tar` + `crane append` in one step.
#[derive(Clone, Copy, Debug)]
pub struct FilesRecipe;

impl Recipe for FilesRecipe {
    fn name(&self) -> &'static str {
        "files"
    }
    fn detect(&self, _: &SourceTree, _: &Options) -> Result<Option<Evidence>, RecipeError> {
        unimplemented!()
    }
    fn needs(&self, _: &SourceTree, _: &Options) -> Result<Needs, RecipeError> {
        unimplemented!()
    }
    fn plan(
        &self,
        _: &SourceTree,
        _: &Options,
        _: &[Target],
        _: &Context<'_>,
    ) -> Result<Plan, RecipeError> {
        unimplemented!()
    }
    fn review(&self, _: &Step, _: &StepOutcome) -> Result<Vec<Notice>, RecipeError> {
        unimplemented!()
    }
}
