//! Selection of the credential, from the answers of hub and DPS and their times. Pure; time and randomness are
//! parameters.
//!
//! The newest credential comes first. While it is paused, the credential that the hub accepted last keeps the
//! connection, even if the files no longer contain it. If all credentials are paused, they take turns.

use std::sync::Arc;
use std::time::Duration;

use lanyard_handoff::fingerprint::Fingerprint;
use tokio::time::Instant;

use crate::config::credential::Credential;
use crate::wait::{ExponentialWait, after};

/// Rule for the pause of a credential after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryRule {
    /// The hub refused it: trying again costs the connection that another one holds.
    Hub,
    /// DPS refused it: asking again costs no connection, but DPS counts requests.
    Dps,
    /// DPS was not reached, so the credential is neither accepted nor refused.
    Unheard,
    /// The hub was reached and ended the login without refusing it. That counts only when it repeats itself, and
    /// trying again costs a connection.
    Broken,
    /// So long, because it is known what is awaited.
    For(Duration),
}

/// The first wait after a DPS that could not be reached (ref §12.4), and the longest.
const UNHEARD: std::ops::RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(100);
/// So many logins that break in a row pause a credential that was never accepted: fewer may be the network's fault.
const BROKEN: u32 = 3;
/// Ratio of the first pause after a refusal by DPS to the one after a refusal by the hub: a minute for an hour.
const DPS_SHARE: f64 = 60.0;

/// The credentials of one device, and how each fared.
#[derive(Debug)]
pub(crate) struct Selection {
    /// Newest first.
    candidates: Vec<Candidate>,
    /// Pause after a refusal by the hub.
    retry: Duration,
}

#[derive(Debug, Clone)]
struct Candidate {
    credential: Arc<Credential>,
    /// True if the files contain it.
    offered: bool,
    /// True if the hub accepted it last.
    accepted: bool,
    /// Number of broken logins since it was offered or accepted.
    broken: u32,
    pause: Option<Pause>,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    at: Instant,
    times: u32,
    again: Instant,
}

impl Selection {
    pub(crate) const fn new(retry: Duration) -> Self {
        Self { candidates: Vec::new(), retry }
    }

    /// Takes what the files have now, newest first. New files are a new try for all. Of those with one fingerprint, say
    /// a certificate with two chains, only the newest counts: they have the same fingerprint.
    pub(crate) fn offer(&mut self, offered: &[Arc<Credential>]) {
        let accepted = self.candidates.iter().find(|candidate| candidate.accepted).cloned();
        let was_accepted =
            |credential: &Credential| accepted.as_ref().is_some_and(|a| a.is(&credential.fingerprint));
        self.candidates.clear();
        for credential in offered {
            if self.candidates.iter().any(|candidate| candidate.is(&credential.fingerprint)) {
                continue;
            }
            self.candidates.push(Candidate {
                accepted: was_accepted(credential),
                credential: Arc::clone(credential),
                offered: true,
                broken: 0,
                pause: None,
            });
        }
        if let Some(accepted) = accepted
            && !self.candidates.iter().any(|candidate| candidate.accepted)
        {
            self.candidates.push(Candidate { offered: false, broken: 0, pause: None, ..accepted });
        }
    }

    /// Returns the one to log in with now.
    pub(crate) fn next(&self, now: Instant) -> Option<&Arc<Credential>> {
        let newest = self.candidates.first()?;
        let free = |candidate: &&Candidate| candidate.pause.is_none();
        let due = newest.pause.is_none_or(|pause| pause.again <= now);
        let candidate = Some(newest)
            .filter(|_| due)
            .or_else(|| self.candidates.iter().filter(free).find(|candidate| candidate.accepted))
            .or_else(|| self.candidates.iter().find(free))
            .or_else(|| {
                self.candidates.iter().min_by_key(|candidate| candidate.pause.map(|pause| pause.at))
            })?;
        Some(&candidate.credential)
    }

    /// Returns the end of the newest credential's pause.
    pub(crate) fn again_at(&self) -> Option<Instant> {
        self.candidates.first()?.pause.map(|pause| pause.again)
    }

    /// Returns whether it is the newest.
    pub(crate) fn is_newest(&self, fingerprint: &Fingerprint) -> bool {
        self.candidates.first().is_some_and(|newest| newest.is(fingerprint))
    }

    /// Returns whether there is another one.
    pub(crate) fn has_other(&self, fingerprint: &Fingerprint) -> bool {
        self.candidates.iter().any(|candidate| !candidate.is(fingerprint))
    }

