//! `/api/events`: the messages that are kept, and on request all that follow, one JSON object a line.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use serde::Deserialize;

use crate::events::event::Event;
use crate::events::json::line;
use crate::events::store::is_of;
use crate::web::state::Web;

/// Number of messages read at once while following.
const BATCH: usize = 256;

/// Query for messages.
#[derive(Debug, Deserialize)]
pub struct EventsQuery {
    device: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    follow: bool,
}

/// Returns the last `limit` messages of `device`, and with `follow` also the later ones.
pub async fn list(State(web): State<Web>, Query(query): Query<EventsQuery>) -> Response {
    let store = &web.state.events;
    // Whatever comes after this number is not among the kept ones, or is passed over twice at worst.
    let total = store.total();
    let kept = store.latest(query.device.as_deref(), query.limit.unwrap_or(usize::MAX));
    let seen = kept.last().map_or(total, |event| event.sequence.max(total));
    let kept = stream::iter(kept).chunks(BATCH).map(|events| chunk(&events));
    let body = if query.follow {
        Body::from_stream(kept.chain(following(web, query.device, seen)).map(ok))
    } else {
        Body::from_stream(kept.map(ok))
    };
    ([(CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

fn ok(bytes: Bytes) -> Result<Bytes, std::convert::Infallible> {
    Ok(bytes)
}

/// Returns every message (of `device`) behind the one numbered `seen`, until the emulator ends.
fn following(web: Web, device: Option<String>, seen: u64) -> impl futures::Stream<Item = Bytes> {
    stream::unfold((web, device, seen), |(web, device, mut seen)| async move {
        loop {
            tokio::select! {
                () = web.stop.cancelled() => return None,
                () = web.state.events.changed(seen) => {}
            }
            let events = web.state.events.after(seen, BATCH);
            seen = events.last().map_or(web.state.events.total(), |event| event.sequence);
            let selected: Vec<_> =
                events.into_iter().filter(|event| is_of(event, device.as_deref())).collect();
            if !selected.is_empty() {
                return Some((chunk(&selected), (web, device, seen)));
            }
        }
    })
}

fn chunk(events: &[Arc<Event>]) -> Bytes {
    let mut text = String::new();
    for event in events {
        text.push_str(&line(event));
        text.push('\n');
    }
    text.into()
}
