//! Schedule of a certificate's renewal, and of the warning before its expiry. Pure.

use std::time::Duration;

use jiff::Timestamp;
use lanyard_crds::certificate::{Leaf, Lifetime};
use lanyard_handoff::interval::Interval;
use sha2::{Digest, Sha256};

use super::certificate::Certificate;
use super::leaf::BACKDATED;
use crate::credential::leaf::LeafRequest;

/// A year.
const DURATION: Duration = Duration::from_secs(8760 * 3600);
/// Thirty days.
const RENEW_BEFORE: Duration = Duration::from_secs(720 * 3600);

/// Returns a validity period such as `8760h` or `1h30m`; `None` for texts that the schema refuses.
#[must_use]
pub fn length(lifetime: &Lifetime) -> Option<Duration> {
    let length = Interval::parse(&lifetime.0).ok()?.get();
    (length.subsec_nanos() == 0 && !length.is_zero()).then_some(length)
}

/// Returns the validity of certificates, and the time before their expiry at which the next ones are issued.
///
/// # Errors
/// The name of the field that the schema should have refused.
pub fn lengths(leaf: &Leaf) -> Result<(Duration, Duration), &'static str> {
    let read = |lifetime: Option<&Lifetime>| lifetime.map(|lifetime| length(lifetime).ok_or(())).transpose();
    let duration = read(leaf.duration.as_ref()).map_err(|()| "duration")?.unwrap_or(DURATION);
    let renew_before = read(leaf.renew_before.as_ref()).map_err(|()| "renewBefore")?;
    Ok((duration, renew_before.unwrap_or_else(|| RENEW_BEFORE.min(duration / 3))))
}

/// Returns a number from 0 to 1, always the same for one object, so that devices of the same age do not renew at the
/// same time.
#[must_use]
pub fn spread(uid: &str) -> f64 {
    let hash = Sha256::digest(uid.as_bytes());
    let first = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    f64::from(first) / f64::from(u32::MAX)
}

/// Returns the time of the next certificate; `None` if the issuer expires first, because a new one would not be valid
/// longer.
///
/// The requested duration counts, so a shorter duration applies to existing certificates. A certificate is in use for
/// at least a tenth of its validity, regardless of `renewBefore`.
#[must_use]
pub fn renewal(
    leaf: &Certificate,
    request: &LeafRequest,
    spread: f64,
    issuer_ends: Option<Timestamp>,
) -> Option<Timestamp> {
    let made = leaf.not_before.saturating_add(BACKDATED).unwrap_or(Timestamp::MAX);
    let end = leaf.not_after.min(made.saturating_add(request.duration).unwrap_or(Timestamp::MAX));
    if issuer_ends.is_some_and(|issuer_ends| issuer_ends <= end) {
        return None;
    }
    let earlier = request.renew_before + request.renew_before.mul_f64(0.1 * spread.clamp(0.0, 1.0));
    let life = Duration::try_from(end.duration_since(made)).unwrap_or_default();
    let earliest = made.saturating_add(life / 10).unwrap_or(Timestamp::MAX);
    Some(end.saturating_sub(earlier).unwrap_or(Timestamp::MIN).max(earliest))
}

/// Returns the time from which less than a tenth of a certificate's life is left.
#[must_use]
pub fn expiring(leaf: &Certificate) -> Timestamp {
    let made = leaf.not_before.saturating_add(BACKDATED).unwrap_or(Timestamp::MAX).min(leaf.not_after);
    let life = Duration::try_from(leaf.not_after.duration_since(made)).unwrap_or_default();
    leaf.not_after.saturating_sub(life / 10).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::credential::leaf;
    use crate::credential::pair::{KeyKind, Pair};

    fn lifetime(text: &str) -> Lifetime {
        Lifetime(text.to_owned())
    }

    #[test]
    fn validity_periods_are_read_as_the_schema_allows() {
        for (text, seconds) in [
            ("8760h", Some(31_536_000)),
            ("1h30m", Some(5400)),
            ("2m", Some(120)),
            ("1h1m1s", Some(3661)),
            ("0s", None),
            ("", None),
            ("5", None),
            ("1500ms", None),
            ("1d", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(length(&lifetime(text)).map(|length| length.as_secs()), seconds, "{text}");
        }
        let leaf = |duration: &str| Leaf { duration: Some(lifetime(duration)), ..Leaf::default() };
        let hours =
            |(duration, before): (Duration, Duration)| (duration.as_secs() / 3600, before.as_secs() / 3600);
        assert_eq!(lengths(&Leaf::default()).map(hours), Ok((8760, 720)));
        assert_eq!(lengths(&leaf("300h")).map(hours), Ok((300, 100)), "a third of a short life");
        assert_eq!(lengths(&leaf("1d")).map(hours), Err("duration"));
    }

    fn made(at: i64, request: &LeafRequest) -> Certificate {
        let pair = Pair::generate(KeyKind::P256).unwrap();
        let now = Timestamp::from_second(at).unwrap();
        leaf::self_signed(request, &pair, &leaf::serial([1; 16]), now).unwrap().leaf().clone()
    }

    fn request(duration: u64, renew_before: u64) -> LeafRequest {
        let (duration, renew_before) = (Duration::from_secs(duration), Duration::from_secs(renew_before));
        LeafRequest { common_name: "a".to_owned(), duration, renew_before, key: KeyKind::P256 }
    }

    #[test]
    fn certificate_that_expires_with_its_issuer_is_not_reissued() {
        let request = request(1000, 300);
        let leaf = made(10_000, &request);
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(renewal(&leaf, &request, 0.0, None), Some(at(10_700)));
        assert_eq!(renewal(&leaf, &request, 1.0, None), Some(at(10_670)));
        assert_eq!(renewal(&leaf, &request, 0.0, Some(at(11_001))), Some(at(10_700)));
        assert_eq!(renewal(&leaf, &request, 0.0, Some(leaf.not_after)), None);
        // A shorter duration counts for what is there.
        let shorter = LeafRequest { duration: Duration::from_secs(500), ..request };
        assert_eq!(renewal(&leaf, &shorter, 0.0, None), Some(at(10_200)));
        assert_eq!(expiring(&leaf), at(10_900));
    }

    #[test]
    fn devices_of_one_age_renew_at_different_times() {
        // The first four bytes of the hash are 0x54643dbd and 0xbb82030d.
        for (uid, hundredths) in [("press-17", 33), ("u1", 73)] {
            assert_eq!((spread(uid) * 100.0).round() as u64, hundredths, "{uid}");
        }
    }

    proptest! {
        #[test]
        fn a_renewal_is_always_after_the_making_and_before_the_end(
            duration in 60_u64..3_000_000_000,
            part in 0.0..0.999_f64,
            uid in "[a-f0-9-]{1,36}",
            now in 1_600_000_000_i64..2_200_000_000,
        ) {
            let request = request(duration, (duration as f64 * part) as u64);
            let leaf = made(now, &request);
            let spread = spread(&uid);
            prop_assert!((0.0..=1.0).contains(&spread));
            let renewal = renewal(&leaf, &request, spread, None).unwrap();
            let made = Timestamp::from_second(now).unwrap();
            prop_assert!(renewal > made, "no storm");
            prop_assert!(renewal <= leaf.not_after);
            prop_assert_eq!(leaf.not_before, made.saturating_sub(BACKDATED).unwrap());
        }
    }
}