    /// Notes that the hub accepted it.
    pub(crate) fn accepted(&mut self, fingerprint: &Fingerprint) {
        let is_newest = self.is_newest(fingerprint);
        for candidate in &mut self.candidates {
            candidate.accepted = candidate.is(fingerprint);
            if candidate.accepted {
                candidate.broken = 0;
                candidate.pause = None;
            }
        }
        if is_newest {
            self.candidates.retain(|candidate| candidate.offered);
        }
    }

    /// Records a failure. Returns whether to try another credential at once: each has its turn, then all of them
    /// wait.
    pub(crate) fn pause(
        &mut self,
        fingerprint: &Fingerprint,
        now: Instant,
        rule: RetryRule,
        chance: f64,
    ) -> bool {
        if rule == RetryRule::Broken && !self.breaks_for_good(fingerprint) {
            return false;
        }
        let wait = rule.wait(self.retry);
        let mut another = None;
        for candidate in &mut self.candidates {
            if candidate.is(fingerprint) {
                let times = candidate.pause.map_or(0, |pause| pause.times).saturating_add(1);
                let again = after(now, wait.after(times, chance));
                candidate.pause = Some(Pause { at: now, times, again });
                another = Some(false);
            } else {
                another = another.map(|_| true);
            }
        }
        // The files no longer have it: the credential in its place is new.
        let Some(another) = another else { return true };
        another || self.candidates.iter().any(|candidate| candidate.pause.is_none())
    }

    /// Returns whether this broken login was one too many: of the newest credential, never accepted, if there is
    /// another one.
    fn breaks_for_good(&mut self, fingerprint: &Fingerprint) -> bool {
        let other = self.has_other(fingerprint);
        let Some(newest) = self.candidates.first_mut().filter(|newest| newest.is(fingerprint)) else {
            return false;
        };
        newest.broken = newest.broken.saturating_add(1);
        other && !newest.accepted && newest.broken >= BROKEN
    }
}

impl Candidate {
    fn is(&self, fingerprint: &Fingerprint) -> bool {
        self.credential.fingerprint == *fingerprint
    }
}

