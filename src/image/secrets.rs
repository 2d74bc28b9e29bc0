//! Names of files that usually hold secrets.

/// Whole names.
const NAMES: [&str; 18] = [
    ".dockercfg",
    ".dockerconfigjson",
    ".env",
    ".git-credentials",
    ".htpasswd",
    ".netrc",
    ".npmrc",
    ".pgpass",
    ".pypirc",
    ".vault-token",
    "credentials.json",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "id_rsa",
    "kubeconfig",
    "secrets.yaml",
    "service-account.json",
];

/// Ends of names.
const ENDS: [&str; 7] = [".jks", ".kdbx", ".key", ".keystore", ".p12", ".pfx", ".pem"];

/// Ends of paths: the same names mean nothing elsewhere.
const PATHS: [&str; 4] = [
    ".aws/credentials",
    ".docker/config.json",
    ".kube/config",
    "gcloud/application_default_credentials.json",
];

/// Words in the name of a `.pem` that hold public certificates.
const PUBLIC: [&str; 6] = ["ca", "cacert", "cert", "chain", "public", "pub"];

/// Whether a path looks like a file with secrets, by its name alone.
pub(super) fn looks_secret(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    if NAMES.contains(&name.as_str()) || PATHS.iter().any(|end| ends_with_path(path, end)) {
        return true;
    }
    if let Some(kind) = name.strip_prefix(".env.") {
        // `.env.example` shows which variables exist.
        let sample = [
            "example", "sample", "template", "dist", "defaults", "schema",
        ];
        return !sample.iter().any(|word| kind.ends_with(word));
    }
    if let Some(stem) = name.strip_suffix(".pem") {
        let mut words = stem.split(|c: char| !c.is_ascii_alphanumeric());
        return !words.any(|word| PUBLIC.contains(&word) || word.ends_with("cert"));
    }
    ENDS.iter().any(|end| name.ends_with(end) && name != *end)
}

fn ends_with_path(path: &str, end: &str) -> bool {
    path.strip_suffix(end)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        for (path, secret) in [
            ("app/.env", true),
            ("app/.env.production", true),
            ("app/.env.example", false),
            ("app/.envrc.go", false),
            ("root/.ssh/id_rsa", true),
            ("app/id_rsa.pub", false),
            ("app/server.key", true),
            ("app/key", false),
            ("app/private.pem", true),
            ("app/certifi/cacert.pem", false),
            ("etc/ssl/ca-bundle.pem", false),
            ("app/.docker/config.json", true),
            ("app/config.json", false),
            ("app/KEYSTORE.JKS", true),
        ] {
            assert_eq!(looks_secret(path), secret, "{path}");
        }
    }
}
