//! PEM, RFC 7468: certificates and private keys between `-----BEGIN` and `-----END` lines. Pure.
//!
//! Stricter than common readers, which ignore a damaged block: all blocks of a text must be valid.

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{TextError, decode};

/// Label of a certificate.
const CERTIFICATE: &str = "CERTIFICATE";
/// Labels of private keys end with it.
const PRIVATE_KEY: &str = "PRIVATE KEY";
/// Label of a private key with a passphrase (PKCS #8).
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// Error of a text that is not the expected PEM. No variant contains any of it; blocks count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// The bytes are not text.
    #[error("{0}")]
    Text(#[source] TextError),
    /// The text ends, or the next block begins, inside of a block.
    #[error("block {0} is cut: its -----END line is missing; copy it whole")]
    Cut(usize),
    /// The content of a block is not base64.
    #[error("block {0} is damaged: it is not base64; copy it whole")]
    Damaged(usize),
    /// There is no certificate.
    #[error("there is no certificate: store PEM, starting at -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// There is no private key.
    #[error(
        "there is no private key: store PKCS #8 without a passphrase, starting at -----BEGIN PRIVATE KEY-----"
    )]
    NoPrivateKey,
    /// The private key has a passphrase.
    #[error("the private key is encrypted: store it without a passphrase (openssl pkey -in FILE -out FILE)")]
    Encrypted,
    /// There is a private key where only certificates are allowed.
    #[error("block {0} is a private key: keep certificates only")]
    UnwantedKey(usize),
}

/// Private key in its original encoding.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey {
    /// Encoding of the key.
    pub form: KeyForm,
    /// Encoded key. Zeroed when dropped.
    pub der: Zeroizing<Vec<u8>>,
}

/// Encoding of a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// PKCS #8, `PRIVATE KEY`.
    Pkcs8,
    /// PKCS #1, `RSA PRIVATE KEY`.
    Rsa,
    /// SEC 1, `EC PRIVATE KEY`.
    Ec,
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateKey").field("form", &self.form).finish_non_exhaustive()
    }
}

/// Reads every certificate of a text, in order; ignores blocks of other kinds.
///
/// # Errors
/// [`PemError`] when there is none, or when any block is damaged.
pub fn certificates(bytes: &[u8]) -> Result<Vec<Vec<u8>>, PemError> {
    let blocks = blocks(bytes)?.into_iter().filter(|block| block.label == CERTIFICATE);
    let found: Vec<Vec<u8>> = blocks.map(|block| block.der.to_vec()).collect();
    if found.is_empty() { Err(PemError::NoCertificate) } else { Ok(found) }
}

/// Reads the certificates of a text that must hold no private key, such as a CA bundle that others may read.
///
/// # Errors
/// [`PemError`], also for a private key.
pub fn public_certificates(bytes: &[u8]) -> Result<Vec<Vec<u8>>, PemError> {
    let key = blocks(bytes)?.iter().position(|block| block.label.ends_with(PRIVATE_KEY));
    key.map_or_else(|| certificates(bytes), |index| Err(PemError::UnwantedKey(index + 1)))
}

/// Reads the first private key of a text: some tools write the curve's parameters before it.
///
/// # Errors
/// [`PemError`] when there is none, when it has a passphrase, or when any block is damaged.
pub fn private_key(bytes: &[u8]) -> Result<PrivateKey, PemError> {
    let blocks = blocks(bytes)?.into_iter();
    let block = blocks.into_iter().find(|block| block.label.ends_with(PRIVATE_KEY));
    let block = block.ok_or(PemError::NoPrivateKey)?;
    let form = match block.label {
        _ if block.encrypted => return Err(PemError::Encrypted),
        PRIVATE_KEY => KeyForm::Pkcs8,
        "RSA PRIVATE KEY" => KeyForm::Rsa,
        "EC PRIVATE KEY" => KeyForm::Ec,
        // An algorithm that TLS libraries do not use for signatures, such as DSA.
        _ => return Err(PemError::NoPrivateKey),
    };
    Ok(PrivateKey { form, der: block.der })
}

struct Block<'a> {
    label: &'a str,
    encrypted: bool,
    der: Zeroizing<Vec<u8>>,
}

/// Reads every block. Text outside of blocks is commentary (RFC 7468 §2).
fn blocks(bytes: &[u8]) -> Result<Vec<Block<'_>>, PemError> {
    let text = decode(bytes).map_err(PemError::Text)?;
    let mut lines = text.split(['\n', '\r']).map(str::trim_ascii);
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(label) = marked(line, "-----BEGIN ") {
            found.push(block(label, &mut lines, found.len() + 1)?);
        }
    }
    Ok(found)
}

