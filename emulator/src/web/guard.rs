//! Requests that a web page of another site made a browser send are refused: by the name that was dialled, and by a header
//! that such a page cannot set. Pure but for its use of axum.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// A request that changes something has this header, with any value. A page of another site could set it only after a
/// preflight request, which is not answered.
pub const CONTROL_HEADER: &str = "x-lanyard-control";

/// Passes a request on, or refuses it with the reason. `names` are the host names of the emulator besides `localhost`.
pub async fn guard(State(names): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    match refusal(&names, request.method(), request.headers()) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    }
}

fn refusal(names: &[String], method: &Method, headers: &HeaderMap) -> Option<(StatusCode, String)> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_own(names, host) {
        let words = format!(
            "{host:?} is not a name of this emulator: use localhost or an IP address, or add the name with --host\n"
        );
        return Some((StatusCode::MISDIRECTED_REQUEST, words));
    }
    if !method.is_safe() && !headers.contains_key(CONTROL_HEADER) {
        let words = format!(
            "{method} changes something: send the header X-Lanyard-Control with it, with any value\n"
        );
        return Some((StatusCode::FORBIDDEN, words));
    }
    None
}

/// Returns whether the Host header `host` is an IP address, `localhost` or one of `names`. A site can point its own
/// name at this address, but requests of its pages then have that name; an IP address in the header was used as such.
fn is_own(names: &[String], host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let host = authority.host();
    let is_address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    is_address
        || host.eq_ignore_ascii_case("localhost")
        || names.iter().any(|name| name.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_and_addresses_are_told_from_others() {
        let names = ["emulator.plant.svc".to_owned()];
        for host in [
            "localhost",
            "LOCALHOST:8880",
            "127.0.0.1:8880",
            "[::1]:8880",
            "10.0.0.7",
            "Emulator.plant.svc:80",
        ] {
            assert!(is_own(&names, host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "emulator.plant.svc.evil.example:8880",
            "127.0.0.1.evil.example",
            "a b",
        ] {
            assert!(!is_own(&names, host), "{host}");
        }
    }
}
