//! Foreign manifests and configs → [`Base`]: checked, and with OCI media types.

use oci_spec::image::MediaType;
use serde_json::{Map, Value};

use super::{Base, BaseError, BaseLayer};
use crate::digest::DiffId;
use crate::image::config::base_history;
use crate::image::manifest::{DOCKER_CONFIG, Manifest, oci_layer_type, runnable};
use crate::image::{Blob, Document};
use crate::layer::Descriptor;
use crate::platform::Platform;

/// The config descriptor of a manifest, when it is an image's and not an artifact's.
pub(super) fn config_descriptor(name: &str, manifest: &Manifest) -> Result<Descriptor, BaseError> {
    let media_type = &manifest.config.media_type;
    if *media_type != MediaType::ImageConfig && media_type.as_ref() != DOCKER_CONFIG {
        return Err(BaseError::Media {
            base: name.to_owned(),
            what: "its config".to_owned(),
            media_type: media_type.clone(),
        });
    }
    Ok(Descriptor {
        media_type: MediaType::ImageConfig,
        ..manifest.config.clone()
    })
}

/// Checks a config against its manifest and puts both together.
pub(super) fn base(
    name: &str,
    manifest: &Document,
    config: &Document,
    wanted: &Platform,
    blob: &Blob,
) -> Result<Base, BaseError> {
    let problem = |problem: String| BaseError::Config {
        base: format!("{name} ({})", manifest.digest),
        problem,
    };
    let typed: Manifest = manifest.read()?;
    let config: Map<String, Value> = match serde_json::from_slice(&config.bytes) {
        Ok(Value::Object(config)) => config,
        Ok(_) => return Err(problem("its config is not an object".to_owned())),
        Err(error) => return Err(problem(format!("its config is no JSON: {error}"))),
    };
    let platform = platform(&config).map_err(problem)?;
    // Some writers leave the variant out of the config, where the index has it.
    let plain = Platform {
        variant: platform.variant.clone().and(wanted.variant.clone()),
        ..wanted.clone()
    };
    if platform != plain && !runnable(wanted).contains(&platform) {
        return Err(BaseError::Platform {
            base: name.to_owned(),
            wanted: wanted.to_string(),
            present: vec![platform.to_string()],
        });
    }
    let diff_ids = diff_ids(&config).map_err(problem)?;
    if diff_ids.len() != typed.layers.len() {
        return Err(problem(format!(
            "its config has {} diff ids, but its manifest {} layers",
            diff_ids.len(),
            typed.layers.len()
        )));
    }
    base_history(&config, typed.layers.len(), "").map_err(problem)?;
    let layers = typed.layers.iter().zip(diff_ids).enumerate();
    let layers = layers.map(|(index, (descriptor, diff_id))| {
        Ok(BaseLayer {
            descriptor: oci_layer(name, index, descriptor)?,
            diff_id,
            blob: blob.clone(),
        })
    });
    Ok(Base {
        name: name.to_owned(),
        digest: Some(manifest.digest),
        layers: layers.collect::<Result<_, BaseError>>()?,
        config,
    })
}

fn platform(config: &Map<String, Value>) -> Result<Platform, String> {
    let text = |key: &str| config.get(key).and_then(Value::as_str);
    let (Some(os), Some(architecture)) = (text("os"), text("architecture")) else {
        return Err("its config names no os and architecture".to_owned());
    };
    let platform = match text("variant") {
        Some(variant) if !variant.is_empty() => format!("{os}/{architecture}/{variant}"),
        _ => format!("{os}/{architecture}"),
    };
    platform
        .parse()
        .map_err(|error: crate::platform::InvalidPlatform| error.to_string())
}

fn diff_ids(config: &Map<String, Value>) -> Result<Vec<DiffId>, String> {
    let listed = config
        .get("rootfs")
        .and_then(|rootfs| rootfs.get("diff_ids"));
    match listed {
        // Docker writes null for an image without layers.
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(listed) => serde_json::from_value(listed.clone())
            .map_err(|error| format!("rootfs.diff_ids: {error}")),
    }
}

fn oci_layer(name: &str, index: usize, layer: &Descriptor) -> Result<Descriptor, BaseError> {
    let media_type = oci_layer_type(&layer.media_type).ok_or_else(|| BaseError::Media {
        base: name.to_owned(),
        what: format!("layer {}", index + 1),
        media_type: layer.media_type.clone(),
    })?;
    Ok(Descriptor {
        media_type,
        ..layer.clone()
    })
}
