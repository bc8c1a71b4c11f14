//! Has two topics to itself. It alters the settings of one, reads them back and writes batches that are too large or not; to the
//! other it writes records of known times and asks for offsets by time. It alone touches them, so that all it is told can be held
//! against what it did.

mod choice;

use std::collections::BTreeMap;

use highwater_core::client::{
    AdminAnswer, AdminCall, ClientError, ClientEvent, ConfigChange, ConfigEdit, ConfigOperation, ConfigQuery,
    ConfigResource, Destination, ListedOffset, Mode, NewTopic, OffsetAt, PartitionCall, ProduceFailure,
    ProduceRecord, Receipt, ResourceConfigs, ResourceKind, ResourceResult, Token, TopicDescription,
    TopicPartition, TopicResult,
};
use highwater_core::time::{Duration, Instant, Timestamp};
use highwater_core::wire::ErrorCode;

use self::choice::{Alteration, Choice, Intent};
use super::Desk;
use super::record::content;
use super::session::{Next, Task, Turn};
use super::spec::StewardSpec;
use crate::history::{Deed, Fact, Fate, Process, Ruled};

/// Bytes of a record's number.
const KEY_BYTES: usize = 8;

#[derive(Debug, Clone)]
enum Asking {
    Create,
    /// The id of the topic whose settings change.
    Identify,
    Alter(Alteration),
    Describe(Ruled),
    /// One record to the topic whose settings change.
    Weigh {
        value_bytes: u64,
    },
    /// Records with times; those that are not answered.
    Store {
        open: BTreeMap<u64, i64>,
    },
    Offset(OffsetAt),
    /// Where the log begins after an answer was given.
    LogStart {
        at: OffsetAt,
        answer: ListedOffset,
    },
}

#[derive(Debug)]
pub(super) struct Steward {
    node: usize,
    spec: StewardSpec,
    ruled: TopicPartition,
    timed: TopicPartition,
    /// The topics stand, and the id of the one is known.
    stands: bool,
    identified: bool,
    asking: Option<Asking>,
    /// The question in flight; answers to earlier ones come late.
    token: u64,
    next_at: Instant,
}

impl Steward {
    pub(super) fn new(node: usize, spec: StewardSpec) -> Self {
        Self {
            node,
            spec,
            ruled: TopicPartition::new(&format!("ruled-{node}"), 0),
            timed: TopicPartition::new(&format!("timed-{node}"), 0),
            stands: false,
            identified: false,
            asking: None,
            token: 0,
            next_at: Instant::default(),
        }
    }

    fn tell(&self, deed: Deed, desk: &mut Desk<'_>) {
        desk.history.record(Fact::Steward { node: self.node, deed });
    }

    fn resource(&self, ruled: Ruled) -> ConfigResource {
        match ruled {
            Ruled::Topic => ConfigResource { kind: ResourceKind::Topic, name: self.ruled.topic.to_string() },
            Ruled::Brokers => ConfigResource { kind: ResourceKind::Broker, name: String::new() },
        }
    }

    fn ask(&mut self, choice: Choice, turn: &mut Turn<'_, '_>) {
        self.token += 1;
        let asking = match choice {
            Choice::Alter(alteration) => {
                self.alter(&alteration, turn);
                Asking::Alter(alteration)
            }
            Choice::Describe(ruled) => {
                let keys = choice::names(ruled).iter().map(|name| (*name).to_owned()).collect();
                let query = ConfigQuery { resources: vec![self.resource(ruled)], keys: Some(keys) };
                self.call(AdminCall::DescribeConfigs(query), turn);
                Asking::Describe(ruled)
            }
            Choice::Weigh { value_bytes, age_millis } => {
                let timestamp = Timestamp(turn.desk.wall_millis - age_millis);
                let record = Record { timestamp, bytes: usize::try_from(value_bytes).expect("small") };
                if self.produce(&self.ruled, record, turn).is_none() {
                    return;
                }
                Asking::Weigh { value_bytes }
            }
            Choice::Store { ages_millis } => {
                self.tell(Deed::Storing, turn.desk);
                let mut open = BTreeMap::new();
                for age in ages_millis {
                    let timestamp = Timestamp(turn.desk.wall_millis - age);
                    let number = self.produce(&self.timed, Record { timestamp, bytes: 20 }, turn);
                    open.extend(number.map(|number| (number, timestamp.0)));
                }
                if open.is_empty() {
                    return;
                }
                Asking::Store { open }
            }
            Choice::Offset(at) => {
                self.tell(Deed::Asking, turn.desk);
                self.ask_offset(at, turn);
                Asking::Offset(at)
            }
        };
        self.asking = Some(asking);
    }

    fn call(&self, call: AdminCall, turn: &mut Turn<'_, '_>) {
        let token = Token(self.token);
        if !turn.client.admin(turn.desk.clocks(), token, call, Destination::AnyBroker) {
            turn.desk.complain("client", "a steward's call is not taken".to_owned());
        }
    }

