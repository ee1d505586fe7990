//! Schedule of tags: tags with the same interval share one entry. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

/// Maximum lag of a schedule before instants are skipped. A busy machine catches up without a gap; a suspended
/// machine does not repeat hours.
const LONGEST_LAG: Duration = Duration::from_secs(60);

/// Multiples of the interval since the start, so a new schedule continues the old one.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    groups: Box<[Group]>,
}

#[derive(Debug)]
struct Group {
    interval: Duration,
    next: Duration,
    tags: Vec<usize>,
}

impl Schedule {
    /// Creates a schedule whose first instants lie after `done`.
    pub(super) fn new(tags: impl Iterator<Item = (usize, Duration)>, done: Duration) -> Self {
        let mut groups: BTreeMap<Duration, Group> = BTreeMap::new();
        for (tag, interval) in tags.filter(|(_, interval)| !interval.is_zero()) {
            let first = || Group { interval, next: after(done, interval), tags: Vec::new() };
            groups.entry(interval).or_insert_with(first).tags.push(tag);
        }
        groups.values_mut().for_each(|group| group.tags.shrink_to_fit());
        Self { groups: groups.into_values().collect() }
    }

    /// Returns the next instant at which anything is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.groups.iter().map(|group| group.next).min()
    }

    /// Moves past the earliest instant that is due by `now` and returns it; writes what is due then to `tags`.
    pub(super) fn due(&mut self, now: Duration, tags: &mut Vec<usize>) -> Option<Duration> {
        let at = self.next().filter(|&at| at <= now)?;
        tags.clear();
        for group in self.groups.iter_mut().filter(|group| group.next == at) {
            tags.extend_from_slice(&group.tags);
            let next = at + group.interval;
            group.next = if now.saturating_sub(next) > LONGEST_LAG {
                after(now - LONGEST_LAG, group.interval)
            } else {
                next
            };
        }
        Some(at)
    }
}

/// Returns the first multiple of `interval` after `instant`.
fn after(instant: Duration, interval: Duration) -> Duration {
    let millis = interval.as_millis().max(1);
    let next = (instant.as_millis() / millis + 1) * millis;
    Duration::from_millis(u64::try_from(next).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn equal_intervals_are_due_together_and_none_is_left_out() {
        let mut schedule = Schedule::new([(0, ms(100)), (1, ms(250)), (2, ms(100))].into_iter(), ms(0));
        assert_eq!(schedule.next(), Some(ms(100)));
        let mut tags = Vec::new();
        assert_eq!(schedule.due(ms(99), &mut tags), None);
        let mut seen = Vec::new();
        while let Some(at) = schedule.due(ms(500), &mut tags) {
            seen.push((at.as_millis(), tags.clone()));
        }
        let expected: [(u128, Vec<usize>); 7] = [
            (100, vec![0, 2]),
            (200, vec![0, 2]),
            (250, vec![1]),
            (300, vec![0, 2]),
            (400, vec![0, 2]),
            (500, vec![0, 2, 1]),
            (600, vec![]),
        ];
        assert_eq!(seen, expected[..6]);
    }

    #[test]
    fn new_schedule_continues_after_the_last_scan() {
        assert_eq!(Schedule::new([(0, ms(1000))].into_iter(), ms(3000)).next(), Some(ms(4000)));
        assert_eq!(Schedule::new([(0, ms(1000))].into_iter(), ms(3001)).next(), Some(ms(4000)));
        assert_eq!(Schedule::new(std::iter::empty(), ms(0)).next(), None);
    }

    #[test]
    fn missed_scans_of_a_suspended_machine_are_skipped() {
        let mut schedule = Schedule::new([(0, ms(1000))].into_iter(), ms(0));
        let mut count = 0;
        while schedule.due(Duration::from_secs(7200), &mut Vec::new()).is_some() {
            count += 1;
        }
        assert_eq!(count, 61);
        assert_eq!(schedule.next(), Some(Duration::from_secs(7201)));
    }
}
