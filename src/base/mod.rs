//! Bases: names, resolution, facts, the embedded static base.

pub mod assembled;
mod ca_layer;
mod capture;
mod convert;
pub mod deb;
mod detect;
pub mod embedded;
pub mod eol;
pub mod error;
pub mod facts;
pub mod lock;
mod lock_check;
mod lock_error;
pub mod lock_file;
mod marks;
mod memory;
pub mod name;
pub mod packages;
mod pem;
pub mod pin;
pub mod renew;
pub mod resolve;
mod scan;
pub mod short;
mod tree;

pub use ca_layer::ca_layer;
pub use error::BaseError;
pub use facts::facts;
pub use lock_error::LockError;
pub use name::{BaseName, Flavour, ShortName};
pub use pin::{BaseOptions, Locking, PinContext, Pinned};
pub use resolve::{BaseContext, ManifestSource, resolve};

pub use crate::image::target::{Base, BaseFacts, BaseLayer, Target};
