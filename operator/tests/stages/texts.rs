//! Keys, certificates and CA bundles as people's tools write them, from the Secret to the device's own Secret.

use std::sync::Arc;

use jiff::Timestamp;
use lanyard_operator::device::issue::credential::{Issue, KnownCredential, issue};
use lanyard_operator::device::observe::observation::DeviceObservation;
use lanyard_operator::device::validate::effective::validate;
use lanyard_operator::kubernetes::found::CaFound;
use lanyard_operator::kubernetes::secret::SecretData;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::authority::{noon, signed};
use crate::given::{Given, K32, K64, at_hub, device, in_group, key_of, secret, through};

/// `openssl x509 -req -days 36500 -in CSR -signkey KEY` makes version 1, without extensions (ref §9.5). The key is
/// for this test only.
const VERSION_1: (&str, &str) = (include_str!("version-1.crt"), include_str!("version-1.key"));

fn with_certificate(certificates: &str, key: &str) -> DeviceObservation {
    let spec =
        "{deviceId: dev1, hub: {hostname: hub.example, auth: {certificate: {secretRef: {name: own}}}}}";
    let data = secret(&[("tls.crt", certificates), ("tls.key", key)]);
    DeviceObservation { device: Arc::new(device(spec)), key: Some(data), ..DeviceObservation::default() }
}

fn refused(observed: &DeviceObservation) -> (&'static str, String) {
    let fault = through(observed).unwrap_err();
    (fault.reason.as_str(), fault.message)
}

/// Creates a certificate that ends in this year, its key as text, and the issuer that signs with it.
fn made(
    name: &str,
    year: i32,
    ca: bool,
    above: Option<&Issuer<'_, KeyPair>>,
) -> (String, String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    params.is_ca = if ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
    let signed = above.map_or_else(|| params.self_signed(&key), |above| params.signed_by(&key, above));
    let texts = (signed.unwrap().pem(), key.serialize_pem());
    (texts.0, texts.1, Issuer::new(params, key))
}

#[test]
fn key_with_white_space_and_byte_order_mark_is_read() {
    let expected = key_of(&through(&in_group("{groupRef: {name: a}, deviceId: dev-01}")).unwrap().1);
    assert_eq!(expected, "UwwVfsD5lA+qU/1oNyCqDCDeShqtT/bvsaUt7i0bKJE=");
    for text in [format!("{}\n{}\n", &K64[..64], &K64[64..]), format!("\u{feff}{K64}\r\n")] {
        let mut observed = in_group("{groupRef: {name: a}, deviceId: dev-01}");
        observed.key = Some(secret(&[("primaryKey", &text)]));
        assert_eq!(key_of(&through(&observed).unwrap().1), expected);
    }
}

#[test]
fn utf16_key_is_refused_with_the_encoding_named() {
    let utf16: Vec<u8> = K32.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut observed = at_hub(&[]);
    observed.key = Some(std::iter::once(("primaryKey".to_owned(), utf16)).collect::<SecretData>());
    let (reason, message) = refused(&observed);
    assert_eq!(reason, "KeyNotBase64");
    assert!(message.contains("the text is UTF-16: save it as UTF-8"), "{message}");
}

#[test]
fn device_id_with_semicolon_gets_no_connection_string() {
    let names = |id: &str| {
        let mut observed = at_hub(&[("primaryKey", K32)]);
        Arc::make_mut(&mut observed.device).spec.device_id = Some(id.to_owned());
        through(&observed).unwrap().2.credentials.data.unwrap().into_keys().collect::<Vec<_>>()
    };
    for id in ["press;17", "press=17"] {
        assert_eq!(names(id), ["deviceId", "hostname", "sharedAccessKey"]);
    }
    assert_eq!(names("press-17"), ["connectionString", "deviceId", "hostname", "sharedAccessKey"]);
}

#[test]
fn version_1_certificate_is_issued() {
    let observed = with_certificate(VERSION_1.0, VERSION_1.1);
    let later = Given { now: noon(), ..Given::default() };
    let issued = issue(&validate(&observed).unwrap(), &observed, KnownCredential::default(), &later).unwrap();
    assert!(matches!(issued, Issue::Done(issued) if issued.holding.current.certified().is_some()));
}

#[test]
fn ca_certificate_is_no_device_certificate() {
    let (certificate, key, _) = made("dev1", 2040, true, None);
    let (reason, message) = refused(&with_certificate(&certificate, &key));
    assert_eq!(reason, "CertificateUsage");
    assert!(message.contains("is a CA certificate"), "{message}");
}

