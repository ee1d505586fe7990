//! Two installations whose namespaces overlap: the younger one says so and leaves the shared namespace alone (C9).

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use lanyard_tests::kubernetes::Namespace;
use lanyard_tests::process::eventually;

use crate::operator::{IMAGE, Operator, issued, sees_installations};
use crate::yaml::{group, member};

#[tokio::test]
async fn c9_younger_installation_leaves_a_shared_namespace() {
    let shared = Namespace::new("shared").await;
    let (old, young) = (Namespace::new("older").await, Namespace::new("younger").await);
    sees_installations(&old).await;
    sees_installations(&young).await;
    let older = Operator::spawn(&[&old, &shared], IMAGE, &[]).await;
    older.until_ready();
    let image = "localhost/younger:0";
    let younger = Operator::spawn(&[&young, &shared], image, &[]).await;
    let expected = format!(
        "namespace {} belongs to an older installation of Lanyard (Lease {}/lanyard-operator)",
        shared.name, old.name
    );
    eventually("the younger one's readiness names the older", Duration::from_secs(30), || {
        let (status, text) = younger.page("/readyz");
        (status == 503 && text.starts_with(&expected)).then_some(())
    });
    assert!(younger.process.log().contains(&expected), "{}", younger.process.log());
    let events = eventually_event(&young).await;
    assert!(events.note.unwrap_or_default().starts_with(&expected));

    // Each works where it alone may.
    for namespace in [&shared, &young] {
        namespace.apply(&group()).await;
        namespace.apply(&member("a", "")).await;
        issued(namespace, "a").await;
    }
    let image_of = |workload: StatefulSet| {
        workload.spec.unwrap().template.spec.unwrap().containers[0].image.clone().unwrap()
    };
    let made = |workload: &StatefulSet| workload.spec.is_some();
    assert_eq!(image_of(shared.wait("a-agent", "it is made", made).await), IMAGE);
    assert_eq!(image_of(young.wait("a-agent", "it is made", made).await), image);
    assert_eq!(image_of(shared.api::<StatefulSet>().get("a-agent").await.unwrap()), IMAGE);
    assert_eq!(older.page("/readyz").0, 200);
}

async fn eventually_event(namespace: &Namespace) -> Event {
    lanyard_tests::kubernetes::within("the event is there", async {
        loop {
            let events = namespace.api::<Event>().list(&ListParams::default()).await.unwrap();
            let reported = |event: &Event| event.reason.as_deref() == Some("OverlappingInstallation");
            if let Some(event) = events.items.into_iter().find(reported) {
                return event;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await
}
