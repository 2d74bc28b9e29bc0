//! One integration-test binary: real tools, real registries, the built program.

mod architecture;
mod base;
mod cli;
mod deployment;
mod determinism;
mod files;
mod go;
mod image;
mod layer;
mod registry;
mod registry_answers;
mod registry_faults;
mod registry_image;
mod registry_refusals;
mod registry_rig;
mod registry_server;
mod robustness;
mod source;
mod store;
mod support;
