//! From a source tree to a plan: recipe, base, targets, plan, name and version.

use crate::plan::{Evidence, Plan};
use crate::progress::Verb;
use crate::recipe::{self, Context, Recipe, Revision};

use super::{PipelineError, Prepared, Request, Session, bases};

/// The recipe that takes the source, with its evidence.
///
/// # Errors
/// No recipe fits, or a file that decides it can't be read.
pub fn detect(request: &Request) -> Result<(&'static dyn Recipe, Evidence), PipelineError> {
    let recipes = recipe::all();
    if let Some(name) = &request.recipe {
        let recipe = recipes.iter().find(|recipe| recipe.name() == name.as_str());
        let Some(recipe) = recipe else {
            let known: Vec<&str> = recipes.iter().map(|recipe| recipe.name()).collect();
            return Err(PipelineError::UnknownRecipe {
                name: name.clone(),
                known: known.join(", "),
            });
        };
        let evidence = recipe
            .detect(&request.tree, &request.options)
            .map_err(PipelineError::Part)?;
        let asked = || Evidence {
            recipe: recipe.name(),
            facts: vec![format!("asked for by {}", request.origin("recipe.use"))],
        };
        return Ok((*recipe, evidence.unwrap_or_else(asked)));
    }
    for recipe in recipes {
        let found = recipe
            .detect(&request.tree, &request.options)
            .map_err(PipelineError::Part)?;
        if let Some(evidence) = found {
            return Ok((*recipe, evidence));
        }
    }
    Err(PipelineError::NoRecipe {
        path: request.identity.clone(),
        reasons: "there is no go.mod in it or up to two folders below".to_owned(),
    })
}

/// Makes the plan; runs at most small questions to tools, whose answers are kept.
///
/// # Errors
/// Those of the recipe and the base.
pub fn prepare(request: &Request, session: &Session) -> Result<Prepared, PipelineError> {
    let (recipe, _) = detect(request)?;
    bases::check_platforms(&request.platforms)?;
    let resolved = bases::resolve(request, recipe, session)?;
    let context = Context {
        store: &session.store,
        reporter: session.reporter.as_ref(),
        env: &session.tool_env,
        ca_file: session.ca_file.clone(),
        reach: session.reach,
        sandbox: &session.sandbox,
    };
    let mut plan = recipe
        .plan(&request.tree, &request.options, &resolved.targets, &context)
        .map_err(PipelineError::Part)?;
    resolved.add_to(&mut plan, request);
    let facts = plan.evidence.facts.join(", ");
    session
        .reporter
        .line(Verb::Detected, format!("{}: {facts}", recipe.name()));
    resolved.report(session);
    let name = image_name(request, &plan);
    let version = image_version(request, &plan);
    Ok(Prepared {
        recipe,
        plan,
        base: resolved.pinned,
        lock: resolved.lock,
        name,
        version,
    })
}

/// The deployment's name, else the source's own, else the folder's.
fn image_name(request: &Request, plan: &Plan) -> String {
    let name = request
        .options
        .name
        .as_ref()
        .or(plan.name.as_ref())
        .unwrap_or(&request.folder_name);
    plain_name(name)
}

/// A name as folders and repositories take it: `My App` becomes `my-app`.
pub fn plain_name(name: &str) -> String {
    let clean: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let parts: Vec<&str> = clean.split('-').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        "image".to_owned()
    } else {
        parts.join("-")
    }
}

/// The deployment's version, else the source's own, else the Git tag at HEAD, else the commit's
/// first 12 digits, else `dev`.
fn image_version(request: &Request, plan: &Plan) -> String {
    let version = request
        .options
        .version
        .clone()
        .or_else(|| plan.version.clone())
        .or_else(|| request.options.revision.as_ref().map(Revision::version));
    let Some(version) = version else {
        return "dev".to_owned();
    };
    let tag: String = version
        .chars()
        .take(128)
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
                c
            } else {
                '-'
            }
        })
        .collect();
    let tag = tag.trim_start_matches(['.', '-']);
    if tag.is_empty() {
        "dev".to_owned()
    } else {
        tag.to_owned()
    }
}
