//! Transport that follows a script and logs what it is asked, with virtual times.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lanyard_handoff::status::ConnectionReason;
use lanyard_protocol::hub::sas::{REGISTRATION_POLICY, SasToken, device_resource, registration_resource};
use lanyard_protocol::hub::topic::FromDps;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::credential::{Credential, Proof};
use crate::mqtt::QoS;
use crate::mqtt::failure::{Failure, Peer};
use crate::mqtt::login::Login;
use crate::mqtt::transport::{Arrival, DeliveryToken, InboundMessage, Link, Transport};
use crate::session::tests::rig::{DEVICE, SCOPE, credential};
use crate::wait::until;

/// Result of one connect attempt.
pub(super) enum Answer {
    Fails(ConnectionReason),
    /// The server does not answer.
    Hangs,
    Accepts(Server),
}

/// Behaviour of a server that accepted a login: it stays, and acknowledges at once, unless these say otherwise.
#[derive(Default)]
pub(super) struct Server {
    /// Time until the connection is lost.
    lifetime: Option<Duration>,
    /// Time until a message is acknowledged.
    latency: Duration,
    silent: bool,
    /// Packet id of a message to the device.
    inbound: Option<u16>,
    /// Answers of DPS: status, retry-after, body.
    dps: VecDeque<(u16, Option<u64>, String)>,
}

pub(super) fn fails(reason: ConnectionReason) -> Answer {
    Answer::Fails(reason)
}

pub(super) fn accepts() -> Answer {
    Answer::Accepts(Server::default())
}

/// Returns an answer that accepts, and loses the connection later.
pub(super) fn accepts_for(seconds: u64) -> Answer {
    Answer::Accepts(Server { lifetime: Some(Duration::from_secs(seconds)), ..Server::default() })
}

/// Returns an answer that accepts, and acknowledges each message after a time.
pub(super) fn accepts_slowly(seconds: u64) -> Answer {
    Answer::Accepts(Server { latency: Duration::from_secs(seconds), ..Server::default() })
}

/// Returns an answer that accepts, and never acknowledges a message.
pub(super) fn accepts_silently() -> Answer {
    Answer::Accepts(Server { silent: true, ..Server::default() })
}

/// Returns an answer that accepts, and sends a message with this packet id.
pub(super) fn accepts_and_sends(packet_id: u16) -> Answer {
    Answer::Accepts(Server { inbound: Some(packet_id), ..Server::default() })
}

/// Returns an answer that accepts as DPS, and answers its requests in order; then no more.
pub(super) fn registers<const N: usize>(answers: [(u16, Option<u64>, &str); N]) -> Answer {
    let dps = answers.into_iter().map(|(status, wait, body)| (status, wait, body.to_owned())).collect();
    Answer::Accepts(Server { dps, ..Server::default() })
}

/// DPS's body with an assigned hub.
pub(super) const ASSIGNED: &str = r#"{"operationId":"o","status":"assigned","registrationState":{"registrationId":"dev1","assignedHub":"hub2","deviceId":"dev1","status":"assigned"}}"#;
/// DPS's body before it has assigned one.
pub(super) const ASSIGNING: &str = r#"{"operationId":"o","status":"assigning"}"#;

struct Log {
    started: Instant,
    lines: Vec<String>,
}

/// The log, and the answers to come; a connect attempt beyond them hangs.
#[derive(Clone)]
pub(super) struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    log: Arc<Mutex<Log>>,
    /// Body of the newest message.
    body: Arc<Mutex<Bytes>>,
}

impl Script {
    pub(super) fn new<const N: usize>(answers: [Answer; N]) -> Self {
        let log = Log { started: Instant::now(), lines: Vec::new() };
        Self {
            answers: Arc::new(Mutex::new(answers.into())),
            log: Arc::new(Mutex::new(log)),
            body: Arc::default(),
        }
    }

    pub(super) fn body(&self) -> String {
        String::from_utf8(self.body.lock().to_vec()).unwrap()
    }

    /// Returns the lines since the last call.
    pub(super) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().lines)
    }

    pub(super) fn note(&self, text: &str) {
        let mut log = self.log.lock();
        let millis = log.started.elapsed().as_millis();
        let time = match millis % 1000 {
            0 => (millis / 1000).to_string(),
            rest => format!("{}.{rest:03}", millis / 1000),
        };
        log.lines.push(format!("{time} {text}"));
    }
}

impl Transport for Script {
    type Link = ScriptedLink;

