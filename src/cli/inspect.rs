//! `karisimbi inspect`

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::output::Format;
use super::session::{host, with_context};
use super::{Global, Outcome, output};
use crate::digest::Digest;
use crate::image::Image;
use crate::layer::Descriptor;
use crate::progress::human_bytes;
use crate::reference::ImageName;
use crate::settings::SettingsError;
use crate::settings::env::Environment;
use crate::sink::Opened;

/// Show an image's manifest, config and layers
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME] or HOST/REPO[:TAG|@DIGEST]
    image: ImageName,
    /// What stdout shows
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The JSON of `inspect --format json`.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    digest: Digest,
    media_type: String,
    images: Vec<ShownImage>,
}

#[derive(Debug, Serialize)]
struct ShownImage {
    platform: String,
    digest: Digest,
    manifest: Value,
    config: Value,
    layers: Vec<Descriptor>,
}

impl Inspect {
    pub(super) fn run(&self, global: &Global, environment: &Environment) -> Outcome {
        let session = global.session(host(&self.image).as_slice(), environment)?;
        let shown = with_context(&session, |context| {
            let opened = Opened::open(&self.image, context)?;
            let images = opened.images()?;
            Ok(Shown {
                name: opened.name().to_owned(),
                digest: opened.root().digest,
                media_type: opened.root().media_type.to_string(),
                images: images.iter().map(shown_image).collect::<Result<_, _>>()?,
            })
        })?;
        let text = match self.format {
            Format::Text => text(&shown),
            Format::Json => output::json(&shown).map_err(SettingsError::json)?,
        };
        Ok(output::data(&text).map_err(SettingsError::stdout)?)
    }
}

fn shown_image(image: &Image) -> Result<ShownImage, SettingsError> {
    let value = |bytes: &[u8]| serde_json::from_slice(bytes).map_err(SettingsError::json);
    Ok(ShownImage {
        platform: image.platform.to_string(),
        digest: image.manifest.digest,
        manifest: value(&image.manifest.bytes)?,
        config: value(&image.config.bytes)?,
        layers: image
            .layers
            .iter()
            .map(|layer| layer.descriptor.clone())
            .collect(),
    })
}

fn text(shown: &Shown) -> String {
    let mut lines = vec![format!("{}\ndigest    {}", shown.name, shown.digest)];
    for image in &shown.images {
        lines.push(format!("platform  {}, {}", image.platform, image.digest));
        let process = &image.config["config"];
        for (label, key) in [
            ("entry", "Entrypoint"),
            ("args", "Cmd"),
            ("user", "User"),
            ("folder", "WorkingDir"),
            ("env", "Env"),
        ] {
            match &process[key] {
                Value::Null => {}
                Value::String(value) => lines.push(format!("  {label:<8}{value}")),
                value => lines.push(format!("  {label:<8}{value}")),
            }
        }
        if let Some(created) = image.config["created"].as_str() {
            lines.push(format!("  created {created}"));
        }
        for layer in &image.layers {
            let (digest, size) = (layer.digest, human_bytes(layer.size));
            lines.push(format!("  layer   {digest}  {size}  {}", layer.media_type));
        }
        if let Some(annotations) = image.manifest["annotations"].as_object() {
            lines.extend(
                annotations
                    .iter()
                    .map(|(k, v)| format!("  {k} = {}", v.as_str().unwrap_or_default())),
            );
        }
    }
    lines.join("\n")
}
