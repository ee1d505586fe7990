//! A fault as JSON: one object, with exactly one member for the effect. Pure.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::field::choice;
use crate::config::problems::Problems;
use crate::faults::fault::{Effect, Fault, Selector, Service};
use crate::faults::store::NamedFault;
use crate::mqtt::answer::Refusal;

/// Seconds that a throttled acknowledgement waits at most, where a request does not say it.
const LONGEST_WAIT: u64 = 30;

/// The longest delay that a request may ask for, in seconds.
const LONGEST_TIME: u64 = 24 * 60 * 60;

const EFFECTS: &str = "refuseConnections, dropConnections, delayAnswers, throttle, loseAcknowledgements and \
    refuseRegistrations";

/// Body of a request.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct FaultEntry {
    /// Name in the path.
    name: Option<String>,
    /// `hub` (default) or `dps`.
    service: Option<String>,
    /// Name of a hub.
    hub: Option<String>,
    /// The device at a hub, or the registration at DPS.
    device_id: Option<String>,
    /// Number of times that the fault occurs.
    count: Option<u64>,
    /// Read-only.
    occurred: Option<serde::de::IgnoredAny>,
    refuse_connections: Option<RefuseConnections>,
    drop_connections: Option<DropConnections>,
    delay_answers: Option<DelayAnswers>,
    throttle: Option<Throttle>,
    lose_acknowledgements: Option<LoseAcknowledgements>,
    refuse_registrations: Option<RefuseRegistrations>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct RefuseConnections {
    return_code: Option<u8>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct DropConnections {
    after_messages: u64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct DelayAnswers {
    milliseconds: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Throttle {
    messages_per_second: Option<f64>,
    close_after_seconds: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct LoseAcknowledgements {
    one_in: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct RefuseRegistrations {
    error_code: Option<u32>,
    retry_after_seconds: Option<u64>,
}

/// Checks a fault.
pub(super) fn fault(entry: &FaultEntry, hubs: &[Arc<str>], problems: &mut Problems) -> Option<Fault> {
    let effect = effect(entry, problems);
    let service = service(entry, effect.as_ref(), problems)?;
    if let Some(hub) =
        entry.hub.as_ref().filter(|hub| !hubs.iter().any(|known| known.eq_ignore_ascii_case(hub)))
    {
        problems.note("hub", format!("{hub:?} is none of the hubs: use {}", hubs.join(", ")));
    }
    let count = entry.count.map(NonZeroU64::new);
    if count == Some(None) {
        problems.note(
            "count",
            "0 times is never: use 1 or more, or remove it to last until the fault is deleted",
        );
    }
    let selector = Selector { service, hub: entry.hub.clone(), device_id: entry.device_id.clone() };
    Some(Fault { selector, effect: effect?, count: count.flatten() })
}

/// Returns the service of a fault, and checks that it fits the effect: each effect belongs to hubs, to DPS or to both.
fn service(entry: &FaultEntry, effect: Option<&Effect>, problems: &mut Problems) -> Option<Service> {
    let services = [("hub", Service::Hub), ("dps", Service::Dps)];
    let named = choice(entry.service.as_deref(), "service", problems, &services);
    let only = match effect {
        Some(Effect::RefuseRegistrations { .. }) => Some(Service::Dps),
        Some(Effect::Throttle { .. } | Effect::LoseAcknowledgements { .. }) => Some(Service::Hub),
        _ => None,
    };
    let service = named.or(only).unwrap_or(Service::Hub);
    if let Some(only) = only.filter(|only| *only != service) {
        problems
            .note("service", format!("only {} has this effect: use it, or remove the field", only.as_str()));
        return None;
    }
    if service == Service::Dps && entry.hub.is_some() {
        problems.note("hub", "a fault with service dps cannot have a hub: remove it, or use service hub");
        return None;
    }
    Some(service)
}

/// Returns the effect of a fault; notes a problem unless there is exactly one.
fn effect(entry: &FaultEntry, problems: &mut Problems) -> Option<Effect> {
    let effects = [
        entry.refuse_connections.as_ref().map(|entry| refuse_connections(entry, problems)),
        entry.drop_connections.as_ref().map(|DropConnections { after_messages }| {
            Some(Effect::DropConnections { after_messages: *after_messages })
        }),
        entry.delay_answers.as_ref().map(|entry| delay_answers(entry, problems)),
        entry.throttle.as_ref().map(|entry| throttle(entry, problems)),
        entry.lose_acknowledgements.as_ref().map(|entry| lose_acknowledgements(entry, problems)),
        entry.refuse_registrations.as_ref().map(|entry| refuse_registrations(entry, problems)),
    ];
    let mut effects = effects.into_iter().flatten();
    match (effects.next(), effects.next()) {
        (Some(effect), None) => effect,
        (found, _) => {
            let what = if found.is_some() { "there is more than one" } else { "is missing" };
            let message = format!("{what}: use one of {EFFECTS}");
            problems.note("effect", message);
            None
        }
    }
}

fn refuse_connections(entry: &RefuseConnections, problems: &mut Problems) -> Option<Effect> {
    let code = entry.return_code.unwrap_or(Refusal::ServerUnavailable.code());
    let refusal = Refusal::ALL.into_iter().find(|refusal| refusal.code() == code);
    if refusal.is_none() {
        problems.note("refuseConnections.returnCode", "is not a return code that refuses: use 1 to 5");
    }
    refusal.map(Effect::RefuseConnections)
}

fn delay_answers(entry: &DelayAnswers, problems: &mut Problems) -> Option<Effect> {
    let time = entry.milliseconds.filter(|time| (1..=LONGEST_TIME * 1000).contains(time));
    if time.is_none() {
        let message = format!("is missing or out of range: use 1 to {}", LONGEST_TIME * 1000);
        problems.note("delayAnswers.milliseconds", message);
    }
    time.map(|time| Effect::DelayAnswers(Duration::from_millis(time)))
}

fn throttle(entry: &Throttle, problems: &mut Problems) -> Option<Effect> {
    let rate = entry.messages_per_second.filter(|rate| (0.001..=1_000_000.0).contains(rate));
    if rate.is_none() {
        problems.note("throttle.messagesPerSecond", "is missing or out of range: use 0.001 to 1000000");
    }
    let longest_wait = entry.close_after_seconds.unwrap_or(LONGEST_WAIT);
    if longest_wait > LONGEST_TIME {
        problems.note("throttle.closeAfterSeconds", format!("is too long: use 0 to {LONGEST_TIME}"));
        return None;
    }
    Some(Effect::Throttle {
        interval: Duration::from_secs_f64(1.0 / rate?),
        longest_wait: Duration::from_secs(longest_wait),
    })
}

fn lose_acknowledgements(entry: &LoseAcknowledgements, problems: &mut Problems) -> Option<Effect> {
    let one_in = NonZeroU32::new(entry.one_in.unwrap_or(1));
    if one_in.is_none() {
        problems.note("loseAcknowledgements.oneIn", "0 loses none: use 1 or more, or delete the fault");
    }
    one_in.map(|one_in| Effect::LoseAcknowledgements { one_in })
}

/// Checks an effect that refuses registrations. Codes have six digits, of which the first three are an HTTP status.
/// Only 429 and 5xx ask to wait (ref §8.2).
fn refuse_registrations(entry: &RefuseRegistrations, problems: &mut Problems) -> Option<Effect> {
    let code = entry.error_code.filter(|code| (400_000..600_000).contains(code));
    let Some(error_code) = code else {
        problems.note(
            "refuseRegistrations.errorCode",
            "is missing or out of range: use 400000 to 599999, such as 429001",
        );
        return None;
    };
    let retry_after = entry.retry_after_seconds;
    if retry_after.is_some() && !matches!(error_code / 1000, 429 | 500..) {
        let message = "only errorCode 429000 to 429999 and 500000 to 599999 may have it: remove it";
        problems.note("refuseRegistrations.retryAfterSeconds", message);
        return None;
    }
    Some(Effect::RefuseRegistrations { error_code, retry_after })
}

/// Returns a fault in the form in which it is set, with its occurrences.
pub(super) fn show(named: &NamedFault) -> Value {
    let Fault { selector, effect, count } = named.fault();
    let (name, effect) = match effect {
        Effect::RefuseConnections(refusal) => ("refuseConnections", json!({"returnCode": refusal.code()})),
        Effect::DropConnections { after_messages } => {
            ("dropConnections", json!({"afterMessages": after_messages}))
        }
        Effect::DelayAnswers(time) => {
            ("delayAnswers", json!({"milliseconds": u64::try_from(time.as_millis()).ok()}))
        }
        Effect::Throttle { interval, longest_wait } => (
            "throttle",
            json!({"messagesPerSecond": rate(*interval), "closeAfterSeconds": longest_wait.as_secs()}),
        ),
        Effect::LoseAcknowledgements { one_in } => ("loseAcknowledgements", json!({"oneIn": one_in})),
        Effect::RefuseRegistrations { error_code, retry_after } => {
            ("refuseRegistrations", json!({"errorCode": error_code, "retryAfterSeconds": retry_after}))
        }
    };
    let mut shown = json!({
        "name": named.name(),
        "service": selector.service.as_str(),
        "hub": selector.hub,
        "deviceId": selector.device_id,
        "count": count,
        "occurred": named.occurred(),
    });
    shown[name] = effect;
    shown
}

/// Returns the messages per second, rounded as precisely as they can be set.
fn rate(interval: Duration) -> f64 {
    (1000.0 / interval.as_secs_f64()).round() / 1000.0
}
