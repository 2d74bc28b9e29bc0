//! What a registry refuses or must not see, and what the user is told.

use karisimbi::digest::Digest;
use karisimbi::error::{Coded as _, Exit};
use karisimbi::net::{NetSettings, Reach};
use karisimbi::reference::Reference;
use karisimbi::registry::{BlobSource, RegistryError};

use crate::registry_faults::{UPLOAD, app, logged_in, settings};
use crate::registry_image::{Image, client, reference};
use crate::registry_rig::{Fault, Login, Rig};
use crate::registry_server::{PASSWORD, USER};

/// Request, fault, error code, exit code, and words of the message.
type Refusal = (
    (&'static str, &'static str),
    Fault,
    &'static str,
    Exit,
    &'static str,
);

const PING: (&str, &str) = ("GET", "/v2/");
const OPEN: (&str, &str) = ("POST", UPLOAD);
const PUT: (&str, &str) = ("PUT", UPLOAD);
const TAG: (&str, &str) = ("PUT", "/manifests/v1");

#[rustfmt::skip]
const REFUSALS: [Refusal; 16] = [
    (TAG, Fault::Says(412, "PRECONDITION", "configured as immutable."), "REG-IMMUTABLE", Exit::Policy, "app:v1: the tag is immutable"),
    (OPEN, Fault::Says(403, "DENIED", "adding 3 MiB will exceed the configured upper limit"), "REG-QUOTA", Exit::Policy, "upper limit"),
    (OPEN, Fault::Says(403, "DENIED", "The system is in read only mode"), "REG-READ-ONLY", Exit::Policy, "read-only"),
    (OPEN, Fault::Says(405, "UNSUPPORTED", "The operation is unsupported."), "REG-READ-ONLY", Exit::Policy, "read-only"),
    (OPEN, Fault::Says(403, "DENIED", "can not push artifact to a proxy project"), "REG-PROXY-PROJECT", Exit::Policy, "proxy cache"),
    (OPEN, Fault::Says(403, "DENIED", "requested access is denied"), "REG-DENIED", Exit::Denied, "may not push to 127"),
    (TAG, Fault::Says(400, "MANIFEST_INVALID", "bad"), "REG-MANIFEST", Exit::Registry, "rejected the manifest"),
    (PUT, Fault::Html(413), "REG-BODY-LIMIT", Exit::Registry, "via nginx"),
    (PUT, Fault::Says(404, "BLOB_UPLOAD_INVALID", "x"), "REG-SESSION-LOST", Exit::Registry, "5 times"),
    (PUT, Fault::Says(400, "DIGEST_INVALID", "x"), "REG-ALTERED", Exit::Registry, "twice"),
    (TAG, Fault::Html(502), "REG-UNAVAILABLE", Exit::Network, "answered 502 5 times (last: bad gateway, via nginx) while pushing the manifest v1"),
    (("HEAD", "/blobs/"), Fault::Answer(429, "Retry-After: 0\r\n"), "REG-RATE", Exit::Network, "after 5 attempts"),
    (PING, Fault::Html(404), "REG-NOT-A-REGISTRY", Exit::Registry, "is not a registry"),
    (PING, Fault::Answer(401, "WWW-Authenticate: Bearer realm=\"http://h.example/t\"\r\n"), "REG-REALM", Exit::Registry, "not encrypted"),
    (PING, Fault::Answer(401, "WWW-Authenticate: Negotiate\r\n"), "REG-SCHEME", Exit::Authentication, "negotiate"),
    (OPEN, Fault::Answer(202, ""), "REG-LOCATION", Exit::Registry, "without a Location"),
];

#[test]
fn refusals_say_what_is_wrong_and_end_with_their_exit_code() {
    for (request, fault, code, exit, words) in REFUSALS {
        let rig = Rig::start(Login::Open);
        rig.rule(request, 0, 99, fault);
        let (client, _) = client(&settings(), None);
        let error = Image::new().push(&client, &app(&rig)).unwrap_err();
        assert_eq!((error.code(), error.exit()), (code, exit), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        let tries = rig.asked(request.0, request.1).len();
        assert!(tries <= 5, "{code}: {tries}");
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
fn warnings_of_the_registry_are_shown_once() {
    let rig = Rig::start(Login::Open);
    let warning = Fault::Answer(404, "Warning: 299 - \"this registry closes\"\r\n");
    rig.rule(("HEAD", "/blobs/"), 0, 9, warning);
    let (client, seen) = client(&settings(), None);
    Image::new().push(&client, &app(&rig)).unwrap();
    assert_eq!(seen.warnings().len(), 1, "{:?}", seen.warnings());
    assert!(seen.warnings()[0].starts_with("REG-WARNING"));
}

#[test]
fn a_source_that_is_not_the_blob_is_refused() {
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

    let damaged = image.layer_file.with_extension("damaged");
    fs_err::write(
        &damaged,
        vec![7; usize::try_from(image.layer.size).unwrap()],
    )
    .unwrap();
    let error = client
        .push_blob(&repository, &image.layer, &BlobSource::File(damaged))
        .unwrap_err();
    assert_eq!((error.code(), error.exit()), ("REG-SOURCE", Exit::Failed));
    // The head of the request may be gone already, or not, when the source fails.
    assert!(rig.asked("PUT", "").len() <= 1, "and it is not tried again");
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
        let to = format!("http://{}{path}", other.host());
        Fault::Onward(status, to)
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
