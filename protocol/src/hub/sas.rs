//! Shared access signatures: made by devices, checked by hubs (ref §2). Pure; the caller brings the time.

use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use zeroize::{Zeroize, Zeroizing};

use super::key::SymmetricKey;
use super::property_bag::encode;

/// First word of every token.
const SCHEME: &str = "SharedAccessSignature ";

/// Policy name in a device's token for DPS (ref §2.2).
pub const REGISTRATION_POLICY: &str = "registration";

/// Returns the resource of a device's token at a hub (ref §2.2). `host` is the hub's name without a port, also for a
/// connection to a gateway (ref §1.13).
#[must_use]
pub fn device_resource(host: &str, device_id: &str) -> String {
    format!("{host}/devices/{device_id}")
}

/// Returns the resource of a device's token at DPS (ref §2.2).
#[must_use]
pub fn registration_resource(id_scope: &str, registration_id: &str) -> String {
    format!("{id_scope}/registrations/{registration_id}")
}

/// Signed token, the MQTT password. Zeroed when dropped; `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SasToken(Zeroizing<String>);

impl SasToken {
    /// Signs `resource` until `expiry` (seconds since 1970-01-01T00:00:00Z); `policy` becomes `skn` (ref §2.1).
    #[must_use]
    pub fn sign(key: &SymmetricKey, resource: &str, expiry: u64, policy: Option<&str>) -> Self {
        let sr = encode(resource).to_string();
        let signature = STANDARD.encode(key.sign(format!("{sr}\n{expiry}").as_bytes()));
        // One exact allocation: a growing string would leave copies of the signature in memory.
        let room = SCHEME.len() + sr.len() + 3 * signature.len() + 64 + policy.map_or(0, |p| 3 * p.len());
        let mut token = Zeroizing::new(String::with_capacity(room));
        let written = write!(token, "{SCHEME}sr={sr}&sig={}&se={expiry}", encode(&signature));
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
        if let Some(policy) = policy {
            token.push_str("&skn=");
            token.extend(encode(policy));
        }
        Self(token)
    }

    /// Returns the text for the password field. Never log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SasToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SasToken(«redacted»)")
    }
}

