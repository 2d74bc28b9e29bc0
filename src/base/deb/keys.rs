//! Keys that may sign for a mirror.
//!
//! rpgp checks signatures and nothing else: whether a key is bound, expired, revoked or meant for
//! signing is checked here (RFC 9580, 5.2.3 and 10.1).

use std::path::{Path, PathBuf};

use pgp::composed::{Deserializable, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{PublicKey, PublicSubkey, Signature, SignatureType};
use pgp::types::{Fingerprint, KeyDetails, KeyId, Tag};

use super::error::DebError;

/// The archive keys of Debian 12 and 13 (docs/decisions/0008-debian-trust.md).
const DEBIAN: &[u8] = include_bytes!("debian-archive.gpg");
/// A keyring larger than this is none: Debian's whole history has 130 kB.
const KEYRING_LIMIT: u64 = 4 << 20;

/// A key, primary or subkey, with what its owner says about it.
#[derive(Debug)]
pub(super) struct Key {
    print: Fingerprint,
    id: KeyId,
    material: Material,
    created: i64,
    expires: Option<i64>,
    revoked: bool,
    signs: bool,
}

#[derive(Debug)]
enum Material {
    Primary(Box<PublicKey>),
    Subkey(Box<PublicSubkey>),
}

/// Why a key's good signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    Expired,
    Revoked,
    NotForSigning,
    Younger,
}

impl Key {
    /// Its fingerprint in upper-case hex.
    pub(super) fn fingerprint(&self) -> String {
        hex(self.print.as_bytes())
    }

    /// Whether the text was signed with this key.
    pub(super) fn verify(&self, signature: &Signature, text: &[u8]) -> pgp::errors::Result<()> {
        match &self.material {
            Material::Primary(key) => signature.verify(&**key, text),
            Material::Subkey(key) => signature.verify(&**key, text),
        }
    }

    /// Why a signature made at `made` does not count at `now`.
    pub(super) fn unfit(&self, made: i64, now: i64) -> Option<Unfit> {
        if self.revoked {
            Some(Unfit::Revoked)
        } else if self.expires.is_some_and(|end| end <= now || end <= made) {
            Some(Unfit::Expired)
        } else if !self.signs {
            Some(Unfit::NotForSigning)
        } else if made < self.created {
            Some(Unfit::Younger)
        } else {
            None
        }
    }
}

/// Keys, and what to call them in messages.
///
/// What a certificate says of its keys is checked when one of them has signed: a keyring has
/// dozens of signatures, a message three.
#[derive(Debug)]
pub(super) struct Keyring {
    pub(super) certificates: Vec<SignedPublicKey>,
    pub(super) name: String,
}

impl Keyring {
    /// The keys of these files, or Debian's own where none is named.
    ///
    /// # Errors
    /// BASE-KEYRING.
    pub(super) fn load(files: &[PathBuf]) -> Result<Self, DebError> {
        if files.is_empty() {
            let built_in = Path::new("(built in)");
            return Ok(Self {
                certificates: read(DEBIAN).map_err(|why| bad(built_in, why))?,
                name: "Debian's archive keys".to_owned(),
            });
        }
        let mut certificates = Vec::new();
        for file in files {
            certificates.extend(read_file(file)?);
        }
        let names: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
        Ok(Self {
            certificates,
            name: names.join(", "),
        })
    }

    /// The key that a signature names, as far as its certificate binds it.
    pub(super) fn find(&self, signature: &Signature) -> Option<Key> {
        let prints = signature.issuer_fingerprint();
        let ids = signature.issuer_key_id();
        let named = |print: &Fingerprint, id: &KeyId| prints.contains(&print) || ids.contains(&id);
        self.certificates
            .iter()
            .filter(|certificate| {
                let primary = &certificate.primary_key;
                let subkeys = &certificate.public_subkeys;
                named(&primary.fingerprint(), &primary.legacy_key_id())
                    || subkeys
                        .iter()
                        .any(|sub| named(&sub.key.fingerprint(), &sub.key.legacy_key_id()))
            })
            .flat_map(keys_of)
            .find(|key| named(&key.print, &key.id))
    }
}

/// The id by which a signature names its key.
pub(super) fn issuer(signature: &Signature) -> String {
    let print = signature
        .issuer_fingerprint()
        .first()
        .map(|p| hex(p.as_bytes()));
    let id = || signature.issuer_key_id().first().map(|id| hex(id.as_ref()));
    print
        .or_else(id)
        .unwrap_or_else(|| "(no key id)".to_owned())
}

fn read_file(path: &Path) -> Result<Vec<SignedPublicKey>, DebError> {
    let size = fs_err::metadata(path)
        .map_err(|error| bad(path, error.to_string()))?
        .len();
    if size > KEYRING_LIMIT {
        return Err(bad(path, format!("it has {size} bytes")));
    }
    let bytes = fs_err::read(path).map_err(|error| bad(path, error.to_string()))?;
    read(&bytes).map_err(|why| bad(path, why))
}

fn bad(path: &Path, why: String) -> DebError {
    DebError::Keyring {
        path: path.to_owned(),
        why,
    }
}

