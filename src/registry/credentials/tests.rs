//! Tests of where credentials are found.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::progress::{Event, Silent};

fn write(path: &Path, user: &str) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    let json =
        format!(r#"{{"auths": {{"h.example": {{"username": "{user}", "password": "p"}}}}}}"#);
    fs_err::write(path, json).unwrap();
}

fn user(places: &CredentialPlaces, repository: &str) -> Option<String> {
    let credentials = Credentials::load(places.clone(), &Silent).unwrap();
    let login = credentials
        .find(&repository.parse().unwrap(), &Silent)
        .unwrap();
    login.map(|login| login.user)
}

#[test]
fn the_first_place_wins() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| Some(dir.path().join(name));
    let mut places = CredentialPlaces {
        xdg_runtime_dir: at("run"),
        xdg_config_home: at("config"),
        docker_config: at("docker"),
        home: at("home"),
        ..CredentialPlaces::default()
    };
    assert_eq!(user(&places, "h.example/x"), None);
    // The weakest place first; each next one outranks all before.
    for name in [
        "docker/config.json",
        "config/containers/auth.json",
        "run/containers/auth.json",
    ] {
        write(&dir.path().join(name), name);
        assert_eq!(user(&places, "h.example/x").as_deref(), Some(name));
    }
    for name in ["registry_auth_file", "authfile"] {
        write(&dir.path().join(name), name);
        let place = match name {
            "authfile" => &mut places.authfile,
            _ => &mut places.registry_auth_file,
        };
        *place = at(name);
        assert_eq!(user(&places, "h.example/x").as_deref(), Some(name));
    }
    places.explicit = Some(ExplicitLogin {
        host: "h.example".parse().unwrap(),
        user: "flag".to_owned(),
        password: Secret::new("p"),
        origin: "--username".to_owned(),
    });
    assert_eq!(user(&places, "h.example/x").as_deref(), Some("flag"));
    assert_eq!(user(&places, "other.example/x"), None);
}

#[test]
fn without_variables_the_home_is_searched() {
    let dir = tempfile::tempdir().unwrap();
    let places = CredentialPlaces {
        home: Some(dir.path().to_owned()),
        ..CredentialPlaces::default()
    };
    for name in [".docker/config.json", ".config/containers/auth.json"] {
        write(&dir.path().join(name), name);
        assert_eq!(user(&places, "h.example/x").as_deref(), Some(name));
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Reporter for Heard {
    fn event(&self, event: Event) {
        if let Event::Warning { text, .. } = event {
            self.0.lock().unwrap().push(text);
        }
    }
}

#[test]
fn a_malformed_file_is_a_warning_unless_it_was_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    fs_err::write(&file, "{").unwrap();
    let heard = Arc::new(Heard::default());
    let places = CredentialPlaces {
        docker_config: Some(dir.path().to_owned()),
        ..CredentialPlaces::default()
    };
    Credentials::load(places, &*heard).unwrap();
    let warnings = heard.0.lock().unwrap().join(" ");
    assert!(warnings.contains("config.json is malformed"), "{warnings}");
    for named in [file, dir.path().join("absent")] {
        let places = CredentialPlaces {
            authfile: Some(named),
            ..CredentialPlaces::default()
        };
        let error = Credentials::load(places, &*heard).err().unwrap();
        assert_eq!(
            (error.code(), error.exit()),
            ("REG-CREDENTIALS", Exit::Usage)
        );
    }
}

#[test]
fn a_failing_helper_of_all_hosts_is_one_warning() {
    let dir = tempfile::tempdir().unwrap();
    let config = r#"{"credsStore": "t"}"#;
    fs_err::write(dir.path().join("config.json"), config).unwrap();
    let places = CredentialPlaces {
        docker_config: Some(dir.path().to_owned()),
        path: Some(dir.path().as_os_str().to_owned()),
        ..CredentialPlaces::default()
    };
    let heard = Heard::default();
    let ask = || {
        let credentials = Credentials::load(places.clone(), &heard).unwrap();
        for repository in ["h.example/x", "h.example/y"] {
            let found = credentials.find(&repository.parse().unwrap(), &heard);
            assert!(found.unwrap().is_none());
        }
        std::mem::take(&mut *heard.0.lock().unwrap())
    };
    assert_eq!(ask(), Vec::<String>::new(), "not on this machine");
    let helper = dir.path().join("docker-credential-t");
    fs_err::write(&helper, "#!/bin/sh\necho s3cret\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs_err::set_permissions(&helper, mode).unwrap();
    let warnings = ask();
    let [warning] = warnings.as_slice() else {
        panic!("{warnings:?}");
    };
    for part in ["docker-credential-t", "h.example", "is no JSON"] {
        assert!(warning.contains(part), "{warning}");
    }
    assert!(!warning.contains("s3cret"), "{warning}");
}