#[test]
fn certificate_that_no_client_may_show_is_refused() {
    use rcgen::{ExtendedKeyUsagePurpose as Extended, KeyUsagePurpose as Usage};
    for (usage, extended, good) in [
        (vec![], vec![], true),
        (vec![Usage::DigitalSignature], vec![Extended::ClientAuth], true),
        (vec![], vec![Extended::ServerAuth, Extended::ClientAuth], true),
        (vec![], vec![Extended::Any], true),
        (vec![Usage::KeyEncipherment], vec![Extended::ClientAuth], false),
        (vec![Usage::DigitalSignature], vec![Extended::ServerAuth], false),
    ] {
        let (certificate, key, _) = signed("dev1", None, |params| {
            params.is_ca = IsCa::ExplicitNoCa;
            (params.key_usages, params.extended_key_usages) = (usage.clone(), extended.clone());
        });
        let result = through(&with_certificate(&certificate, &key));
        let reason = result.err().map(|fault| fault.reason.as_str());
        assert_eq!(reason, (!good).then_some("CertificateUsage"), "{usage:?} {extended:?}");
    }
}

#[test]
fn certificate_of_another_program_has_its_time() {
    let (certificate, key, _) = signed("dev1", None, |params| {
        (params.is_ca, params.key_usages) = (IsCa::ExplicitNoCa, vec![]);
    });
    let observed = with_certificate(&certificate, &key);
    let reason = |second: i64| {
        let given = Given { now: Timestamp::from_second(second).unwrap(), ..Given::default() };
        let result = issue(&validate(&observed).unwrap(), &observed, KnownCredential::default(), &given);
        result.err().map(|fault| fault.reason.as_str())
    };
    // 2000-01-01 and 2100-01-01.
    let (first, end) = (946_684_800, 4_102_444_800);
    let reasons = [first - 1, first, end - 1, end].map(reason);
    assert_eq!(reasons, [Some("CertificateNotYetValid"), None, None, Some("CertificateExpired")]);
}

#[test]
fn damaged_certificate_is_named_by_its_number() {
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let (certificate, key, _) = made("dev1", 2040, false, None);
    let (reason, message) = refused(&with_certificate(&format!("{certificate}{junk}"), &key));
    assert_eq!(reason, "CertificateInvalid");
    assert!(message.contains("certificate 2 of the text is damaged"), "{message}");
    let message = refused(&with_certificate(junk, &key)).1;
    assert!(message.contains("certificate 1 of the text is damaged"), "{message}");
}

#[test]
fn ended_intermediate_is_named_and_ended_root_is_not() {
    let (root, _, root_issuer) = made("Old root", 2000, true, None);
    let (ended, _, ended_issuer) = made("Plant CA", 2001, true, Some(&root_issuer));
    let (good, _, good_issuer) = made("Plant CA", 2035, true, Some(&root_issuer));
    let (leaf, key, _) = made("dev1", 2040, false, Some(&ended_issuer));
    let (reason, message) = refused(&with_certificate(&format!("{leaf}{ended}{root}"), &key));
    assert_eq!(reason, "CertificateExpired");
    assert!(message.contains("certificate 2 in tls.crt, CN=Plant CA"), "{message}");
    // An intermediate is no root where it is the last.
    assert_eq!(refused(&with_certificate(&format!("{leaf}{ended}"), &key)).0, "CertificateExpired");
    let (leaf, key, _) = made("dev1", 2040, false, Some(&good_issuer));
    let issued = through(&with_certificate(&format!("{leaf}{good}{root}"), &key)).unwrap().1;
    let ends = issued.holding.current.certified().unwrap().ends();
    assert_eq!((ends.position, ends.at.to_string()), (2, "2035-01-01T00:00:00Z".to_owned()));
    let (leaf, key, _) = made("dev1", 2035, false, Some(&good_issuer));
    let issued = through(&with_certificate(&format!("{leaf}{good}{root}"), &key)).unwrap().1;
    let ends = issued.holding.current.certified().unwrap().ends();
    assert_eq!(ends.position, 1, "both end together, and the device's own comes first");
}

#[test]
fn damaged_block_of_a_ca_bundle_is_refused_by_number() {
    let (good, _, _) = made("Plant CA", 2040, true, None);
    let mut observed = at_hub(&[("primaryKey", K32)]);
    for (text, words) in [
        (format!("{good}{}", &good[..300]), "trustedCA refers to ConfigMap ca: block 2 is cut"),
        (format!("{good}{}", VERSION_1.1), "block 2 is a private key"),
    ] {
        observed.trusted_ca = CaFound::Text { object: "ConfigMap ca".into(), bytes: text.into_bytes() };
        let (reason, message) = refused(&observed);
        assert_eq!(reason, "TrustedCAInvalid");
        assert!(message.contains(words), "{message}");
    }
    let bundle = format!("subject: Plant CA\n{good}");
    observed.trusted_ca = CaFound::Text { object: "ConfigMap ca".into(), bytes: bundle.into_bytes() };
    let written = through(&observed).unwrap().1.trusted_ca.unwrap();
    assert_eq!(written, good.replace("\r\n", "\n"), "nothing but certificates is copied");
}
