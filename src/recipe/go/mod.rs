//! The Go recipe: builds modules with the machine's own toolchain.
//!
//! The rules are those of docs/guides/go.md. An unchanged source never starts `go`: the toolchain
//! and the list of packages are remembered by what they depend on, the program by its layer's key.

mod buildinfo;
mod candidate;
mod classify;
mod compiler;
mod env;
mod error;
mod excluded;
mod failure;
mod flags;
mod gomod;
mod hints;
mod layer;
mod main_package;
mod module;
mod options;
mod packages;
mod places;
mod steps;
mod template;
mod toolchain;
mod version;
mod yaml;

use std::sync::Arc;

use self::env::Folders;
use self::failure::RunFailure;
use self::hints::{Hints, Stamp};
use self::layer::{Expected, GoBinary};
use self::main_package::{MainPackage, Wishes, base_name};
use self::module::Module;
use self::options::{Cgo, GoOptions, ModMode, VcsStamp, VersionVar};
use self::steps::{BUILD, Job, OUTPUT, PROBE, Workshop, cgo_ldflags};
use self::template::Values;
use self::toolchain::Toolchain;
use super::files::{self, canonical};
use super::paths;
use super::spec::ImageSpec;
use super::{Context, Needs, Options, Recipe, RecipeError};
use crate::base::Target;
use crate::layer::{EntryPath, LayerSource};
use crate::plan::{Evidence, ImagePlan, Notice, Plan, RuntimeConfig, Step, StepOutcome};
use crate::source::SourceTree;

pub use self::buildinfo::{BuildInfo, InvalidBuildInfo, ModuleInfo};
pub use self::candidate::{Candidate, Verdict};
pub use self::error::GoError;
pub use self::failure::{Reason, RunFailure as GoFailure};

/// Builds Go modules with the machine's own toolchain.
#[derive(Clone, Copy, Debug)]
pub struct GoRecipe;

impl Recipe for GoRecipe {
    fn name(&self) -> &'static str {
        "go"
    }

    fn detect(
        &self,
        tree: &SourceTree,
        options: &Options,
    ) -> Result<Option<Evidence>, RecipeError> {
        let aside = options.specs.go()?.aside;
        let found = match module::find(tree, &options.directory, &aside) {
            Err(GoError::NoModule { .. }) => return Ok(None),
            found => found?,
        };
        let facts = match found.as_slice() {
            [] => return Ok(None),
            [directory] => {
                let module = Module::read(tree, directory, &GoOptions::default(), &aside)?;
                facts(&module)
            }
            several => vec![format!("go.mod in {}", several.join(", "))],
        };
        Ok(Some(Evidence {
            recipe: self.name(),
            facts,
        }))
    }

    fn needs(&self, _: &SourceTree, options: &Options) -> Result<Needs, RecipeError> {
        let spec = options.specs.go()?;
        let base = match GoOptions::parse(&options.recipe, &spec.build)?.cgo {
            Cgo::Off => spec.base.off,
            Cgo::Static => spec.base.fixed,
            Cgo::Dynamic => spec.base.dynamic,
        };
        Ok(Needs { base })
    }

    fn plan(
        &self,
        tree: &SourceTree,
        options: &Options,
        targets: &[Target],
        context: &Context<'_>,
    ) -> Result<Plan, RecipeError> {
        Ok(plan(tree, options, targets, context)?)
    }

    fn review(&self, step: &Step, outcome: &StepOutcome) -> Result<Vec<Notice>, RecipeError> {
        if !outcome.succeeded() {
            return Err(GoError::Run(Box::new(RunFailure::of(step, outcome))).into());
        }
        let fields = step.key.fields();
        match fields.get("kind").map(String::as_str) {
            Some(PROBE) => Ok(stubs(&outcome.stdout)),
            Some(BUILD) => {
                layer::verify(&outcome.slot.join(OUTPUT), &expected(step)?)?;
                Ok(Vec::new())
            }
            _ => Ok(Vec::new()),
        }
    }
}

