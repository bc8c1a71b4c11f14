//! `InitProducerId` (22) for producers without transactions: an id that nobody else ever gets.

use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, respond};
use crate::controller::{Command, ControllerReply};
use crate::id::ProducerId;
use crate::wire::messages::init_producer_id_request::InitProducerIdRequest;
use crate::wire::messages::init_producer_id_response::InitProducerIdResponse;
use crate::wire::{ErrorCode, Reader};

/// What this shard holds of the block that the controller gave it. The rest of a block is lost at a restart, never reused.
#[derive(Debug, Default)]
pub(super) struct ProducerIds {
    next: i64,
    left: u32,
}

impl ProducerIds {
    fn take(&mut self) -> Option<ProducerId> {
        self.left = self.left.checked_sub(1)?;
        self.next += 1;
        Some(ProducerId(self.next - 1))
    }
}

/// A producer that waits for the controller.
#[derive(Debug)]
pub(crate) struct InitProducerId {
    pub(super) head: Head,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(InitProducerIdRequest<'_>, head, reader);
    let error = match request.transactional_id {
        Some("") => Some(ErrorCode::InvalidRequest),
        // No coordinator serves transactions; the client tries again.
        Some(_) => Some(ErrorCode::CoordinatorNotAvailable),
        // Both or neither (KIP-360).
        None if (request.producer_id < 0) != (request.producer_epoch < 0) => Some(ErrorCode::InvalidRequest),
        None => None,
    };
    if let Some(error) = error {
        return Ok(Begun::Done { head, done: answer(head, error, ProducerId(-1)) });
    }
    if let Some(id) = context.shared.producer_ids.take() {
        return Ok(Begun::Done { head, done: answer(head, ErrorCode::None, id) });
    }
    context.asks.push(Ask::Controller { command: Command::AllocateProducerIds });
    Ok(Begun::Working { work: Work::InitProducerId(InitProducerId { head }), wait: None })
}

impl InitProducerId {
    /// Takes the first id of the block; the others are for those who come next, unless another request brought some already.
    pub(super) fn on_reply(&self, context: &mut Context<'_>, reply: &ControllerReply) -> Done {
        let ControllerReply::ProducerIds { first, count } = reply else {
            panic!("{reply:?} does not answer AllocateProducerIds")
        };
        let ids = &mut context.shared.producer_ids;
        if ids.left == 0 {
            *ids = ProducerIds { next: first.0 + 1, left: count - 1 };
        }
        answer(self.head, ErrorCode::None, *first)
    }
}

fn answer(head: Head, error: ErrorCode, id: ProducerId) -> Done {
    let response = InitProducerIdResponse {
        error_code: error.code(),
        producer_id: id.0,
        producer_epoch: if error == ErrorCode::None { 0 } else { -1 },
        ..InitProducerIdResponse::default()
    };
    respond(head, |version, writer| response.encode(version, writer))
}
