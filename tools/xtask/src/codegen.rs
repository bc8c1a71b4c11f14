//! `cargo xtask codegen`: writes the wire messages of the core from the schema files. `--check` only compares.

mod api_key;
mod inspect;
mod message;
mod schema;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use schema::Api;

const SCHEMA: &str = "core/schema";
const MESSAGES: &str = "core/src/wire/messages";

/// A generated file: where it belongs, relative to the root of the workspace, and its text before formatting.
struct Source {
    path: PathBuf,
    text: String,
}

/// Runs the command; `arguments` are those behind its name.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let stale = generate(root).map_err(|error| format!("codegen: {error}"))?;
    match arguments {
        [] => write(&stale).map_err(|error| format!("codegen: {error}")),
        ["--check"] if stale.is_empty() => Ok(()),
        ["--check"] => {
            let paths: Vec<String> =
                stale.iter().map(|(path, _)| format!("stale: {}\n", path.display())).collect();
            Err(format!("{}run `cargo xtask codegen`", paths.concat()))
        }
        _ => Err("usage: cargo xtask codegen [--check]".into()),
    }
}

/// What differs between the tree and the schema: a path and the text that it should hold, `None` for a file too many.
type Stale = Vec<(PathBuf, Option<String>)>;

fn generate(root: &Path) -> io::Result<Stale> {
    let apis = load(&root.join(SCHEMA))?;
    let mut sources = message::sources(&apis);
    sources.push(api_key::source(&apis));
    format(root, &mut sources)?;
    let mut stale = Stale::new();
    for source in &sources {
        let path = root.join(&source.path);
        if fs::read_to_string(&path).ok().as_ref() != Some(&source.text) {
            stale.push((path, Some(source.text.clone())));
        }
    }
    for entry in fs::read_dir(root.join(MESSAGES)).into_iter().flatten() {
        let path = entry?.path();
        if !sources.iter().any(|source| root.join(&source.path) == path) {
            stale.push((path, None));
        }
    }
    Ok(stale)
}

fn load(directory: &Path) -> io::Result<Vec<Api>> {
    let mut apis = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "schema") {
            let text = fs::read_to_string(&path)?;
            let parsed = schema::parse(&text)
                .map_err(|error| io::Error::other(format!("{}:{error}", path.display())))?;
            apis.extend(parsed);
        }
    }
    apis.sort_by_key(|api| api.key);
    if let Some(pair) = apis.windows(2).find(|pair| pair[0].key == pair[1].key) {
        return Err(io::Error::other(format!("key {} is defined twice", pair[0].key)));
    }
    Ok(apis)
}

/// Formats all sources in one run of rustfmt, in a scratch directory.
fn format(root: &Path, sources: &mut [Source]) -> io::Result<()> {
    let scratch = root.join("target/codegen").join(std::process::id().to_string());
    for source in sources.iter() {
        let path = scratch.join(&source.path);
        fs::create_dir_all(path.parent().expect("the path of a file has a parent"))?;
        fs::write(path, &source.text)?;
    }
    let status = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root)
        .args(sources.iter().map(|source| scratch.join(&source.path)))
        .status()?;
    for source in sources.iter_mut() {
        source.text = fs::read_to_string(scratch.join(&source.path))?;
    }
    fs::remove_dir_all(&scratch)?;
    if status.success() { Ok(()) } else { Err(io::Error::other("rustfmt failed")) }
}

fn write(stale: &Stale) -> io::Result<()> {
    for (path, text) in stale {
        match text {
            Some(text) => fs::write(path, text)?,
            None => fs::remove_file(path)?,
        }
    }
    println!("{} files written", stale.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::generate;

    #[test]
    fn generated_files_match_the_schema() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let stale = generate(root).unwrap();
        let paths: Vec<_> = stale.iter().map(|(path, _)| path).collect();
        assert!(paths.is_empty(), "run `cargo xtask codegen`: {paths:?}");
    }
}
