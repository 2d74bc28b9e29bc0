//! Stand-ins until the parts are merged.
#![allow(missing_docs, unused_variables, missing_debug_implementations, dead_code, clippy::all, clippy::pedantic)]
pub use super::deb::*;
use super::lock::*;
use super::{Base, BaseContext, BaseError, BaseFacts};
use crate::layer::{LayerKey, LayerRecord, LayerSource};
use crate::platform::Platform;
use std::path::PathBuf;
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackageSet { Static, Cc, Python { minor: u16 }, Node { major: u16 } }
impl std::fmt::Display for PackageSet { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) } }
impl std::str::FromStr for PackageSet { type Err = BaseError; fn from_str(t: &str) -> Result<Self, BaseError> { unimplemented!() } }
pub fn roots(s: &str, p: &PackageSet) -> Result<Vec<String>, BaseError> { unimplemented!() }
pub fn exclude(s: &str) -> Vec<String> { unimplemented!() }
pub const FILTER_VERSION: u32 = 1;
pub fn layer_keys(l: &LockedPlatform, suite: &str, set: &PackageSet, p: &Platform) -> Vec<(String, LayerKey)> { unimplemented!() }
#[derive(Clone, Copy, Default, PartialEq)] pub enum Bytecode { #[default] Ship, Leave }
pub struct Ingredients<'a> { pub bytecode: Bytecode, pub name: String, pub suite: &'a str, pub set: &'a PackageSet, pub platform: &'a Platform, pub debs: &'a [FetchedDeb], pub tool_debs: &'a [FetchedDeb], pub files: &'a [(LockedFile, PathBuf)] }
pub fn assemble(i: &Ingredients<'_>, c: &DebContext<'_>) -> Result<Base, BaseError> { unimplemented!() }
pub fn base_of(n: &str, s: &PackageSet, p: &Platform, r: &[(String, LayerRecord)]) -> Result<Base, BaseError> { unimplemented!() }
pub fn os_packages_layer(d: Vec<FetchedDeb>, f: &BaseFacts, s: PathBuf) -> Result<std::sync::Arc<dyn LayerSource>, BaseError> { unimplemented!() }
pub fn ca_layer(b: &Base, p: &[(String, Vec<u8>)], c: &BaseContext<'_>) -> Result<std::sync::Arc<dyn LayerSource>, BaseError> { unimplemented!() }
