//! Seed strings, `seed@commit@profile`: all that one has to copy to see a run again. Must not know what a run is.

use std::fmt;
use std::str::FromStr;

use crate::params::Profile;

/// The commit that this simulator is built from, with `-dirty` if files had been changed, or `unknown`.
pub const COMMIT: &str = env!("HIGHWATER_COMMIT");

/// A seed, and what it was drawn with where that is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedString {
    pub seed: u64,
    pub commit: Option<String>,
    pub profile: Option<Profile>,
}

/// A number, decimal or after `0x` hexadecimal.
pub fn parse_number(text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(&digits.replace('_', ""), 16),
        None => text.replace('_', "").parse(),
    };
    number.map_err(|error| format!("`{text}` is no seed: {error}"))
}

impl FromStr for SeedString {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('@');
        let seed = parse_number(parts.next().unwrap_or_default())?;
        let commit = parts.next().filter(|commit| !commit.is_empty()).map(str::to_owned);
        let profile = parts.next().map(str::parse).transpose()?;
        match parts.next() {
            None => Ok(Self { seed, commit, profile }),
            Some(_) => Err("a seed string is seed@commit@profile".to_owned()),
        }
    }
}

impl fmt::Display for SeedString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seed)?;
        if self.commit.is_some() || self.profile.is_some() {
            write!(f, "@{}", self.commit.as_deref().unwrap_or_default())?;
        }
        self.profile.map_or(Ok(()), |profile| write!(f, "@{profile}"))
    }
}

impl SeedString {
    /// Refuses a seed of another build, which would be another run, and says what to do.
    pub fn check_build(&self) -> Result<(), String> {
        let Some(commit) = &self.commit else { return Ok(()) };
        if commit == COMMIT {
            return Ok(());
        }
        let clean = commit.trim_end_matches("-dirty");
        let was_dirty = if clean == commit { "" } else { " (with changes that no commit holds)" };
        let here = Self { commit: None, ..self.clone() };
        let profile = self.profile.map_or_else(String::new, |profile| format!(" --profile {profile}"));
        Err(format!(
            "this seed belongs to build {commit}{was_dirty} and this is build {COMMIT}: it would be another run.\n\
             To see that run:\n  git worktree add ../highwater-{clean} {clean} && cd ../highwater-{clean}\n\
             To run the seed in this build:\n  {} {}{profile}",
            "--seed", here.seed
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{COMMIT, SeedString};
    use crate::params::Profile;

    fn parse(text: &str) -> Result<SeedString, String> {
        text.parse()
    }

    #[test]
    fn seed_strings_survive_their_text() {
        for text in ["7", "18446744073709551615@abc", "7@abc-dirty@smoke", "7@@default"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        assert_eq!(parse("0xbeef").unwrap().seed, 0xbeef);
        assert_eq!(parse("0xBEEF@c@smoke").unwrap().profile, Some(Profile::Smoke));
    }

    #[test]
    fn what_is_no_seed_string_is_refused() {
        for text in ["", "x", "-1", "7@a@nonsense", "7@a@smoke@b", "18446744073709551616", "0x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn seeds_of_another_build_are_refused() {
        assert!(parse("7").unwrap().check_build().is_ok());
        assert!(parse(&format!("7@{COMMIT}@smoke")).unwrap().check_build().is_ok());
        let error = parse("7@0123456789@smoke").unwrap().check_build().unwrap_err();
        assert!(error.contains("git worktree add ../highwater-0123456789 0123456789"), "{error}");
    }
}