    async fn connect(
        &self,
        peer: &Peer,
        login: Login,
        _: Arc<rustls::ClientConfig>,
    ) -> Result<ScriptedLink, Failure> {
        let host = peer.at.host().to_owned();
        let attempt = format!("{host} {}", name(&host, &login));
        let answer = self.answers.lock().pop_front();
        match answer {
            Some(Answer::Fails(reason)) => {
                self.note(&format!("{attempt}: {}", reason.as_str()));
                Err(Failure::new(reason, "scripted"))
            }
            Some(Answer::Accepts(server)) => {
                self.note(&format!("{attempt}: accepted"));
                let lost_at = server.lifetime.map(|lifetime| Instant::now() + lifetime);
                let inbound = server.inbound.map(|packet_id| (Instant::now(), message("t", "m", packet_id)));
                let (script, arrivals) = (self.clone(), inbound.into_iter().collect());
                Ok(ScriptedLink { script, host, server, lost_at, arrivals, ended: false })
            }
            Some(Answer::Hangs) | None => {
                self.note(&format!("{attempt}: no answer"));
                std::future::pending().await
            }
        }
    }
}

fn message(topic: &str, payload: &str, packet_id: u16) -> Arrival {
    Arrival::Message(InboundMessage {
        topic: topic.to_owned(),
        payload: Bytes::from(payload.to_owned()),
        packet_id,
    })
}

/// Returns the name of the credential that signed the login's token.
fn name(host: &str, login: &Login) -> char {
    let Some(token) = &login.token else { return '-' };
    let expiry = token.expose().split("&se=").nth(1).unwrap().split('&').next().unwrap().parse().unwrap();
    let signs = |name: &char| {
        let Credential { proof: Proof::Key(key), .. } = &*credential(*name) else { return false };
        let expected = match host {
            "dps" => {
                let resource = registration_resource(SCOPE, DEVICE);
                SasToken::sign(key, &resource, expiry, Some(REGISTRATION_POLICY))
            }
            hub => SasToken::sign(key, &device_resource(hub, DEVICE), expiry, None),
        };
        expected == *token
    };
    ('A'..='D').find(signs).expect("the token is signed with a key of the test")
}

/// A scripted connection.
pub(super) struct ScriptedLink {
    script: Script,
    host: String,
    server: Server,
    lost_at: Option<Instant>,
    arrivals: VecDeque<(Instant, Arrival)>,
    /// True if the log has the end already.
    ended: bool,
}

impl ScriptedLink {
    fn note(&self, text: &str) {
        self.script.note(&format!("{}: {text}", self.host));
    }

    fn answer_as_dps(&mut self, topic: &str) {
        self.note(if topic.contains("PUT") { "register" } else { "poll" });
        let rid = topic.split("$rid=").nth(1).unwrap().split('&').next().unwrap();
        let Some((status, retry_after, body)) = self.server.dps.pop_front() else { return };
        let topic = FromDps { status, rid, retry_after }.to_string();
        self.arrivals.push_back((Instant::now(), message(&topic, &body, 1)));
    }
}

impl Link for ScriptedLink {
    fn publish(
        &mut self,
        topic: String,
        qos: QoS,
        body: &Bytes,
        token: DeliveryToken,
    ) -> Result<(), Failure> {
        if topic.starts_with("$dps/") {
            self.answer_as_dps(&topic);
            return Ok(());
        }
        *self.script.body.lock() = body.clone();
        let qos = if qos == QoS::AtMostOnce { " with QoS 0" } else { "" };
        self.note(&format!("message {}{qos}", token.0));
        if !self.server.silent {
            self.arrivals.push_back((Instant::now() + self.server.latency, Arrival::Delivered(token)));
        }
        Ok(())
    }

    fn subscribe(&mut self, _: &str) {
        self.arrivals.push_back((Instant::now(), Arrival::Subscribed));
    }

    fn acknowledge(&mut self, message: &InboundMessage) {
        self.note(&format!("acknowledge {}", message.packet_id));
    }

    async fn next(&mut self) -> Result<Arrival, Failure> {
        let due = self.arrivals.front().map(|(at, _)| *at);
        tokio::select! {
            biased;
            () = until(due) => Ok(self.arrivals.pop_front().expect("one is due").1),
            () = until(self.lost_at) => {
                self.note("lost");
                self.ended = true;
                Err(Failure::new(ConnectionReason::ConnectionLost, "scripted"))
            }
        }
    }

    async fn close(&mut self) {
        self.note("disconnected");
        self.ended = true;
    }
}

impl Drop for ScriptedLink {
    fn drop(&mut self) {
        if !self.ended {
            self.note("dropped");
        }
    }
}
