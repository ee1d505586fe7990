//! Rollover queue: the devices of a group that move to another key or CA, a limited number per minute. Pure, except
//! for the lock.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use lanyard_handoff::fingerprint::Fingerprint;

use crate::kubernetes::key::Key;

/// So many devices that are refused with the new credential stop the others.
pub const PAUSING_REFUSALS: usize = 3;

/// Decision whether a device may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloverTurn {
    /// Now.
    Now,
    /// Later.
    In(Duration),
    /// Not yet, because others were refused; the device asks again after this time.
    Paused(Duration),
}

/// The queues of all groups. What is forgotten with the process costs a new place in the queue.
#[derive(Debug, Default)]
pub struct RolloverQueue(Mutex<HashMap<Key, Queue>>);

#[derive(Debug)]
struct Queue {
    to: Fingerprint,
    every: Duration,
    next: Instant,
    places: HashMap<Key, Instant>,
}

impl Queue {
    fn place(&mut self, device: &Key, now: Instant) -> Instant {
        let place = self.next.max(now);
        self.next = place + self.every;
        self.places.insert(device.clone(), place);
        place
    }
}

/// Rate of a group's rollover.
#[derive(Debug, Clone, Copy)]
pub struct Pace<'a> {
    /// The key or CA to move to.
    pub to: &'a Fingerprint,
    /// So many devices.
    pub per_minute: u32,
}

impl RolloverQueue {
    /// Returns whether it is the device's turn, which it keeps until [`done`](Self::done). A queue for another
    /// issuer, or with another rate, starts empty. `paused` is evaluated only for a device whose turn it would be.
    pub fn ask(
        &self,
        group: &Key,
        device: &Key,
        pace: Pace<'_>,
        now: Instant,
        paused: impl FnOnce() -> bool,
    ) -> RolloverTurn {
        let mut queues = self.0.lock();
        queues.retain(|_, queue| !queue.places.is_empty() || queue.next > now);
        let every = Duration::from_secs(60) / pace.per_minute.max(1);
        let fresh = || Queue { to: pace.to.clone(), every, next: now, places: HashMap::new() };
        let queue = queues.entry(group.clone()).or_insert_with(fresh);
        if queue.to != *pace.to || queue.every != every {
            *queue = fresh();
        }
        let place = queue.places.get(device).copied();
        let place = place.unwrap_or_else(|| queue.place(device, now));
        if place > now {
            return RolloverTurn::In(place - now);
        }
        if paused() {
            // Paused devices ask again at the rollover rate, so that they do not all reconcile at once.
            return RolloverTurn::Paused(queue.place(device, now + queue.every) - now);
        }
        RolloverTurn::Now
    }

    /// Removes a device from its group's queue: it has moved, or has nothing to move to.
    pub fn done(&self, group: &Key, device: &Key) {
        let mut queues = self.0.lock();
        if let Some(queue) = queues.get_mut(group) {
            queue.places.remove(device);
        }
    }

