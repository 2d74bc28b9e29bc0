//! The certificates that are trusted.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_native_certs::load_certs_from_paths;

use super::{NetError, NetSettings};

/// Where distributions keep the bundle; the first that exists is read. The crate's own search
/// would read the environment, and the whole folder of single files besides.
const SYSTEM_BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
];

/// `SSL_CERT_FILE` and `SSL_CERT_DIR`, else the system's bundle, else the built-in roots;
/// the `--ca-file`s are added to each.
pub(super) fn load(settings: &NetSettings) -> Result<RootCertStore, NetError> {
    let mut store = RootCertStore::empty();
    let named = settings.ssl_cert_file.is_some() || settings.ssl_cert_dir.is_some();
    if let Some(file) = &settings.ssl_cert_file {
        add_file(&mut store, file)?;
    }
    if let Some(dir) = &settings.ssl_cert_dir {
        // A folder of certificates holds other files too; those that are none are skipped.
        let found = load_certs_from_paths(None, Some(dir));
        store.add_parsable_certificates(found.certs);
        if store.is_empty() {
            return Err(NetError::NoCertificate { path: dir.clone() });
        }
    }
    if !named {
        store.add_parsable_certificates(system());
    }
    if store.is_empty() {
        store.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    }
    for file in &settings.ca_files {
        add_file(&mut store, file)?;
    }
    Ok(store)
}

fn system() -> Vec<CertificateDer<'static>> {
    SYSTEM_BUNDLES
        .iter()
        .map(Path::new)
        .find(|path| path.is_file())
        .map(|path| load_certs_from_paths(Some(path), None).certs)
        .unwrap_or_default()
}

/// Adds every certificate of a file that the user named: a bad one must not be passed over, since
/// the failure would show up as an unknown authority much later.
fn add_file(store: &mut RootCertStore, path: &Path) -> Result<(), NetError> {
    let bytes = fs_err::read(path).map_err(|source| NetError::CertificateFile {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|source| bad(path, source))?;
        store.add(certificate).map_err(|source| bad(path, source))?;
        count += 1;
    }
    if count == 0 {
        return Err(NetError::NoCertificate {
            path: PathBuf::from(path),
        });
    }
    Ok(())
}

fn bad(path: &Path, source: impl std::error::Error + Send + Sync + 'static) -> NetError {
    NetError::CertificateFile {
        path: path.to_owned(),
        source: Box::new(source),
    }
}
