//! What a push and a pull survive, against a registry that fails on order.
#![expect(clippy::unwrap_used, reason = "what does not work fails the test")]

use std::time::{Duration, Instant};

use karisimbi::error::{Coded as _, Exit};
use karisimbi::net::{NetSettings, Patience, Proxies};
use karisimbi::reference::Reference;
use karisimbi::registry::{BlobOutcome, BlobSource, Client};
use oci_spec::image::MediaType;

use crate::registry_image::{Image, client, descriptor, reference};
use crate::registry_rig::{Fault, Login, Rig};
use crate::registry_server::{PASSWORD, USER, authfile};

/// Short pauses, so that the tests are quick.
pub(crate) fn settings() -> NetSettings {
    NetSettings {
        patience: Patience {
            pause: Duration::from_millis(10),
            stall: Duration::from_secs(1),
            ..Patience::default()
        },
        ..NetSettings::default()
    }
}

pub(crate) fn logged_in(rig: &Rig, password: &str) -> (Client, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("auth.json");
    fs_err::write(&file, authfile(&rig.host(), USER, password)).unwrap();
    (client(&settings(), Some(file)).0, dir)
}

pub(crate) fn app(rig: &Rig) -> Reference {
    reference(&rig.host(), "karisimbi/app:v1")
}

pub(crate) const UPLOAD: &str = "/blobs/uploads/";

/// Name, request, fault, and how often the layer's body is sent.
type Passing = (&'static str, (&'static str, &'static str), Fault, usize);

#[rustfmt::skip]
const PASSING: [Passing; 15] = [
    ("lost ping", ("GET", "/v2/"), Fault::LoseAnswer, 1),
    ("503", ("PUT", UPLOAD), Fault::Answer(503, ""), 2),
    ("429", ("PUT", UPLOAD), Fault::Answer(429, "Retry-After: 1\r\n"), 2),
    ("429 of POST", ("POST", UPLOAD), Fault::Answer(429, "Retry-After: 1\r\n"), 1),
    ("reset", ("PUT", UPLOAD), Fault::ResetRequest(100_000), 2),
    ("lost session", ("PUT", UPLOAD), Fault::Says(404, "BLOB_UPLOAD_UNKNOWN", "unknown"), 2),
    ("lost answer", ("PUT", UPLOAD), Fault::LoseAnswer, 1),
    ("expired token", ("PUT", UPLOAD), Fault::Expire, 2),
    ("expired at HEAD", ("HEAD", "/blobs/"), Fault::Expire, 1),
    ("damaged once", ("PUT", UPLOAD), Fault::Says(400, "DIGEST_INVALID", "no match"), 2),
    ("502 of HEAD", ("HEAD", "/blobs/"), Fault::Answer(502, ""), 1),
    ("503 of the token", ("GET", "/service/token"), Fault::Answer(503, ""), 1),
    ("500 of the manifest", ("PUT", "/manifests/"), Fault::Answer(500, ""), 1),
    ("lost manifest answer", ("PUT", "/manifests/"), Fault::LoseAnswer, 1),
    ("silence", ("HEAD", "/blobs/"), Fault::Hang, 1),
];

#[test]
fn every_passing_fault_is_survived_with_the_body_sent_twice_at_most() {
    let image = Image::new();
    for (name, request, fault, bodies) in PASSING {
        let rig = Rig::start(Login::Harbor);
        let (client, _dir) = logged_in(&rig, PASSWORD);
        let waits = name.starts_with("429");
        rig.rule(request, 0, 1, fault);
        let started = Instant::now();
        image
            .push(&client, &app(&rig))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            !waits || started.elapsed() >= Duration::from_secs(1),
            "{name}"
        );
        let layer = image.layer.digest.hex();
        let sent = rig.asked("PUT", UPLOAD);
        let sent = sent.iter().filter(|put| put.path.contains(&layer));
        assert_eq!(sent.count(), bodies, "{name}");
        for put in rig.asked("PUT", "") {
            assert!(!put.headers.contains_key("transfer-encoding"), "{name}");
            assert!(put.headers.contains_key("content-length"), "{name}");
        }
        image.check_pull(&client, &app(&rig));
    }
}

#[test]
fn a_token_may_expire_at_any_step() {
    let image = Image::new();
    for step in 0..12 {
        let rig = Rig::start(Login::Harbor);
        let (client, _dir) = logged_in(&rig, PASSWORD);
        rig.rule(("", "/v2/"), step, 1, Fault::Expire);
        image
            .push(&client, &app(&rig))
            .unwrap_or_else(|error| panic!("step {step}: {error}"));
        let tokens = rig.asked("GET", "/service/token").len();
        assert!(tokens <= 2, "step {step}: {tokens} token requests");
        for digest in [image.layer.digest, image.config.digest] {
            let sent = rig.asked("PUT", UPLOAD);
            let sent = sent.iter().filter(|put| put.path.contains(&digest.hex()));
            assert!(sent.count() <= 2, "step {step}");
        }
    }
}

#[test]
fn parallel_pushes_share_one_ping_and_one_token() {
    let rig = Rig::start(Login::Harbor);
    let (client, _dir) = logged_in(&rig, PASSWORD);
    let repository = app(&rig).repository;
    std::thread::scope(|scope| {
        for number in 0..4_u8 {
            let (client, repository) = (&client, &repository);
            scope.spawn(move || {
                let bytes = vec![number; 100_000];
                let blob = descriptor(MediaType::ImageLayer, &bytes);
                client
                    .push_blob(repository, &blob, &BlobSource::Bytes(bytes))
                    .unwrap();
            });
        }
    });
    assert_eq!(rig.asked("GET", "").len(), 2, "one ping, one token");
    assert_eq!(rig.asked("PUT", UPLOAD).len(), 4);
}

