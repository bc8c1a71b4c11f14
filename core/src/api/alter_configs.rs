//! `AlterConfigs` (33) and `IncrementalAlterConfigs` (44): settings of topics, brokers and groups, and levels of loggers.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::config_resource::{self, Resource};
use super::error::{self, Failure, shown};
use super::{Ask, Beginning, Begun, Context, Done, Head, Work, decode_body, respond};
use crate::config::{LOGGER_ROOT, LOGGERS, LogLevel};
use crate::controller::{
    AlterConfigs as Altering, Command, ConfigOp, ConfigsChange, ConfigsEdit, ControllerReply, Intent,
};
use crate::limits::CONFIG_ENTRIES_MAX;
use crate::wire::messages::{
    alter_configs_request as plain, alter_configs_response as plain_response,
    incremental_alter_configs_request as incremental,
    incremental_alter_configs_response as incremental_response,
};
use crate::wire::{ApiKey, ErrorCode, Reader};

/// A request that waits for the controller.
#[derive(Debug)]
pub(crate) struct AlterConfigs {
    pub(super) head: Head,
    resources: Vec<Wanted>,
}

#[derive(Debug)]
struct Wanted {
    kind: i8,
    name: String,
    /// Whether the controller decides.
    asked: bool,
    failure: Option<Failure>,
}

/// Kafka's numbers of the ways in which one setting is altered.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// What a resource of a request asks for.
enum Edit<'a> {
    Replace(&'a [plain::AlterableConfig<'a>]),
    Each(&'a [incremental::AlterableConfig<'a>]),
}

pub(super) fn begin_replace(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(plain::AlterConfigsRequest<'_>, head, reader);
    let resources = request.resources.iter();
    let resources =
        resources.map(|r| (r.resource_type, r.resource_name, Edit::Replace(&r.configs))).collect();
    Ok(begin(context, head, resources, intent(request.validate_only)))
}

pub(super) fn begin_each(context: &mut Context<'_>, head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(incremental::IncrementalAlterConfigsRequest<'_>, head, reader);
    let resources = request.resources.iter();
    let resources = resources.map(|r| (r.resource_type, r.resource_name, Edit::Each(&r.configs))).collect();
    Ok(begin(context, head, resources, intent(request.validate_only)))
}

fn intent(validate_only: bool) -> Intent {
    if validate_only { Intent::ValidateOnly } else { Intent::Apply }
}

fn begin(
    context: &mut Context<'_>,
    head: Head,
    resources: Vec<(i8, &str, Edit<'_>)>,
    intent: Intent,
) -> Begun {
    let mut seen = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for (kind, name, _) in &resources {
        if !seen.insert((*kind, *name)) {
            twice.insert((*kind, *name));
        }
    }
    let mut altering = Altering { changes: Vec::new(), loggers: Vec::new(), intent };
    let mut work = AlterConfigs { head, resources: Vec::with_capacity(resources.len()) };
    for (kind, name, edit) in &resources {
        let judged = if twice.contains(&(*kind, *name)) {
            Err(Failure::new(ErrorCode::InvalidRequest, "the resource is named twice"))
        } else {
            judge(context, (*kind, name), edit)
        };
        let mut wanted = Wanted { kind: *kind, name: String::from(*name), asked: false, failure: None };
        match judged {
            Ok(Judged::Change(change)) => {
                wanted.asked = true;
                altering.changes.push(change);
            }
            Ok(Judged::Loggers(loggers)) => altering.loggers.extend(loggers),
            Err(failure) => wanted.failure = Some(failure),
        }
        work.resources.push(wanted);
    }
    if altering.changes.is_empty() && altering.loggers.is_empty() {
        return Begun::Done { head, done: work.answer() };
    }
    context.asks.push(Ask::Controller { command: Command::AlterConfigs(altering) });
    Begun::Working { work: Work::AlterConfigs(work), wait: None }
}

enum Judged {
    Change(ConfigsChange),
    Loggers(Vec<LoggerChange>),
}

fn judge(context: &Context<'_>, (kind, name): (i8, &str), edit: &Edit<'_>) -> Result<Judged, Failure> {
    let resource = config_resource::parse(context, kind, name)?;
    let names: Vec<&str> = match edit {
        Edit::Replace(configs) => configs.iter().map(|config| config.name).collect(),
        Edit::Each(configs) => configs.iter().map(|config| config.name).collect(),
    };
    check_names(&names)?;
    match (resource, edit) {
        (Resource::Loggers, Edit::Replace(_)) => Err(Failure::new(
            ErrorCode::InvalidRequest,
            "levels of loggers are altered one by one, with IncrementalAlterConfigs",
        )),
        (Resource::Loggers, Edit::Each(configs)) => loggers(configs).map(Judged::Loggers),
        (Resource::Configs(resource), Edit::Replace(configs)) => {
            let pairs = configs.iter().map(|config| match config.value {
                Some(value) => Ok((String::from(config.name), String::from(value))),
                None => Err(no_value(config.name)),
            });
            let edit = ConfigsEdit::Replace(pairs.collect::<Result<_, _>>()?);
            Ok(Judged::Change(ConfigsChange { resource, edit }))
        }
        (Resource::Configs(resource), Edit::Each(configs)) => {
            let ops = configs.iter().map(|config| Ok((String::from(config.name), op(config)?)));
            let edit = ConfigsEdit::Each(ops.collect::<Result<_, Failure>>()?);
            Ok(Judged::Change(ConfigsChange { resource, edit }))
        }
    }
}

/// Each once, and not more than any resource has.
fn check_names(names: &[&str]) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    if let Some(name) = names.iter().find(|name| !seen.insert(**name)) {
        let message = format!("the setting '{}' is named twice", shown(name));
        return Err(Failure { code: ErrorCode::InvalidRequest, message });
    }
    if names.len() > CONFIG_ENTRIES_MAX {
        let message = format!("{} settings for one resource: at most {CONFIG_ENTRIES_MAX}", names.len());
        return Err(Failure { code: ErrorCode::InvalidRequest, message });
    }
    Ok(())
}

