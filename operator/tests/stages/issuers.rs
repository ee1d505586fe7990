//! CAs and keys of certificates: which CA may sign, for how long, and which keys there are.

use jiff::Timestamp;
use lanyard_crds::slot::InUse;
use lanyard_operator::credential::issuer::Issuer;
use lanyard_operator::credential::leaf::{self, LeafRequest};
use lanyard_operator::credential::pair::{KeyKind, Pair};
use lanyard_operator::group::possession;
use lanyard_operator::kubernetes::secret::SecretData;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyUsagePurpose, date_time_ymd};
use serde_json::json;

use crate::authority::{DAY, DOMAIN_CA_KEY, after, domain, noon, root, signed};
use crate::given::{secret, x509_group};

#[test]
fn ca_that_cannot_sign_is_refused_with_the_reason() {
    let until =
        |year: i32| move |params: &mut CertificateParams| params.not_after = date_time_ymd(year, 1, 1);
    let path = |length: u8| {
        move |params: &mut CertificateParams| {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(length));
        }
    };
    let no_ca = |params: &mut CertificateParams| params.is_ca = IsCa::ExplicitNoCa;
    let no_sign = |params: &mut CertificateParams| params.key_usages = vec![KeyUsagePurpose::CrlSign];
    let (root, root_key, root_issuer) = signed("Root", None, |_| ());
    let (low, low_key, low_issuer) = signed("Low", Some(&root_issuer), |_| ());
    let (namesake, _, _) = signed("Root", None, |_| ());
    let (stranger, _, _) = signed("Stranger", None, |_| ());
    let mut cases = vec![
        (root.clone(), root_key, None),
        (root.clone(), low_key.clone(), Some("IssuerKeyMismatch")),
        (format!("{low}{root}"), low_key.clone(), None),
        (format!("{low}{stranger}"), low_key.clone(), Some("IssuerChainBroken")),
        (format!("{low}{namesake}"), low_key, Some("IssuerChainBroken")),
    ];
    let alone = |change: &dyn Fn(&mut CertificateParams), reason| {
        let (certificate, key, _) = signed("Root", None, change);
        (certificate, key, Some(reason))
    };
    cases.extend([
        alone(&no_ca, "IssuerNotCA"),
        alone(&no_sign, "IssuerMayNotSign"),
        alone(&until(2020), "IssuerExpired"),
        alone(&|params| params.not_before = date_time_ymd(2050, 1, 1), "IssuerNotYetValid"),
    ]);
    // Below one that has what a change gives it, once and with another CA between.
    for (change, reason, farther) in [
        (&no_ca as &dyn Fn(&mut CertificateParams), Some("IssuerNotCA"), Some("IssuerNotCA")),
        (&no_sign, Some("IssuerNotCA"), Some("IssuerNotCA")),
        (&path(0), Some("IssuerPathTooLong"), Some("IssuerPathTooLong")),
        (&path(1), None, Some("IssuerPathTooLong")),
        (&path(2), None, None),
        // Servers have their own copy of a root.
        (&until(2020), None, None),
    ] {
        let (upper, _, issuer) = signed("Upper", None, change);
        let (middle, middle_key, middle_issuer) = signed("Middle", Some(&issuer), |_| ());
        let (lower, lower_key, _) = signed("Lower", Some(&middle_issuer), |_| ());
        cases.push((format!("{middle}{upper}"), middle_key, reason));
        cases.push((format!("{lower}{middle}{upper}"), lower_key, farther));
    }
    let (ended, _, ended_issuer) = signed("Ended", Some(&low_issuer), until(2020));
    let (below, below_key, _) = signed("Below", Some(&ended_issuer), |_| ());
    cases.push((format!("{below}{ended}"), below_key, Some("IssuerExpired")));
    // Only the last root counts for nothing.
    let (old, _, old_issuer) = signed("Old", None, until(2020));
    let (below, below_key, _) = signed("Below", Some(&old_issuer), |_| ());
    cases.push((format!("{below}{old}{old}"), below_key, Some("IssuerExpired")));
    for (certificates, key, reason) in cases {
        let data = secret(&[("tls.crt", &certificates), ("tls.key", &key)]);
        let read = Issuer::read("ca", Some(&data), noon());
        assert_eq!(read.as_ref().err().map(|fault| fault.reason.as_str()), reason, "{read:?}");
    }
}

#[test]
fn ca_signs_from_its_first_second_to_its_last() {
    let (certificate, key, _) = signed("Root", None, |_| ());
    let data = secret(&[("tls.crt", &certificate), ("tls.key", &key)]);
    let reason = |second: i64| {
        let read = Issuer::read("ca", Some(&data), Timestamp::from_second(second).unwrap());
        read.err().map(|fault| fault.reason.as_str())
    };
    // 2000-01-01 and 2100-01-01.
    let (first, end) = (946_684_800, 4_102_444_800);
    let reasons = [first - 1, first, end - 1, end].map(reason);
    assert_eq!(reasons, [Some("IssuerNotYetValid"), None, None, Some("IssuerExpired")]);
}