/// What a build step's key says of its program.
fn expected(step: &Step) -> Result<Expected, GoError> {
    let field = |name: &str| step.key.fields().get(name).map_or("", String::as_str);
    let platform = field("platform")
        .parse()
        .map_err(|_unreachable| GoError::Platform {
            architecture: field("platform").to_owned(),
        })?;
    let cgo = match field("cgo").split(' ').next() {
        Some("static") => Cgo::Static,
        Some("dynamic") => Cgo::Dynamic,
        _ => Cgo::Off,
    };
    Ok(Expected::new(field("main"), &platform, cgo))
}

/// The packages that the probe printed, as one notice.
fn stubs(stdout: &str) -> Vec<Notice> {
    let packages: Vec<&str> = stdout
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    if packages.is_empty() {
        return Vec::new();
    }
    let text = format!(
        "{} has cgo files that are left out (recipe.go.cgo: off): what stands in for them may fail \
         at run time",
        packages.join(", ")
    );
    vec![Notice {
        code: "GO-CGO-STUB",
        text,
    }]
}

fn facts(module: &Module) -> Vec<String> {
    let go_mod = &module.go_mod;
    let mut facts = vec![format!(
        "{} (module {}, go {})",
        go_mod.file,
        go_mod.module,
        go_mod.wanted()
    )];
    if module.modules == ModMode::Vendor {
        facts.push("vendor/modules.txt: dependencies are in the source".to_owned());
    }
    if let Some(work) = &module.work {
        facts.push(format!(
            "{} (with {} other modules)",
            work.go_work.file,
            work.members.len()
        ));
    }
    facts
}

fn plan(
    tree: &SourceTree,
    options: &Options,
    targets: &[Target],
    context: &Context<'_>,
) -> Result<Plan, GoError> {
    let spec = options.specs.go()?;
    let parsed = GoOptions::parse(&options.recipe, &spec.build)?;
    if parsed.vcs_stamp == VcsStamp::Yes && options.revision.is_none() {
        return Err(GoError::Vcs);
    }
    let module = Module::read(tree, &options.directory, &parsed, &spec.aside)?;
    let source = module.source(tree, parsed.cgo, context)?;
    let toolchain = Toolchain::find(context.store, context.env, &parsed, &module)?;
    let selected = toolchain.select(&module, &parsed)?;
    let folders = Folders::create(context.store)?;
    let hints = Hints::read(tree, &module.directory)?;
    let workshop = Workshop {
        tree,
        module: &module,
        options: &parsed,
        spec: &spec,
        build: options,
        context,
        toolchain: &toolchain,
        selected: &selected,
        folders: &folders,
        source,
    };
    let wishes = Wishes {
        main: parsed.main.as_deref(),
        hinted: hints
            .main
            .as_ref()
            .map(|(main, file)| (main.as_str(), *file)),
        names: [options.name.as_deref(), options.repository.as_deref()],
        aside: &spec.aside,
        scope: &module.scope,
    };
    let main = packages::choose(&workshop, targets, &wishes)?;
    let linked = linker_flags(&workshop, &hints)?;
    let (steps, images) = images(&workshop, &main, &linked.flags, targets)?;
    let mut facts = facts(&module);
    facts.push(format!("main {}: {}", main.path, main.reason));
    facts.push(selected.version.clone());
    facts.extend(linked.stamps.iter().map(|stamp| format!("stamps {stamp}")));
    // Several folders of one module are several images.
    let name = if main.version.is_some() || !module.scope.is_empty() {
        &main.name
    } else {
        base_name(&module.go_mod.module)
    };
    Ok(Plan {
        evidence: Evidence {
            recipe: "go",
            facts,
        },
        name: Some(name.to_owned()),
        version: main.version.clone(),
        steps,
        images,
        notices: hint_notices(&hints, options),
    })
}

/// The linker's flags, and what they stamp.
struct Linked {
    flags: String,
    /// `main.version=1.2.3 (.goreleaser.yaml)`
    stamps: Vec<String>,
}

