//! Private keys with their public halves: made, read and written. Pure but for the randomness of key generation.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeyPair as RsaPair;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair,
};
use lanyard_crds::certificate::{KeyAlgorithm, PrivateKey};
use lanyard_protocol::text::pem::{self as read, KeyForm, PemError};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, RsaKeySize};
use zeroize::{Zeroize, Zeroizing};

use super::pem;

/// Kind of a device's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
}

impl KeyKind {
    /// Returns the requested kind; `None` for an unsupported size, which the schema refuses.
    #[must_use]
    pub fn requested(key: Option<&PrivateKey>) -> Option<Self> {
        let key = key.cloned().unwrap_or_default();
        match (key.algorithm.unwrap_or_default(), key.size) {
            (KeyAlgorithm::Ecdsa, None | Some(256)) => Some(Self::P256),
            (KeyAlgorithm::Ecdsa, Some(384)) => Some(Self::P384),
            (KeyAlgorithm::Rsa, None | Some(2048)) => Some(Self::Rsa2048),
            (KeyAlgorithm::Rsa, Some(3072)) => Some(Self::Rsa3072),
            (KeyAlgorithm::Rsa, Some(4096)) => Some(Self::Rsa4096),
            _ => None,
        }
    }

    /// Returns whether generating one takes a good part of a second, or seconds.
    #[must_use]
    pub const fn is_slow(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }
}

/// Error of a key pair.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum PairError {
    /// The text has none, or it has a passphrase, or a block is damaged.
    #[error("{0}")]
    Pem(#[source] PemError),
    /// The encoding is damaged, or the kind is not supported.
    #[error(
        "it is damaged or of a kind that Azure does not take: use ECDSA on P-256 or P-384, or RSA with 2048 to 4096 bits"
    )]
    Unreadable,
    /// The cryptographic library failed.
    #[error("the key could not be made")]
    Generation,
}

/// A private key with its public half. `Debug` shows nothing of it, and it is wiped when dropped.
pub struct Pair(KeyPair);

impl Pair {
    /// Generates a key pair. Slow for RSA: see [`KeyKind::is_slow`].
    ///
    /// # Errors
    /// [`PairError::Generation`].
    pub fn generate(kind: KeyKind) -> Result<Self, PairError> {
        let rsa = |size| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size);
        let made = match kind {
            KeyKind::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            KeyKind::P384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
            KeyKind::Rsa2048 => rsa(RsaKeySize::_2048),
            KeyKind::Rsa3072 => rsa(RsaKeySize::_3072),
            KeyKind::Rsa4096 => rsa(RsaKeySize::_4096),
        };
        made.map(Self).map_err(|_| PairError::Generation)
    }

    /// Reads a private key from text: PKCS #8, or what older tools write (`RSA PRIVATE KEY`, `EC PRIVATE KEY`).
    ///
    /// # Errors
    /// [`PairError`]: never a part of the key.
    pub fn read(text: &[u8]) -> Result<Self, PairError> {
        let key = read::private_key(text).map_err(PairError::Pem)?;
        let der = to_pkcs8(key.form, key.der)?;
        KeyPair::try_from(der.as_slice()).map(Self).map_err(|_| PairError::Unreadable)
    }

    pub(super) fn copy(&self) -> Result<Self, PairError> {
        KeyPair::try_from(self.0.serialized_der()).map(Self).map_err(|_| PairError::Generation)
    }

    /// Returns the private key as PEM text, in PKCS #8.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        pem::private_key_text(self.0.serialized_der())
    }

    /// Returns the public key, as a certificate's subjectPublicKey contains it.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        self.0.public_key_raw()
    }

    pub(super) fn signer(&self) -> &KeyPair {
        &self.0
    }
}

/// Rewrites older encodings, so that all readers of the Secret find one form.
fn to_pkcs8(form: KeyForm, der: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, PairError> {
    match form {
        KeyForm::Rsa => {
            let pair = RsaPair::from_der(&der).map_err(|_| PairError::Unreadable)?;
            let written = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(|_| PairError::Unreadable)?;
            Ok(Zeroizing::new(written.as_ref().to_vec()))
        }
        KeyForm::Ec => {
            let curves = [
                &ECDSA_P256_SHA256_ASN1_SIGNING,
                &ECDSA_P384_SHA384_ASN1_SIGNING,
                &ECDSA_P521_SHA512_ASN1_SIGNING,
            ];
            let pair =
                curves.into_iter().find_map(|curve| EcdsaKeyPair::from_private_key_der(curve, &der).ok());
            let written = pair.and_then(|pair| pair.to_pkcs8v1().ok()).ok_or(PairError::Unreadable)?;
            Ok(Zeroizing::new(written.as_ref().to_vec()))
        }
        KeyForm::Pkcs8 => Ok(der),
    }
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pair(«redacted»)")
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