fn no_value(name: &str) -> Failure {
    let message = format!("the setting '{}' has no value", shown(name));
    Failure { code: ErrorCode::InvalidRequest, message }
}

fn op(config: &incremental::AlterableConfig<'_>) -> Result<ConfigOp, Failure> {
    let value = || config.value.map(String::from).ok_or_else(|| no_value(config.name));
    match config.config_operation {
        SET => Ok(ConfigOp::Set(value()?)),
        DELETE => Ok(ConfigOp::Delete),
        APPEND => Ok(ConfigOp::Append(value()?)),
        SUBTRACT => Ok(ConfigOp::Subtract(value()?)),
        other => {
            let message = format!("{other} is no operation on the setting '{}'", shown(config.name));
            Err(Failure { code: ErrorCode::InvalidRequest, message })
        }
    }
}

/// A logger and the level that it shall have, if any of its own.
type LoggerChange = (&'static str, Option<LogLevel>);

fn loggers(configs: &[incremental::AlterableConfig<'_>]) -> Result<Vec<LoggerChange>, Failure> {
    let config_error = |message| Failure { code: ErrorCode::InvalidConfig, message };
    let level = |config: &incremental::AlterableConfig<'_>| {
        let known = LOGGERS.iter().find(|logger| **logger == config.name);
        let logger = known.copied().ok_or_else(|| {
            let message =
                format!("there is no logger '{}': there are {}", shown(config.name), LOGGERS.join(", "));
            config_error(message)
        })?;
        match op(config)? {
            ConfigOp::Set(level) => {
                let named = LogLevel::named(level.trim()).ok_or_else(|| {
                    let names = LogLevel::ALL.map(LogLevel::name).join(", ");
                    config_error(format!("{logger}={}: must be one of {names}", shown(&level)))
                })?;
                Ok((logger, Some(named)))
            }
            ConfigOp::Delete if logger == LOGGER_ROOT => {
                Err(Failure::new(ErrorCode::InvalidRequest, "the root logger always has a level"))
            }
            ConfigOp::Delete => Ok((logger, None)),
            ConfigOp::Append(_) | ConfigOp::Subtract(_) => {
                Err(Failure::new(ErrorCode::InvalidRequest, "the level of a logger is no list"))
            }
        }
    };
    configs.iter().map(level).collect()
}

impl AlterConfigs {
    pub(super) fn on_reply(&mut self, reply: ControllerReply) -> Done {
        let ControllerReply::AlterConfigs(results) = reply else {
            panic!("{reply:?} does not answer AlterConfigs")
        };
        let asked = self.resources.iter_mut().filter(|wanted| wanted.asked);
        for (wanted, result) in asked.zip(results) {
            wanted.failure = result.err().map(|failed| error::of_alter_configs(&failed));
        }
        self.answer()
    }

    fn answer(&self) -> Done {
        let code =
            |wanted: &Wanted| wanted.failure.as_ref().map_or(ErrorCode::None, |failure| failure.code).code();
        fn message(wanted: &Wanted) -> Option<&str> {
            wanted.failure.as_ref().map(|failure| failure.message.as_str())
        }
        if self.head.key == ApiKey::AlterConfigs.code() {
            let responses =
                self.resources.iter().map(|wanted| plain_response::AlterConfigsResourceResponse {
                    error_code: code(wanted),
                    error_message: message(wanted),
                    resource_type: wanted.kind,
                    resource_name: &wanted.name,
                    ..plain_response::AlterConfigsResourceResponse::default()
                });
            let responses = responses.collect();
            let response = plain_response::AlterConfigsResponse {
                responses,
                ..plain_response::AlterConfigsResponse::default()
            };
            return respond(self.head, |version, writer| response.encode(version, writer));
        }
        let responses =
            self.resources.iter().map(|wanted| incremental_response::AlterConfigsResourceResponse {
                error_code: code(wanted),
                error_message: message(wanted),
                resource_type: wanted.kind,
                resource_name: &wanted.name,
                ..incremental_response::AlterConfigsResourceResponse::default()
            });
        let response = incremental_response::IncrementalAlterConfigsResponse {
            responses: responses.collect(),
            ..incremental_response::IncrementalAlterConfigsResponse::default()
        };
        respond(self.head, |version, writer| response.encode(version, writer))
    }
}