impl RetryRule {
    /// Returns the pause; it is up to a quarter longer by chance, so that devices that were refused together do not ask
    /// again together.
    fn wait(self, retry: Duration) -> ExponentialWait {
        let (first, longest, spread) = match self {
            Self::Hub => (retry, retry, 0.25),
            Self::Dps => (retry.div_f64(DPS_SHARE), retry, 0.25),
            Self::Unheard => (*UNHEARD.start(), (*UNHEARD.end()).min(retry), 0.25),
            Self::Broken => (*UNHEARD.start(), retry, 0.25),
            Self::For(time) => (time, time.min(retry), 0.01),
        };
        ExponentialWait { first, longest, spread }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::certificate::Certificate;
    use lanyard_protocol::hub::key::SymmetricKey;
    use proptest::prelude::*;

    fn credential(name: char) -> Arc<Credential> {
        let key = SymmetricKey::from_base64(&format!("{name}{}=", "A".repeat(42)));
        Arc::new(Credential::of_key(key.unwrap()))
    }

    /// Runs a story of letters: `+A` accepted, `hA` the hub refuses A, `dA` DPS refuses A, `uA` DPS is not reached,
    /// `bA` the login with A breaks, `3m` time passes, `[AB]` the files contain A and, before it, B.
    fn run(story: &str) -> (Selection, Instant) {
        let (mut choice, mut now) = (Selection::new(Duration::from_secs(3600)), Instant::now());
        for event in story.split_whitespace() {
            let last = event.chars().last().unwrap();
            let of = || credential(last).fingerprint.clone();
            match event.chars().next().unwrap() {
                '[' => {
                    let names = event.trim_matches(['[', ']']).chars();
                    choice.offer(&names.map(credential).collect::<Vec<_>>());
                }
                '+' => choice.accepted(&of()),
                'h' => drop(choice.pause(&of(), now, RetryRule::Hub, 0.0)),
                'd' => drop(choice.pause(&of(), now, RetryRule::Dps, 0.0)),
                'u' => drop(choice.pause(&of(), now, RetryRule::Unheard, 0.0)),
                'b' => drop(choice.pause(&of(), now, RetryRule::Broken, 0.0)),
                _ => now += Duration::from_secs(60 * event.trim_end_matches('m').parse::<u64>().unwrap()),
            }
            now += Duration::from_millis(1);
        }
        (choice, now)
    }

    /// Every line: what happened, and who is next.
    #[test]
    fn newest_is_tried_first_and_the_accepted_one_stays() {
        let table = [
            // At the start.
            ("[A]", 'A'),
            ("[AB]", 'A'),
            ("[AB] hA", 'B'),
            ("[AB] dA", 'B'),
            ("[AB] uA", 'B'),
            ("[AB] hA +B", 'B'),
            ("[AB] +A", 'A'),
            // A refused one comes back slowly: after an hour, with DPS after one minute, two, four.
            ("[AB] hA +B 59m", 'B'),
            ("[AB] hA +B 60m", 'A'),
            ("[AB] dA +B 1m", 'A'),
            ("[AB] dA +B 1m dA 1m", 'B'),
            ("[AB] dA +B 1m dA 2m", 'A'),
            ("[AB] hA +B 60m hA 59m", 'B'),
            ("[AB] hA +B 60m hA 60m", 'A'),
            ("[AB] uA +B 1m", 'A'),
            // All refused: they take turns.
            ("[A] hA", 'A'),
            ("[AB] hA hB", 'A'),
            ("[AB] hA hB hA", 'B'),
            ("[AB] hA hB hA hB", 'A'),
            ("[AB] dA dB dA", 'B'),
            // New files: the newest at once, and the proven one stays even when they forget it.
            ("[A] +A [B]", 'B'),
            ("[A] +A [B] hB", 'A'),
            ("[A] +A [B] dB", 'A'),
            ("[A] +A [B] hB [C]", 'C'),
            ("[A] +A [B] hB [C] hC", 'A'),
            ("[A] +A [BC] hB", 'A'),
            ("[AB] hA +B [AB]", 'A'),
            ("[AB] hA +B [B]", 'B'),
            ("[A] +A [BA] hB 59m", 'A'),
            ("[A] +A [BA] hB 60m", 'B'),
            // What the newest replaced is not returned to, unless the files have it.
            ("[A] +A [B] +B hB", 'B'),
            ("[A] +A [BA] +B hB", 'A'),
            // The one that held the connection fails too: the newest has its turn before its time.
            ("[AB] hA +B hB", 'A'),
            // A login that breaks three times pauses the newest, and from then on each time: 5 s, 10 s, 20 s, ….
            ("[AB] bA bA", 'A'),
            ("[AB] bA bA bA", 'B'),
            ("[A] +A [B] bB bB", 'B'),
            ("[A] +A [B] bB bB bB", 'A'),
            ("[AB] bA bA bA +B 1m", 'A'),
            ("[AB] bA bA bA +B 1m bA", 'B'),
            ("[AB] bA bA bA +B 1m bA 1m bA 1m bA 1m", 'A'),
            ("[AB] bA bA bA +B 1m bA 1m bA 1m bA 1m bA 1m", 'B'),
            ("[AB] bA bA bA +B 1m bA 1m bA 1m bA 1m bA 2m", 'A'),
            ("[AB] bA bA bA bB bB bB", 'B'),
            ("[AB] bA bA bA hB", 'A'),
            // Not when there is no other, when it was accepted, or when the files are new.
            ("[A] bA bA bA bA", 'A'),
            ("[AB] +A bA bA bA bA", 'A'),
            ("[AB] bA bA [AB] bA bA", 'A'),
        ];
        for (story, expected) in table {
            let (choice, now) = run(story);
            assert_eq!(choice.next(now), Some(&credential(expected)), "{story}");
        }
        assert_eq!(Selection::new(Duration::ZERO).next(Instant::now()), None);
    }

    #[test]
    fn another_is_tried_at_once_until_all_had_their_turn() {
        let table = [
            ("[A]", 'A', false),
            ("[AB]", 'A', true),
            ("[AB] hA", 'B', false),
            ("[AB] hA hB", 'A', true),
            ("[AB] hA +B", 'B', false),
            ("[A] +A [B]", 'B', true),
            ("[A] +A [B] hB", 'A', false),
        ];
        for (story, refused, at_once) in table {
            let (mut choice, now) = run(story);
            let another = choice.pause(&credential(refused).fingerprint, now, RetryRule::Hub, 0.0);
            assert_eq!(another, at_once, "{story}, then {refused}");
        }
    }

    #[test]
    fn another_is_tried_at_once_only_when_a_login_broke_too_often() {
        let table = [
            ("[AB]", 'A', false),
            ("[AB] bA", 'A', false),
            ("[AB] bA bA", 'A', true),
            ("[AB] bA bA bA +B 1m", 'A', true),
            ("[AB] bA bA bA", 'B', false),
            ("[A] bA bA", 'A', false),
        ];
        for (story, broken, at_once) in table {
            let (mut choice, now) = run(story);
            let another = choice.pause(&credential(broken).fingerprint, now, RetryRule::Broken, 0.0);
            assert_eq!(another, at_once, "{story}, then {broken}");
        }
    }

    /// A certificate with another chain is the same certificate.
    #[test]
    fn duplicate_fingerprint_counts_once() {
        let certificates = one_leaf_with_two_chains();
        let fingerprint = &certificates[0].fingerprint;
        for rule in [RetryRule::Hub, RetryRule::Dps, RetryRule::Unheard, RetryRule::Broken] {
            let mut choice = Selection::new(Duration::from_secs(3600));
            choice.offer(&certificates);
            assert!(!choice.has_other(fingerprint));
            let now = Instant::now();
            for _ in 0..4 {
                assert!(!choice.pause(fingerprint, now, rule, 0.0), "{rule:?}");
                assert!(Arc::ptr_eq(choice.next(now).unwrap(), &certificates[0]));
            }
            choice.accepted(fingerprint);
            choice.offer(&certificates[1..]);
            assert!(Arc::ptr_eq(choice.next(now).unwrap(), &certificates[1]));
            assert_eq!(choice.candidates.len(), 1);
        }
    }

    /// Even if two had got in, they share their fate.
    #[test]
    fn equal_fingerprints_are_paused_together() {
        let certificates = one_leaf_with_two_chains();
        let (fingerprint, now) = (&certificates[0].fingerprint, Instant::now());
        let mut choice = Selection::new(Duration::from_secs(3600));
        choice.offer(&certificates);
        let twin = Candidate { credential: Arc::clone(&certificates[1]), ..choice.candidates[0].clone() };
        choice.candidates.push(twin);
        for _ in 0..4 {
            assert!(!choice.pause(fingerprint, now, RetryRule::Hub, 0.0));
        }
    }

    fn one_leaf_with_two_chains() -> Vec<Arc<Credential>> {
        let certificate = |key: &rcgen::KeyPair| {
            rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(key).unwrap().pem()
        };
        let key = rcgen::KeyPair::generate().unwrap();
        let (leaf, ca) = (certificate(&key), certificate(&rcgen::KeyPair::generate().unwrap()));
        let of = |pem: String| {
            let parsed = Certificate::parse(pem.as_bytes(), key.serialize_pem().as_bytes());
            Arc::new(Credential::of_certificate(parsed.unwrap()))
        };
        vec![of(format!("{leaf}{ca}")), of(leaf)]
    }

    proptest! {
        /// Whatever happened before, a credential that works is found before anybody waits, unless it is of those that
        /// the files no longer have and the hub has not accepted last.
        #[test]
        fn working_credential_is_found_at_once(
            story in "(([hdub][A-C]|[0-9]m|\\+[A-C]) ){0,12}",
            works in prop::sample::select(vec!['A', 'B', 'C']),
        ) {
            let (mut choice, now) = run(&format!("[ABC] {story}"));
            let mut tries = 0;
            loop {
                let next = choice.next(now).unwrap().fingerprint.clone();
                if next == credential(works).fingerprint {
                    break;
                }
                choice.pause(&next, now + Duration::from_millis(tries), RetryRule::Hub, 0.0);
                tries += 1;
                prop_assert!(tries < 3, "{tries} tries");
            }
        }
    }

    #[test]
    fn pauses_are_capped_and_spread() {
        let hour = Duration::from_secs(3600);
        let length = |rule: RetryRule, times, chance| rule.wait(hour).after(times, chance).as_secs();
        assert_eq!([1, 2, 3, 9].map(|times| length(RetryRule::Dps, times, 0.0)), [60, 120, 240, 3600]);
        assert_eq!([1, 9].map(|times| length(RetryRule::Hub, times, 0.0)), [3600, 3600]);
        assert_eq!(length(RetryRule::Hub, 1, 1.0), 4500);
        assert_eq!([1, 2, 40].map(|times| length(RetryRule::Unheard, times, 0.0)), [5, 10, 100]);
        assert_eq!([1, 2, 40].map(|times| length(RetryRule::Broken, times, 0.0)), [5, 10, 3600]);
        assert_eq!(length(RetryRule::For(Duration::from_secs(90)), 1, 0.0), 90);
    }
}
