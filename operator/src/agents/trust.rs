//! Check whether an agent's report is about the device that it was deployed for. Pure.

use kube::ResourceExt;
use lanyard_crds::IoTDevice;
use lanyard_handoff::status::DeviceStatus;

use crate::agents::report::Report;

/// Returns the report that counts: an answer that contradicts the agent's configuration becomes an error with the reason.
#[must_use]
pub fn trusted(report: Report, device: &IoTDevice) -> Report {
    let Report::Status(status) = &report else { return report };
    let own = status.devices.iter().find(|reported| reported.name == device.name_any());
    match own.and_then(|reported| contradiction(reported, device)) {
        Some(why) => Report::Contradicts(why),
        None => report,
    }
}

fn contradiction(reported: &DeviceStatus, device: &IoTDevice) -> Option<String> {
    if reported.uid != device.metadata.uid {
        let reported = reported.uid.as_deref().unwrap_or("none");
        let own = device.metadata.uid.as_deref().unwrap_or_default();
        return Some(format!("it reports the uid {reported}, but the uid of the IoTDevice is {own}"));
    }
    let hub = device.spec.hub.as_ref()?;
    if reported.device_id != device.device_id() {
        return Some(format!(
            "it reports device id {:?}, but the device id of the IoTDevice is {:?}",
            reported.device_id,
            device.device_id()
        ));
    }
    let host = |text: &str| text.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let at = reported.assigned_hub.as_deref().filter(|at| host(at) != host(&hub.hostname))?;
    Some(format!("it reports hub {at:?}, but hub.hostname is {:?}", hub.hostname))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m7_an_answer_for_another_object_or_hub_is_ignored() {
        let text = "{apiVersion: lanyard.dev/v1alpha1, kind: IoTDevice, metadata: {name: a, namespace: n, uid: u}, \
            spec: {hub: {hostname: hub.example, auth: {selfSigned: {}}}}}";
        let device: IoTDevice = serde_saphyr::from_str(text).unwrap();
        let heeded = |uid: &str, id: &str, hub: &str| {
            let text = format!(
                r#"{{"version":1,"agentVersion":"0","devices":[{{"name":"a","deviceId":"{id}"{uid},"assignedHub":"{hub}","connection":{{"state":"Connected","since":"2026-01-02T03:04:05Z","reason":"Connected"}}}}]}}"#
            );
            match trusted(Report::Status(Box::new(serde_json::from_str(&text).unwrap())), &device) {
                Report::Contradicts(why) => why,
                Report::Status(_) | Report::Silent(_) => String::new(),
            }
        };
        let own = r#","uid":"u""#;
        assert_eq!(heeded(own, "a", "HUB.example"), "");
        assert!(heeded("", "a", "hub.example").contains("uid none"));
        assert!(heeded(r#","uid":"v""#, "a", "hub.example").contains("uid v"));
        assert!(heeded(own, "b", "hub.example").contains("device id \"b\""));
        assert!(heeded(own, "a", "evil.example").contains("evil.example"));
    }
}
