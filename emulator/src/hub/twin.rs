//! Minimal answers about twins, so that SDKs that read the twin at every connect do not wait. Twins cannot be changed here
//! yet, so every twin is empty, and a report is refused rather than lost (ref §6). Pure.

use jiff::Timestamp;

/// An answer to a twin request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TwinAnswer {
    /// With the request's id.
    pub topic: String,
    /// JSON.
    pub body: String,
}

/// Answers a request for the whole twin with an empty one, whose parts are at their first version (ref §6.3).
#[must_use]
pub fn get(rid: &str) -> TwinAnswer {
    TwinAnswer {
        topic: format!("$iothub/twin/res/200/?$rid={rid}"),
        body: r#"{"desired":{"$version":1},"reported":{"$version":1}}"#.to_owned(),
    }
}

/// Refuses a report of properties. Node looks at the body's `errorCode` only, Python at the status only (ref §6.2).
#[must_use]
pub fn refuse_report(rid: &str, now: Timestamp) -> TwinAnswer {
    let body = serde_json::json!({
        "errorCode": 501_000,
        "message": "this emulator keeps no reported properties yet",
        "timestampUtc": now.to_string(),
    });
    TwinAnswer { topic: format!("$iothub/twin/res/501/?$rid={rid}"), body: body.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ref §6.1, §14.2 item 8: `$rid` first, and a desired version.
    #[test]
    fn answers_echo_the_request_id() {
        let answer = get("1");
        assert_eq!(answer.topic, "$iothub/twin/res/200/?$rid=1");
        assert_eq!(answer.body, r#"{"desired":{"$version":1},"reported":{"$version":1}}"#);
        let refused = refuse_report("22439eb5-a", Timestamp::UNIX_EPOCH);
        assert_eq!(refused.topic, "$iothub/twin/res/501/?$rid=22439eb5-a");
        assert!(refused.body.contains(r#""errorCode":501000"#));
    }
}
