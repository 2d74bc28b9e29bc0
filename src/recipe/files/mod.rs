//! The files recipe: a tree of files onto a base, the like of `tar` + `crane append`.
//!
//! Without `files:` the whole source goes to `/app`. `.dockerignore` at the source's root applies.
//! It is never detected: `--recipe files` asks for it.

pub mod canonical;
mod error;
mod layer;

use std::sync::Arc;

pub use self::error::FilesError;
pub(super) use self::layer::layer;
use super::spec::ImageSpec;
use super::{Context, FileMapping, Needs, Options, Recipe, RecipeError};
use crate::base::Target;
use crate::layer::LayerSource;
use crate::plan::{Evidence, ImagePlan, Notice, Plan, RuntimeConfig, Step, StepOutcome};
use crate::source::SourceTree;

/// Puts a tree of files onto a base: `tar` + `crane append` in one step.
#[derive(Clone, Copy, Debug)]
pub struct FilesRecipe;

impl Recipe for FilesRecipe {
    fn name(&self) -> &'static str {
        "files"
    }

    fn detect(&self, _: &SourceTree, _: &Options) -> Result<Option<Evidence>, RecipeError> {
        Ok(None)
    }

    fn needs(&self, _: &SourceTree, options: &Options) -> Result<Needs, RecipeError> {
        Ok(Needs {
            base: options.specs.files()?.base,
        })
    }

    fn plan(
        &self,
        tree: &SourceTree,
        options: &Options,
        targets: &[Target],
        context: &Context<'_>,
    ) -> Result<Plan, RecipeError> {
        if let Some(key) = options.recipe.keys().next() {
            return Err(FilesError::Option { key: key.clone() }.into());
        }
        let image = options.specs.files()?.image;
        let default = [FileMapping {
            from: ".".to_owned(),
            to: image.directory.absolute().to_owned(),
            mode: None,
        }];
        let mappings = if options.files.is_empty() {
            &default
        } else {
            options.files.as_slice()
        };
        let images = targets
            .iter()
            .map(|target| {
                let layer = layer(tree, &options.directory, mappings, target, context)?;
                Ok(ImagePlan {
                    target: target.clone(),
                    layers: vec![Arc::new(layer) as Arc<dyn LayerSource>],
                    runtime: runtime(options, &image),
                })
            })
            .collect::<Result<_, FilesError>>()?;
        let facts = mappings
            .iter()
            .map(|mapping| format!("{} to {}", mapping.from, mapping.to));
        Ok(Plan {
            evidence: Evidence {
                recipe: self.name(),
                facts: facts.collect(),
            },
            name: None,
            version: None,
            steps: Vec::new(),
            images,
            notices: Vec::new(),
        })
    }

    fn review(&self, _: &Step, _: &StepOutcome) -> Result<Vec<Notice>, RecipeError> {
        Ok(Vec::new())
    }
}

/// Without an entrypoint the base's own is kept.
fn runtime(options: &Options, image: &ImageSpec) -> RuntimeConfig {
    let working_dir = if options.files.is_empty() {
        image.directory.absolute()
    } else {
        "/"
    };
    RuntimeConfig {
        entrypoint: options.entrypoint.clone(),
        cmd: options.args.clone(),
        env: options.env.clone(),
        user: image.user.as_str().to_owned(),
        working_dir: working_dir.to_owned(),
        ports: options.port.into_iter().collect(),
    }
}
