//! karisimbi: a daemonless native image builder.
//!
//! One build, straight through:
//!
//! ```text
//! flags, deployment.yaml ─► settings ─► source tree ─► recipe.detect ─► recipe.needs
//!    ─► base (of every platform) ─► facts ─► recipe.plan ─► steps and layer sources
//!    ─► key ─► record? reuse : run steps, encode, store ─► audit ─► image ─► sink
//! ```
//!
//! The modules, from the program down; each may import only those after it
//! (`tests/it/architecture.rs` enforces it):
//!
//! * [`cli`]: one file per command; translates and prints.
//! * [`settings`]: flags over environment over deployment.yaml over defaults, with origins.
//! * [`smoke`]: the MCP handshake. [`run`]: unpacks images and runs them here.
//! * [`pipeline`]: the build as above.
//! * [`sink`]: registry, layout, archives.
//! * [`recipe`]: reads a source tree, yields a plan; [`recipe::go`], [`recipe::files`].
//! * [`plan`]: steps, layers and images as data.
//! * [`base`]: names, bases.lock, resolution, facts, the embedded static base; [`base::deb`]
//!   assembles from Debian packages.
//! * [`deployment`]: deployment.yaml, strictly.
//! * [`image`]: documents, assembly, layouts, archives, verification, audit.
//! * [`registry`]: the distribution protocol. [`net`]: one HTTP set-up.
//! * [`source`]: trees, filters, stat cache, git.
//! * [`store`]: blobs, records and inputs on this disk.
//! * [`layer`]: entries → tar → diff id → compression → digest.
//! * [`sandbox`]: foreign code in a box.
//! * [`digest`], [`mod@reference`], [`platform`], [`progress`], [`error`]: the words of all of them;
//!   `program` finds the programs of this machine.

pub mod base;
pub mod cli;
pub mod deployment;
pub mod digest;
pub mod error;
pub mod image;
pub mod layer;
pub mod net;
pub mod pipeline;
pub mod plan;
pub mod platform;
mod program;
pub mod progress;
pub mod recipe;
pub mod reference;
pub mod registry;
pub mod run;
pub mod sandbox;
pub mod settings;
pub mod sink;
pub mod smoke;
pub mod source;
pub mod store;