/// Error of a text that is not a token. No variant contains any of the text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SasError {
    /// The text does not start with `SharedAccessSignature `.
    #[error("the token does not start with 'SharedAccessSignature '")]
    Scheme,
    /// A field has no `=`, or is not `sr`, `sig`, `se` or `skn`.
    #[error("the token has a part other than sr, sig, se and skn")]
    UnknownField,
    /// A field occurs twice.
    #[error("the token has '{0}' twice")]
    Duplicate(&'static str),
    /// A field is missing.
    #[error("the token lacks '{0}'")]
    Missing(&'static str),
    /// `se` is not a decimal number of seconds.
    #[error("the token's 'se' is not a number of seconds")]
    Expiry,
    /// `sig` is not percent-encoded base64.
    #[error("the token's 'sig' is not percent-encoded base64")]
    Signature,
    /// `sr` or `skn` is not percent-encoded UTF-8.
    #[error("the token's '{0}' is not percent-encoded UTF-8")]
    Encoding(&'static str),
}

/// Token from a client, not verified yet (ref §2.1).
pub struct PresentedToken<'a> {
    sr: &'a str,
    se: &'a str,
    signature: Vec<u8>,
    resource: String,
    policy: Option<String>,
    expiry: u64,
}

impl<'a> PresentedToken<'a> {
    /// Reads a token. Fields may have any order; `+` is a plus, never a space (ref §2.1, §2.5).
    ///
    /// # Errors
    /// [`SasError`] names the wrong field and repeats nothing of the token.
    pub fn parse(token: &'a str) -> Result<Self, SasError> {
        let fields = token.strip_prefix(SCHEME).ok_or(SasError::Scheme)?;
        let (mut sr, mut sig, mut se, mut skn) = (None, None, None, None);
        for field in fields.split('&') {
            let (name, value) = field.split_once('=').ok_or(SasError::UnknownField)?;
            let (slot, name) = match name {
                "sr" => (&mut sr, "sr"),
                "sig" => (&mut sig, "sig"),
                "se" => (&mut se, "se"),
                "skn" => (&mut skn, "skn"),
                _ => return Err(SasError::UnknownField),
            };
            if slot.replace(value).is_some() {
                return Err(SasError::Duplicate(name));
            }
        }
        let sr = sr.ok_or(SasError::Missing("sr"))?;
        let se = se.ok_or(SasError::Missing("se"))?;
        let sig = sig.ok_or(SasError::Missing("sig"))?;
        // A number may begin with a plus, an expiry may not.
        if !se.bytes().all(|b| b.is_ascii_digit()) {
            return Err(SasError::Expiry);
        }
        let mut decoded = percent_decode_str(sig).collect::<Vec<u8>>();
        let signature = STANDARD.decode(&decoded).map_err(|_| SasError::Signature);
        decoded.zeroize();
        let text = |name, value: &str| {
            percent_decode_str(value).decode_utf8().map(String::from).map_err(|_| SasError::Encoding(name))
        };
        Ok(Self {
            sr,
            se,
            signature: signature?,
            resource: text("sr", sr)?,
            policy: skn.map(|skn| text("skn", skn)).transpose()?,
            expiry: se.parse().map_err(|_| SasError::Expiry)?,
        })
    }

    /// Returns whether `key` signed this token. The signed text is `sr` exactly as received (ref §0.3 rule 1).
    #[must_use]
    pub fn verifies(&self, key: &SymmetricKey) -> bool {
        key.verifies(format!("{}\n{}", self.sr, self.se).as_bytes(), &self.signature)
    }

    /// Returns whether the signed resource covers `resource`. The comparison is by segment, ignores case in the first
    /// (the host), and ignores text that tools append after a `?` (ref §2.1, §2.2).
    #[must_use]
    pub fn covers(&self, resource: &str) -> bool {
        // A device id may contain '?', so the complete resource is compared first.
        covers(&self.resource, resource)
            || self.resource.split_once("/?").is_some_and(|(bare, _)| covers(bare, resource))
    }

    /// Returns the expiry, in seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn expiry(&self) -> u64 {
        self.expiry
    }

    /// Returns the policy (`skn`).
    #[must_use]
    pub fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    /// Returns the decoded resource (`sr`).
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }
}

impl std::fmt::Debug for PresentedToken<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PresentedToken")
            .field("resource", &self.resource)
            .field("expiry", &self.expiry)
            .finish_non_exhaustive()
    }
}

fn covers(signed: &str, resource: &str) -> bool {
    let mut resource = resource.split('/');
    signed.split('/').enumerate().all(|(position, segment)| match resource.next() {
        Some(other) if position == 0 => host_of(segment).eq_ignore_ascii_case(host_of(other)),
        Some(other) => segment == other,
        None => false,
    })
}

