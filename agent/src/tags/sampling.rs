//! Reads tags on time and decides which reads become events. Pure; the caller brings the time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lanyard_handoff::config::{self, Deadband, Format, InitialUpdate, Publish};
use lanyard_handoff::interval::Interval;

use super::deadband;
use super::event::{Event, Value};
use super::reader::Field;
use super::schedule::Schedule;
use crate::tags::reader::TagIndex;

/// All tags of one device. It outlives configurations: what stays unchanged is not read again and makes no event.
#[derive(Debug)]
pub struct Sampling {
    field: Field,
    tags: Vec<Sampled>,
    /// Configuration of each tag; stored apart, so that the data of every scan lies together.
    configs: Vec<config::Tag>,
    /// True if there are tags that were not read yet.
    unread: bool,
    schedule: Schedule,
    /// In Wide, all tags become one record every interval.
    pictures: Option<Schedule>,
    /// Tags due at one instant; kept for its room.
    due: Vec<usize>,
    /// Event for the first reading.
    initial: InitialUpdate,
    /// Number of tags whose last read failed.
    bad: usize,
    /// Time of the configuration. New tags are read then for the first time; schedules begin after it.
    configured: Duration,
}

#[derive(Debug)]
struct Sampled {
    name: Arc<str>,
    place: TagIndex,
    last: Option<Reading>,
    rule: Rule,
}

/// Rule for the readings that become events.
#[derive(Debug)]
enum Rule {
    /// Those that differ from the one before.
    OnChange,
    /// All.
    EveryScan,
    /// Those that differ from the reference, or come long after it.
    Compared(Box<Compared>),
}

#[derive(Debug)]
struct Compared {
    publish: Publish,
    deadband: Option<Deadband>,
    max_silence: Option<Duration>,
    /// Reading that later ones are compared with: the newest event, or the first reading.
    reference: Option<Reading>,
}

#[derive(Debug, Clone, PartialEq)]
struct Reading {
    value: Value,
    good: bool,
    at: Duration,
}

