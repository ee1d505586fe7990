//! Reads tags on time and decides which reads become events. Pure; the caller brings the time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lanyard_protocol::handoff::config::{self, Format, Publish};

use super::event::{Event, Value};
use super::reader::{Field, Place};
use super::schedule::Schedule;

/// Events that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// In the order of the tags.
    pub events: Vec<Event>,
    /// Whether they are one picture of all tags, which one message carries.
    pub whole: bool,
}

/// All tags of one device. It outlives configurations: what stays unchanged is neither read nor sent again.
#[derive(Debug)]
pub struct Sampling {
    field: Field,
    tags: Vec<Sampled>,
    schedule: Schedule,
    /// In Wide, all tags become one record every interval.
    pictures: Option<Schedule>,
    /// When the configuration was taken. New tags are read then, for the first time; timetables begin behind it.
    configured: Duration,
}

#[derive(Debug)]
struct Sampled {
    config: config::Tag,
    name: Arc<str>,
    place: Place,
    last: Option<Reading>,
}

#[derive(Debug, Clone, PartialEq)]
struct Reading {
    value: Value,
    good: bool,
    at: Duration,
}

impl Sampling {
    /// No tags yet. `seed` decides simulated random values.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            field: Field::new(seed),
            tags: Vec::new(),
            schedule: Schedule::default(),
            pictures: None,
            configured: Duration::ZERO,
        }
    }

    /// Takes a device's tags at an instant up to which everything was scanned; unchanged ones go on undisturbed. Gives
    /// back what cannot be read, with the fix.
    pub fn reconfigure(&mut self, device: &config::Device, at: Duration) -> Vec<String> {
        self.configured = at;
        self.field.reconfigure(&device.sources);
        let mut before: HashMap<String, Sampled> =
            self.tags.drain(..).map(|tag| (tag.config.name.clone(), tag)).collect();
        let mut problems = Vec::new();
        for config in &device.tags {
            let place = self.field.locate(config).unwrap_or_else(|problem| {
                problems.push(problem);
                Place::Nowhere
            });
            match before.remove(&config.name) {
                Some(tag) if tag.config == *config && tag.place == place => self.tags.push(tag),
                _ => self.tags.push(Sampled {
                    config: config.clone(),
                    name: Arc::from(config.name.as_str()),
                    place,
                    last: None,
                }),
            }
        }
        let intervals = self.tags.iter().map(|tag| tag.config.scan_interval.get()).enumerate();
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

    /// When [`Sampling::scan`] has something to do next: at once for tags that were never read.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        if self.tags.iter().any(|tag| tag.last.is_none()) {
            return Some(Duration::ZERO);
        }
        let pictures = self.pictures.as_ref().and_then(Schedule::next);
        [self.schedule.next(), pictures].into_iter().flatten().min()
    }

    /// Reads everything that is due by `now`, instant by instant, and gives back what becomes events. Values are
    /// those of the scheduled instants, so a late wake-up loses nothing. `epoch` is the wall clock, in milliseconds,
    /// at elapsed zero.
    pub fn scan(&mut self, now: Duration, epoch: i64) -> Vec<Record> {
        let mut records = Vec::new();
        let fresh: Vec<usize> = (0..self.tags.len()).filter(|&tag| self.tags[tag].last.is_none()).collect();
        if !fresh.is_empty() {
            // As of then and not as of now: a late wake-up must not read first what is due last.
            let record = self.read(&fresh, self.configured, epoch);
            self.keep(&mut records, record);
            if self.pictures.is_some() && fresh.len() == self.tags.len() {
                records.push(self.picture(epoch));
            }
        }
        while let Some(at) = self.next().filter(|&at| at <= now) {
            while let Some(due) = self.schedule.due(at) {
                let record = self.read(&due.tags, due.at, epoch);
                self.keep(&mut records, record);
            }
            if self.pictures.as_mut().is_some_and(|pictures| pictures.due(at).is_some()) {
                records.push(self.picture(epoch));
            }
        }
        records
    }

    fn keep(&self, records: &mut Vec<Record>, record: Record) {
        if self.pictures.is_none() && !record.events.is_empty() {
            records.push(record);
        }
    }

    fn read(&mut self, tags: &[usize], at: Duration, epoch: i64) -> Record {
        let mut events = Vec::new();
        for &position in tags {
            let Some(tag) = self.tags.get_mut(position) else { continue };
            let before = tag.last.take();
            let reading = match self.field.read(&tag.place, at) {
                Some(value) => Reading { value, good: true, at },
                None => {
                    let value = before.as_ref().map_or(Value::Null, |last| last.value.clone());
                    Reading { value, good: false, at }
                }
            };
            let changed = before.is_none_or(|last| last.value != reading.value || last.good != reading.good);
            if changed || tag.config.publish == Publish::EveryScan {
                events.push(event(&tag.name, &reading, epoch));
            }
            tag.last = Some(reading);
        }
        Record { events, whole: false }
    }

    /// Every tag once, with its current value.
    fn picture(&self, epoch: i64) -> Record {
        let current = |tag: &Sampled| tag.last.as_ref().map(|reading| event(&tag.name, reading, epoch));
        Record { events: self.tags.iter().filter_map(current).collect(), whole: true }
    }
}