/// Removes the port, which Node writes if the connection string has one (ref §14.1).
fn host_of(segment: &str) -> &str {
    segment.split_once(':').map_or(segment, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const K32: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const K64: &str =
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";
    const KA: &str =
        "18RQk/hOPJR9EbsJlk2j8WA6vWaj/yi+oaYg7zmxfQNdOyMSu+SJ8O7TSlZhDJCYmn4rzEiVKIzNiVAWjLxrGA==";

    fn key(text: &str) -> SymmetricKey {
        SymmetricKey::from_base64(text).unwrap()
    }

    /// Ref §2.5: tokens with our field order and encoding.
    #[test]
    fn tokens_match_published_and_captured_ones() {
        let odd = "contoso.azure-devices.net/devices/a'b(c)!d*e@f$g#h%i+j,k=l?m:n._-";
        let vectors: [(&str, &str, u64, Option<&str>, &str); 10] = [
            (
                KA,
                "MyExampleHub.azure-devices.net/devices/my-symkey-device",
                1_663_119_026,
                None,
                "SharedAccessSignature \
                    sr=MyExampleHub.azure-devices.net%2Fdevices%2Fmy-symkey-device&sig=f%2BwW8XOKeJOtiPc9Iwjc4OpExvPM7NlhM9qxN2a1aAM%3D&se=1663119026",
            ),
            (
                K32,
                "contoso.azure-devices.net/devices/dev1",
                1_700_000_000,
                None,
                "SharedAccessSignature \
                    sr=contoso.azure-devices.net%2Fdevices%2Fdev1&sig=QKiSs%2Fj3XsPN5ctMtRoJa7c%2BYA9RuV2Hs4XwTyXK8%2Bw%3D&se=1700000000",
            ),
            (
                K32,
                "contoso.azure-devices.net/devices/dev1/modules/mod1",
                1_700_000_000,
                None,
                "SharedAccessSignature \
                    sr=contoso.azure-devices.net%2Fdevices%2Fdev1%2Fmodules%2Fmod1&sig=OBEqyWoUShx6qzstZyjJbvO5ZoOJk7Z%2FEr9y8CA3uHo%3D&se=1700000000",
            ),
            (
                K64,
                "contoso.azure-devices.net",
                1_700_000_000,
                Some("iothubowner"),
                "SharedAccessSignature \
                    sr=contoso.azure-devices.net&sig=adLzMgh%2FBmN6iyXOzYScqZzWmvLlNM7AwuHUUNkbK3k%3D&se=1700000000&skn=iothubowner",
            ),
            (
                K32,
                "0ne00ABCDEF/registrations/dev-01",
                1_700_000_000,
                Some("registration"),
                "SharedAccessSignature \
                    sr=0ne00ABCDEF%2Fregistrations%2Fdev-01&sig=7W88jbA80q2B9yCe8jeNSuWobXi8gXAFL7m8%2FzQv5ZA%3D&se=1700000000&skn=registration",
            ),
            (
                K64,
                "contoso-dps.azure-devices-provisioning.net",
                1_700_000_000,
                Some("provisioningserviceowner"),
                "SharedAccessSignature \
                    sr=contoso-dps.azure-devices-provisioning.net&sig=FPgvA7867YHQaEp3qBdp%2FH58vqXtA%2FElUrkrxqrpFYg%3D&se=1700000000&skn=provisioningserviceowner",
            ),
            (
                K32,
                odd,
                1_700_000_000,
                None,
                "SharedAccessSignature \
                    sr=contoso.azure-devices.net%2Fdevices%2Fa%27b%28c%29%21d%2Ae%40f%24g%23h%25i%2Bj%2Ck%3Dl%3Fm%3An._-&sig=gB4DudiHOwPgqw3%2B8GsH6Sk3NlttfUEqa%2FvxkN5BYsE%3D&se=1700000000",
            ),
            (
                K64,
                "contoso.azure-devices.net/devices/dev1",
                1_700_000_000,
                Some("device"),
                "SharedAccessSignature \
                    sr=contoso.azure-devices.net%2Fdevices%2Fdev1&sig=Vgvt%2BeLdaCKoVpONEJL3tk%2BHUwiX1JTUeZTtgID3NXo%3D&se=1700000000&skn=device",
            ),
            (
                K32,
                "localhost/devices/dev1",
                1_700_000_000,
                None,
                "SharedAccessSignature \
                    sr=localhost%2Fdevices%2Fdev1&sig=Hw93slEtFrbgyUX77S%2F%2BSbvJmZKHRei4LjyPi1y%2BS5E%3D&se=1700000000",
            ),
            (
                "UwwVfsD5lA+qU/1oNyCqDCDeShqtT/bvsaUt7i0bKJE=",
                "contoso.azure-devices.net/devices/dev-01",
                1_700_000_000,
                None,
                "SharedAccessSignature \
                    sr=contoso.azure-devices.net%2Fdevices%2Fdev-01&sig=mcAbvYcg%2BNDlba8%2FGV7vwtpHmNuC6NCueDHNFDtMVPc%3D&se=1700000000",
            ),
        ];
        for (secret, resource, expiry, policy, token) in vectors {
            assert_eq!(SasToken::sign(&key(secret), resource, expiry, policy).expose(), token);
            let presented = PresentedToken::parse(token).unwrap();
            assert!(presented.verifies(&key(secret)) && presented.covers(resource), "{resource}");
            assert_eq!((presented.expiry(), presented.policy()), (expiry, policy));
        }
    }

    /// Ref §2.5 E2, E3, H2 and §3.2: tokens of other SDKs, with their order and encoding.
    #[test]
    fn tokens_of_other_encoders_verify() {
        let dps = "0ne00ABCDEF/registrations/dev-01";
        let odd = "contoso.azure-devices.net/devices/a'b(c)!d*e@f$g#h%i+j,k=l?m:n._-";
        let derived = "UwwVfsD5lA+qU/1oNyCqDCDeShqtT/bvsaUt7i0bKJE=";
        let vectors = [
            (
                K32,
                dps,
                "SharedAccessSignature \
                    sr=0ne00ABCDEF%2fregistrations%2fdev-01&sig=Ak0oy9Z6bT5kT0VNxosmFfh%2f6srEA8gdAtkWEUptZBk%3d&se=1700000000&skn=registration",
            ),
            (
                K32,
                dps,
                "SharedAccessSignature \
                    sr=0ne00ABCDEF/registrations/dev-01&sig=NjPr923n%2BWy6LEaq0NhB0wZyv%2B2%2BeW6nNOKMy2Eozc0%3D&skn=registration&se=1700000000",
            ),
            (
                K32,
                odd,
                "SharedAccessSignature \
                    sr=contoso.azure-devices.net%2Fdevices%2Fa%27b%28c%29%21d%2ae%40f%24g%23h%25i%2Bj%2Ck%3Dl%3Fm%3An._-&sig=vuGJBlZ%2FtrlWUStFhis3JkSHYdnbdfox1IA4eCHrGs0%3D&se=1700000000",
            ),
            (
                derived,
                dps,
                "SharedAccessSignature \
                    sr=0ne00ABCDEF%2Fregistrations%2Fdev-01&sig=ulLZRgPip9wjJhL55v7G5bIKtONeq6%2BI6At5N%2FOfqqI%3D&se=1700000000&skn=registration",
            ),
            (
                K32,
                "contoso.azure-devices.net/devices/dev1",
                "SharedAccessSignature \
                    sig=QKiSs%2Fj3XsPN5ctMtRoJa7c%2BYA9RuV2Hs4XwTyXK8%2Bw%3D&se=1700000000&sr=contoso.azure-devices.net%2Fdevices%2Fdev1",
            ),
        ];
        for (secret, resource, token) in vectors {
            let presented = PresentedToken::parse(token).unwrap();
            assert!(presented.verifies(&key(secret)) && presented.covers(resource), "{token}");
            assert!(!presented.verifies(&key(K64)));
        }
    }

    #[test]
    fn resources_name_the_device_or_the_registration() {
        assert_eq!(device_resource("hub.example", "dev1"), "hub.example/devices/dev1");
        assert_eq!(registration_resource("0ne1", "dev-01"), "0ne1/registrations/dev-01");
    }

    /// A string that grows leaves copies of the signature in memory.
    #[test]
    fn token_is_allocated_once() {
        let capacity = |policy| SasToken::sign(&key(K32), "hub", u64::MAX, policy).0.capacity();
        // The scheme, the resource, a signature of 44 characters that may take three each, the fields, and the policy.
        assert_eq!(capacity(None), 22 + 3 + 132 + 64);
        assert_eq!(capacity(Some("%%%%%%%%%%")), 22 + 3 + 132 + 64 + 30);
    }

    #[test]
    fn token_covers_whole_segments_only() {
        let token = |resource| SasToken::sign(&key(K32), resource, 1, None);
        let covers =
            |signed, resource| PresentedToken::parse(token(signed).expose()).unwrap().covers(resource);
        assert!(covers("hub/devices", "hub/devices/dev1"));
        assert!(covers("hub/devices/dev1", "hub/devices/dev1/modules/m"));
        assert!(covers("HUB/devices/dev1", "hub/devices/dev1"));
        assert!(covers("localhost:18883/devices/dev1", "localhost/devices/dev1"));
        assert!(covers("hub/devices/dev1/?api-version=2016-11-14", "hub/devices/dev1"));
        assert!(!covers("hub/devices/dev", "hub/devices/dev1"));
        assert!(!covers("hub/devices/dev2", "hub/devices/dev1"));
        assert!(!covers("hub/devices/DEV1", "hub/devices/dev1"));
        assert!(!covers("other/devices/dev1", "hub/devices/dev1"));
    }

    #[test]
    fn wrong_tokens_name_the_field() {
        let error = |text| PresentedToken::parse(text).unwrap_err();
        assert_eq!(error("Bearer x"), SasError::Scheme);
        assert_eq!(error("SharedAccessSignature sr=a&sig=AA%3D%3D"), SasError::Missing("se"));
        assert_eq!(error("SharedAccessSignature sr=a&se=1"), SasError::Missing("sig"));
        assert_eq!(error("SharedAccessSignature sig=AA%3D%3D&se=1"), SasError::Missing("sr"));
        assert_eq!(error("SharedAccessSignature sr=a&sr=b&sig=&se=1"), SasError::Duplicate("sr"));
        assert_eq!(error("SharedAccessSignature sr=a&sig=AA%3D%3D&se=-1"), SasError::Expiry);
        assert_eq!(error("SharedAccessSignature sr=a&sig=AA%3D%3D&se=+1"), SasError::Expiry);
        assert_eq!(error("SharedAccessSignature sr=a&sig=AA%3D%3D&se="), SasError::Expiry);
        assert_eq!(error("SharedAccessSignature sr=a&sig=%%%&se=1"), SasError::Signature);
        assert_eq!(error("SharedAccessSignature sr=a&sig=AA%3D%3D&se=1&x=1"), SasError::UnknownField);
    }

    /// Ref §2.5, negative tests: an unencoded `+` in a signature is a plus and not a space.
    #[test]
    fn plus_is_never_a_space() {
        let raw = "SharedAccessSignature \
            sr=contoso.azure-devices.net%2Fdevices%2Fdev1&sig=QKiSs/j3XsPN5ctMtRoJa7c+YA9RuV2Hs4XwTyXK8+w=&se=1700000000";
        assert!(PresentedToken::parse(raw).unwrap().verifies(&key(K32)));
        assert_eq!(PresentedToken::parse(&raw.replace('+', " ")).unwrap_err(), SasError::Signature);
    }

    proptest! {
        #[test]
        fn text_without_the_scheme_is_refused(text in "[^S]\\PC{0,200}") {
            prop_assert_eq!(PresentedToken::parse(&text).err(), Some(SasError::Scheme));
        }

        #[test]
        fn signed_token_verifies_and_covers(resource in "[a-z]{1,8}(/[ -~&&[^/]]{1,12}){0,4}", expiry: u64,
            policy in proptest::option::of("[ -~]{0,12}")) {
            let token = SasToken::sign(&key(K64), &resource, expiry, policy.as_deref());
            let presented = PresentedToken::parse(token.expose()).unwrap();
            prop_assert!(presented.verifies(&key(K64)) && !presented.verifies(&key(K32)));
            prop_assert!(presented.covers(&resource));
            prop_assert_eq!((presented.resource(), presented.expiry(), presented.policy()), (resource.as_str(), expiry, policy.as_deref()));
        }
    }
}