impl Sampling {
    /// Creates a sampling without tags. `seed` decides simulated random values.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            field: Field::new(seed),
            tags: Vec::new(),
            configs: Vec::new(),
            unread: false,
            schedule: Schedule::default(),
            pictures: None,
            due: Vec::new(),
            initial: InitialUpdate::default(),
            bad: 0,
            configured: Duration::ZERO,
        }
    }

    /// Takes a device's tags at an instant up to which everything was scanned; unchanged ones go on undisturbed. Gives
    /// back what cannot be read, with the fix.
    pub fn reconfigure(&mut self, device: &config::Device, at: Duration) -> Vec<String> {
        self.configured = at;
        self.field.reconfigure(&device.sources);
        let mut before: HashMap<String, (config::Tag, Sampled)> = self
            .configs
            .drain(..)
            .zip(self.tags.drain(..))
            .map(|(config, tag)| (config.name.clone(), (config, tag)))
            .collect();
        let mut problems = Vec::new();
        let enabled = device.tags.iter().filter(|tag| tag.enabled).count();
        self.tags = Vec::with_capacity(enabled);
        self.configs = Vec::with_capacity(enabled);
        for config in device.tags.iter().filter(|tag| tag.enabled) {
            let place = self.field.locate(config).unwrap_or_else(|problem| {
                problems.push(problem);
                TagIndex::Nowhere
            });
            self.tags.push(match before.remove(&config.name) {
                Some((was, tag)) if was == *config && tag.place.is_nowhere() == place.is_nowhere() => {
                    Sampled { place, ..tag }
                }
                _ => Sampled {
                    name: Arc::from(config.name.as_str()),
                    place,
                    last: None,
                    rule: Rule::of(config),
                },
            });
            self.configs.push(config.clone());
        }
        self.unread = self.tags.iter().any(|tag| tag.last.is_none());
        self.initial = device.telemetry.initial_update;
        self.bad = self.tags.iter().filter(|tag| tag.is_bad()).count();
        let intervals = self.configs.iter().map(|config| config.scan_interval.get()).enumerate();
        self.schedule = Schedule::new(intervals, self.configured);
        let interval = device.telemetry.interval.get();
        self.pictures = match device.telemetry.format {
            Format::Wide if !self.tags.is_empty() => {
                Some(Schedule::new(std::iter::once((0, interval)), self.configured))
            }
            Format::Wide | Format::Narrow => None,
        };
        problems
    }

    /// Returns the number of tags whose last read failed.
    #[must_use]
    pub fn bad(&self) -> usize {
        self.bad
    }

    /// Returns the time at which [`Sampling::scan`] has work: at once for tags that were not read yet.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        if self.unread {
            return Some(Duration::ZERO);
        }
        let pictures = self.pictures.as_ref().and_then(Schedule::next);
        [self.schedule.next(), pictures].into_iter().flatten().min()
    }

    /// Reads everything that is due by `now`, instant by instant, and adds what becomes events. Values are those of the
    /// scheduled instants, so a late wake-up loses nothing. `epoch` is the wall clock, in milliseconds, at elapsed zero.
    pub fn scan(&mut self, now: Duration, epoch: i64, events: &mut Vec<Event>) {
        let mut due = std::mem::take(&mut self.due);
        if std::mem::take(&mut self.unread) {
            due.clear();
            due.extend((0..self.tags.len()).filter(|&tag| self.tags[tag].last.is_none()));
            // As of then and not as of now: a late wake-up must not read first what is due last.
            self.read(&due, self.configured, epoch, events);
            let initial = self.initial == InitialUpdate::Enabled && due.len() == self.tags.len();
            if self.pictures.is_some() && initial {
                self.picture(epoch, events);
            }
        }
        while let Some(at) = self.next().filter(|&at| at <= now) {
            while let Some(instant) = self.schedule.due(at, &mut due) {
                self.read(&due, instant, epoch, events);
            }
            if self.pictures.as_mut().is_some_and(|pictures| pictures.due(at, &mut due).is_some()) {
                self.picture(epoch, events);
            }
        }
        self.due = due;
    }

    /// Reads tags; unless pictures are wanted, changes become events.
    fn read(&mut self, tags: &[usize], at: Duration, epoch: i64, events: &mut Vec<Event>) {
        let pictured = self.pictures.is_some();
        for &position in tags {
            let Some(tag) = self.tags.get_mut(position) else { continue };
            let was_bad = tag.is_bad();
            let value = self.field.read(&tag.place, at);
            let is_bad = value.is_none();
            let becomes_event = tag.take(value, at, self.initial);
            if becomes_event
                && !pictured
                && let Some(reading) = &tag.last
            {
                events.push(event(&tag.name, reading, epoch, false));
            }
            if is_bad != was_bad {
                self.bad = if is_bad { self.bad + 1 } else { self.bad - 1 };
            }
        }
    }

    /// Adds an event for each tag that was read, with its current value.
    fn picture(&self, epoch: i64, events: &mut Vec<Event>) {
        let read = self.tags.iter().filter_map(|tag| Some((&tag.name, tag.last.as_ref()?)));
        events.extend(read.enumerate().map(|(at, (name, reading))| event(name, reading, epoch, at > 0)));
    }
}

impl Sampled {
    fn is_bad(&self) -> bool {
        self.last.as_ref().is_some_and(|last| !last.good)
    }

    /// Takes the result of a read, nothing if it failed; returns whether it becomes an event.
    fn take(&mut self, value: Option<Value>, at: Duration, initial: InitialUpdate) -> bool {
        let good = value.is_some();
        let Some(last) = &mut self.last else {
            let first = self.last.insert(Reading { value: value.unwrap_or(Value::Null), good, at });
            self.rule.compare_with(first);
            return initial == InitialUpdate::Enabled || !good;
        };
        let becomes_event = last.good != good
            || match &value {
                Some(value) => self.rule.lets_through(last, value, at),
                None => self.rule.repeats_failure(last, at),
            };
        // In place: a new reading would be moved twice. After a failed read the tag keeps its value.
        if let Some(value) = value {
            last.value = value;
        }
        (last.good, last.at) = (good, at);
        if becomes_event {
            self.rule.compare_with(last);
        }
        becomes_event
    }
}