/// The recipe's flags, the configured ones, the version.
fn linker_flags(workshop: &Workshop<'_>, hints: &Hints) -> Result<Linked, GoError> {
    let options = workshop.options;
    let values = Values::new(workshop.build);
    let mut flags = workshop.spec.build.ldflags.clone();
    for text in &options.ldflags {
        flags.push(values.render(text)?);
    }
    let named;
    let chosen = match &options.version_var {
        VersionVar::Named(variable) => {
            named = Stamp {
                variable: variable.clone(),
                template: "{{.Version}}".to_owned(),
                file: "recipe.go.version_var",
            };
            std::slice::from_ref(&named)
        }
        // Flags of the user's own say all that is to be said.
        VersionVar::Release if options.ldflags.is_empty() => hints.versions.as_slice(),
        VersionVar::Release | VersionVar::Off => &[],
    };
    let mut stamps = Vec::new();
    for stamp in chosen {
        let set = format!("{}={}", stamp.variable, values.render(&stamp.template)?);
        stamps.push(format!("{set} ({})", stamp.file));
        flags.push(format!("-X {set}"));
    }
    Ok(Linked {
        flags: flags.join(" ") + cgo_ldflags(options.cgo),
        stamps,
    })
}

fn hint_notices(hints: &Hints, options: &Options) -> Vec<Notice> {
    let mut texts = hints.settings.clone();
    if options.args.is_empty() && !hints.arguments.is_empty() {
        let arguments = serde_json::json!(hints.arguments);
        texts.push(format!(
            "the Dockerfile starts it with arguments; if needed: container.args: {arguments}"
        ));
    }
    texts
        .into_iter()
        .map(|text| Notice {
            code: "GO-HINT",
            text,
        })
        .collect()
}

/// The steps in their order, and one image for each target.
fn images(
    workshop: &Workshop<'_>,
    main: &MainPackage,
    ldflags: &str,
    targets: &[Target],
) -> Result<(Vec<Step>, Vec<ImagePlan>), GoError> {
    let options = workshop.options;
    let mut steps = Vec::new();
    let mut images = Vec::new();
    for target in targets {
        let compiler = compiler::find(workshop.context, options.cgo, &target.platform)?;
        let job = Job {
            main,
            platform: &target.platform,
            compiler,
            ldflags: ldflags.to_owned(),
        };
        let modules = workshop.modules(&job)?;
        let has_foreign = modules.is_some() || workshop.module.modules == ModMode::Vendor;
        // With cgo on nothing is replaced by a stub.
        let probe = (options.cgo == Cgo::Off && has_foreign)
            .then(|| workshop.probe(&job, modules.as_ref()))
            .transpose()?;
        let mut before: Vec<&Step> = modules.iter().chain(&probe).collect();
        let build = workshop.build(&job, &before)?;
        before.insert(0, &build);
        let folder = workshop.spec.image.directory.relative();
        let folder = canonical::directory(&target.facts.entries, folder).map_err(|error| {
            GoError::Option {
                key: "base".to_owned(),
                problem: error.to_string(),
            }
        })?;
        let path = EntryPath::new(paths::join(&folder, &main.name))?;
        let expected = Expected::new(&main.path, &target.platform, options.cgo);
        let layer: Arc<dyn LayerSource> = Arc::new(GoBinary::new(&build, &before, path, expected));
        let mut layers = vec![layer];
        if !workshop.build.files.is_empty() {
            let (tree, options) = (workshop.tree, workshop.build);
            let context = workshop.context;
            let files = files::layer(tree, &options.directory, &options.files, target, context)?;
            layers.push(Arc::new(files));
        }
        images.push(ImagePlan {
            target: target.clone(),
            layers,
            runtime: runtime(workshop.build, main, &workshop.spec.image),
        });
        steps.extend(modules);
        steps.extend(probe);
        steps.push(build);
    }
    Ok((steps, images))
}

fn runtime(options: &Options, main: &MainPackage, image: &ImageSpec) -> RuntimeConfig {
    let folder = image.directory.absolute();
    let entrypoint = if options.entrypoint.is_empty() {
        vec![format!("{folder}/{}", main.name)]
    } else {
        options.entrypoint.clone()
    };
    RuntimeConfig {
        entrypoint,
        cmd: options.args.clone(),
        env: options.env.clone(),
        user: image.user.as_str().to_owned(),
        working_dir: folder.to_owned(),
        ports: options.port.into_iter().collect(),
    }
}
