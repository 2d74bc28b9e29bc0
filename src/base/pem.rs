//! Certificates in PEM files (RFC 7468).

use base64::Engine as _;

use super::deb::AssembleError;

/// Bytes of a bundle; Mozilla's has 230 kB.
pub(super) const MAX_BUNDLE: u64 = 16 << 20;

/// The certificates of a PEM file as DER, in their order.
///
/// # Errors
/// BASE-CERT for a private key, for anything that is no certificate, and for none at all.
pub(super) fn parse(name: &str, pem: &[u8]) -> Result<Vec<Vec<u8>>, AssembleError> {
    let wrong = |problem: &str| AssembleError::Certificate {
        file: name.to_owned(),
        problem: problem.to_owned(),
    };
    if pem.len() as u64 > MAX_BUNDLE {
        return Err(wrong("it has more than 16 MiB"));
    }
    let text = String::from_utf8_lossy(pem);
    // Also where it is encrypted, or broken: nobody wants that in an image.
    if text.contains("PRIVATE KEY-----") {
        return Err(AssembleError::PrivateKey {
            file: name.to_owned(),
        });
    }
    let mut certificates = Vec::new();
    for block in blocks(&text) {
        let block = block.map_err(wrong)?;
        certificates.push(block);
    }
    if certificates.is_empty() {
        return Err(wrong("it holds no certificate in PEM form"));
    }
    Ok(certificates)
}

/// The blocks of a PEM text (RFC 7468); what lies between them is commentary.
pub(super) fn blocks(text: &str) -> impl Iterator<Item = Result<Vec<u8>, &'static str>> + '_ {
    let mut lines = text.lines().map(str::trim);
    std::iter::from_fn(move || {
        let label = lines.find_map(|line| {
            let rest = line.strip_prefix("-----BEGIN ")?;
            rest.strip_suffix("-----")
        })?;
        let mut base64 = String::new();
        loop {
            match lines.next() {
                None => return Some(Err("a block in it has no end")),
                Some(line) if line.starts_with("-----END ") => break,
                Some(line) => base64.push_str(line),
            }
        }
        if !matches!(label, "CERTIFICATE" | "X509 CERTIFICATE") {
            return Some(Err("a block in it is no certificate"));
        }
        let der = base64::engine::general_purpose::STANDARD.decode(base64);
        Some(match der {
            Ok(der) if is_certificate(&der) => Ok(der),
            _ => Err("a certificate in it is damaged"),
        })
    })
}

/// A DER certificate as PEM.
pub(super) fn encode(der: &[u8]) -> String {
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// Whether bytes have the outline of a certificate: a sequence of two sequences and a bit string
/// (RFC 5280, 4.1), and nothing else.
fn is_certificate(der: &[u8]) -> bool {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    let parts = || -> Option<[u8; 3]> {
        let (tag, content, rest) = element(der)?;
        if tag != SEQUENCE || !rest.is_empty() {
            return None;
        }
        let (first, _, rest) = element(content)?;
        let (second, _, rest) = element(rest)?;
        let (third, _, rest) = element(rest)?;
        rest.is_empty().then_some([first, second, third])
    };
    parts() == Some([SEQUENCE, SEQUENCE, BIT_STRING])
}

/// The first element of DER: its tag, its content, what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if first & 0x80 == 0 {
        (usize::from(*first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if !(1..=4).contains(&count) {
            return None;
        }
        let (digits, rest) = rest.split_at_checked(count)?;
        let length = digits
            .iter()
            .fold(0, |length, digit| length << 8 | usize::from(*digit));
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Coded as _;

    fn real() -> Vec<u8> {
        webpki_root_certs::TLS_SERVER_ROOT_CERTS[0].to_vec()
    }

    #[test]
    fn reads_certificates_between_commentary() {
        let (first, second) = (real(), webpki_root_certs::TLS_SERVER_ROOT_CERTS[1].to_vec());
        let text = format!(
            "# Company\r\n{}\nSubject: x\n{}",
            encode(&first).replace('\n', "\r\n"),
            encode(&second)
        );
        assert_eq!(parse("x.pem", text.as_bytes()).unwrap(), [first, second]);
    }

    #[test]
    fn refuses_what_is_no_certificate() {
        let pem = encode(&real());
        let key = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n";
        let short = encode(&real()[..500]);
        let mut longer = real();
        longer.push(0);
        for (text, problem) in [
            (
                String::new(),
                "corp.pem: it holds no certificate in PEM form",
            ),
            (
                pem.replace(" CERTIFICATE", " PUBLIC KEY"),
                "corp.pem: a block in it is no certificate",
            ),
            (
                pem.replace("-----END CERTIFICATE-----", ""),
                "corp.pem: a block in it has no end",
            ),
            (
                pem.replace('M', "?"),
                "corp.pem: a certificate in it is damaged",
            ),
            (short, "corp.pem: a certificate in it is damaged"),
            (encode(&longer), "corp.pem: a certificate in it is damaged"),
            (
                format!("{pem}{key}"),
                "corp.pem holds a private key, which an image must never hold",
            ),
        ] {
            let error = parse("corp.pem", text.as_bytes()).unwrap_err();
            assert_eq!(
                (error.to_string().as_str(), error.code()),
                (problem, "BASE-CERT")
            );
        }
    }
}
