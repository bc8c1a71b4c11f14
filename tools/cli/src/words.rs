//! The client's errors in a user's words. Owns no decision.

use highwater_core::client::ClientError;
use highwater_core::wire::ErrorCode;

use crate::failure::{Exit, Failure};

/// What was being done, and to what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub(crate) what: &'a str,
    pub(crate) place: &'a str,
    /// The broker's own words, if it had any.
    pub(crate) message: Option<&'a str>,
}

impl Attempt<'_> {
    pub(crate) fn failed(&self, error: ClientError) -> Failure {
        let exit = if error == ClientError::TimedOut { Exit::Timeout } else { Exit::Failed };
        let said = why(error);
        let why = self.message.map_or(said.clone(), |message| format!("{said}: {message}"));
        Failure { exit, what: self.what.into(), place: self.place.into(), why, fix: fix(error).into() }
    }
}

/// What went wrong, as a sentence without its full stop.
pub(crate) fn why(error: ClientError) -> String {
    match error {
        ClientError::Broker(code) => format!("the broker answers {}", code.name()),
        ClientError::UnknownCode(code) => format!("the broker answers with the unknown error code {code}"),
        ClientError::TimedOut => "there was no answer in time".into(),
        ClientError::Disconnected => "the connection broke before the answer".into(),
        ClientError::Malformed => "what the broker sent is not an answer".into(),
        ClientError::CorruptBatch => "a record batch arrived damaged".into(),
        ClientError::BatchTooLarge => "a record batch is larger than a fetch may be".into(),
        ClientError::UnsupportedVersion => {
            "the broker does not offer this request in a version that we know".into()
        }
        ClientError::EpochExhausted => "the producer's epochs are used up".into(),
        ClientError::NoOffset => "the group has committed nothing of this partition".into(),
    }
}

fn fix(error: ClientError) -> &'static str {
    match error {
        ClientError::Broker(ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId) => {
            "see what there is with `highwater topic list`, or create it with `highwater topic create`"
        }
        ClientError::Broker(ErrorCode::TopicAlreadyExists) => "choose another name, or add --if-not-exists",
        ClientError::Broker(ErrorCode::InvalidTopicException) => {
            "use up to 249 letters, digits, dots, dashes and underscores"
        }
        ClientError::Broker(ErrorCode::InvalidPartitions) => {
            "give --partitions a number from 1 on; of a topic that exists, one larger than it has"
        }
        ClientError::Broker(ErrorCode::InvalidReplicationFactor) => {
            "give --replication-factor no more than there are nodes"
        }
        ClientError::Broker(ErrorCode::InvalidConfig) => {
            "check names and values; `highwater config get KIND/NAME --all` shows those that there are"
        }
        ClientError::Broker(ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge) => {
            "send smaller records, or raise the topic's max.message.bytes"
        }
        ClientError::Broker(ErrorCode::OffsetOutOfRange) => {
            "use --from beginning, --from end, or an offset between"
        }
        ClientError::Malformed => "check that the address is that of a Kafka listener of a current broker",
        ClientError::UnsupportedVersion => {
            "ask a newer broker; `highwater cluster info --output wide` lists what one offers"
        }
        ClientError::TimedOut | ClientError::Disconnected => {
            "it may have been done nevertheless: look, then try again, or wait longer with --timeout"
        }
        ClientError::Broker(_)
        | ClientError::UnknownCode(_)
        | ClientError::CorruptBatch
        | ClientError::BatchTooLarge
        | ClientError::NoOffset
        | ClientError::EpochExhausted => "try again; if it stays so, look at the log of the node",
    }
}
