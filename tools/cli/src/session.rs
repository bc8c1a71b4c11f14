//! What every command does with a broker: connect, ask about topics, wait for an answer. Knows no output.

mod admin;

use std::time::{Duration, Instant};

use highwater_core::client::{Address, ClientConfig, ClientError, ClientEvent, StartAt, TopicPartition};
use highwater_core::time;
use highwater_core::wire::ErrorCode;

use crate::args::BrokerArgs;
use crate::context::Broker;
use crate::drive::{Drive, Step};
use crate::failure::{Exit, Failure};
use crate::words::Attempt;

/// The client's settings for a command.
pub(crate) fn client_config(broker: &Broker) -> Result<ClientConfig, Failure> {
    let bootstrap = addresses(&broker.bootstrap).ok_or_else(|| Failure {
        exit: Exit::Usage,
        what: format!("\"{}\" is no broker's address", broker.bootstrap),
        place: broker.named_by.clone(),
        why: "it is not HOST:PORT, or several of those with commas between".into(),
        fix: "write for instance --bootstrap 127.0.0.1:9092".into(),
    })?;
    let timeout = time::Duration::from_secs(broker.timeout.as_secs());
    let mut config = ClientConfig::new(bootstrap);
    config.connect_timeout = timeout;
    config.request_timeout = timeout;
    config.producer.answer_timeout = timeout;
    config.producer.delivery_timeout = timeout;
    Ok(config)
}

/// Some addresses with commas between; `None` if one of them is none.
pub(crate) fn addresses(text: &str) -> Option<Vec<Address>> {
    text.split(',').map(address).collect()
}

fn address(text: &str) -> Option<Address> {
    let (host, port) = text.trim().rsplit_once(':')?;
    let host = host.strip_prefix('[').map_or(Some(host), |inner| inner.strip_suffix(']'))?;
    let port = port.parse().ok().filter(|&port| port > 0)?;
    if host.is_empty() { None } else { Some(Address::new(host, port)) }
}

pub(crate) fn connect(args: &BrokerArgs) -> Result<Drive, Failure> {
    let broker = Broker::chosen(args)?;
    Ok(Drive::new(&client_config(&broker)?, broker.timeout))
}

impl Drive {
    /// How many partitions a topic has. One that does not exist is created if the broker does that by itself.
    pub(crate) fn partitions(&mut self, topic: &str) -> Result<i32, Failure> {
        let attempt = Attempt { what: "cannot use the topic", place: topic, message: None };
        let described = self.describe(&[topic.to_owned()])?;
        let Some(description) = described.first() else { return Err(attempt.failed(ClientError::Malformed)) };
        let missing = ClientError::Broker(ErrorCode::UnknownTopicOrPartition);
        match description.error {
            None => {}
            Some(error) if error == missing => return self.created_by_asking(&attempt),
            Some(error) => return Err(attempt.failed(error)),
        }
        i32::try_from(description.partitions.len()).map_err(|_| attempt.failed(ClientError::Malformed))
    }

    /// To want to read a topic is what makes a broker create it.
    fn created_by_asking(&mut self, attempt: &Attempt<'_>) -> Result<i32, Failure> {
        let until = self.patience();
        let first = TopicPartition::new(attempt.place, 0);
        let now = self.now();
        self.client.assign(now, first.clone(), StartAt::Latest);
        let count = loop {
            if let Some(count) = self.client.partitions(attempt.place).filter(|&count| count > 0) {
                break count;
            }
            if Instant::now() >= until {
                return Err(attempt.failed(ClientError::Broker(ErrorCode::UnknownTopicOrPartition)));
            }
            let soon = Instant::now() + Duration::from_millis(10);
            if let Step::Event(ClientEvent::FetchFailed { error, .. }) = self.step(Some(soon.min(until)))?
                && !error.is_retriable()
            {
                return Err(attempt.failed(error));
            }
        };
        self.client.unassign(&first);
        i32::try_from(count).map_err(|_| attempt.failed(ClientError::Malformed))
    }
}

#[cfg(test)]
mod tests {
    use super::address;
    use highwater_core::client::Address;

    #[test]
    fn address_reads_names_and_both_ip_versions() {
        assert_eq!(address("a.example:1"), Some(Address::new("a.example", 1)));
        assert_eq!(address("[::1]:9092"), Some(Address::new("::1", 9092)));
        for wrong in ["a", ":1", "a:", "a:0", "a:65536", "[::1:1"] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }
}
