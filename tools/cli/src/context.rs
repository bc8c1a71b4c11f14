//! Which brokers a command talks to: flags, environment, and the file of contexts. Owns that file.

use std::env;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use toml::{Table, Value};

use crate::args::{BrokerArgs, ContextCommand, ContextSetArgs, Output};
use crate::ended::Ended;
use crate::failure::{Exit, Failure};
use crate::output::{self, column};
use crate::session::addresses;

const DEFAULT_BOOTSTRAP: &str = "127.0.0.1:9092";
const DEFAULT_TIMEOUT_SECONDS: u64 = 10;
const BOOTSTRAP_VARIABLE: &str = "HIGHWATER_BOOTSTRAP";
const CONTEXT_VARIABLE: &str = "HIGHWATER_CONTEXT";

/// Where to begin, and how long to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broker {
    pub(crate) bootstrap: String,
    pub(crate) timeout: Duration,
    /// The flag, variable or context that named it.
    pub(crate) named_by: String,
}

impl Broker {
    pub(crate) fn chosen(args: &BrokerArgs) -> Result<Self, Failure> {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let surroundings =
            Surroundings { bootstrap: variable(BOOTSTRAP_VARIABLE), context: variable(CONTEXT_VARIABLE) };
        Self::among(args, &surroundings, || Contexts::load(&path()?))
    }

    fn among(
        args: &BrokerArgs,
        surroundings: &Surroundings,
        load: impl FnOnce() -> Result<Contexts, Failure>,
    ) -> Result<Self, Failure> {
        // The file is read only where it can matter, so that a broken one costs nobody who has said where to go.
        let by_environment = args.context.is_none() && surroundings.bootstrap.is_some();
        let needs_file = args.context.is_some() || (args.bootstrap.is_none() && !by_environment);
        let contexts = if needs_file { load()? } else { Contexts::default() };
        let name = args.context.clone().or_else(|| {
            let named = surroundings.context.clone().or_else(|| contexts.current.clone());
            if by_environment { None } else { named }
        });
        let context = match &name {
            Some(name) if needs_file => Some(contexts.find(name)?),
            Some(_) | None => None,
        };
        let by_context = || {
            let bootstrap = context?.bootstrap.clone()?;
            Some((bootstrap, format!("context {}", name.as_deref().unwrap_or_default())))
        };
        let flag = args.bootstrap.clone().map(|bootstrap| (bootstrap, "--bootstrap".into()));
        let variable = surroundings.bootstrap.clone().map(|bootstrap| (bootstrap, BOOTSTRAP_VARIABLE.into()));
        let (bootstrap, named_by) = flag
            .or_else(by_context)
            .or(variable)
            .unwrap_or_else(|| (DEFAULT_BOOTSTRAP.into(), "the default".into()));
        let seconds = args.timeout.or(context.and_then(|context| context.timeout));
        let timeout = Duration::from_secs(seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS));
        Ok(Self { bootstrap, timeout, named_by })
    }
}

/// What the environment says.
#[derive(Debug, Default)]
struct Surroundings {
    bootstrap: Option<String>,
    context: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Context {
    bootstrap: Option<String>,
    timeout: Option<u64>,
}

/// The file, as far as we know what it means; anything else in it is an error and not dropped in silence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Contexts {
    path: PathBuf,
    current: Option<String>,
    named: Vec<(String, Context)>,
}

