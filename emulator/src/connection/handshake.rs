//! The first packet: CONNECT, and whether hub or DPS takes it from there (ref §1, §8.1, §14.1). Talks to the network.

use std::sync::Arc;
use std::time::Duration;

use lanyard_protocol::hub::user_name::{DpsUserName, UserName};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::connection::close_reason::CloseReason;
use crate::connection::unauthenticated::UnauthenticatedClient;
use crate::connection::wire::Wire;
use crate::connection::{dps_session, hub_session};
use crate::dps::attestation::{self, AttestationError};
use crate::dps::certificates::{self, CertificateAttestationError};
use crate::excerpt::excerpt;
use crate::hub::admission::admit;
use crate::mqtt::answer::{self, Refusal};
use crate::mqtt::packet::{Connect, Packet};
use crate::registry::enrollment::Enrolled;
use crate::state::EmulatorState;
use crate::x509::presented::Presented;

/// Time for a client to send its CONNECT packet.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Properties of a client that the TLS layer knows.
#[derive(Debug, Default)]
pub struct Peer {
    /// The chain it presented, leaf first; any, or none (ref §0.3 rule 9).
    pub certificates: Vec<CertificateDer<'static>>,
}

/// Carries one connection to its end, which it logs.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    peer: Peer,
    state: Arc<EmulatorState>,
    client: UnauthenticatedClient,
    stop: CancellationToken,
) {
    let mut wire = Wire::new(stream);
    let connect = tokio::select! {
        connect = tokio::time::timeout(CONNECT_TIMEOUT, first(&mut wire)) => connect.unwrap_or(Err(CloseReason::NoConnect(CONNECT_TIMEOUT.as_secs()))),
        () = client.displaced() => Err(CloseReason::Displaced),
        () = stop.cancelled() => Err(CloseReason::Shutdown),
    };
    let reason = match connect {
        Ok(connect) => handle_connect(&mut wire, &connect, &peer, &state, client, &stop).await,
        Err(reason) => reason,
    };
    if reason == CloseReason::ProtocolLevel {
        answer::refuse(&mut wire.output, Refusal::ProtocolLevel);
    }
    if matches!(reason, CloseReason::ProtocolLevel | CloseReason::Refused(_)) {
        state.totals.refuse();
    }
    tracing::info!(%reason, certificates = peer.certificates.len(), "connection closed");
    // A client that does not read its answer loses it.
    let _ = tokio::time::timeout(Duration::from_secs(2), async {
        if wire.flush().await.is_ok() {
            wire.shutdown().await;
        }
    })
    .await;
}

async fn first<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>) -> Result<Box<Connect>, CloseReason> {
    loop {
        match wire.packet()? {
            Some(Packet::Connect(connect)) => return Ok(connect),
            Some(_) => return Err(CloseReason::OutOfOrder),
            None => wire.fill().await?,
        }
    }
}

async fn handle_connect<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    connect: &Connect,
    peer: &Peer,
    state: &Arc<EmulatorState>,
    client: UnauthenticatedClient,
    stop: &CancellationToken,
) -> CloseReason {
    let user = connect.user_name.as_deref().map(UserName::parse);
    match user {
        None => refuse(wire, Refusal::NotAuthorized, "there is no user name"),
        Some(Err(error)) => refuse(wire, Refusal::NotAuthorized, &error.to_string()),
        Some(Ok(UserName::Hub(user))) => {
            Span::current().record("identity", excerpt(&format!("{}/{}", user.host, user.device_id)));
            match admit(state, connect, &user, &peer.certificates) {
                Err(error) => refuse(wire, error.refusal(), &error.to_string()),
                Ok(admission) => {
                    drop(client);
                    wire.admit();
                    hub_session::run(wire, connect, admission, state, stop).await
                }
            }
        }
        Some(Ok(UserName::Dps(user))) => {
            handle_dps_connect(wire, connect, peer, user, state, (client, stop)).await
        }
    }
}

/// Accepts any client with a token or a certificate of that id; the answer to the registration decides (ref §0.3 rule 6).
/// Without either, or with another's certificate, the connection is refused (ref §8.1).
async fn handle_dps_connect<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    connect: &Connect,
    peer: &Peer,
    user: DpsUserName,
    state: &Arc<EmulatorState>,
    (client, stop): (UnauthenticatedClient, &CancellationToken),
) -> CloseReason {
    Span::current()
        .record("identity", excerpt(&format!("{}/registrations/{}", user.id_scope, user.registration_id)));
    if !connect.client_id.eq_ignore_ascii_case(&user.registration_id) {
        let message = format!(
            "the client id {:?} is not the user name's {:?}",
            connect.client_id, user.registration_id
        );
        return refuse(wire, Refusal::NotAuthorized, &message);
    }
    let attested = attest(connect, peer, &user, state);
    if let Err(AttestationError::Certificate(error)) = &attested
        && (error.refuses_connect() || state.refuse_certificates_at_connect)
    {
        return refuse(wire, Refusal::NotAuthorized, &error.to_string());
    }
    let dps = state.dps(&user.id_scope).cloned();
    let registration = dps_session::Registration { dps, registration_id: user.registration_id, attested };
    if registration.attested.is_ok() {
        drop(client);
        wire.admit();
        return dps_session::run(wire, connect, registration, state, stop).await;
    }
    // Its registration will be refused; until then the connection counts as unauthenticated.
    tokio::select! {
        reason = dps_session::run(wire, connect, registration, state, stop) => reason,
        () = client.displaced() => CloseReason::Displaced,
    }
}

/// Attests a client by its token, or by its certificate if it has no token. An empty token is none (ref §1.2).
fn attest(
    connect: &Connect,
    peer: &Peer,
    user: &DpsUserName,
    state: &EmulatorState,
) -> Result<Enrolled, AttestationError> {
    let dps = state.dps(&user.id_scope);
    let dps = dps.ok_or_else(|| AttestationError::UnknownScope(user.id_scope.clone()))?;
    let enrollments = dps.enrollments();
    if let Some(token) = connect.password.as_deref().filter(|password| !password.is_empty()) {
        return attestation::attest(&enrollments, user, token, state.clock.seconds(), state.tokens.skew);
    }
    let presented = Presented::read(&peer.certificates).map_err(CertificateAttestationError::Presented)?;
    let (uploads, now) = (state.authorities.all(), state.clock.now());
    Ok(certificates::attest(&enrollments, &uploads, &user.registration_id, &presented, now)?)
}

fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    refusal: Refusal,
    reason: &str,
) -> CloseReason {
    answer::refuse(&mut wire.output, refusal);
    CloseReason::Refused(excerpt(reason))
}
