//! `config get|set|unset|list`. Which settings there are, the broker says.

use std::io::Write;

use highwater_core::client::{
    ConfigChange, ConfigEdit, ConfigEntry, ConfigKind, ConfigOperation, ConfigResource, ConfigSource,
    Mutability, ResourceKind, Secrecy,
};
use serde_json::{Value, json};

use crate::args::{ConfigChangeArgs, ConfigCommand, ConfigListArgs, ConfigShowArgs};
use crate::ended::Ended;
use crate::failure::{Exit, Failure};
use crate::output::{self, column, wide};
use crate::session::connect;
use crate::topic::mode;
use crate::words::Attempt;

pub(crate) fn run(command: &ConfigCommand, out: &mut impl Write) -> Result<(), Ended> {
    match command {
        ConfigCommand::Get(args) => get(args, out),
        ConfigCommand::Set(args) => change(args, edit, out),
        ConfigCommand::Unset(args) => change(args, removal, out),
        ConfigCommand::List(args) => list(args, out),
        ConfigCommand::Explain(_) => unreachable!("the binary answers it: it knows the files of nodes"),
    }
}

fn get(args: &ConfigShowArgs, out: &mut impl Write) -> Result<(), Ended> {
    let resource = args.resource.0.clone();
    let place = show(&resource);
    let attempt = Attempt { what: "cannot show the settings", place: &place, message: None };
    let keys = (!args.keys.is_empty()).then(|| args.keys.clone());
    let described = connect(&args.broker)?.configs(&attempt, vec![resource], keys)?;
    let mut rows = Vec::new();
    for found in &described {
        if let Some(error) = found.error {
            return Err(Attempt { message: found.message.as_deref(), ..attempt }.failed(error).into());
        }
        if let Some(missing) = args.keys.iter().find(|key| !found.entries.iter().any(|e| e.key == **key)) {
            return Err(no_such_key(missing, &place).into());
        }
        let shown = |entry: &&ConfigEntry| args.all || !args.keys.is_empty() || is_changed(entry.source);
        let mut entries: Vec<&ConfigEntry> = found.entries.iter().filter(shown).collect();
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        rows.extend(entries.into_iter().map(entry_json));
    }
    let columns = [
        column("KEY", "key"),
        column("VALUE", "value"),
        column("SOURCE", "source"),
        wide("TYPE", "type"),
        wide("READ ONLY", "read_only"),
        wide("DOCUMENTATION", "documentation"),
    ];
    output::rows(args.output.output, &columns, &rows, out)
}

/// Whether somebody has chosen the value.
fn is_changed(source: ConfigSource) -> bool {
    match source {
        ConfigSource::Default | ConfigSource::Unknown => false,
        ConfigSource::DynamicTopic
        | ConfigSource::DynamicBroker
        | ConfigSource::DynamicDefaultBroker
        | ConfigSource::StaticBroker
        | ConfigSource::DynamicBrokerLogger
        | ConfigSource::DynamicClientMetrics
        | ConfigSource::DynamicGroup => true,
    }
}

fn entry_json(entry: &ConfigEntry) -> Value {
    let synonyms = entry.synonyms.iter().map(
        |synonym| json!({ "key": synonym.key, "value": synonym.value, "source": source(synonym.source) }),
    );
    json!({
        "key": entry.key,
        "value": if entry.secrecy == Secrecy::Sensitive { Some("(hidden)".to_owned()) } else { entry.value.clone() },
        "source": source(entry.source),
        "type": kind(entry.kind),
        "read_only": entry.mutability == Mutability::ReadOnly,
        "sensitive": entry.secrecy == Secrecy::Sensitive,
        "synonyms": synonyms.collect::<Vec<_>>(),
        "documentation": entry.documentation,
    })
}

fn source(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::DynamicTopic => "topic",
        ConfigSource::DynamicBroker => "broker",
        ConfigSource::DynamicDefaultBroker => "all brokers",
        ConfigSource::StaticBroker => "configuration file",
        ConfigSource::Default => "default",
        ConfigSource::DynamicBrokerLogger => "logger",
        ConfigSource::DynamicClientMetrics => "client metrics",
        ConfigSource::DynamicGroup => "group",
        ConfigSource::Unknown => "unknown",
    }
}

fn kind(kind: ConfigKind) -> &'static str {
    match kind {
        ConfigKind::Boolean => "boolean",
        ConfigKind::String => "string",
        ConfigKind::Int => "int",
        ConfigKind::Short => "short",
        ConfigKind::Long => "long",
        ConfigKind::Double => "double",
        ConfigKind::List => "list",
        ConfigKind::Class => "class",
        ConfigKind::Password => "password",
        ConfigKind::Unknown => "unknown",
    }
}

