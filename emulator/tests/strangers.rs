//! Certificates of strangers: any bytes, and any damage to real ones, are read or refused, and never more than that.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, reason = "what goes wrong here is a test that fails")]

#[allow(dead_code, reason = "shared with the wire tests")]
#[path = "wire/pki.rs"]
mod pki;

use std::collections::BTreeMap;

use jiff::Timestamp;
use lanyard_emulator::dps::certificates::attest;
use lanyard_emulator::hub::certificate::{check_authority, check_thumbprint};
use lanyard_emulator::registry::attestation::{Attestation, Slots};
use lanyard_emulator::registry::enrollment::Group;
use lanyard_emulator::registry::enrollments::Enrollments;
use lanyard_emulator::registry::terms::{Allocation, Reprovisioning, Terms};
use lanyard_emulator::x509::authorities::{Authorities, Authority};
use lanyard_emulator::x509::certificate::{Certificate, public_key};
use lanyard_emulator::x509::presented::Presented;
use lanyard_emulator::x509::text;
use lanyard_emulator::x509::thumbprint::{Thumbprint, Thumbprints};
use pki::{Ca, DEV1, Der, V1, V1_RSA, der};
use proptest::prelude::*;
use rustls::pki_types::CertificateDer;

/// A root that is verified and enrolled as a group.
struct World {
    authorities: Authorities,
    uploads: BTreeMap<String, Authority>,
    enrollments: Enrollments,
    now: Timestamp,
}

impl World {
    fn new(root: &Ca) -> Self {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let authorities = Authorities::default();
        authorities.put("root", Certificate::read(&root.der()).unwrap(), true, now).unwrap();
        let mut enrollments = Enrollments::default();
        let terms = Terms {
            attestation: Attestation::CaReferences(Slots { primary: "root".into(), secondary: None }),
            enabled: true,
            allocation: Allocation::Hashed,
            hubs: Vec::new(),
            reprovisioning: Reprovisioning::Migrate,
        };
        enrollments.put_group(Group { id: "plant".into(), terms });
        let uploads = authorities.all();
        Self { authorities, uploads, enrollments, now }
    }

    /// Returns whether hub and DPS accept a chain; both give the same result here.
    fn believes(&self, chain: &[Der]) -> bool {
        let Ok(presented) = Presented::read(chain) else { return false };
        let hub = check_authority("dev1", &presented, &self.authorities, self.now).is_ok();
        let dps = attest(&self.enrollments, &self.uploads, "dev1", &presented, self.now).is_ok();
        assert_eq!(hub, dps);
        let thumbprint = Thumbprints { primary: Some(Thumbprint::sha1(&chain[0])), secondary: None };
        let _ = check_thumbprint(&thumbprint, &presented, self.now);
        hub
    }
}

fn real() -> Vec<Vec<u8>> {
    [DEV1, V1, V1_RSA].map(|pem| der(pem).to_vec()).to_vec()
}

fn damage() -> impl Strategy<Value = (prop::sample::Index, prop::sample::Index, Vec<u8>)> {
    (any::<prop::sample::Index>(), any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..4))
}

fn damaged(
    bytes: &[u8],
    (from, length, with): &(prop::sample::Index, prop::sample::Index, Vec<u8>),
) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let from = from.index(bytes.len());
    let to = (from + length.index(4)).min(bytes.len());
    bytes.splice(from..to, with.iter().copied());
    bytes
}

/// Returns whether the signed part of a certificate is unchanged. The bytes around it are not signed.
fn holds_what_is_signed(bytes: &[u8], real: &[u8]) -> bool {
    use x509_parser::prelude::{FromDer, X509Certificate};
    let (_, parsed) = X509Certificate::from_der(real).unwrap();
    let signed: &[u8] = parsed.tbs_certificate.as_ref();
    bytes.windows(signed.len()).any(|window| window == signed)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_certificate_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = (Certificate::read(&bytes), public_key(&bytes), Presented::read(&[CertificateDer::from(bytes)]));
    }

    #[test]
    fn any_text_is_a_certificate_or_an_error(text in "\\PC{0,200}", pem in "(-----BEGIN [A-Z \
        ]{0,20}-----\n[A-Za-z0-9+/=\n]{0,80}\n?-----END [A-Z ]{0,20}-----\n?){0,3}") {
        let _ = (text::read(&text), text::read(&pem));
    }

    #[test]
    fn any_damage_is_a_certificate_or_an_error(which in 0..3_usize, damage in damage()) {
        let bytes = damaged(&real()[which], &damage);
        let _ = public_key(&bytes);
        if let Ok(certificate) = Certificate::read(&bytes) {
            let unchanged = holds_what_is_signed(&bytes, &real()[which]);
            prop_assert!(unchanged || !certificate.is_signed_by(&certificate), "{bytes:02x?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 256, ..ProptestConfig::default() })]

    /// A damaged leaf or intermediate is never believed, and whatever else is presented beside the right ones makes no
    /// difference, in whatever order.
    #[test]
    fn damaged_chain_is_refused_and_junk_is_ignored(
        damage in damage(),
        which in 0..3_usize,
        strangers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..3),
        turn in 0..4_usize,
    ) {
        let root = Ca::root("root");
        let plant = root.intermediate("plant");
        let line = plant.intermediate("line");
        let world = World::new(&root);
        let good = [line.leaf("dev1").der(), line.der(), plant.der()];
        let mut bad = good.clone();
        bad[which] = CertificateDer::from(damaged(&good[which], &damage));
        if !holds_what_is_signed(&bad[which], &good[which]) {
            prop_assert!(!world.believes(&bad), "{bad:02x?}");
        }
        let mut others: Vec<Der> = strangers.into_iter().map(CertificateDer::from).collect();
        others.extend([line.der(), plant.der(), Ca::root("plant").der(), Ca::root("line").der()]);
        others.rotate_left(turn % 4);
        let mut mixed = vec![good[0].clone()];
        mixed.extend(others);
        prop_assert!(world.believes(&mixed));
    }
}

/// CAs that sign each other lead nowhere, and soon.
#[test]
fn circular_chain_terminates() {
    let (one, two) = (Ca::root("one"), Ca::root("two"));
    let world = World::new(&Ca::root("root"));
    let chain = [one.leaf("dev1").der(), two.signs(&one).der(), one.signs(&two).der()];
    assert!(!world.believes(&chain));
}

/// As many as a handshake may carry, all of one name and key.
#[test]
fn cas_of_the_same_name_are_each_checked_once() {
    let root = Ca::root("root");
    let world = World::new(&root);
    let (one, two) = (Ca::root("crowd"), Ca::root("other"));
    let mut chain = vec![one.leaf("dev1").der()];
    chain.extend((0..75).flat_map(|_| [two.signs(&one).der(), one.signs(&two).der()]));
    assert!(!world.believes(&chain));
    chain.push(root.signs(&one).der());
    assert!(world.believes(&chain), "one of them is signed by the root");
}
