//! `DescribeConfigs` (32): every setting of a resource, its value, and where the value comes from.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::config_resource::{self, Resource};
use super::error::{self, Failure};
use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, respond};
use crate::config::LogLevel;
use crate::controller::{
    AlterConfigsError, Command, ConfigResource, Configs, ControllerReply, Described, Source, Synonym, configs,
};
use crate::limits::DESCRIBED_BYTES_MAX;
use crate::wire::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use crate::wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};
use crate::wire::{ErrorCode, Reader};

/// A request that waits for the levels of loggers.
#[derive(Debug)]
pub(crate) struct DescribeConfigs {
    pub(super) head: Head,
    synonyms: Wish,
    documentation: Wish,
    resources: Vec<Answered>,
}

/// Whether a request asks for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Wanted,
    Unwanted,
}

impl Wish {
    fn new(wanted: bool) -> Self {
        if wanted { Self::Wanted } else { Self::Unwanted }
    }
}

#[derive(Debug)]
struct Answered {
    kind: i8,
    name: String,
    entries: Result<Vec<Entry>, Failure>,
    /// For loggers, which of them; their levels come from the controller.
    loggers: Option<Option<BTreeSet<String>>>,
}

/// A setting as the response has it.
#[derive(Debug)]
struct Entry {
    name: &'static str,
    value: Option<String>,
    read_only: bool,
    sensitive: bool,
    source: Source,
    kind: i8,
    synonyms: Vec<Synonym>,
    documentation: Option<String>,
}

pub(super) fn begin(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(DescribeConfigsRequest<'_>, head, reader);
    let mut work = DescribeConfigs {
        head,
        synonyms: Wish::new(request.include_synonyms),
        documentation: Wish::new(request.include_documentation),
        resources: Vec::with_capacity(request.resources.len()),
    };
    let mut bytes = 0;
    for resource in &request.resources {
        let answered = if bytes > DESCRIBED_BYTES_MAX {
            let message = "one answer cannot describe so many resources: ask for fewer at once";
            failed(resource, Failure::new(ErrorCode::InvalidRequest, message))
        } else {
            work.answered(context, resource)
        };
        bytes += answered.entries.iter().flatten().map(Entry::bytes).sum::<usize>();
        work.resources.push(answered);
    }
    if work.resources.iter().all(|answered| answered.loggers.is_none()) {
        return Ok(Begun::Done { head, done: work.answer() });
    }
    context.asks.push(Ask::Controller { command: Command::DescribeLoggers });
    Ok(Begun::Working { work: Work::DescribeConfigs(work), wait: None })
}

fn failed(resource: &DescribeConfigsResource<'_>, failure: Failure) -> Answered {
    Answered {
        kind: resource.resource_type,
        name: resource.resource_name.to_string(),
        entries: Err(failure),
        loggers: None,
    }
}

impl Entry {
    fn new(described: Described, documentation: Wish) -> Self {
        let definition = described.definition;
        Self {
            name: definition.name,
            value: described.value,
            read_only: described.read_only,
            sensitive: definition.is_sensitive(),
            source: described.source,
            kind: definition.kind as i8,
            synonyms: described.synonyms,
            documentation: (documentation == Wish::Wanted).then(|| definition.documentation()),
        }
    }

    /// What it takes, about.
    fn bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let synonyms = self.synonyms.iter().map(|synonym| size_of::<Synonym>() + text(&synonym.value));
        size_of::<Self>() + text(&self.value) + text(&self.documentation) + synonyms.sum::<usize>()
    }
}

