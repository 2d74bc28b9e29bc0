//! What a push and a pull survive, and what they say when they don't, against a registry that
//! fails on order.
#![expect(clippy::unwrap_used, reason = "what does not work fails the test")]

use std::time::{Duration, Instant};

use karisimbi::digest::Digest;
use karisimbi::error::{Coded as _, Exit};
use karisimbi::net::{NetSettings, Patience, Proxies, Reach};
use karisimbi::reference::Reference;
use karisimbi::registry::{BlobOutcome, BlobSource, Client, RegistryError};
use oci_spec::image::MediaType;

use crate::registry::{Image, client, descriptor, reference};
use crate::registry_rig::{Fault, Login, Rig};
use crate::registry_server::{PASSWORD, USER, authfile};

/// Short pauses, so that the tests are quick.
fn settings() -> NetSettings {
    NetSettings {
        patience: Patience {
            pause: Duration::from_millis(10),
            stall: Duration::from_millis(300),
            ..Patience::default()
        },
        ..NetSettings::default()
    }
}

fn logged_in(rig: &Rig, password: &str) -> (Client, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("auth.json");
    fs_err::write(&file, authfile(&rig.host(), USER, password)).unwrap();
    (client(&settings(), Some(file)).0, dir)
}

fn app(rig: &Rig) -> Reference {
    reference(&rig.host(), "karisimbi/app:v1")
}

fn says(status: u16, code: &str, message: &str) -> Fault {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
    Fault::Answer(status, String::new(), body)
}

fn plain(status: u16, headers: &str) -> Fault {
    Fault::Answer(status, headers.to_owned(), String::new())
}

const UPLOAD: &str = "/blobs/uploads/";