impl Rule {
    fn of(config: &config::Tag) -> Self {
        match config.publish {
            publish if config.deadband.is_some() || config.max_silence.is_some() => {
                let max_silence = config.max_silence.map(Interval::get);
                Self::Compared(Box::new(Compared {
                    publish,
                    deadband: config.deadband,
                    max_silence,
                    reference: None,
                }))
            }
            Publish::OnChange => Self::OnChange,
            Publish::EveryScan => Self::EveryScan,
        }
    }

    /// Returns whether a value after a good reading becomes an event.
    fn lets_through(&self, before: &Reading, value: &Value, at: Duration) -> bool {
        match self {
            Self::OnChange => !deadband::same(&before.value, value),
            Self::EveryScan => true,
            Self::Compared(compared) => compared.is_silent(before, at) || compared.is_other(before, value),
        }
    }

    /// Returns whether a failure after a failure becomes an event: only after the maximum silence.
    fn repeats_failure(&self, before: &Reading, at: Duration) -> bool {
        matches!(self, Self::Compared(compared) if compared.is_silent(before, at))
    }

    /// Compares later readings with this one, which is an event or the first reading.
    fn compare_with(&mut self, reading: &Reading) {
        if let Self::Compared(compared) = self {
            compared.reference = Some(reading.clone());
        }
    }
}

impl Compared {
    /// Returns whether the reference is older than the maximum silence.
    fn is_silent(&self, before: &Reading, at: Duration) -> bool {
        let reference = self.reference.as_ref().unwrap_or(before);
        self.max_silence.is_some_and(|longest| at.saturating_sub(reference.at) >= longest)
    }

    /// Returns whether a value differs from the reference as the rule requires.
    fn is_other(&self, before: &Reading, value: &Value) -> bool {
        let reference = self.reference.as_ref().unwrap_or(before);
        match self.publish {
            Publish::EveryScan => true,
            Publish::OnChange => deadband::leaves(self.deadband.as_ref(), &reference.value, value),
        }
    }
}

