//! Bases: names, resolution, facts, the embedded static base.

mod ca_layer;
mod convert;
pub mod deb;
pub mod embedded;
pub mod error;
pub mod facts;
pub mod lock;
pub mod name;
mod pem;
pub mod resolve;
mod scan;

pub use ca_layer::ca_layer;
pub use error::BaseError;
pub use facts::facts;
pub use name::BaseName;
pub use resolve::{BaseContext, ManifestSource, resolve};

pub use crate::image::target::{Base, BaseFacts, BaseLayer, Target};