/// As the command line has it.
pub(crate) fn show(resource: &ConfigResource) -> String {
    let kind = match resource.kind {
        ResourceKind::Topic => "topic",
        ResourceKind::Broker if resource.name.is_empty() => return "broker".into(),
        ResourceKind::Broker => "broker",
        ResourceKind::BrokerLogger => "logger",
        ResourceKind::ClientMetrics => "client-metrics",
        ResourceKind::Group => "group",
        ResourceKind::Other(code) => return format!("{code}/{}", resource.name),
    };
    format!("{kind}/{}", resource.name)
}

fn change(
    args: &ConfigChangeArgs,
    read: impl Fn(&str) -> Result<ConfigEdit, Failure>,
    out: &mut impl Write,
) -> Result<(), Ended> {
    let resource = args.resource.0.clone();
    let place = show(&resource);
    let attempt = Attempt { what: "cannot change the settings", place: &place, message: None };
    let edits = args.settings.iter().map(|setting| read(setting)).collect::<Result<Vec<_>, _>>()?;
    let changes = vec![ConfigChange { resource, edits }];
    let results = connect(&args.broker)?.alter_configs(&attempt, changes, mode(args.dry_run))?;
    for result in &results {
        if let Some(error) = result.error {
            return Err(Attempt { message: result.message.as_deref(), ..attempt }.failed(error).into());
        }
    }
    let word = if args.dry_run { "could be changed" } else { "changed" };
    let row = json!({ "resource": place, "settings": args.settings, "result": word });
    output::each(args.output.output, &[row], |_| format!("{place} {word}\n"), out)
}

/// `KEY=VALUE`, `KEY+=VALUE` or `KEY-=VALUE`. No key of Kafka ends with a sign, so there is no doubt.
fn edit(setting: &str) -> Result<ConfigEdit, Failure> {
    let (key, value) = setting.split_once('=').ok_or_else(|| no_setting(setting, "expected KEY=VALUE"))?;
    let value = value.to_owned();
    let (key, operation) = if let Some(key) = key.strip_suffix('+') {
        (key, ConfigOperation::Append(value))
    } else if let Some(key) = key.strip_suffix('-') {
        (key, ConfigOperation::Subtract(value))
    } else {
        (key, ConfigOperation::Set(value))
    };
    if key.is_empty() {
        return Err(no_setting(setting, "the key is missing"));
    }
    Ok(ConfigEdit { key: key.into(), operation })
}

fn removal(setting: &str) -> Result<ConfigEdit, Failure> {
    if setting.contains('=') {
        return Err(no_setting(setting, "unset takes the key alone"));
    }
    Ok(ConfigEdit { key: setting.into(), operation: ConfigOperation::Delete })
}

fn no_setting(setting: &str, why: &str) -> Failure {
    Failure {
        exit: Exit::Usage,
        what: format!("\"{setting}\" is no setting"),
        place: "SETTING".into(),
        why: why.into(),
        fix: "write for instance `config set topic/orders retention.ms=60000`, `config unset topic/orders retention.ms`"
            .into(),
    }
}

fn no_such_key(key: &str, place: &str) -> Failure {
    Failure {
        exit: Exit::Failed,
        what: format!("there is no setting {key}"),
        place: place.into(),
        why: "the broker knows no such key there".into(),
        fix: format!("see all of them with `highwater config get {place} --all`"),
    }
}

fn list(args: &ConfigListArgs, out: &mut impl Write) -> Result<(), Ended> {
    let mut drive = connect(&args.broker)?;
    let place = drive.bootstrap().to_owned();
    let attempt = Attempt { what: "cannot list what has settings", place: &place, message: None };
    let kinds = vec![
        ResourceKind::Topic,
        ResourceKind::Broker,
        ResourceKind::BrokerLogger,
        ResourceKind::ClientMetrics,
        ResourceKind::Group,
    ];
    let mut resources = drive.config_resources(&attempt, kinds)?;
    resources.sort();
    let rows: Vec<Value> = resources.iter().map(|resource| json!({ "resource": show(resource) })).collect();
    output::rows(args.output.output, &[column("RESOURCE", "resource")], &rows, out)
}

#[cfg(test)]
mod tests {
    use super::{ConfigEdit, ConfigOperation, edit, removal};

    #[test]
    fn settings_set_append_and_subtract() {
        let is = |key: &str, operation| Ok(ConfigEdit { key: key.into(), operation });
        assert_eq!(edit("a=b=c"), is("a", ConfigOperation::Set("b=c".into())));
        assert_eq!(edit("a="), is("a", ConfigOperation::Set(String::new())));
        assert_eq!(edit("a+=b"), is("a", ConfigOperation::Append("b".into())));
        assert_eq!(edit("a.b-=c"), is("a.b", ConfigOperation::Subtract("c".into())));
        assert_eq!(removal("a"), is("a", ConfigOperation::Delete));
        for wrong in ["a", "=b", "+=b"] {
            assert!(edit(wrong).is_err(), "{wrong}");
        }
        assert!(removal("a=b").is_err());
    }
}
