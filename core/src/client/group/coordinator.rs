//! Where the coordinator of the group is. Asks any broker, and asks again whenever somebody doubts it.

use alloc::sync::Arc;
use alloc::vec;

use super::{Member, Outcome, Question, Turn};
use crate::client::links::{Lane, Peer, Readiness, Sending};
use crate::client::{Address, ClientError};
use crate::time::Instant;
use crate::wire::messages::find_coordinator_request::FindCoordinatorRequest;
use crate::wire::messages::find_coordinator_response::FindCoordinatorResponse;
use crate::wire::{ApiKey, ErrorCode, Reader};

#[derive(Debug)]
pub(super) enum Coordinator {
    /// To be asked for, not before this.
    Unknown(Instant),
    Asking,
    Known {
        address: Address,
        reach: Reach,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Untried,
    Tried,
}

/// The question for the coordinator of a group, as every version has it.
pub(in crate::client) fn question(group: &str) -> FindCoordinatorRequest<'_> {
    FindCoordinatorRequest { key: group, coordinator_keys: vec![group], ..FindCoordinatorRequest::default() }
}

/// Where it is, by its answer.
pub(in crate::client) fn found(outcome: Outcome<'_>) -> Result<Address, ClientError> {
    let (version, body) = outcome?;
    let response = FindCoordinatorResponse::decode(version, &mut Reader::new(body));
    let response = response.map_err(|_| ClientError::Malformed)?;
    let (error_code, host, port) = if version < 4 {
        (response.error_code, response.host, response.port)
    } else {
        let first = response.coordinators.first().ok_or(ClientError::Malformed)?;
        (first.error_code, first.host, first.port)
    };
    match ClientError::from_code(error_code) {
        Some(error) => Err(error),
        None => {
            let port = u16::try_from(port).map_err(|_| ClientError::Malformed)?;
            Ok(Address { host: Arc::from(host), port })
        }
    }
}

/// Whether another node may be the coordinator by now.
pub(in crate::client) fn has_moved(error: ClientError) -> bool {
    match error {
        ClientError::Broker(code) => {
            matches!(code, ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable)
        }
        ClientError::Disconnected | ClientError::TimedOut | ClientError::Malformed => true,
        ClientError::UnknownCode(_)
        | ClientError::CorruptBatch
        | ClientError::BatchTooLarge
        | ClientError::UnsupportedVersion
        | ClientError::EpochExhausted
        | ClientError::NoOffset => false,
    }
}

/// Whether the same request may work later, at this coordinator or at another one.
pub(in crate::client) fn is_passing(error: ClientError) -> bool {
    has_moved(error) || error == ClientError::Broker(ErrorCode::CoordinatorLoadInProgress)
}

impl Coordinator {
    pub(super) fn new(now: Instant) -> Self {
        Self::Unknown(now)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Unknown(at) => Some(*at),
            Self::Asking | Self::Known { .. } => None,
        }
    }

    /// It cannot be reached, or says that it is not the coordinator.
    pub(super) fn doubt(&mut self, at: Instant) {
        if let Self::Known { .. } = self {
            *self = Self::Unknown(at);
        }
    }

    /// The connection to the coordinator, if it can be sent to now.
    pub(super) fn ready(&mut self, turn: &mut Turn<'_>, at: Instant) -> Option<Peer> {
        let Self::Known { address, reach } = self else { return None };
        let peer = Peer { address: address.clone(), lane: Lane::Coordinator };
        if *reach == Reach::Tried && turn.links.is_down(&peer) {
            *self = Self::Unknown(at);
            return None;
        }
        *reach = Reach::Tried;
        (turn.links.want(turn.now, &peer) == Readiness::Ready).then_some(peer)
    }
}

impl Member {
    pub(super) fn find_coordinator(&mut self, turn: &mut Turn<'_>) {
        if !matches!(self.coordinator, Coordinator::Unknown(at) if at <= turn.now) {
            return;
        }
        let Some(peer) = turn.links.want_any(turn.now, &turn.cluster.addresses()) else { return };
        self.coordinator = Coordinator::Asking;
        let call = self.asked(Question::Coordinator);
        let sending = Sending::new(ApiKey::FindCoordinator);
        let group = &self.config.group;
        turn.links.send(turn.now, (&peer, sending), call, |version, writer| {
            question(group).encode(version, writer)
        });
    }

    pub(super) fn on_coordinator(&mut self, now: Instant, outcome: Outcome<'_>) {
        self.coordinator = Coordinator::Unknown(now + self.timing.backoff);
        match found(outcome) {
            Ok(address) => self.coordinator = Coordinator::Known { address, reach: Reach::Untried },
            Err(error) if is_passing(error) || error.is_retriable() => {}
            Err(error) => self.fatal = Some(error),
        }
    }

    pub(super) fn coordinator_peer(&mut self, turn: &mut Turn<'_>) -> Option<Peer> {
        let at = turn.now + self.timing.backoff;
        self.coordinator.ready(turn, at)
    }

    /// Looks for the coordinator anew if the error says that it may be elsewhere.
    pub(super) fn doubt_coordinator(&mut self, now: Instant, error: ClientError) {
        if has_moved(error) {
            self.coordinator.doubt(now + self.timing.backoff);
        }
    }
}
