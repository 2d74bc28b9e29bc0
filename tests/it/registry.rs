//! Push and pull against real registries, with skopeo and oci-client as independent readers.

use karisimbi::digest::Digest;
use karisimbi::error::{Coded as _, Exit};
use karisimbi::layer::Descriptor;
use karisimbi::net::{Net, NetSettings};
use karisimbi::progress::Event;
use karisimbi::registry::{BlobOutcome, BlobSource};
use oci_spec::image::MediaType;

use crate::registry_image::{Image, client, descriptor, reference};
use crate::registry_server::{PASSWORD, Registry, USER, authfile};
use crate::support::{run, tool};

fn skopeo_digest(host: &str, rest: &str, more: &[&str]) -> String {
    let mut command = tool("skopeo");
    command.args(["inspect", "--tls-verify=false", "--format", "{{.Digest}}"]);
    command.args(more).arg(format!("docker://{host}/{rest}"));
    run(&mut command).trim().to_owned()
}

#[test]
fn a_pushed_image_comes_back_from_every_kind_of_registry() {
    let image = Image::new();
    let pair = format!("{USER}:{PASSWORD}");
    for (kind, registry) in [
        ("plain", Registry::plain()),
        ("basic", Registry::basic()),
        ("token", Registry::token()),
        ("tls", Registry::tls()),
    ] {
        let host = registry.host();
        let mut settings = NetSettings::default();
        if kind == "tls" {
            settings.ca_files.push(registry.ca_file());
        }
        let login = matches!(kind, "basic" | "token").then(|| registry.authfile());
        let credentials = ["--creds", pair.as_str()];
        let more: &[&str] = if login.is_some() { &credentials } else { &[] };
        let (client, seen) = client(&settings, login);
        let name = reference(&host, "karisimbi/app:v1");

        let outcomes = image
            .push(&client, &name)
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        let Descriptor { size, .. } = image.layer;
        let uploaded = BlobOutcome::Uploaded {
            bytes: size,
            attempts: 1,
        };
        assert_eq!(outcomes[0], uploaded, "{kind}");
        image.check_pull(&client, &name);
        let digest = Digest::of(&image.manifest);
        assert_eq!(client.head_manifest(&name).unwrap(), Some(digest), "{kind}");
        assert_eq!(client.tags(&name.repository).unwrap(), ["v1"], "{kind}");
        if kind == "token" {
            // One for the push; it covers the pull as well.
            assert_eq!(registry.token_requests(), 1);
        }
        assert_eq!(
            skopeo_digest(&host, "karisimbi/app:v1", more),
            digest.to_string(),
            "{kind}"
        );
        assert_eq!(seen.warnings(), Vec::<String>::new(), "{kind}");
    }
}

#[test]
fn a_second_push_sends_nothing() {
    let (registry, image) = (Registry::token(), Image::new());
    let name = reference(&registry.host(), "karisimbi/app:v1");
    let (first, _) = client(&NetSettings::default(), Some(registry.authfile()));
    image.push(&first, &name).unwrap();

    let (second, _) = client(&NetSettings::default(), Some(registry.authfile()));
    let before = registry.requests().len();
    second.check_push(&name.repository, &[]).unwrap();
    let digest = second.head_manifest(&name).unwrap();
    assert_eq!(digest, Some(Digest::of(&image.manifest)));
    for descriptor in [&image.layer, &image.config] {
        let file = BlobSource::File(image.layer_file.clone());
        let outcome = second.push_blob(&name.repository, descriptor, &file);
        assert_eq!(outcome.unwrap(), BlobOutcome::Exists);
    }
    let host = name.repository.path;
    let expected = [
        "GET /v2/ 401".to_owned(),
        format!("HEAD /v2/{host}/manifests/v1 200"),
        format!("HEAD /v2/{host}/blobs/{} 200", image.layer.digest),
        format!("HEAD /v2/{host}/blobs/{} 200", image.config.digest),
    ];
    assert_eq!(registry.requests()[before..], expected);
}

#[test]
fn blobs_are_mounted_within_a_registry_and_streamed_between_two() {
    let (here, there, image) = (Registry::token(), Registry::plain(), Image::new());
    let (client, _) = client(&NetSettings::default(), Some(here.authfile()));
    let name = reference(&here.host(), "karisimbi/app:v1");
    image.push(&client, &name).unwrap();
    let from = name.repository.clone();
    let source = BlobSource::Registry(from.clone());

    let sibling = reference(&here.host(), "karisimbi/other/deep:v1").repository;
    client
        .check_push(&sibling, std::slice::from_ref(&from))
        .unwrap();
    let tokens = here.token_requests();
    let before = here.requests().len();
    let mounted = client.push_blob(&sibling, &image.layer, &source).unwrap();
    assert_eq!(mounted, BlobOutcome::Mounted { from: from.clone() });
    let requests = here.requests()[before..].join("\n");
    assert!(
        !requests.contains("PUT") && requests.contains("POST"),
        "{requests}"
    );
    assert_eq!(
        here.token_requests(),
        tokens,
        "the first token covers the mount"
    );

    let target = reference(&there.host(), "elsewhere/app:v1").repository;
    let bytes = image.layer.size;
    let streamed = client.push_blob(&target, &image.layer, &source).unwrap();
    assert_eq!(
        streamed,
        BlobOutcome::Streamed {
            from,
            bytes,
            attempts: 1
        }
    );
    let mut layer = Vec::new();
    client
        .fetch_blob(&target, &image.layer.digest, bytes, &mut layer)
        .unwrap();
    assert_eq!(Digest::of(&layer), image.layer.digest);
}