impl DescribeConfigs {
    fn answered(&self, context: &Context<'_>, resource: &DescribeConfigsResource<'_>) -> Answered {
        // No keys mean all keys, as in Kafka.
        let keys: Option<BTreeSet<&str>> = resource
            .configuration_keys
            .as_ref()
            .filter(|keys| !keys.is_empty())
            .map(|keys| keys.iter().copied().collect());
        let entries = match config_resource::parse(context, resource.resource_type, resource.resource_name) {
            Err(failure) => return failed(resource, failure),
            Ok(Resource::Loggers) => {
                let wanted = keys.map(|keys| keys.into_iter().map(String::from).collect());
                let answered = failed(resource, Failure::new(ErrorCode::None, ""));
                return Answered { entries: Ok(Vec::new()), loggers: Some(wanted), ..answered };
            }
            Ok(Resource::Configs(found)) => {
                let empty = Configs::new();
                let own = match (&found, found.configs(context.image)) {
                    (_, Some(own)) => own,
                    (ConfigResource::Topic(_), None) => {
                        return failed(resource, error::of_alter_configs(&AlterConfigsError::UnknownTopic));
                    }
                    (
                        ConfigResource::Broker(_)
                        | ConfigResource::Group(_)
                        | ConfigResource::ClientMetrics(_),
                        None,
                    ) => &empty,
                };
                let wanted = |name: &str| keys.as_ref().is_none_or(|keys| keys.contains(name));
                configs::describe(context.config, context.image, &found, own, &wanted)
            }
        };
        let mut entries: Vec<Entry> =
            entries.into_iter().map(|entry| Entry::new(entry, self.documentation)).collect();
        if self.synonyms == Wish::Unwanted {
            entries.iter_mut().for_each(|entry| entry.synonyms.clear());
        }
        Answered {
            kind: resource.resource_type,
            name: resource.resource_name.to_string(),
            entries: Ok(entries),
            loggers: None,
        }
    }

    pub(super) fn on_reply(&mut self, reply: ControllerReply) -> Done {
        let ControllerReply::Loggers(levels) = reply else {
            panic!("{reply:?} does not answer DescribeLoggers")
        };
        for answered in &mut self.resources {
            if let Some(wanted) = &answered.loggers {
                answered.entries = Ok(loggers(&levels, wanted.as_ref()));
            }
        }
        self.answer()
    }

    fn answer(&self) -> Done {
        let results = self.resources.iter().map(|answered| {
            let failure = answered.entries.as_ref().err();
            let entries = answered.entries.as_deref().unwrap_or_default();
            DescribeConfigsResult {
                error_code: failure.map_or(ErrorCode::None, |failure| failure.code).code(),
                error_message: failure.map(|failure| failure.message.as_str()),
                resource_type: answered.kind,
                resource_name: &answered.name,
                configs: entries.iter().map(result).collect(),
                ..DescribeConfigsResult::default()
            }
        });
        let response =
            DescribeConfigsResponse { results: results.collect(), ..DescribeConfigsResponse::default() };
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}

fn result(entry: &Entry) -> DescribeConfigsResourceResult<'_> {
    let synonyms = entry.synonyms.iter().map(|synonym| DescribeConfigsSynonym {
        name: synonym.name,
        value: synonym.value.as_deref(),
        source: synonym.source as i8,
        ..DescribeConfigsSynonym::default()
    });
    DescribeConfigsResourceResult {
        name: entry.name,
        value: entry.value.as_deref(),
        read_only: entry.read_only,
        config_source: entry.source as i8,
        is_sensitive: entry.sensitive,
        synonyms: synonyms.collect(),
        config_type: entry.kind,
        documentation: entry.documentation.as_deref(),
        ..DescribeConfigsResourceResult::default()
    }
}

/// The type that Kafka gives to levels of loggers: a text.
const LEVEL_KIND: i8 = 2;

fn loggers(levels: &BTreeMap<&'static str, LogLevel>, wanted: Option<&BTreeSet<String>>) -> Vec<Entry> {
    let wanted = levels.iter().filter(|(logger, _)| wanted.is_none_or(|wanted| wanted.contains(**logger)));
    let entry = |(logger, level): (&&'static str, &LogLevel)| Entry {
        name: logger,
        value: Some(level.name().to_string()),
        read_only: false,
        sensitive: false,
        source: Source::Logger,
        kind: LEVEL_KIND,
        synonyms: Vec::new(),
        documentation: None,
    };
    wanted.map(entry).collect()
}
