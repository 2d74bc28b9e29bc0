//! Bases: names, resolution, facts, the embedded static base.

mod capture;
mod convert;
pub mod deb;
mod detect;
pub mod embedded;
pub mod error;
pub mod facts;
pub mod lock;
mod marks;
pub mod name;
pub mod resolve;
mod scan;
mod tree;

pub use error::BaseError;
pub use facts::facts;
pub use name::BaseName;
pub use resolve::{BaseContext, ManifestSource, resolve};

pub use crate::image::target::{Base, BaseFacts, BaseLayer, Target};