fn read(bytes: &[u8]) -> Result<Vec<SignedPublicKey>, String> {
    let (found, _) =
        SignedPublicKey::from_reader_many_buf(bytes).map_err(|error| error.to_string())?;
    let mut certificates = Vec::new();
    for certificate in found {
        match certificate {
            Ok(certificate) => certificates.push(certificate),
            // A key of a kind that is not known yet says nothing about the others.
            Err(pgp::errors::Error::Unsupported { .. }) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    if certificates.is_empty() {
        return Err("it holds no public key".to_owned());
    }
    Ok(certificates)
}

/// The primary key and the subkeys of a certificate, as far as its own signatures bind them.
fn keys_of(certificate: &SignedPublicKey) -> Vec<Key> {
    let primary = &certificate.primary_key;
    let details = &certificate.details;
    let revoked = details
        .revocation_signatures
        .iter()
        .any(|signature| signature.verify_key(primary).is_ok());
    let direct = details.direct_signatures.iter().filter(|signature| {
        // Debian's say who may revoke, and nothing of what is asked here.
        let speaks = signature.key_expiration_time().is_some() || signature.key_flags().sign();
        speaks
            && strong(signature)
            && signature.typ() == Some(SignatureType::Key)
            && signature.verify_key(primary).is_ok()
    });
    let named = details.users.iter().filter_map(|user| {
        let valid: Vec<&Signature> = user
            .signatures
            .iter()
            .filter(|signature| {
                // Third parties may certify the name; what they say of the key does not count.
                strong(signature)
                    && by_primary(signature, primary)
                    && signature
                        .verify_certification(primary, Tag::UserId, &user.id)
                        .is_ok()
            })
            .collect();
        let newest = valid.iter().max_by_key(|signature| made(signature))?;
        (newest.typ() != Some(SignatureType::CertRevocation)).then_some(*newest)
    });
    let statements: Vec<&Signature> = direct.chain(named).collect();
    if statements.is_empty() {
        return Vec::new();
    }
    let created = i64::from(primary.created_at().as_secs());
    // The shortest of what is said: an old statement of another kind must not outlive a new one.
    let expires = statements.iter().filter_map(|s| end_of(s, created)).min();
    let mut keys = vec![Key {
        print: primary.fingerprint(),
        id: primary.legacy_key_id(),
        material: Material::Primary(Box::new(primary.clone())),
        created,
        expires,
        revoked,
        signs: statements.iter().any(|s| s.key_flags().sign()),
    }];
    for subkey in &certificate.public_subkeys {
        keys.extend(subkey_of(primary, subkey, expires, revoked));
    }
    keys
}

fn subkey_of(
    primary: &PublicKey,
    subkey: &SignedPublicSubKey,
    primary_expires: Option<i64>,
    primary_revoked: bool,
) -> Option<Key> {
    let valid: Vec<&Signature> = subkey
        .signatures
        .iter()
        .filter(|signature| {
            signature
                .verify_subkey_binding(primary, &subkey.key)
                .is_ok()
        })
        .collect();
    let revoked = valid
        .iter()
        .any(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation));
    let binding = valid
        .iter()
        .filter(|s| s.typ() == Some(SignatureType::SubkeyBinding) && strong(s))
        .max_by_key(|signature| made(signature))?;
    // A signing subkey must say itself that it belongs to the primary key: else anyone could bind
    // a foreign key to their own.
    let back = binding.embedded_signature().is_some_and(|back| {
        strong(back)
            && back
                .verify_primary_key_binding(&subkey.key, primary)
                .is_ok()
    });
    let created = i64::from(subkey.key.created_at().as_secs());
    let own = end_of(binding, created);
    Some(Key {
        print: subkey.key.fingerprint(),
        id: subkey.key.legacy_key_id(),
        material: Material::Subkey(Box::new(subkey.key.clone())),
        created,
        expires: own.into_iter().chain(primary_expires).min(),
        revoked: revoked || primary_revoked,
        signs: binding.key_flags().sign() && back,
    })
}

fn by_primary(signature: &Signature, primary: &PublicKey) -> bool {
    let print = primary.fingerprint();
    let id = primary.legacy_key_id();
    signature.issuer_fingerprint().contains(&&print) || signature.issuer_key_id().contains(&&id)
}

fn end_of(signature: &Signature, created: i64) -> Option<i64> {
    let seconds = signature.key_expiration_time()?.as_secs();
    // Zero means never (RFC 9580, 5.2.3.13).
    (seconds > 0).then(|| created + i64::from(seconds))
}

/// When a signature was made, in seconds since 1970; 0 when it does not say.
pub(super) fn made(signature: &Signature) -> i64 {
    signature
        .created()
        .map_or(0, |time| i64::from(time.as_secs()))
}

/// Whether the hash of a signature can be relied on: MD5, SHA-1 and RIPEMD-160 can't.
pub(super) fn strong(signature: &Signature) -> bool {
    matches!(
        signature.hash_alg(),
        Some(
            HashAlgorithm::Sha256
                | HashAlgorithm::Sha384
                | HashAlgorithm::Sha512
                | HashAlgorithm::Sha3_256
                | HashAlgorithm::Sha3_512
        )
    )
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String can't fail.
        let _infallible = write!(text, "{byte:02X}");
        text
    })
}
