//! Verification of tokens, for hub and DPS (ref §2). Pure.

use lanyard_protocol::hub::sas::PresentedToken;

use crate::registry::authentication::Keys;

/// Tolerance for expired tokens (ref §1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenRules {
    /// Seconds that clocks may differ: how long after its end a token still opens a connection.
    pub skew: i64,
    /// Seconds after its token's end at which an open connection is closed.
    pub enforce_delay: i64,
}

/// Reason for refusing a token.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TokenError {
    /// Not a token at all.
    #[error("{0}")]
    Format(String),
    /// For something else.
    #[error("the token is for {presented:?}, not for {expected:?}")]
    Audience {
        /// Its `sr`, decoded.
        presented: String,
        /// Resource of the connection.
        expected: String,
    },
    /// Names a policy that is not there.
    #[error("the token names the policy {0:?}, which does not exist")]
    Policy(String),
    /// Signed with another key.
    #[error("no key of the device signed the token")]
    Signature,
    /// Over for longer than clocks may differ.
    #[error("the token expired {seconds} seconds ago")]
    Expired {
        /// Seconds since the expiry.
        seconds: i64,
    },
}

/// Reads a password as a token.
///
/// # Errors
/// [`TokenError::Format`].
pub fn read_token(password: &[u8]) -> Result<PresentedToken<'_>, TokenError> {
    let text = std::str::from_utf8(password)
        .map_err(|_| TokenError::Format("the password is not UTF-8".to_owned()))?;
    PresentedToken::parse(text).map_err(|error| TokenError::Format(error.to_string()))
}

/// Checks the signature over the literal `sr` by the primary or the secondary key (ref §0.3 rule 1, §2.2).
///
/// # Errors
/// [`TokenError::Signature`].
pub fn check_signature(token: &PresentedToken<'_>, keys: &Keys) -> Result<(), TokenError> {
    if keys.iter().any(|key| token.verifies(key)) { Ok(()) } else { Err(TokenError::Signature) }
}

/// Checks the expiry, with `skew` seconds of grace (ref §1.12); returns it.
///
/// # Errors
/// [`TokenError::Expired`].
pub fn check_expiry(token: &PresentedToken<'_>, now: i64, skew: i64) -> Result<i64, TokenError> {
    let expiry = i64::try_from(token.expiry()).unwrap_or(i64::MAX);
    let late = now.saturating_sub(expiry);
    if late > skew { Err(TokenError::Expired { seconds: late }) } else { Ok(expiry) }
}
