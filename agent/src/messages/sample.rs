//! Events as templates see them. Pure.

use lanyard_handoff::templates::render::Sample;

use crate::buffer::record::EventRef;
use crate::messages::json;

impl Sample for EventRef<'_> {
    fn tag(&self) -> &str {
        self.tag
    }

    fn value(&self, out: &mut Vec<u8>) {
        json::value(out, self.value);
    }

    fn good(&self) -> bool {
        self.good
    }

    fn time(&self) -> i64 {
        self.time
    }
}
