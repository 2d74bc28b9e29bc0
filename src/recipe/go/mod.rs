//! The Go recipe. (skeleton)
use super::{Context, Needs, Options, Recipe, RecipeError};
use crate::base::Target;
use crate::plan::{Evidence, Notice, Plan, Step, StepOutcome};
use crate::source::SourceTree;

/// Builds Go modules with the machine's own toolchain.
#[derive(Clone, Copy, Debug)]
pub struct GoRecipe;

impl Recipe for GoRecipe {
    fn name(&self) -> &'static str {
        "go"
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
