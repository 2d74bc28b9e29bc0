//! Throw-away keys that sign as Debian's do.

use pgp::composed::{
    ArmorOptions, KeyType, SecretKeyParamsBuilder, SignedKeyDetails, SignedPublicKey,
    SignedSecretKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{KeyFlags, Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::ser::Serialize as _;
use pgp::types::{Duration, KeyDetails as _, Password, SignedUser, Tag, Timestamp};

use super::NOW;

/// When the keys are made.
pub(crate) const MADE: i64 = NOW - 30 * 86_400;

/// A key with its certificate.
pub(crate) struct Signer {
    secret: SignedSecretKey,
    certificate: SignedPublicKey,
}

/// What a certificate says of its key.
#[derive(Clone, Copy, Default)]
pub(crate) struct Says {
    /// Seconds after which it expires.
    pub(crate) lifetime: Option<u32>,
    pub(crate) revoked: bool,
    pub(crate) no_signing: bool,
}

impl Signer {
    pub(crate) fn new(name: &str) -> Self {
        Self::that(name, Says::default())
    }

    pub(crate) fn that(name: &str, says: Says) -> Self {
        let secret = SecretKeyParamsBuilder::default()
            .key_type(KeyType::Ed25519Legacy)
            .can_sign(true)
            .can_certify(true)
            .created_at(timestamp(MADE))
            .primary_user_id(format!("{name} <{name}@example.com>"))
            .build()
            .expect("parameters")
            .generate(rand::thread_rng())
            .expect("a key");
        let key = &secret.primary_key;
        let public = secret.to_public_key().primary_key;
        let id = secret.details.users[0].id.clone();
        let mut flags = KeyFlags::default();
        flags.set_certify(true);
        flags.set_sign(!says.no_signing);
        let mut parts = vec![SubpacketData::KeyFlags(flags)];
        if let Some(seconds) = says.lifetime {
            parts.push(SubpacketData::KeyExpirationTime(Duration::from_secs(
                seconds,
            )));
        }
        let config = secret.config(SignatureType::CertPositive, MADE, parts);
        let own = config
            .sign_certification(key, &public, &Password::empty(), Tag::UserId, &id)
            .expect("a certification");
        let mut revocations = Vec::new();
        if says.revoked {
            let config = secret.config(SignatureType::KeyRevocation, MADE, Vec::new());
            let revocation = config.sign_key(key, &Password::empty(), &public);
            revocations.push(revocation.expect("a revocation"));
        }
        let users = vec![SignedUser::new(id, vec![own])];
        let details = SignedKeyDetails::new(revocations, Vec::new(), users, Vec::new());
        let certificate = SignedPublicKey::new(public, details, Vec::new());
        Self {
            secret,
            certificate,
        }
    }

    /// The certificate as `gpg --export` writes it.
    pub(crate) fn exported(&self) -> Vec<u8> {
        self.certificate.to_bytes().expect("bytes")
    }

    pub(crate) fn armored(&self) -> String {
        let armored = self.certificate.to_armored_string(ArmorOptions::default());
        armored.expect("armor")
    }

    /// Upper-case hex, as messages show it.
    pub(crate) fn fingerprint(&self) -> String {
        format!("{:X}", self.secret.primary_key.fingerprint())
    }

    /// A signature of a text in canonical form.
    pub(crate) fn signature(&self, text: &str) -> Signature {
        self.signature_with(text, NOW - 3600, Vec::new())
    }

    pub(crate) fn signature_with(
        &self,
        text: &str,
        made: i64,
        parts: Vec<SubpacketData>,
    ) -> Signature {
        let config = self.secret.config(SignatureType::Text, made, parts);
        let canonical = text.replace('\n', "\r\n");
        let signed = config.sign(
            &self.secret.primary_key,
            &Password::empty(),
            canonical.as_bytes(),
        );
        signed.expect("a signature")
    }
}

trait Config {
    fn config(&self, typ: SignatureType, made: i64, parts: Vec<SubpacketData>) -> SignatureConfig;
}

impl Config for SignedSecretKey {
    fn config(&self, typ: SignatureType, made: i64, parts: Vec<SubpacketData>) -> SignatureConfig {
        let key = &self.primary_key;
        let mut config = SignatureConfig::v4(typ, key.algorithm(), HashAlgorithm::Sha256);
        let parts = [
            SubpacketData::SignatureCreationTime(timestamp(made)),
            SubpacketData::IssuerFingerprint(key.fingerprint()),
        ]
        .into_iter()
        .chain(parts);
        config.hashed_subpackets = parts
            .map(|data| Subpacket::regular(data).expect("a part"))
            .collect();
        config
    }
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_secs(u32::try_from(seconds).expect("a time"))
}

/// The text in its frame, as InRelease files are.
pub(crate) fn framed(text: &str, signatures: &[Signature]) -> String {
    struct Several<'a>(&'a [Signature]);
    impl pgp::ser::Serialize for Several<'_> {
        fn to_writer<W: std::io::Write>(&self, writer: &mut W) -> pgp::errors::Result<()> {
            use pgp::packet::PacketTrait as _;
            self.0
                .iter()
                .try_for_each(|one| one.to_writer_with_header(writer))
        }
        fn write_len(&self) -> usize {
            use pgp::packet::PacketTrait;
            self.0.iter().map(PacketTrait::write_len_with_header).sum()
        }
    }
    let mut armor = Vec::new();
    let kind = pgp::armor::BlockType::Signature;
    pgp::armor::write(&Several(signatures), kind, &mut armor, None, true).expect("armor");
    let armor = String::from_utf8(armor).expect("text");
    format!("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{text}\n{armor}")
}
