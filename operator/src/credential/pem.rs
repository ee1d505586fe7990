//! Texts between `-----BEGIN` and `-----END`. Pure.

use zeroize::Zeroizing;

/// The certificates in a text, in their order; other blocks are passed over. `None` when it is no PEM.
#[must_use]
pub fn certificates(text: &str) -> Option<Vec<Vec<u8>>> {
    let blocks = pem::parse_many(text).ok()?;
    Some(
        blocks
            .into_iter()
            .filter(|block| block.tag() == "CERTIFICATE")
            .map(pem::Pem::into_contents)
            .collect(),
    )
}

/// The first private key in a text, with its label: some tools write the curve's parameters before it.
#[must_use]
pub fn private_key(text: &str) -> Option<(String, Zeroizing<Vec<u8>>)> {
    let blocks = pem::parse_many(text).ok()?;
    let key = blocks.into_iter().find(|block| block.tag().ends_with("PRIVATE KEY"))?;
    Some((key.tag().to_owned(), Zeroizing::new(key.into_contents())))
}

/// A certificate as text.
#[must_use]
pub fn certificate_text(der: &[u8]) -> String {
    encode("CERTIFICATE", der)
}

/// A private key in PKCS #8 as text.
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