    /// Notes a deleted device.
    pub fn forget(&self, device: &Key) {
        let mut queues = self.0.lock();
        queues.values_mut().for_each(|queue| {
            queue.places.remove(device);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(text: &str) -> Fingerprint {
        Fingerprint::from(text.to_owned())
    }

    struct Group {
        turns: RolloverQueue,
        start: Instant,
    }

    impl Group {
        fn ask(
            &self,
            device: &str,
            issuer: &str,
            per_minute: u32,
            second: u64,
            paused: bool,
        ) -> RolloverTurn {
            self.ask_in("g", device, Pace { to: &to(issuer), per_minute }, second, paused)
        }

        fn ask_in(
            &self,
            group: &str,
            device: &str,
            pace: Pace<'_>,
            second: u64,
            paused: bool,
        ) -> RolloverTurn {
            let now = self.start + Duration::from_secs(second);
            self.turns.ask(&Key::new("n", group), &Key::new("n", device), pace, now, || paused)
        }

        fn done(&self, device: &str) {
            self.turns.done(&Key::new("n", "g"), &Key::new("n", device));
        }
    }

    fn group() -> Group {
        Group { turns: RolloverQueue::default(), start: Instant::now() }
    }

    const fn seconds(seconds: u64) -> RolloverTurn {
        RolloverTurn::In(Duration::from_secs(seconds))
    }

    #[test]
    fn device_keeps_its_place_in_the_queue() {
        let group = group();
        assert_eq!(group.ask("a", "x", 6, 0, false), RolloverTurn::Now);
        assert_eq!(group.ask("b", "x", 6, 0, false), seconds(10));
        assert_eq!(group.ask("c", "x", 6, 0, false), seconds(20));
        assert_eq!(group.ask("b", "x", 6, 4, false), seconds(6), "asking twice takes no second place");
        assert_eq!(group.ask("c", "x", 6, 20, false), RolloverTurn::Now);
        assert_eq!(group.ask("b", "x", 6, 20, false), RolloverTurn::Now);
        assert_eq!(group.ask("b", "x", 6, 300, false), RolloverTurn::Now, "its key was being made meanwhile");
        group.done("b");
        assert_eq!(group.ask("b", "x", 6, 300, false), RolloverTurn::Now, "no other device waits");
        group.done("b");
        assert_eq!(group.ask("b", "x", 6, 300, false), seconds(10), "one move, one turn");
        // A late device does not wait for earlier ones.
        assert_eq!(group.ask("d", "x", 6, 500, false), RolloverTurn::Now);
    }

    #[test]
    fn another_issuer_or_rate_starts_an_empty_queue() {
        let group = group();
        assert_eq!(group.ask("a", "x", 1, 0, false), RolloverTurn::Now);
        assert_eq!(group.ask("b", "x", 1, 0, false), seconds(60));
        assert_eq!(group.ask("b", "y", 1, 1, false), RolloverTurn::Now);
        assert_eq!(group.ask("a", "y", 1, 1, false), seconds(60));
        assert_eq!(group.ask("a", "y", 60, 2, false), RolloverTurn::Now);
    }

    #[test]
    fn paused_device_asks_again_after_an_interval() {
        let group = group();
        let paused = RolloverTurn::Paused(Duration::from_secs(10));
        assert_eq!(group.ask("a", "x", 6, 0, true), paused);
        assert_eq!(group.ask("a", "x", 6, 1000, true), paused, "it was late");
    }

    /// A thousand devices that wait for a corrected key ask as often as they would move, and not all the time.
    #[test]
    fn a_pause_costs_as_much_as_the_rollover() {
        let group = group();
        let mut wakes: Vec<(u64, usize)> = (0..1000).map(|device| (0, device)).collect();
        let mut asked = 0;
        for _ in 0..3000 {
            wakes.sort_unstable();
            let (second, device) = wakes.remove(0);
            match group.ask(&device.to_string(), "x", 60, second, true) {
                RolloverTurn::Now => panic!("no device may move"),
                RolloverTurn::In(wait) => wakes.push((second + wait.as_secs(), device)),
                RolloverTurn::Paused(wait) => {
                    asked += 1;
                    wakes.push((second + wait.as_secs(), device));
                }
            }
        }
        let last = wakes.iter().map(|(second, _)| *second).max().unwrap();
        assert!(asked as u64 <= last + 1, "{asked} in {last} s");
    }

    #[test]
    fn deleted_device_does_not_block_the_queue() {
        let group = group();
        assert_eq!(group.ask("a", "x", 1, 0, false), RolloverTurn::Now);
        assert_eq!(group.ask("b", "x", 1, 0, false), seconds(60));
        group.turns.forget(&Key::new("n", "b"));
        assert_eq!(group.ask("b", "x", 1, 0, false), seconds(120), "a new device has a new place");
        group.turns.forget(&Key::new("n", "b"));
        assert_eq!(group.ask("c", "x", 1, 200, false), RolloverTurn::Now);
    }

    #[test]
    fn queue_is_dropped_when_no_device_waits_for_it() {
        let group = group();
        let queues = || {
            let mut names: Vec<_> = group.turns.0.lock().keys().map(|key| key.name.clone()).collect();
            names.sort();
            names.join(" ")
        };
        let pace = Pace { to: &to("x"), per_minute: 1 };
        assert_eq!(group.ask_in("line", "a", pace, 0, false), RolloverTurn::Now);
        assert_eq!(group.ask_in("other", "b", pace, 0, false), RolloverTurn::Now);
        group.turns.done(&Key::new("n", "other"), &Key::new("n", "b"));
        for (second, left) in [(59, "line other third"), (60, "line third")] {
            group.ask_in("third", "c", pace, second, false);
            assert_eq!(queues(), left, "the next turn of other is after a minute");
        }
        group.ask_in("third", "c", pace, 1000, false);
        assert_eq!(queues(), "line third", "its device has not moved yet");
    }
}