#[test]
fn wrong_bytes_are_never_accepted() {
    let rig = Rig::start(Login::Open);
    let (client, image) = (client(&settings(), None).0, Image::new());
    image.push(&client, &app(&rig)).unwrap();
    rig.rule(("GET", "/blobs/"), 0, 1, Fault::FlipBit);
    rig.rule(("GET", "/manifests/"), 0, 2, Fault::FlipBit);
    let repository = app(&rig).repository;
    let (digest, size) = (image.layer.digest, image.layer.size);
    let fetch = |size| client.fetch_blob(&repository, &digest, size, &mut Vec::new());
    for error in [
        fetch(size).unwrap_err(),
        fetch(size - 1).unwrap_err(),
        client.fetch_manifest(&app(&rig)).unwrap_err(),
    ] {
        assert_eq!((error.code(), error.exit()), ("REG-DIGEST", Exit::Registry));
    }
    let other = format!("{repository}@{digest}").parse().unwrap();
    let error = client.fetch_manifest(&other).unwrap_err();
    assert_eq!(
        (error.code(), error.exit()),
        ("REG-NOT-FOUND", Exit::Failed)
    );
}

#[test]
fn a_pull_goes_on_where_it_broke() {
    let rig = Rig::start(Login::Open);
    let (client, image) = (client(&settings(), None).0, Image::new());
    image.push(&client, &app(&rig)).unwrap();
    rig.rule(("GET", "/blobs/"), 0, 1, Fault::CutAnswer(100_000));
    rig.rule(("GET", "/blobs/"), 0, 1, Fault::CutAnswer(50_000));
    image.check_pull(&client, &app(&rig));
    let gets = rig.asked("GET", "/blobs/");
    let ranges: Vec<_> = gets
        .iter()
        .map(|get| get.headers.get("range").map(String::as_str))
        .collect();
    assert_eq!(ranges, [None, Some("bytes=100000-"), Some("bytes=150000-")]);

    rig.rule(("GET", "/blobs/"), 0, 99, Fault::CutAnswer(0));
    let (digest, size) = (image.layer.digest, image.layer.size);
    let error = client
        .fetch_blob(&app(&rig).repository, &digest, size, &mut Vec::new())
        .unwrap_err();
    assert_eq!(error.exit(), Exit::Network, "{error}");
}

#[test]
fn a_refused_mount_is_an_upload() {
    let image = Image::new();
    let bytes = fs_err::read(&image.layer_file).unwrap();
    for fault in [
        Fault::Answer(401, ""),
        Fault::Answer(403, ""),
        Fault::Answer(404, ""),
        Fault::Answer(500, ""),
    ] {
        let rig = Rig::start(Login::Harbor);
        rig.put_blob("base/python", &bytes);
        let (client, _dir) = logged_in(&rig, PASSWORD);
        rig.rule(("POST", "mount="), 0, 1, fault);
        let from = reference(&rig.host(), "base/python:3").repository;
        let source = BlobSource::Registry(from.clone());
        let outcome = client.push_blob(&app(&rig).repository, &image.layer, &source);
        let bytes = image.layer.size;
        let streamed = BlobOutcome::Streamed {
            from,
            bytes,
            attempts: 1,
        };
        assert_eq!(outcome.unwrap(), streamed);
    }
}

#[test]
fn proxies_are_passed_by_for_this_machine() {
    let rig = Rig::start(Login::Open);
    let nowhere = Some("http://127.0.0.1:9".to_owned());
    let proxied = NetSettings {
        proxies: Proxies {
            http: nowhere.clone(),
            https: nowhere.clone(),
            all: nowhere,
            no_proxy: None,
        },
        ..settings()
    };
    let (client, image) = (client(&proxied, None).0, Image::new());
    image.push(&client, &app(&rig)).unwrap();
    let name = "h.example/karisimbi/app:v1".parse().unwrap();
    let error = client.fetch_manifest(&name).unwrap_err();
    assert_eq!(
        (error.code(), error.exit()),
        ("NET-UNREACHABLE", Exit::Network)
    );
    assert!(error.hint().unwrap().contains("HTTPS_PROXY is set"));
}

#[test]
fn an_upload_that_does_not_move_is_given_up_and_tried_again() {
    let rig = Rig::start(Login::Open);
    let (client, seen) = client(&settings(), None);
    // More than the buffers of both ends hold.
    let bytes = vec![7; 32 << 20];
    let blob = descriptor(MediaType::ImageLayer, &bytes);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("blob");
    fs_err::write(&file, &bytes).unwrap();
    rig.rule(("PUT", UPLOAD), 0, 1, Fault::Deaf);
    let repository = app(&rig).repository;
    let outcome = client.push_blob(&repository, &blob, &BlobSource::File(file));
    let uploaded = BlobOutcome::Uploaded {
        bytes: blob.size,
        attempts: 2,
    };
    assert_eq!(outcome.unwrap(), uploaded);
    assert!(
        seen.warnings()[0].contains("no bytes moved"),
        "{:?}",
        seen.warnings()
    );
}