    fn ask_offset(&self, at: OffsetAt, turn: &mut Turn<'_, '_>) {
        let call = PartitionCall::ListOffsets { partitions: vec![self.timed.clone()], at };
        if !turn.client.partition_admin(turn.desk.clocks(), Token(self.token), call) {
            turn.desk.complain("client", "a steward's question is not taken".to_owned());
        }
    }

    fn alter(&self, alteration: &Alteration, turn: &mut Turn<'_, '_>) {
        let Alteration { ruled, changes, intent } = alteration;
        let mut edits: Vec<ConfigEdit> = Vec::new();
        for (key, value) in changes {
            let operation = value.clone().map_or(ConfigOperation::Delete, ConfigOperation::Set);
            edits.push(ConfigEdit { key: (*key).to_owned(), operation });
        }
        if *intent == Intent::Fail {
            let operation = ConfigOperation::Set("1".to_owned());
            edits.push(ConfigEdit { key: "no.such.setting".to_owned(), operation });
        }
        let mode = if *intent == Intent::Validate { Mode::Validate } else { Mode::Do };
        let change = ConfigChange { resource: self.resource(*ruled), edits };
        self.call(AdminCall::AlterConfigs { changes: vec![change], mode }, turn);
        if *intent == Intent::Do {
            let (ruled, changes) = (*ruled, changes.clone());
            self.tell(Deed::Altering { ruled, changes }, turn.desk);
        }
    }

    /// The number of the record, unless the client has no room.
    fn produce(&self, partition: &TopicPartition, record: Record, turn: &mut Turn<'_, '_>) -> Option<u64> {
        let number = turn.desk.history.new_value();
        let (key, value) = (content(number, KEY_BYTES), content(number, record.bytes));
        let record = ProduceRecord {
            partition: partition.clone(),
            timestamp: record.timestamp,
            key: Some(&key),
            value: Some(&value),
            headers: &[],
        };
        turn.client.produce(turn.desk.clocks(), Token(number.0), &record).ok()?;
        Some(number.0)
    }

    fn create(&mut self, turn: &mut Turn<'_, '_>) {
        self.token += 1;
        let new = |partition: &TopicPartition, configs| NewTopic {
            name: partition.topic.to_string(),
            partitions: 1,
            replication_factor: 1,
            configs,
        };
        let topics = vec![new(&self.ruled, Vec::new()), new(&self.timed, self.spec.timed.clone())];
        self.call(AdminCall::CreateTopics { topics, mode: Mode::Do }, turn);
        self.asking = Some(Asking::Create);
    }

    fn identify(&mut self, turn: &mut Turn<'_, '_>) {
        self.token += 1;
        let names = vec![self.ruled.topic.to_string()];
        self.call(AdminCall::DescribeTopics(Some(names)), turn);
        self.asking = Some(Asking::Identify);
    }
}

/// A record to be written.
#[derive(Debug, Clone, Copy)]
struct Record {
    timestamp: Timestamp,
    bytes: usize,
}

/// What an error says of a request.
fn fate_of(error: Option<ClientError>) -> Fate {
    match error {
        None => Fate::Done,
        Some(ClientError::Broker(
            ErrorCode::InvalidConfig | ErrorCode::InvalidRequest | ErrorCode::MessageTooLarge,
        )) => Fate::Refused,
        Some(_) => Fate::Unknown,
    }
}

/// What answers tell.
impl Steward {
    fn on_created(&mut self, results: &[TopicResult]) {
        self.stands = results.iter().all(|result| {
            matches!(result.error, None | Some(ClientError::Broker(ErrorCode::TopicAlreadyExists)))
        });
    }

    fn on_identified(&mut self, topics: &[TopicDescription], desk: &mut Desk<'_>) {
        if let [TopicDescription { error: None, id, .. }] = topics {
            self.identified = true;
            self.tell(Deed::Owns { ruled: *id }, desk);
        }
    }

    fn on_altered(&self, alteration: &Alteration, results: &[ResourceResult], desk: &mut Desk<'_>) {
        let [result] = results else {
            return desk.complain("wire", format!("not one resource: {results:?}"));
        };
        let fate = fate_of(result.error);
        match (alteration.intent, fate) {
            (Intent::Do, fate) => {
                desk.operations.add(if fate == Fate::Done { "altered" } else { "alter-failed" });
                if fate == Fate::Refused {
                    let story = format!("{alteration:?} is answered with {results:?}");
                    desk.complain("configs_in_force", story);
                }
                self.tell(Deed::Altered(fate), desk);
            }
            (Intent::Fail, Fate::Done) | (Intent::Validate, Fate::Refused) => {
                desk.complain("configs_in_force", format!("{alteration:?} is answered with {results:?}"));
            }
            (Intent::Fail | Intent::Validate, _) => desk.operations.add("altered-in-vain"),
        }
    }