fn block<'a>(
    label: &'a str,
    lines: &mut impl Iterator<Item = &'a str>,
    number: usize,
) -> Result<Block<'a>, PemError> {
    let mut digits = Zeroizing::new(Vec::with_capacity(4096));
    let mut encrypted = label == ENCRYPTED;
    loop {
        let line = lines.next().ok_or(PemError::Cut(number))?;
        if line.starts_with("-----") {
            if marked(line, "-----END ") != Some(label) {
                return Err(PemError::Cut(number));
            }
            break;
        }
        // Older tools write headers into the block (RFC 1421 §4.6), whose names end with a colon.
        if line.contains(':') {
            encrypted |= line.starts_with("Proc-Type:") && line.ends_with("ENCRYPTED");
        } else {
            digits.extend(line.bytes().filter(|byte| !byte.is_ascii_whitespace()));
        }
    }
    // An encrypted block is not decoded: its headers may span lines, which are not base64.
    let der = if encrypted {
        Vec::new()
    } else {
        STANDARD.decode(&*digits).map_err(|_| PemError::Damaged(number))?
    };
    Ok(Block { label, encrypted, der: Zeroizing::new(der) })
}

fn marked<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    line.strip_prefix(mark)?.strip_suffix("-----")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pem(label: &str, der: &[u8]) -> String {
        let digits = STANDARD.encode(der);
        let lines: Vec<&str> =
            digits.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    }

    #[test]
    fn certificates_are_read_in_order_with_commentary() {
        let (one, two) = (pem(CERTIFICATE, &[1; 60]), pem(CERTIFICATE, &[2; 60]));
        let text =
            format!("\u{feff}subject=CN = a\r\n{one}issuer: b\n{}{two}", pem("EC PARAMETERS", &[3; 8]));
        assert_eq!(certificates(text.as_bytes()), Ok(vec![vec![1; 60], vec![2; 60]]));
        assert_eq!(certificates(text.replace('\n', "\r\n").as_bytes()), Ok(vec![vec![1; 60], vec![2; 60]]));
        assert_eq!(certificates(b"hello"), Err(PemError::NoCertificate));
    }

    #[test]
    fn damaged_block_is_named_by_its_number() {
        let good = pem(CERTIFICATE, &[1; 60]);
        let cut = &good[..good.len() - 30];
        let damaged = good.replacen("AQ", "?Q", 1);
        assert_eq!(certificates(format!("{good}{damaged}").as_bytes()), Err(PemError::Damaged(2)));
        assert_eq!(certificates(format!("{good}{cut}").as_bytes()), Err(PemError::Cut(2)));
        assert_eq!(certificates(format!("{cut}\n{good}").as_bytes()), Err(PemError::Cut(1)));
        let doubled = good.replacen("-----BEGIN", "-----BEGIN CERTIFICATE-----\n-----BEGIN", 1);
        assert_eq!(certificates(doubled.as_bytes()), Err(PemError::Cut(1)));
    }

    #[test]
    fn private_keys_are_distinguished_by_encoding() {
        for (label, form) in [
            ("PRIVATE KEY", KeyForm::Pkcs8),
            ("RSA PRIVATE KEY", KeyForm::Rsa),
            ("EC PRIVATE KEY", KeyForm::Ec),
        ] {
            let text = pem("EC PARAMETERS", &[3; 8]) + &pem(label, &[7; 40]);
            let key = private_key(text.as_bytes()).unwrap();
            assert_eq!((key.form, key.der.as_slice()), (form, [7; 40].as_slice()));
            assert!(!format!("{key:?}").contains('7'));
            assert_eq!(public_certificates(text.as_bytes()), Err(PemError::UnwantedKey(2)));
        }
        assert_eq!(private_key(pem(CERTIFICATE, &[1; 9]).as_bytes()), Err(PemError::NoPrivateKey));
    }

    #[test]
    fn encrypted_private_keys_are_refused() {
        let new = pem(ENCRYPTED, &[7; 40]);
        let old = pem("EC PRIVATE KEY", &[7; 40]).replacen(
            "KEY-----\n",
            "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00FF\n\n",
            1,
        );
        for text in [new, old] {
            assert_eq!(private_key(text.as_bytes()), Err(PemError::Encrypted), "{text}");
        }
    }

    #[test]
    fn headers_of_a_key_that_is_not_encrypted_are_read() {
        for header in ["Proc-Type: 4,MIC-CLEAR", "Comment: ENCRYPTED"] {
            let text =
                pem("EC PRIVATE KEY", &[7; 40]).replacen("KEY-----\n", &format!("KEY-----\n{header}\n"), 1);
            assert_eq!(private_key(text.as_bytes()).unwrap().der.as_slice(), [7; 40], "{header}");
        }
    }

    proptest! {
        #[test]
        fn encoded_pem_is_read_back(contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 1..4)) {
            let text: String = contents.iter().map(|der| pem(CERTIFICATE, der)).collect();
            prop_assert_eq!(certificates(text.as_bytes()), Ok(contents));
        }
    }
}