impl Contexts {
    fn load(path: &Path) -> Result<Self, Failure> {
        let empty = Self { path: path.to_owned(), ..Self::default() };
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(empty),
            Err(error) => Err(unusable(path, error.to_string())),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Failure> {
        let table: Table =
            text.parse().map_err(|error: toml::de::Error| unusable(path, error.message().into()))?;
        let mut contexts = Self { path: path.to_owned(), ..Self::default() };
        for (key, value) in &table {
            match (key.as_str(), value) {
                ("current", Value::String(name)) => contexts.current = Some(name.clone()),
                ("contexts", Value::Table(named)) => {
                    for (name, value) in named {
                        let context =
                            context(value).map_err(|why| unusable(path, format!("context {name}: {why}")))?;
                        contexts.named.push((name.clone(), context));
                    }
                }
                (key, _) => return Err(unusable(path, format!("{key} is not expected here"))),
            }
        }
        Ok(contexts)
    }

    fn find(&self, name: &str) -> Result<&Context, Failure> {
        let found = self.named.iter().find(|(known, _)| known == name);
        found.map(|(_, context)| context).ok_or_else(|| {
            let names: Vec<&str> = self.named.iter().map(|(name, _)| name.as_str()).collect();
            let why = if names.is_empty() {
                "there are no contexts yet".into()
            } else {
                format!("there are {}", names.join(", "))
            };
            Failure {
                exit: Exit::Usage,
                what: format!("there is no context \"{name}\""),
                place: self.path.display().to_string(),
                why,
                fix: format!("make it with `highwater context set {name} --bootstrap HOST:PORT`"),
            }
        })
    }

    fn save(&self) -> Result<(), Failure> {
        let mut named = Table::new();
        for (name, context) in &self.named {
            let mut fields = Table::new();
            if let Some(bootstrap) = &context.bootstrap {
                fields.insert("bootstrap".into(), Value::String(bootstrap.clone()));
            }
            if let Some(timeout) = context.timeout {
                fields.insert("timeout".into(), Value::Integer(i64::try_from(timeout).unwrap_or(i64::MAX)));
            }
            named.insert(name.clone(), Value::Table(fields));
        }
        let mut table = Table::new();
        if let Some(current) = &self.current {
            table.insert("current".into(), Value::String(current.clone()));
        }
        table.insert("contexts".into(), Value::Table(named));
        // Written beside and moved over, so that nobody ever reads half of it.
        let beside = self.path.with_extension(format!("{}.new", std::process::id()));
        let written = self.path.parent().map_or(Ok(()), fs::create_dir_all);
        let written = written.and_then(|()| fs::write(&beside, table.to_string()));
        let written = written.and_then(|()| fs::rename(&beside, &self.path));
        written.map_err(|error| unusable(&self.path, error.to_string()))
    }
}

fn context(value: &Value) -> Result<Context, String> {
    let fields = value.as_table().ok_or("it is no table")?;
    let mut context = Context::default();
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("bootstrap", Value::String(bootstrap)) => context.bootstrap = Some(bootstrap.clone()),
            ("timeout", Value::Integer(seconds @ 1..=3600)) => {
                context.timeout = u64::try_from(*seconds).ok();
            }
            ("timeout", _) => return Err("timeout is not a number of seconds from 1 to 3600".into()),
            (key, _) => return Err(format!("{key} is not expected here")),
        }
    }
    Ok(context)
}

fn path() -> Result<PathBuf, Failure> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    let home = home.ok_or_else(|| Failure {
        exit: Exit::Usage,
        what: "there is no place for contexts".into(),
        place: "$XDG_CONFIG_HOME".into(),
        why: "neither it nor $HOME is an absolute path".into(),
        fix: "set one of them, or name the broker with --bootstrap HOST:PORT".into(),
    })?;
    Ok(home.join("highwater").join("config.toml"))
}

fn unusable(path: &Path, why: String) -> Failure {
    Failure {
        exit: Exit::Usage,
        what: "the contexts cannot be used".into(),
        place: path.display().to_string(),
        why,
        fix: "mend the file or move it away; --bootstrap HOST:PORT does without it".into(),
    }
}

pub(crate) fn run(command: &ContextCommand, out: &mut impl Write) -> Result<(), Ended> {
    let mut contexts = Contexts::load(&path()?)?;
    match command {
        ContextCommand::List { output } => list(&contexts, output.output, out),
        ContextCommand::Use { name } => {
            contexts.find(name)?;
            contexts.current = Some(name.clone());
            contexts.save()?;
            writeln!(out, "{name} is in use").map_err(Ended::by_output)
        }
        ContextCommand::Set(args) => set(contexts, args, out),
        ContextCommand::Delete { name } => {
            contexts.find(name)?;
            contexts.named.retain(|(known, _)| known != name);
            contexts.current = contexts.current.filter(|current| current != name);
            contexts.save()?;
            writeln!(out, "{name} deleted").map_err(Ended::by_output)
        }
        ContextCommand::Show { name, output } => show(name.clone(), output.output, out),
    }
}

fn list(contexts: &Contexts, form: Output, out: &mut impl Write) -> Result<(), Ended> {
    let rows: Vec<_> = contexts
        .named
        .iter()
        .map(|(name, context)| {
            let used = contexts.current.as_ref() == Some(name);
            json!({
                "context": name,
                "in_use": used,
                "bootstrap": context.bootstrap,
                "timeout": context.timeout,
            })
        })
        .collect();
    let columns = [
        column("IN USE", "in_use"),
        column("CONTEXT", "context"),
        column("BOOTSTRAP", "bootstrap"),
        column("TIMEOUT", "timeout"),
    ];
    output::rows(form, &columns, &rows, out)
}

