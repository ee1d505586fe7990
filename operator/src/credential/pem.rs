//! Certificates and private keys written as PEM. Reading them is [`lanyard_protocol::text::pem`]'s. Pure.

use zeroize::Zeroizing;

/// Returns a certificate as PEM text.
#[must_use]
pub fn certificate_text(der: &[u8]) -> String {
    encode("CERTIFICATE", der)
}

/// Returns a private key in PKCS #8 as PEM text.
#[must_use]
pub fn private_key_text(der: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(encode("PRIVATE KEY", der))
}

fn encode(tag: &str, der: &[u8]) -> String {
    let block = pem::Pem::new(tag, der);
    let text = pem::encode_config(&block, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF));
    drop(Zeroizing::new(block.into_contents()));
    text
}