#[test]
fn answer_to_a_code_is_made_again_when_it_is_due() {
    let read = |ca: &SecretData| Issuer::read("ca", Some(ca), noon()).unwrap();
    let (ca, other) = (read(&root("One")), read(&root("One")));
    let seconds = |seconds: i64| Timestamp::from_second(noon().as_second() + seconds).unwrap();
    let first = possession::answer("CODE", &ca, None, [1; 16], noon()).unwrap();
    assert!(first.is_signed_by(ca.certificate()) && first.common_name.as_deref() == Some("CODE"));
    assert_eq!((first.not_after, possession::again_at(&first, &ca)), (after(7), seconds(7 * DAY * 2 / 3)));
    let written = serde_json::to_value(possession::secret(&x509_group(), InUse::Secondary, &first)).unwrap();
    let mut expected = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {
            "name": "a-secondary-verification", "namespace": "plant",
            "labels": {"app.kubernetes.io/name": "lanyard-verification", "app.kubernetes.io/instance": "a",
                "app.kubernetes.io/part-of": "lanyard", "app.kubernetes.io/managed-by": "lanyard-operator"},
            "ownerReferences": [{"apiVersion": "lanyard.dev/v1alpha1", "controller": true,
                "kind": "ProvisioningGroup", "name": "a", "uid": "u2"}]},
    });
    expected["data"] = written["data"].clone();
    assert_eq!(written, expected);
    let written = possession::secret(&x509_group(), InUse::Primary, &first);
    assert_eq!(written.metadata.name.as_deref(), Some("a-verification"));
    let found = written.data.unwrap().into_iter().map(|(key, value)| (key, value.0)).collect();
    for (code, ca, now, same) in [
        ("CODE", &ca, seconds(7 * DAY * 2 / 3 - 1), true),
        ("CODE", &ca, seconds(7 * DAY * 2 / 3), false),
        ("OTHER", &ca, noon(), false),
        ("CODE", &other, noon(), false),
    ] {
        let again = possession::answer(code, ca, Some(&found), [2; 16], now).unwrap();
        assert_eq!(again == first, same, "{code} {now}");
    }
    // It ends with its CA, and another one would not be valid longer.
    let (certificate, key, _) = signed("Root", None, |params| params.not_after = date_time_ymd(2028, 1, 1));
    let ending = read(&secret(&[("tls.crt", &certificate), ("tls.key", &key)]));
    let answer = possession::answer("CODE", &ending, None, [1; 16], noon()).unwrap();
    assert_eq!(answer.not_after, ending.not_after());
    assert_eq!(possession::again_at(&answer, &ending), ending.not_after());
}

#[test]
fn every_kind_of_key_can_be_requested() {
    for (algorithm, size, kind) in [
        ("ECDSA", "", Some(KeyKind::P256)),
        ("ECDSA", ", size: 256", Some(KeyKind::P256)),
        ("ECDSA", ", size: 384", Some(KeyKind::P384)),
        ("ECDSA", ", size: 2048", None),
        ("RSA", "", Some(KeyKind::Rsa2048)),
        ("RSA", ", size: 2048", Some(KeyKind::Rsa2048)),
        ("RSA", ", size: 3072", Some(KeyKind::Rsa3072)),
        ("RSA", ", size: 4096", Some(KeyKind::Rsa4096)),
        ("RSA", ", size: 384", None),
    ] {
        let key = serde_saphyr::from_str(&format!("{{algorithm: {algorithm}{size}}}")).unwrap();
        assert_eq!(KeyKind::requested(Some(&key)), kind, "{algorithm}{size}");
    }
    assert_eq!(KeyKind::requested(None), Some(KeyKind::P256));
}

#[test]
fn certificate_tells_the_kind_of_its_key() {
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Rsa2048, KeyKind::Rsa3072] {
        let duration = std::time::Duration::from_secs(1000);
        let request =
            LeafRequest { common_name: "a".to_owned(), duration, renew_before: duration / 2, key: kind };
        let pair = Pair::generate(kind).unwrap();
        let made = leaf::self_signed(&request, &pair, &leaf::serial([1; 16]), noon()).unwrap();
        assert_eq!(made.leaf().key_kind, Some(kind));
    }
}

#[test]
fn keys_of_older_tools_are_written_in_one_form() {
    let pair = Pair::read(DOMAIN_CA_KEY.as_bytes()).unwrap();
    assert!(pair.text().starts_with("-----BEGIN PRIVATE KEY-----"));
    assert_eq!(Pair::read(pair.text().as_bytes()).unwrap().public_key(), pair.public_key());
    assert!(!format!("{pair:?}").contains("BEGIN"));
    for (text, words) in [
        ("", "no private key"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "damaged"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "encrypted"),
    ] {
        let error = Pair::read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_leaf_never_outlives_its_ca() {
    let ca = domain();
    let issuer = Issuer::read("ca", Some(&ca), after(1)).unwrap();
    let request = LeafRequest {
        common_name: "a".to_owned(),
        duration: std::time::Duration::from_secs(200 * 365 * 24 * 3600),
        renew_before: std::time::Duration::from_secs(1),
        key: KeyKind::P256,
    };
    let pair = Pair::generate(KeyKind::P256).unwrap();
    let leaf = leaf::issued(&request, &pair, &issuer, &leaf::serial([9; 16]), after(1)).unwrap();
    assert_eq!(leaf.leaf().not_after, issuer.not_after());
}
