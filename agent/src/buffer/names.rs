//! Numbers of tags in a segment, and their names. Pure.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use super::varint;

/// Names of the open segment, by number.
// A tag's name is the same piece of memory in all its events, so its address finds its number without a look at the
// text. Equal names at two addresses get two numbers, which does no harm.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<usize, u32, Addresses>,
    /// Kept, so that no address is used twice.
    names: Vec<Arc<str>>,
    /// The number after the last result. Tags are read in the same order again and again, so it is mostly the next result.
    next: usize,
}

impl Names {
    /// Returns the number of a tag, a new one if it has none.
    pub(super) fn number(&mut self, name: &Arc<str>) -> u32 {
        if self.names.get(self.next).is_some_and(|next| Arc::ptr_eq(next, name)) {
            self.next += 1;
            return self.next as u32 - 1;
        }
        let address = Arc::as_ptr(name).addr();
        let number = *self.numbers.entry(address).or_insert_with(|| {
            self.names.push(Arc::clone(name));
            self.names.len() as u32 - 1
        });
        self.next = number as usize + 1;
        number
    }

    /// Returns the number of names.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Forgets the newest names, down to `len`: they were not written.
    pub(super) fn truncate(&mut self, len: usize) {
        for name in self.names.drain(len.min(self.names.len())..) {
            self.numbers.remove(&Arc::as_ptr(&name).addr());
        }
    }

    /// Forgets all names: a new segment begins.
    pub(super) fn clear(&mut self) {
        self.numbers.clear();
        self.names.clear();
    }

    /// Writes the names from the number `first` on.
    pub(super) fn write(&self, out: &mut Vec<u8>, first: usize) {
        varint::put(out, first as u64);
        for name in self.names.iter().skip(first) {
            varint::put(out, name.len() as u64);
            out.extend_from_slice(name.as_bytes());
        }
    }
}

/// Reads names into their places; a name that is there already stays.
pub(super) fn read(mut bytes: &[u8], names: &mut Vec<Box<str>>) -> Option<()> {
    let mut number = usize::try_from(varint::take(&mut bytes)?).ok()?;
    while !bytes.is_empty() {
        let length = varint::take(&mut bytes)?;
        let name = std::str::from_utf8(varint::take_bytes(&mut bytes, length)?).ok()?;
        match number.cmp(&names.len()) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => names.push(Box::from(name)),
            // The names between are lost; events must not take others for theirs.
            std::cmp::Ordering::Greater => return None,
        }
        number += 1;
    }
    Some(())
}

/// Hasher of addresses, which one multiplication spreads well enough.
#[derive(Debug, Default, Clone, Copy)]
struct Addresses;

#[derive(Debug, Default)]
struct Spread(u64);

impl BuildHasher for Addresses {
    type Hasher = Spread;
    fn build_hasher(&self) -> Spread {
        Spread::default()
    }
}

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte) ^ self.0);
        }
    }
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
    fn write_u64(&mut self, number: u64) {
        // The golden ratio's bits; the upper half is the better mixed one, and tables look at the lower.
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered_once_and_read_back() {
        let mut names = Names::default();
        let tags: Vec<Arc<str>> = ["a", "b", "", "\u{e4}"].map(Arc::from).into();
        for (number, tag) in tags.iter().chain(&tags).enumerate() {
            assert_eq!(names.number(tag) as usize, number % tags.len());
        }
        names.truncate(3);
        assert_eq!(names.number(&tags[3]), 3);
        let (mut all, mut some, mut read_back) = (Vec::new(), Vec::new(), Vec::new());
        names.write(&mut all, 0);
        names.write(&mut some, 2);
        assert_eq!(read(&some, &mut read_back), None, "those before are missing");
        assert_eq!(read(&all, &mut read_back), Some(()));
        assert_eq!(read(&some, &mut read_back), Some(()));
        assert_eq!(read_back.iter().map(|name| &**name).collect::<Vec<_>>(), ["a", "b", "", "\u{e4}"]);
    }
}
