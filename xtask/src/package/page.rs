//! `[dependencies]` at the head of a README, checked because readers copy them.

use cargo_metadata::Package;
use toml::{Table, Value};

const BEGIN: &str = "```toml\n[dependencies]\n";
const END: &str = "\n```";

/// Returns a finding for each error in the first `[dependencies]` of a README.
pub(super) fn findings(package: &Package, readme: &str) -> Vec<String> {
    let version = format!("{}.{}", package.version.major, package.version.minor);
    let features: Vec<&str> = package.features.keys().map(String::as_str).collect();
    let found = wrong(package.name.as_str(), &version, &features, readme);
    found.into_iter().map(|it| format!("README of {}: {it}", package.name)).collect()
}

fn wrong(name: &str, version: &str, features: &[&str], readme: &str) -> Vec<String> {
    let Some((_, rest)) = readme.split_once(BEGIN) else {
        return vec!["no `[dependencies]` to copy".into()];
    };
    let block = rest.split_once(END).map_or(rest, |(block, _)| block);
    let Ok(table) = block.parse::<Table>() else {
        return vec!["`[dependencies]` is no TOML".into()];
    };
    let Some(entry) = table.get(name) else {
        return vec![format!("`[dependencies]` does not name {name}")];
    };
    let mut findings = Vec::new();
    let stated = entry.as_str().or_else(|| entry.get("version")?.as_str());
    if stated != Some(version) {
        findings.push(format!("`[dependencies]` does not ask for version {version}"));
    }
    let asked = entry.get("features").and_then(Value::as_array).into_iter().flatten();
    for feature in asked.filter(|it| !it.as_str().is_some_and(|it| features.contains(&it))) {
        findings.push(format!("there is no feature {feature}"));
    }
    for feature in features.iter().filter(|it| **it != "default") {
        if !words(readme).any(|word| word == *feature) {
            findings.push(format!("the feature `{feature}` is not named"));
        }
    }
    findings
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_' && it != '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        "# x\n\n```toml\n[dependencies]\nx = \"0.1\" # optional features: jwt\n```\n\nText.\n";

    #[test]
    fn what_is_right_has_no_finding() {
        assert!(wrong("x", "0.1", &["default", "jwt"], PAGE).is_empty());
        let page = PAGE.replace("\"0.1\"", "{ version = \"0.1\", features = [\"jwt\"] }");
        assert!(wrong("x", "0.1", &["jwt"], &page).is_empty());
    }

    #[test]
    fn wrong_names_versions_and_features_are_found() {
        assert_eq!(wrong("y", "0.1", &[], PAGE).len(), 1);
        assert_eq!(wrong("x", "0.2", &[], PAGE).len(), 1);
        assert_eq!(wrong("x", "0.1", &["jwt", "dpop"], PAGE).len(), 1);
        let page = PAGE.replace("\"0.1\"", "{ version = \"0.1\", features = [\"gone\"] }");
        assert_eq!(wrong("x", "0.1", &["jwt"], &page).len(), 1);
        assert_eq!(wrong("x", "0.1", &[], "# x\n").len(), 1);
    }
}