#[test]
fn every_passing_fault_is_survived_with_the_body_sent_twice_at_most() {
    let image = Image::new();
    for (name, request, fault, bodies) in [
        ("503", ("PUT", UPLOAD), plain(503, ""), 2),
        ("429", ("PUT", UPLOAD), plain(429, "Retry-After: 1\r\n"), 2),
        (
            "429 of POST",
            ("POST", UPLOAD),
            plain(429, "Retry-After: 1\r\n"),
            1,
        ),
        ("reset", ("PUT", UPLOAD), Fault::ResetRequest(100_000), 2),
        (
            "lost session",
            ("PUT", UPLOAD),
            says(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown"),
            2,
        ),
        ("lost answer", ("PUT", UPLOAD), Fault::LoseAnswer, 1),
        ("expired token", ("PUT", UPLOAD), Fault::Expire, 2),
        ("expired at HEAD", ("HEAD", "/blobs/"), Fault::Expire, 1),
        (
            "damaged once",
            ("PUT", UPLOAD),
            says(400, "DIGEST_INVALID", "no match"),
            2,
        ),
        ("502 of HEAD", ("HEAD", "/blobs/"), plain(502, ""), 1),
        (
            "503 of the token",
            ("GET", "/service/token"),
            plain(503, ""),
            1,
        ),
        (
            "500 of the manifest",
            ("PUT", "/manifests/"),
            plain(500, ""),
            1,
        ),
        (
            "lost manifest answer",
            ("PUT", "/manifests/"),
            Fault::LoseAnswer,
            1,
        ),
        ("silence", ("HEAD", "/blobs/"), Fault::Hang, 1),
    ] {
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
        let sent: Vec<_> = sent
            .iter()
            .filter(|put| put.path.contains(&layer))
            .collect();
        assert_eq!(sent.len(), bodies, "{name}");
        for put in rig.log().iter().filter(|asked| asked.method == "PUT") {
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
fn a_wrong_password_is_tried_once_and_user_and_file_are_named() {
    let rig = Rig::start(Login::Harbor);
    let (client, dir) = logged_in(&rig, "wr0ng-secret");
    let (image, name) = (Image::new(), app(&rig));
    let push = || {
        let file = BlobSource::File(image.layer_file.clone());
        client.push_blob(&name.repository, &image.layer, &file)
    };
    let errors: Vec<RegistryError> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(push)).collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        joined.map(Result::unwrap_err).collect()
    });
    assert_eq!(rig.asked("GET", "/service/token").len(), 1);
    assert_eq!(rig.log().len(), 2, "the ping and the token");
    let file = dir.path().join("auth.json");
    for error in errors {
        let text = format!("{error} {error:?}");
        assert_eq!(
            (error.code(), error.exit()),
            ("REG-LOGIN-REFUSED", Exit::Authentication)
        );
        assert!(
            text.contains(USER) && text.contains(&file.display().to_string()),
            "{text}"
        );
        assert!(
            !text.contains("wr0ng") && !text.contains("d3IwbmctcG"),
            "{text}"
        );
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
fn refusals_say_what_is_wrong_and_end_with_their_exit_code() {
    let manifest = ("PUT", "/manifests/v1");
    let blob = ("POST", UPLOAD);
    let html = Fault::Answer(502, "Server: nginx\r\n".to_owned(), "<html>".to_owned());
    for (request, fault, code, exit, words) in [
        (
            manifest,
            says(412, "PRECONDITION", "configured as immutable."),
            "REG-IMMUTABLE",
            Exit::Policy,
            "app:v1: the tag is immutable",
        ),
        (
            blob,
            says(
                403,
                "DENIED",
                "adding 3 MiB will exceed the configured upper limit",
            ),
            "REG-QUOTA",
            Exit::Policy,
            "upper limit",
        ),
        (
            blob,
            says(403, "DENIED", "The system is in read only mode"),
            "REG-READ-ONLY",
            Exit::Policy,
            "read-only",
        ),
        (
            blob,
            says(403, "DENIED", "can not push artifact to a proxy project"),
            "REG-PROXY-PROJECT",
            Exit::Policy,
            "proxy cache",
        ),
        (
            blob,
            says(403, "DENIED", "requested access to the resource is denied"),
            "REG-DENIED",
            Exit::Denied,
            "may not push to 127",
        ),
        (
            manifest,
            says(400, "MANIFEST_INVALID", "bad"),
            "REG-MANIFEST",
            Exit::Registry,
            "rejected the manifest",
        ),
        (
            ("PUT", UPLOAD),
            plain(413, "Server: nginx\r\n"),
            "REG-BODY-LIMIT",
            Exit::Registry,
            "via nginx",
        ),
        (
            ("PUT", UPLOAD),
            says(404, "BLOB_UPLOAD_INVALID", "x"),
            "REG-SESSION-LOST",
            Exit::Registry,
            "5 times",
        ),
        (
            ("PUT", UPLOAD),
            says(400, "DIGEST_INVALID", "x"),
            "REG-ALTERED",
            Exit::Registry,
            "twice",
        ),
        (
            manifest,
            html,
            "REG-UNAVAILABLE",
            Exit::Network,
            "answered 502 5 times (last: bad gateway, via nginx) while pushing the manifest v1",
        ),
        (
            ("HEAD", "/blobs/"),
            plain(429, "Retry-After: 0\r\n"),
            "REG-RATE",
            Exit::Network,
            "after 5 attempts",
        ),
        (
            ("GET", "/v2/"),
            plain(404, ""),
            "REG-NOT-A-REGISTRY",
            Exit::Registry,
            "is not a registry",
        ),
        (
            ("GET", "/v2/"),
            plain(
                401,
                "WWW-Authenticate: Bearer realm=\"http://h.example/token\"\r\n",
            ),
            "REG-REALM",
            Exit::Registry,
            "not encrypted",
        ),
        (
            ("GET", "/v2/"),
            plain(401, "WWW-Authenticate: Negotiate\r\n"),
            "REG-SCHEME",
            Exit::Authentication,
            "negotiate",
        ),
        (
            blob,
            plain(202, ""),
            "REG-LOCATION",
            Exit::Registry,
            "without a Location",
        ),
    ] {
        let rig = Rig::start(Login::Open);
        rig.rule(request, 0, 99, fault);
        let error = Image::new()
            .push(&client(&settings(), None).0, &app(&rig))
            .unwrap_err();
        assert_eq!((error.code(), error.exit()), (code, exit), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        let tries = rig.asked(request.0, request.1).len();
        assert!(tries <= 5, "{code}: {tries}");
    }
}

#[test]
fn an_unknown_harbor_project_is_told_from_a_bad_login() {
    let rig = Rig::start(Login::Harbor);
    let (client, _dir) = logged_in(&rig, PASSWORD);
    let name = reference(&rig.host(), "nope/app:v1");
    let error = Image::new().push(&client, &name).unwrap_err();
    assert_eq!((error.code(), error.exit()), ("REG-PROJECT", Exit::Denied));
    assert!(
        error.to_string().contains("project nope not found"),
        "{error}"
    );
    assert_eq!(rig.asked("GET", "/service/token").len(), 1);
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
fn no_other_host_sees_the_login() {
    let (rig, other) = (Rig::start(Login::Harbor), Rig::start(Login::Open));
    let (client, _dir) = logged_in(&rig, PASSWORD);
    let image = Image::new();
    let bytes = fs_err::read(&image.layer_file).unwrap();
    other.put_blob("cdn/x", &bytes);
    let digest = image.layer.digest;
    let onward = |status, path: &str| {
        plain(
            status,
            &format!("Location: http://{}{path}\r\n", other.host()),
        )
    };
    rig.rule(
        ("GET", "/blobs/"),
        0,
        1,
        onward(307, &format!("/v2/cdn/x/blobs/{digest}")),
    );
    rig.rule(
        ("POST", UPLOAD),
        0,
        1,
        onward(202, "/v2/far/away/blobs/uploads/7?_state=a%2Bb/c%3D%3D"),
    );
    let repository = app(&rig).repository;
    let mut got = Vec::new();
    client
        .fetch_blob(&repository, &digest, image.layer.size, &mut got)
        .unwrap();
    assert_eq!(Digest::of(&got), digest);
    let file = BlobSource::File(image.layer_file.clone());
    client.push_blob(&repository, &image.layer, &file).unwrap();
    assert_eq!(other.log().len(), 2);
    for asked in other.log() {
        assert_eq!(asked.headers.get("authorization"), None, "{asked:?}");
    }
    let logins = rig.log();
    assert!(
        logins
            .iter()
            .any(|asked| asked.headers.contains_key("authorization"))
    );
}

#[test]
fn a_refused_mount_is_an_upload() {
    let image = Image::new();
    let bytes = fs_err::read(&image.layer_file).unwrap();
    for fault in [
        plain(401, ""),
        plain(403, ""),
        plain(404, ""),
        plain(500, ""),
        Fault::LoseAnswer,
    ] {
        let rig = Rig::start(Login::Harbor);
        rig.put_blob("base/python", &bytes);
        let (client, _dir) = logged_in(&rig, PASSWORD);
        rig.rule(("POST", "mount="), 0, 1, fault.clone());
        let from = reference(&rig.host(), "base/python:3").repository;
        let source = BlobSource::Registry(from.clone());
        let outcome = client.push_blob(&app(&rig).repository, &image.layer, &source);
        let bytes = image.layer.size;
        match fault {
            // It was mounted although the answer was lost, which the upload's second look would
            // see; the upload itself is harmless.
            Fault::LoseAnswer => drop(outcome.unwrap()),
            _ => {
                let streamed = BlobOutcome::Streamed {
                    from,
                    bytes,
                    attempts: 1,
                };
                assert_eq!(outcome.unwrap(), streamed);
            }
        }
    }
}

#[test]
fn nothing_is_sent_offline_or_unencrypted() {
    let image = Image::new();
    let rig = Rig::start(Login::Open);
    let offline = NetSettings {
        reach: Reach::Offline,
        ..settings()
    };
    let error = image
        .push(&client(&offline, None).0, &app(&rig))
        .unwrap_err();
    assert_eq!((error.code(), error.exit()), ("NET-OFFLINE", Exit::Usage));
    assert_eq!(rig.log().len(), 0);

    // 0.0.0.0 is this machine, but no loopback address.
    let open = Rig::bind("0.0.0.0:0", Login::Open);
    let host = open.host().replace("127.0.0.1", "0.0.0.0");
    let name = reference(&host, "karisimbi/app:v1");
    let error = image.push(&client(&settings(), None).0, &name).unwrap_err();
    assert_eq!(
        (error.code(), error.exit()),
        ("REG-HTTP", Exit::Tls),
        "{error}"
    );
    assert!(error.to_string().contains("speaks plain HTTP"), "{error}");
    assert_eq!(open.log().len(), 0);

    let upper = format!("{}/karisimbi/App", rig.host()).parse::<Reference>();
    assert!(
        upper
            .unwrap_err()
            .to_string()
            .contains("write karisimbi/app")
    );
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
fn warnings_of_the_registry_are_shown_once() {
    let rig = Rig::start(Login::Open);
    let warning = plain(404, "Warning: 299 - \"this registry closes\"\r\n");
    rig.rule(("HEAD", "/blobs/"), 0, 9, warning);
    let (client, seen) = client(&settings(), None);
    Image::new().push(&client, &app(&rig)).unwrap();
    assert_eq!(seen.warnings().len(), 1, "{:?}", seen.warnings());
    assert!(seen.warnings()[0].starts_with("REG-WARNING"));
}

#[test]
fn a_source_that_is_not_the_blob_is_refused_before_the_upload() {
    let rig = Rig::start(Login::Open);
    let (client, image) = (client(&settings(), None).0, Image::new());
    let repository = app(&rig).repository;
    let mut wrong = image.layer.clone();
    wrong.size += 1;
    for (descriptor, path) in [
        (&wrong, image.layer_file.clone()),
        (&image.layer, image.layer_file.with_extension("absent")),
    ] {
        let error = client
            .push_blob(&repository, descriptor, &BlobSource::File(path))
            .unwrap_err();
        assert_eq!((error.code(), error.exit()), ("REG-SOURCE", Exit::Failed));
    }
    assert_eq!(rig.asked("POST", "").len(), 0);
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
