use alloc::collections::BTreeSet;

use super::SERVED;

/// What the README tells a newcomer is what a client gets.
#[test]
fn readme_names_what_is_served() {
    let readme = include_str!("../../../README.md");
    let section = readme.split("\n## ").find(|section| section.starts_with("What works today")).unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    let told: BTreeSet<&str> = rows
        .filter_map(|row| row.trim_end_matches(" |").rsplit_once("| "))
        .flat_map(|(_, names)| names.split(", "))
        .collect();
    let served: BTreeSet<&str> = SERVED.iter().map(|(key, _, _)| key.name()).collect();
    assert_eq!(told, served);
}