#[test]
fn a_large_sparse_file_and_an_empty_blob_are_pushed() {
    let registry = Registry::plain();
    let (client, seen) = client(&NetSettings::default(), None);
    let repository = reference(&registry.host(), "a/large").repository;
    let dir = tempfile::tempdir().unwrap();
    for size in [64 << 20, 0_u32] {
        let path = dir.path().join("blob");
        fs_err::File::create(&path)
            .unwrap()
            .set_len(size.into())
            .unwrap();
        let blob = descriptor(MediaType::ImageLayer, &vec![0; size as usize]);
        let file = BlobSource::File(path);
        client.push_blob(&repository, &blob, &file).unwrap();
        assert!(
            client
                .blob_exists(&repository, &blob.digest, size.into())
                .unwrap()
        );
        assert!(!client.blob_exists(&repository, &blob.digest, 7).unwrap());
    }
    let events = seen.0.lock().unwrap();
    let moved = events
        .iter()
        .filter(|event| matches!(event, Event::Progress { .. }));
    assert!(
        moved.count() >= 64,
        "progress is reported at least every MiB"
    );
}

#[test]
fn oci_client_pulls_what_was_pushed() {
    let (registry, image) = (Registry::plain(), Image::new());
    let (client, _) = client(&NetSettings::default(), None);
    let name = reference(&registry.host(), "karisimbi/app:v1");
    image.push(&client, &name).unwrap();
    // Another test may have installed it.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let pulled = runtime.block_on(async {
        let config = oci_client::client::ClientConfig {
            protocol: oci_client::client::ClientProtocol::Http,
            ..Default::default()
        };
        let reader = oci_client::Client::try_from(config).unwrap();
        let anonymous = oci_client::secrets::RegistryAuth::Anonymous;
        let accepted = vec![MediaType::ImageLayer.as_ref()];
        let name = name.to_string().parse().unwrap();
        reader.pull(&name, &anonymous, accepted).await.unwrap()
    });
    assert_eq!(pulled.digest, Some(Digest::of(&image.manifest).to_string()));
    assert_eq!(pulled.config.data, image.config_bytes);
    assert_eq!(Digest::of(&pulled.layers[0].data), image.layer.digest);
}

#[test]
fn an_unknown_authority_is_named_and_a_bad_ca_file_is_an_error() {
    let (registry, image) = (Registry::tls(), Image::new());
    let name = reference(&registry.host(), "karisimbi/app:v1");
    let (client, _) = client(&NetSettings::default(), None);
    let error = image.push(&client, &name).unwrap_err();
    assert_eq!((error.code(), error.exit()), ("NET-TLS", Exit::Tls));
    assert!(error.to_string().contains("unknown authority"), "{error}");
    assert!(error.hint().unwrap().contains("--ca-file"));

    let own_folder = tempfile::tempdir().unwrap();
    fs_err::copy(registry.ca_file(), own_folder.path().join("ca.pem")).unwrap();
    for trusting in [
        NetSettings {
            ssl_cert_file: Some(registry.ca_file()),
            ..NetSettings::default()
        },
        NetSettings {
            ssl_cert_dir: Some(own_folder.path().to_owned()),
            ..NetSettings::default()
        },
    ] {
        image.push(&self::client(&trusting, None).0, &name).unwrap();
    }

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.pem");
    for text in [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        fs_err::write(&file, text).unwrap();
        let settings = NetSettings {
            ca_files: vec![file.clone()],
            ..NetSettings::default()
        };
        let error = Net::new(&settings).unwrap_err();
        assert_eq!((error.code(), error.exit()), ("NET-CA-FILE", Exit::Usage));
        assert!(error.to_string().contains("bad.pem"), "{error}");
    }
}

#[test]
fn a_login_is_asked_for_where_none_is_found() {
    let image = Image::new();
    for registry in [Registry::basic(), Registry::token()] {
        let name = reference(&registry.host(), "karisimbi/app:v1");
        let (client, _) = client(&NetSettings::default(), None);
        let error = image.push(&client, &name).unwrap_err();
        assert_eq!(
            (error.code(), error.exit()),
            ("REG-LOGIN", Exit::Authentication)
        );
        assert_eq!(
            error.hint(),
            Some(format!("docker login {}", registry.host()))
        );
    }
}

#[test]
fn a_wrong_basic_password_is_sent_once() {
    let (registry, image) = (Registry::basic(), Image::new());
    let file = registry.authfile();
    fs_err::write(&file, authfile(&registry.host(), USER, "wr0ng")).unwrap();
    let (client, _) = client(&NetSettings::default(), Some(file.clone()));
    let name = reference(&registry.host(), "karisimbi/app:v1");
    for _ in 0..2 {
        let error = image.push(&client, &name).unwrap_err();
        assert_eq!(
            (error.code(), error.exit()),
            ("REG-LOGIN-REFUSED", Exit::Authentication)
        );
        let text = error.to_string();
        assert!(
            text.contains(USER) && text.contains(&file.display().to_string()),
            "{text}"
        );
    }
    let refused = registry.requests();
    assert_eq!(
        refused.len(),
        2,
        "one ping, one request with the password: {refused:?}"
    );
}
