//! One integration-test binary: real tools, real registries, the built program.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets a surprise stops there; it may read the environment"
)]

mod architecture;
mod base;
mod base_lock;
mod builds;
mod cli;
mod deb_assembly;
mod deb_trust;
mod deployment;
mod determinism;
mod docs;
mod files;
mod go;
mod image;
mod layer;
mod rebase;
mod registry;
mod registry_answers;
mod registry_faults;
mod registry_image;
mod registry_refusals;
mod registry_rig;
mod registry_server;
mod robustness;
mod run;
mod sandbox;
mod smoke;
mod source;
mod store;
mod support;