fn set(mut contexts: Contexts, args: &ContextSetArgs, out: &mut impl Write) -> Result<(), Ended> {
    let ContextSetArgs { name, bootstrap, timeout } = args;
    if let Some(text) = bootstrap.as_ref().filter(|text| addresses(text).is_none()) {
        return Err(Failure {
            exit: Exit::Usage,
            what: format!("\"{text}\" is no broker's address"),
            place: "--bootstrap".into(),
            why: "it is not HOST:PORT, or several of those with commas between".into(),
            fix: "write for instance --bootstrap 127.0.0.1:9092".into(),
        }
        .into());
    }
    let at = contexts.named.iter().position(|(known, _)| known == name);
    let at = at.unwrap_or_else(|| {
        contexts.named.push((name.clone(), Context::default()));
        contexts.named.len() - 1
    });
    let context = &mut contexts.named[at].1;
    context.bootstrap = bootstrap.clone().or_else(|| context.bootstrap.take());
    context.timeout = timeout.or(context.timeout);
    // The first one is what the user has come for.
    contexts.current.get_or_insert_with(|| name.clone());
    contexts.save()?;
    writeln!(out, "{name} set").map_err(Ended::by_output)
}

fn show(name: Option<String>, form: Output, out: &mut impl Write) -> Result<(), Ended> {
    let broker = Broker::chosen(&BrokerArgs { bootstrap: None, context: name, timeout: None })?;
    let row = json!({
        "bootstrap": broker.bootstrap,
        "timeout": broker.timeout.as_secs(),
        "named_by": broker.named_by,
    });
    let columns =
        [column("BOOTSTRAP", "bootstrap"), column("TIMEOUT", "timeout"), column("NAMED BY", "named_by")];
    output::rows(form, &columns, &[row], out)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Broker, BrokerArgs, Contexts, Surroundings};

    const FILE: &str = "current = \"a\"\n[contexts.a]\nbootstrap = \"a:1\"\ntimeout = 7\n[contexts.b]\nbootstrap = \"b:1\"\n";

    fn chosen(
        flag: Option<&str>,
        context: Option<&str>,
        environment: (Option<&str>, Option<&str>),
        file: &str,
    ) -> Result<(String, u64), String> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let args = BrokerArgs { bootstrap: owned(flag), context: owned(context), timeout: None };
        let surroundings = Surroundings { bootstrap: owned(environment.0), context: owned(environment.1) };
        Broker::among(&args, &surroundings, || Contexts::parse(Path::new("c.toml"), file))
            .map(|broker| (broker.bootstrap, broker.timeout.as_secs()))
            .map_err(|failure| failure.to_string())
    }

    #[test]
    fn what_is_said_nearest_counts() {
        let is = |text: &str, seconds| Ok((text.to_owned(), seconds));
        assert_eq!(chosen(None, None, (None, None), ""), is("127.0.0.1:9092", 10));
        assert_eq!(chosen(None, None, (None, None), FILE), is("a:1", 7));
        assert_eq!(chosen(None, None, (None, Some("b")), FILE), is("b:1", 10));
        assert_eq!(chosen(None, None, (Some("e:1"), Some("b")), FILE), is("e:1", 10));
        assert_eq!(chosen(None, Some("a"), (Some("e:1"), Some("b")), FILE), is("a:1", 7));
        assert_eq!(chosen(Some("f:1"), Some("a"), (Some("e:1"), None), FILE), is("f:1", 7));
        assert_eq!(chosen(Some("f:1"), None, (None, None), "broken ["), is("f:1", 10));
    }

    #[test]
    fn a_file_that_is_not_understood_is_said() {
        for (file, word) in [
            ("[", "c.toml"),
            ("curent = \"a\"", "curent"),
            ("[contexts.a]\nboostrap = \"x\"", "boostrap"),
            ("[contexts.a]\ntimeout = 0", "timeout"),
            ("current = \"z\"", "\"z\""),
        ] {
            let error = chosen(None, None, (None, None), file).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        assert!(chosen(None, Some("z"), (None, None), FILE).unwrap_err().contains("there are a, b"));
    }
}
