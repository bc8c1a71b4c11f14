//! `ListTransactions` (66), `DescribeTransactions` (65): answered as by a coordinator of no transactions.

use super::{Beginning, Head, answered, decode_body};
use crate::wire::messages::describe_transactions_request::DescribeTransactionsRequest;
use crate::wire::messages::describe_transactions_response::{DescribeTransactionsResponse, TransactionState};
use crate::wire::messages::list_transactions_request::ListTransactionsRequest;
use crate::wire::messages::list_transactions_response::ListTransactionsResponse;
use crate::wire::{ErrorCode, Reader};

/// Kafka's names of the states of a transaction.
const STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];

pub(super) fn describe(head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(DescribeTransactionsRequest<'_>, head, reader);
    let states = request.transactional_ids.iter().map(|id| TransactionState {
        error_code: ErrorCode::TransactionalIdNotFound.code(),
        transactional_id: id,
        ..TransactionState::default()
    });
    let response = DescribeTransactionsResponse {
        transaction_states: states.collect(),
        ..DescribeTransactionsResponse::default()
    };
    answered(head, |version, writer| response.encode(version, writer))
}

pub(super) fn list(head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(ListTransactionsRequest<'_>, head, reader);
    let unknown = request.state_filters.iter().copied().filter(|state| !STATES.contains(state));
    let response = ListTransactionsResponse {
        unknown_state_filters: unknown.collect(),
        ..ListTransactionsResponse::default()
    };
    answered(head, |version, writer| response.encode(version, writer))
}