fn event(name: &Arc<str>, reading: &Reading, epoch: i64) -> Event {
    let at = i64::try_from(reading.at.as_millis()).unwrap_or(i64::MAX);
    Event {
        tag: Arc::clone(name),
        value: reading.value.clone(),
        good: reading.good,
        time: epoch.saturating_add(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanyard_protocol::handoff::config::AgentConfig;

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

    fn flat(records: &[Record]) -> Vec<(String, Value, bool, i64)> {
        let events = records.iter().flat_map(|record| &record.events);
        events
            .map(|event| (event.tag.to_string(), event.value.clone(), event.good, event.time - EPOCH))
            .collect()
    }

    #[test]
    fn a_late_wake_up_still_reads_every_instant() {
        let mut sampling = Sampling::new(1);
        let ramp = device(&tag("R", "RAMP(1000, 0, 100, 1)", ""), "");
        assert!(sampling.reconfigure(&ramp, ms(0)).is_empty());
        assert_eq!(sampling.next(), Some(Duration::ZERO));
        assert_eq!(flat(&sampling.scan(ms(0), EPOCH)), [("R".to_owned(), Value::Integer(0), true, 0)]);
        assert_eq!(sampling.next(), Some(ms(1000)));
        let late = flat(&sampling.scan(ms(3400), EPOCH));
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
        let events = flat(&sampling.scan(ms(3400), EPOCH));
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
        assert_eq!(flat(&sampling.scan(ms(0), EPOCH)).len(), 2);
        let next = flat(&sampling.scan(ms(2000), EPOCH));
        assert_eq!(next.iter().map(|event| event.0.as_str()).collect::<Vec<_>>(), ["E", "E"]);
    }

    #[test]
    fn a_tag_that_cannot_be_read_is_named_and_stops_no_other() {
        let tags = [tag("Bad", "RAMP(1, 2)", ""), tag("Good", "K0001", "")].join(",");
        let mut sampling = Sampling::new(1);
        let problems = sampling.reconfigure(&device(&tags, ""), ms(0));
        assert_eq!(
            problems,
            [
                "tag \"Bad\": address \"RAMP(1, 2)\" cannot be read: RAMP(rate, low, high, increment) is the form, but there are 2 arguments"
            ]
        );
        let events = flat(&sampling.scan(ms(0), EPOCH));
        assert_eq!(events[0], ("Bad".to_owned(), Value::Null, false, 0));
        assert_eq!(events[1], ("Good".to_owned(), Value::Integer(0), true, 0));
        assert!(flat(&sampling.scan(ms(5000), EPOCH)).is_empty());
    }

    #[test]
    fn a_new_configuration_leaves_unchanged_tags_undisturbed() {
        let ramp = tag("R", "RAMP(1000, 0, 100, 1)", "");
        let mut sampling = Sampling::new(1);
        sampling.reconfigure(&device(&ramp, ""), ms(0));
        sampling.scan(ms(2500), EPOCH);
        sampling.reconfigure(&device(&[ramp, tag("New", "K0001", "")].join(","), ""), ms(2500));
        let events = flat(&sampling.scan(ms(3100), EPOCH));
        let expected = [
            ("New".to_owned(), Value::Integer(0), true, 2500),
            ("R".to_owned(), Value::Integer(3), true, 3000),
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn equal_addresses_read_the_same_value() {
        let tags =
            [tag("A", "RANDOM(1000, 0, 1000000)", ""), tag("B", "RANDOM(1000,0,1000000)", "")].join(",");
        let mut sampling = Sampling::new(42);
        sampling.reconfigure(&device(&tags, ""), ms(0));
        let events = flat(&sampling.scan(ms(0), EPOCH));
        assert_eq!(events[0].1, events[1].1);
    }

    #[test]
    fn wide_pictures_all_tags_at_every_interval() {
        let tags = [tag("R", "RAMP(1000, 0, 100, 1)", ""), tag("K", "K0001", "")].join(",");
        let mut sampling = Sampling::new(1);
        sampling.reconfigure(&device(&tags, "format: Wide, interval: 2s"), ms(0));
        let first = sampling.scan(ms(0), EPOCH);
        assert_eq!(first.len(), 1);
        assert!(first[0].whole);
        assert!(sampling.scan(ms(1000), EPOCH).is_empty());
        let second = sampling.scan(ms(4000), EPOCH);
        assert_eq!(second.len(), 2);
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

    #[test]
    fn a_device_without_tags_never_wakes() {
        let mut sampling = Sampling::new(1);
        sampling.reconfigure(&device("", "format: Wide"), ms(0));
        assert_eq!(sampling.next(), None);
    }
}
