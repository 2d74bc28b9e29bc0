//! karisimbi: a daemonless native image builder. (skeleton)

pub mod base;
pub mod deployment;
pub mod digest;
pub mod error;
pub mod image;
pub mod layer;
pub mod net;
pub mod plan;
pub mod platform;
pub mod progress;
pub mod recipe;
pub mod reference;
pub mod registry;
pub mod source;
pub mod store;
