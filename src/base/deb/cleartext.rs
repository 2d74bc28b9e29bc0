//! Texts with OpenPGP signatures around them (RFC 9580, 7): only what was signed comes out.
//!
//! The frame is taken apart here and strictly, so that what is hashed and what is read are the
//! same lines: nothing before, between or after the parts, no second message, no unescaped dash.

use pgp::composed::{Deserializable, DetachedSignature};
use pgp::packet::{Signature, SignatureType, SubpacketData};

use super::keys::{Keyring, Unfit, issuer, made, strong};

const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
const END: &str = "-----END PGP SIGNATURE-----";
/// Debian has three.
const SIGNATURES: usize = 32;
/// Seconds by which clocks may differ.
const SKEW: i64 = 3600;

/// A text whose signature was found good.
#[derive(Debug)]
pub(super) struct Verified {
    /// Exactly the lines that were signed.
    pub(super) text: String,
    /// Fingerprints of the keys whose signatures were good, sorted.
    pub(super) signed_by: Vec<String>,
}

/// Why a text is not believed, and the keys that its signatures name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Disbelief {
    pub(super) why: String,
    pub(super) seen: Vec<String>,
}

/// The signed lines and the armor with the signatures.
struct Parts<'a> {
    lines: Vec<&'a str>,
    armor: String,
}

/// The text of a signed message: at least one good signature of a key of the ring, and none of a
/// key of the ring that is bad. Signatures of other keys are ignored, as apt does.
pub(super) fn verify(message: &[u8], ring: &Keyring, now: i64) -> Result<Verified, Disbelief> {
    let unsigned = |why: &str| Disbelief {
        why: format!("it is no signed text: {why}"),
        seen: Vec::new(),
    };
    let message = std::str::from_utf8(message).map_err(|_binary| unsigned("it is not UTF-8"))?;
    let parts = split(message).map_err(unsigned)?;
    let signatures = signatures(&parts.armor).map_err(|why| unsigned(&why))?;
    let signed = parts.lines.join("\r\n");
    let mut signed_by = Vec::new();
    let mut seen = Vec::new();
    for signature in &signatures {
        let name = issuer(signature);
        match judge(signature, signed.as_bytes(), ring, now) {
            Judgement::Good(fingerprint) => signed_by.push(fingerprint),
            Judgement::Ignored(why) => seen.push(format!("{name} ({why})")),
            Judgement::Bad(why) => {
                seen.push(format!("{name} ({why})"));
                return Err(Disbelief {
                    why: format!("the signature of {name} is bad: the text was altered"),
                    seen,
                });
            }
        }
    }
    if signed_by.is_empty() {
        let why = format!("it has no good signature of {}", ring.name);
        return Err(Disbelief { why, seen });
    }
    signed_by.sort();
    signed_by.dedup();
    let text = parts.lines.join("\n");
    Ok(Verified { text, signed_by })
}

enum Judgement {
    Good(String),
    Ignored(String),
    Bad(String),
}

fn judge(signature: &Signature, text: &[u8], ring: &Keyring, now: i64) -> Judgement {
    let Some(key) = ring.find(signature) else {
        return Judgement::Ignored("unknown key".to_owned());
    };
    if !matches!(
        signature.typ(),
        Some(SignatureType::Text | SignatureType::Binary)
    ) {
        return Judgement::Bad("not a signature of a text".to_owned());
    }
    if !strong(signature) {
        return Judgement::Ignored("the hash is weak".to_owned());
    }
    match key.verify(signature, text) {
        Ok(()) => {}
        Err(pgp::errors::Error::Unsupported { message, .. }) => {
            return Judgement::Ignored(message);
        }
        Err(error) => return Judgement::Bad(error.to_string()),
    }
    let made = made(signature);
    let ended = signature
        .signature_expiration_time()
        .map(|time| i64::from(time.as_secs()))
        .filter(|seconds| *seconds > 0)
        .is_some_and(|seconds| made + seconds <= now);
    let why = match key.unfit(made, now) {
        Some(Unfit::Expired) => "the key has expired",
        Some(Unfit::Revoked) => "the key is revoked",
        Some(Unfit::NotForSigning) => "the key is not for signing",
        Some(Unfit::Younger) => "the key is younger than the signature",
        None if has_unknown_rules(signature) => "it has rules that are not known here",
        None if made == 0 => "the signature has no date",
        None if made > now.saturating_add(SKEW) => "the signature is from the future",
        None if ended => "the signature has expired",
        None => return Judgement::Good(key.fingerprint()),
    };
    Judgement::Ignored(why.to_owned())
}

/// A part that must be understood (RFC 9580, 5.2.3.7) and is not.
fn has_unknown_rules(signature: &Signature) -> bool {
    signature.config().is_none_or(|config| {
        config.hashed_subpackets().any(|part| {
            let known = !matches!(
                part.data,
                SubpacketData::Other(..)
                    | SubpacketData::Experimental(..)
                    | SubpacketData::Notation(_)
            );
            part.is_critical && !known
        })
    })
}

fn split(message: &str) -> Result<Parts<'_>, &'static str> {
    if message.contains('\0') {
        return Err("it has NUL bytes");
    }
    let mut lines = message
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line));
    if lines.next() != Some(BEGIN) {
        return Err("it does not begin with the frame of one");
    }
    for line in lines.by_ref() {
        if line.is_empty() {
            break;
        }
        if !line.starts_with("Hash: ") {
            return Err("it has a header that is not Hash");
        }
    }
    let mut signed = Vec::new();
    loop {
        let line = lines.next().ok_or("it has no signature")?;
        if line == SIGNATURE {
            break;
        }
        let line = match line.strip_prefix("- ") {
            Some(rest) => rest,
            None if line.starts_with('-') => return Err("it has a line that begins with a dash"),
            None => line,
        };
        if line.contains('\r') {
            // Hashed as an end of line, but not read as one.
            return Err("it has a carriage return within a line");
        }
        // Blanks at the end of a line are not part of what is signed; they are not read either.
        signed.push(line.trim_end_matches([' ', '\t']));
    }
    let mut armor = format!("{SIGNATURE}\n");
    loop {
        let line = lines.next().ok_or("its signature has no end")?;
        armor.push_str(line);
        armor.push('\n');
        if line == END {
            break;
        }
        if line.starts_with('-') {
            return Err("there is a second frame in its signature");
        }
    }
    if lines.any(|line| !line.trim().is_empty()) {
        return Err("something follows its signature");
    }
    Ok(Parts {
        lines: signed,
        armor,
    })
}

fn signatures(armor: &str) -> Result<Vec<Signature>, String> {
    let (found, _) = DetachedSignature::from_armor_many_buf(armor.as_bytes())
        .map_err(|error| format!("the signature can't be read: {error}"))?;
    let mut signatures = Vec::new();
    for signature in found {
        match signature {
            Ok(found) => signatures.push(found.signature),
            // Of a kind that is to come: as good as one of an unknown key.
            Err(pgp::errors::Error::Unsupported { .. }) => {}
            Err(error) => return Err(format!("the signature can't be read: {error}")),
        }
        if signatures.len() > SIGNATURES {
            return Err("it has too many signatures".to_owned());
        }
    }
    Ok(signatures)
}