fn event(name: &Arc<str>, reading: &Reading, epoch: i64, continues: bool) -> Event {
    let at = i64::try_from(reading.at.as_millis()).unwrap_or(i64::MAX);
    Event {
        tag: Arc::clone(name),
        value: reading.value.clone(),
        good: reading.good,
        continues,
        time: epoch.saturating_add(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanyard_handoff::config::AgentConfig;

    const EPOCH: i64 = 1_488_227_377_000;

    fn device(tags: &str, telemetry: &str) -> config::Device {
        let text = format!(
            "{{version: 1, devices: [{{name: d, deviceId: d, hub: {{hostname: h}}, \
             sources: [{{name: sim, simulator: {{}}}}], tags: [{tags}], telemetry: {{{telemetry}}}}}]}}"
        );
        AgentConfig::parse(&text).unwrap().devices.remove(0)
    }

    fn tag(name: &str, address: &str, more: &str) -> String {
        format!("{{name: '{name}', source: sim, address: '{address}'{more}}}")
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn scan(sampling: &mut Sampling, now: Duration) -> Vec<Event> {
        let mut events = Vec::new();
        sampling.scan(now, EPOCH, &mut events);
        events
    }

    fn flat(events: &[Event]) -> Vec<(String, Value, bool, i64)> {
        let of = |event: &Event| (event.tag.to_string(), event.value.clone(), event.good, event.time - EPOCH);
        events.iter().map(of).collect()
    }

    #[test]
    fn a_late_wake_up_still_reads_every_instant() {
        let mut sampling = Sampling::new(1);
        let ramp = device(&tag("R", "RAMP(1000, 0, 100, 1)", ""), "");
        assert!(sampling.reconfigure(&ramp, ms(0)).is_empty());
        assert_eq!(sampling.next(), Some(Duration::ZERO));
        assert_eq!(flat(&scan(&mut sampling, ms(0))), [("R".to_owned(), Value::Integer(0), true, 0)]);
        assert_eq!(sampling.next(), Some(ms(1000)));
        let late = flat(&scan(&mut sampling, ms(3400)));
        assert_eq!(
            late.iter().map(|event| event.1.clone()).collect::<Vec<_>>(),
            [1, 2, 3].map(Value::Integer)
        );
        assert_eq!(late.iter().map(|event| event.3).collect::<Vec<_>>(), [1000, 2000, 3000]);
    }

    /// A process that starts slowly wakes late even for the first time.
    #[test]
    fn a_late_first_wake_up_reads_in_order() {
        let mut sampling = Sampling::new(1);
        sampling.reconfigure(&device(&tag("R", "RAMP(1000, 0, 100, 1)", ""), ""), ms(0));
        let events = flat(&scan(&mut sampling, ms(3400)));
        assert_eq!(events.iter().map(|event| event.3).collect::<Vec<_>>(), [0, 1000, 2000, 3000]);
        assert_eq!(
            events.iter().map(|event| event.1.clone()).collect::<Vec<_>>(),
            [0, 1, 2, 3].map(Value::Integer)
        );
    }

    #[test]
    fn only_changes_become_events_unless_every_scan_is_wanted() {
        let tags = [tag("K", "K0001", ""), tag("E", "K0001", ", publish: EveryScan")].join(",");
        let mut sampling = Sampling::new(1);
        sampling.reconfigure(&device(&tags, ""), ms(0));
        assert_eq!(flat(&scan(&mut sampling, ms(0))).len(), 2);
        let next = flat(&scan(&mut sampling, ms(2000)));
        assert_eq!(next.iter().map(|event| event.0.as_str()).collect::<Vec<_>>(), ["E", "E"]);
    }

    #[test]
    fn a_tag_that_cannot_be_read_is_named_and_stops_no_other() {
        let tags = [tag("Bad", "RAMP(1, 2)", ""), tag("Good", "K0001", "")].join(",");
        let mut sampling = Sampling::new(1);
        let problems = sampling.reconfigure(&device(&tags, ""), ms(0));
        assert_eq!(
            problems,
            ["tag \"Bad\": address \"RAMP(1, 2)\" is invalid: the number of arguments is 2: write \
                    RAMP(rate, low, high, increment)"]
        );
        let events = flat(&scan(&mut sampling, ms(0)));
        assert_eq!(events[0], ("Bad".to_owned(), Value::Null, false, 0));
        assert_eq!(events[1], ("Good".to_owned(), Value::Integer(0), true, 0));
        assert!(flat(&scan(&mut sampling, ms(5000))).is_empty());
    }

    #[test]
    fn a_new_configuration_leaves_unchanged_tags_undisturbed() {
        let ramp = tag("R", "RAMP(1000, 0, 100, 1)", "");
        let mut sampling = Sampling::new(1);
        sampling.reconfigure(&device(&ramp, ""), ms(0));
        scan(&mut sampling, ms(2500));
        sampling.reconfigure(&device(&[ramp, tag("New", "K0001", "")].join(","), ""), ms(2500));
        let events = flat(&scan(&mut sampling, ms(3100)));
        let expected = [
            ("New".to_owned(), Value::Integer(0), true, 2500),
            ("R".to_owned(), Value::Integer(3), true, 3000),
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn changed_tag_is_read_and_sent_at_once() {
        let mut sampling = Sampling::new(1);
        sampling.reconfigure(&device(&tag("R", "RAMP(1000, 0, 100, 1)", ""), ""), ms(0));
        scan(&mut sampling, ms(2500));
        sampling.reconfigure(&device(&tag("R", "RAMP(1000, 50, 100, 1)", ""), ""), ms(2500));
        let events = flat(&scan(&mut sampling, ms(2600)));
        assert_eq!(events.iter().map(|event| event.3).collect::<Vec<_>>(), [2500]);
    }

    #[test]
    fn recovered_tag_becomes_an_event_and_is_no_longer_counted() {
        for more in ["", ", publish: EveryScan", ", maxSilence: 1h"] {
            let mut sampling = Sampling::new(1);
            sampling.reconfigure(&device(&tag("K", "K0001", more), ""), ms(0));
            scan(&mut sampling, ms(0));
            sampling.tags[0].last.as_mut().unwrap().good = false;
            sampling.bad = 1;
            let recovered = scan(&mut sampling, ms(1000));
            assert_eq!(flat(&recovered), [("K".to_owned(), Value::Integer(0), true, 1000)]);
            assert_eq!(sampling.bad(), 0);
        }
    }

    #[test]
    fn tag_keeps_its_source_when_one_before_it_is_removed() {
        let one = device(&tag("R", "RAMP(1000, 0, 100, 1)", ""), "");
        let mut two = one.clone();
        two.sources.insert(0, config::Source { name: "first".to_owned(), ..one.sources[0].clone() });
        let mut sampling = Sampling::new(1);
        sampling.reconfigure(&two, ms(0));
        scan(&mut sampling, ms(2500));
        sampling.reconfigure(&one, ms(2500));
        let events = flat(&scan(&mut sampling, ms(3100)));
        assert_eq!(events, [("R".to_owned(), Value::Integer(3), true, 3000)]);
    }

    #[test]
    fn equal_addresses_read_the_same_value() {
        let tags =
            [tag("A", "RANDOM(1000, 0, 1000000)", ""), tag("B", "RANDOM(1000,0,1000000)", "")].join(",");
        let mut sampling = Sampling::new(42);
        sampling.reconfigure(&device(&tags, ""), ms(0));
        let events = flat(&scan(&mut sampling, ms(0)));
        assert_eq!(events[0].1, events[1].1);
    }

    #[test]
    fn wide_contains_all_tags_at_every_interval() {
        let tags = [tag("R", "RAMP(1000, 0, 100, 1)", ""), tag("K", "K0001", "")].join(",");
        let mut sampling = Sampling::new(1);
        sampling.reconfigure(&device(&tags, "format: Wide, interval: 2s"), ms(0));
        let first = scan(&mut sampling, ms(0));
        let continues = |events: &[Event]| events.iter().map(|event| event.continues).collect::<Vec<_>>();
        assert_eq!(continues(&first), [false, true]);
        assert!(scan(&mut sampling, ms(1000)).is_empty());
        let second = scan(&mut sampling, ms(4000));
        assert_eq!(continues(&second), [false, true, false, true]);
        assert_eq!(
            flat(&second),
            [
                ("R".to_owned(), Value::Integer(2), true, 2000),
                ("K".to_owned(), Value::Integer(0), true, 2000),
                ("R".to_owned(), Value::Integer(4), true, 4000),
                ("K".to_owned(), Value::Integer(0), true, 4000),
            ]
        );
    }

    fn integers(events: &[Event]) -> Vec<i64> {
        let integer = |event: &Event| match event.value {
            Value::Integer(number) => number,
            ref other => unreachable!("{other:?}"),
        };
        events.iter().map(integer).collect()
    }

    fn scan_all(tags: &str, telemetry: &str, seconds: u64) -> Vec<Event> {
        let mut sampling = Sampling::new(1);
        sampling.reconfigure(&device(tags, telemetry), ms(0));
        scan(&mut sampling, ms(seconds * 1000))
    }

    #[test]
    fn only_values_outside_the_deadband_become_events() {
        let ramp = |more: &str| tag("R", "RAMP(1000, 0, 100, 1)", more);
        assert_eq!(integers(&scan_all(&ramp(", deadband: {absolute: 2}"), "", 10)), [0, 3, 6, 9]);
        assert_eq!(integers(&scan_all(&ramp(", deadband: {percent: 50}"), "", 10)), [0, 1, 2, 4, 7]);
        let silent = scan_all(&ramp(", deadband: {absolute: 50}, maxSilence: 4s"), "", 10);
        assert_eq!(integers(&silent), [0, 4, 8]);
        assert_eq!(silent[1].time - EPOCH, 4000);
        assert_eq!(scan_all(&tag("K", "K0001", ", maxSilence: 2500ms"), "", 9).len(), 4);
    }

    #[test]
    fn newest_event_is_stored_only_for_deadband_and_max_silence() {
        let stores = |more: &str| {
            let device = device(&tag("R", "RAMP(1000, 0, 100, 1)", more), "");
            matches!(Rule::of(&device.tags[0]), Rule::Compared(_))
        };
        assert_eq!(["", ", publish: EveryScan"].map(stores), [false, false]);
        let compared =
            [", deadband: {absolute: 2}", ", maxSilence: 4s", ", deadband: {percent: 2}, maxSilence: 4s"];
        assert_eq!(compared.map(stores), [true, true, true]);
    }

    #[test]
    fn initial_update_is_suppressed_but_no_failure() {
        let tags = [tag("R", "RAMP(1000, 0, 100, 1)", ""), tag("K", "K0001", ""), tag("Bad", "RAMP(1)", "")]
            .join(",");
        let events = flat(&scan_all(&tags, "initialUpdate: Disabled", 1));
        let expected =
            [("Bad".to_owned(), Value::Null, false, 0), ("R".to_owned(), Value::Integer(1), true, 1000)];
        assert_eq!(events, expected);
        let deadband = tag("R", "RAMP(1000, 0, 100, 1)", ", deadband: {absolute: 2}");
        assert_eq!(integers(&scan_all(&deadband, "initialUpdate: Disabled", 6)), [3, 6]);
        let wide = scan_all(&tags, "initialUpdate: Disabled, format: Wide, interval: 2s", 4);
        assert_eq!(
            wide.iter().map(|event| event.time - EPOCH).collect::<Vec<_>>(),
            [2000, 2000, 2000, 4000, 4000, 4000]
        );
    }

    #[test]
    fn a_tag_that_is_switched_off_is_not_read() {
        let tags = [tag("R", "R0001", ", enabled: false"), tag("S", "R0001", "")].join(",");
        let events = flat(&scan_all(&tags, "", 2));
        assert_eq!(events.iter().map(|event| event.0.as_str()).collect::<Vec<_>>(), ["S", "S", "S"]);
        assert_eq!(events[2].1, Value::Integer(2), "only this tag counts the register up");
    }

    #[test]
    fn failure_is_one_event_and_counted_while_it_lasts() {
        let tags = [tag("Bad", "RAMP(1)", ", publish: EveryScan"), tag("K", "K0001", "")].join(",");
        let mut sampling = Sampling::new(1);
        sampling.reconfigure(&device(&tags, ""), ms(0));
        assert_eq!(sampling.bad(), 0);
        let events = flat(&scan(&mut sampling, ms(60_000)));
        assert_eq!(events[0], ("Bad".to_owned(), Value::Null, false, 0));
        assert_eq!((events.len(), sampling.bad()), (2, 1));
        sampling.reconfigure(&device(&tag("K", "K0001", ""), ""), ms(60_000));
        assert_eq!(sampling.bad(), 0);
    }

    #[test]
    fn a_device_without_tags_never_wakes() {
        let mut sampling = Sampling::new(1);
        sampling.reconfigure(&device("", "format: Wide"), ms(0));
        assert_eq!(sampling.next(), None);
    }
}