    fn on_described(&self, ruled: Ruled, resources: &[ResourceConfigs], desk: &mut Desk<'_>) {
        let [ResourceConfigs { error: None, entries, .. }] = resources else { return };
        desk.operations.add("configs-described");
        let told = |name: &'static str| {
            let entry = entries.iter().find(|entry| entry.key == name);
            (name, entry.and_then(|entry| entry.value.clone()))
        };
        let values = choice::names(ruled).iter().map(|name| told(name)).collect();
        self.tell(Deed::Described { ruled, values }, desk);
    }

    fn on_offset(&mut self, at: OffsetAt, listed: ListedOffset, turn: &mut Turn<'_, '_>) {
        turn.desk.operations.add("offset-asked");
        self.ask_offset(OffsetAt::Earliest, turn);
        self.asking = Some(Asking::LogStart { at, answer: listed });
    }

    fn on_log_start(&self, at: OffsetAt, answer: ListedOffset, log_start: ListedOffset, desk: &mut Desk<'_>) {
        let Some(log_start) = log_start.offset else { return };
        let (offset, timestamp) = (answer.offset.map(|offset| offset.0), answer.timestamp.map(|time| time.0));
        self.tell(Deed::Answered { at, offset, timestamp, log_start: log_start.0 }, desk);
    }

    fn on_answer(&mut self, answer: AdminAnswer, turn: &mut Turn<'_, '_>) {
        let Some(asking) = self.asking.take() else { return };
        match (asking, answer) {
            (Asking::Create, AdminAnswer::Created(results)) => self.on_created(&results),
            (Asking::Identify, AdminAnswer::Topics(topics)) => self.on_identified(&topics, turn.desk),
            (Asking::Alter(alteration), AdminAnswer::Altered(results)) => {
                self.on_altered(&alteration, &results, turn.desk);
            }
            (Asking::Describe(ruled), AdminAnswer::Configs(resources)) => {
                self.on_described(ruled, &resources, turn.desk);
            }
            (Asking::Offset(at), AdminAnswer::Offsets(offsets)) => {
                if let [(_, Ok(listed))] = offsets[..] {
                    self.on_offset(at, listed, turn);
                }
            }
            (Asking::LogStart { at, answer }, AdminAnswer::Offsets(offsets)) => {
                if let [(_, Ok(listed))] = offsets[..] {
                    self.on_log_start(at, answer, listed, turn.desk);
                }
            }
            (asking, AdminAnswer::Failed(_)) => {
                turn.desk.operations.add("steward-failed");
                if matches!(&asking, Asking::Alter(alteration) if alteration.intent == Intent::Do) {
                    self.tell(Deed::Altered(Fate::Unknown), turn.desk);
                }
                self.next_at = turn.desk.now + Duration::from_millis(5);
            }
            (asking, answer) => {
                turn.desk.complain("client", format!("{asking:?} has the answer {answer:?}"));
            }
        }
    }

    fn on_produced(&mut self, token: Token, result: Result<Receipt, ProduceFailure>, desk: &mut Desk<'_>) {
        match &mut self.asking {
            Some(Asking::Weigh { value_bytes }) => {
                let value_bytes = *value_bytes;
                let fate = fate_of(result.err().map(|failure| failure.error));
                self.asking = None;
                desk.operations.add(if fate == Fate::Done { "weighed" } else { "weighed-in-vain" });
                self.tell(Deed::Weighed { value_bytes, fate }, desk);
            }
            Some(Asking::Store { open }) => {
                let Some(timestamp) = open.remove(&token.0) else { return };
                if open.is_empty() {
                    self.asking = None;
                }
                if let Ok(Receipt { offset: Some(offset), .. }) = result {
                    desk.operations.add("stored");
                    self.tell(Deed::Stored { offset: offset.0, timestamp }, desk);
                }
            }
            _ => desk.complain("client", format!("nobody produced {token:?}: {result:?}")),
        }
    }
}

impl Task for Steward {
    fn go_on(&mut self, turn: &mut Turn<'_, '_>) -> Next {
        if self.asking.is_some() || turn.desk.draining {
            return Next::Idle;
        }
        if turn.desk.now < self.next_at {
            return Next::At(self.next_at);
        }
        self.next_at = turn.desk.now + choice::rest(turn.prng);
        if !self.stands {
            self.create(turn);
        } else if !self.identified {
            self.identify(turn);
        } else {
            let choice = choice::choose(turn.desk.wall_millis, turn.prng);
            self.ask(choice, turn);
        }
        Next::Idle
    }

    fn on_event(&mut self, event: ClientEvent, turn: &mut Turn<'_, '_>) {
        match event {
            ClientEvent::Answered { token: Token(token), answer } if token == self.token => {
                self.on_answer(answer, turn);
            }
            ClientEvent::Produced { token, result } => self.on_produced(token, result, turn.desk),
            ClientEvent::Answered { .. } => {}
            ClientEvent::Fetched(_) | ClientEvent::FetchFailed { .. } | ClientEvent::Member(_) => {
                turn.desk.complain("client", format!("a steward is told {event:?}"));
            }
        }
    }

    fn on_crash(&mut self, _process: Process, _desk: &mut Desk<'_>) {
        self.asking = None;
    }

    fn unfinished(&self) -> Option<String> {
        None
    }
}
