//! Default dependencies of each core, compared with a list in the repository.

use std::collections::{BTreeMap, BTreeSet};

use xshell::{Shell, cmd};

use crate::workspace::{Error, none_of};

const LIST: &str = "xtask/closures.txt";

const HEAD: &str = "\
# What each core builds by default: its normal dependencies on all targets. What one of our own
# crates already brings is not repeated above it.
# `cargo xtask deps` fails on every difference; `cargo xtask deps --bless` rewrites this file.
";

/// Crates that are refused in cores even if the list has them.
///
/// A crate of the same kind that is missing here still fails as a difference from the list.
#[rustfmt::skip]
const REFUSED: &[(&str, &[&str])] = &[
    ("a runtime", &[
        "async-executor", "async-global-executor", "async-io", "async-std", "futures-executor",
        "glommio", "monoio", "smol", "tokio", "tokio-util",
    ]),
    ("a socket or an HTTP stack", &[
        "axum", "axum-core", "curl", "h2", "h3", "hyper", "hyper-util", "isahc", "mio", "polling",
        "quinn", "reqwest", "socket2", "tower-http", "ureq",
    ]),
    ("a clock", &["chrono", "instant", "jiff", "quanta", "time", "web-time"]),
    ("a random source", &[
        "fastrand", "getrandom", "nanorand", "oorandom", "rand", "rand_chacha", "rand_core", "uuid",
    ]),
    ("a URL that normalizes", &["url"]),
    ("a TLS or C cryptography stack", &[
        "aws-lc-rs", "aws-lc-sys", "native-tls", "openssl", "openssl-sys", "ring", "rustls",
    ]),
];

/// Crate names by core.
type Closures = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check(sh: &Shell, cores: &[&str], bless: bool) -> Result<(), Error> {
    let mut built = Closures::new();
    for &core in cores {
        built.insert(core.to_owned(), closure(sh, core, Features::Default)?);
    }
    none_of(&refused(&built))?;
    let added = added(&built);
    if bless {
        sh.write_file(LIST, print(cores, &added))?;
        return Ok(());
    }
    none_of(&differences(&parse(&sh.read_file(LIST)?)?, &added))
}

/// Features with which a package is built.
#[derive(Clone, Copy)]
pub(crate) enum Features {
    Default,
    All,
}

/// Returns the names of a package's dependencies on all targets.
pub(crate) fn closure(
    sh: &Shell,
    package: &str,
    features: Features,
) -> Result<BTreeSet<String>, Error> {
    let all = matches!(features, Features::All).then_some("--all-features");
    let tree = cmd!(
        sh,
        "cargo tree --locked -p {package} {all...} -e normal --target all --prefix none --format '{p}'"
    )
    .quiet()
    .read()?;
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    Ok(names.filter(|name| !name.is_empty() && *name != package).map(str::to_owned).collect())
}

fn refused(built: &Closures) -> Vec<String> {
    let mut findings = Vec::new();
    for (core, crates) in built {
        for (what, names) in REFUSED {
            for name in names.iter().filter(|name| crates.contains(**name)) {
                findings.push(format!("{core} builds {name}: {what} has no place in a core"));
            }
        }
    }
    findings
}

/// Returns the dependencies of each core without those of the cores below it.
fn added(built: &Closures) -> Closures {
    let add = |(core, crates): (&String, &BTreeSet<String>)| {
        let below = crates.iter().filter_map(|name| built.get(name)).flatten();
        let below: BTreeSet<&String> = below.collect();
        let own = crates.iter().filter(|name| !below.contains(name));
        (core.clone(), own.cloned().collect())
    };
    built.iter().map(add).collect()
}

fn differences(listed: &Closures, added: &Closures) -> Vec<String> {
    let none = BTreeSet::new();
    let cores: BTreeSet<&String> = listed.keys().chain(added.keys()).collect();
    let mut findings = Vec::new();
    for core in cores {
        let listed = listed.get(core).unwrap_or(&none);
        let added = added.get(core).unwrap_or(&none);
        for name in added.difference(listed) {
            findings.push(format!("{core} adds {name}, which {LIST} does not list"));
        }
        for name in listed.difference(added) {
            findings.push(format!("{core} no longer adds {name}, which {LIST} lists"));
        }
    }
    findings
}

/// Parses the list: each core at the margin, its dependencies indented below.
fn parse(text: &str) -> Result<Closures, Error> {
    let mut closures = Closures::new();
    let mut core = None;
    for line in text.lines() {
        let name = line.trim();
        if name.is_empty() || name.starts_with('#') {
            continue;
        }
        if !line.starts_with(' ') {
            core = Some(closures.entry(name.to_owned()).or_default());
        } else if let Some(crates) = &mut core {
            crates.insert(name.to_owned());
        } else {
            return Err(format!("{LIST}: {name} stands below no core").into());
        }
    }
    Ok(closures)
}

/// Writes the list, beginning with the lowest layer.
fn print(cores: &[&str], closures: &Closures) -> String {
    let mut text = HEAD.to_owned();
    for &core in cores {
        text += &format!("\n{core}\n");
        for name in closures.get(core).into_iter().flatten() {
            text += &format!("    {name}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closures(rows: &[(&str, &[&str])]) -> Closures {
        rows.iter()
            .map(|(core, crates)| {
                let crates = crates.iter().map(|&name| name.to_owned()).collect();
                ((*core).to_owned(), crates)
            })
            .collect()
    }

    #[test]
    fn the_list_reads_back_as_printed() {
        let built = closures(&[("client-auth", &["bytes", "http"]), ("oauth-types", &[])]);
        let text = print(&["oauth-types", "client-auth"], &built);
        assert_eq!(parse(&text).unwrap(), built);
    }

    #[test]
    fn a_crate_below_no_core_is_an_error() {
        assert!(parse("# head\n    bytes\n").is_err());
    }

    #[test]
    fn both_directions_differ() {
        let listed = closures(&[("client-auth", &["bytes", "gone"]), ("removed", &["http"])]);
        let added = closures(&[("client-auth", &["bytes", "new"])]);
        let findings = differences(&listed, &added);
        assert_eq!(findings.len(), 3, "{findings:?}");
        assert!(findings.iter().any(|it| it.contains("adds new")));
        assert!(findings.iter().any(|it| it.contains("no longer adds gone")));
        assert!(differences(&added, &added).is_empty());
    }

    #[test]
    fn what_a_lower_core_brings_is_not_repeated() {
        let built = closures(&[
            ("client-auth", &["bytes", "hmac", "oauth-types"]),
            ("client-flow", &["bytes", "client-auth", "hmac", "http", "oauth-types"]),
            ("oauth-types", &["bytes"]),
        ]);
        let expected = closures(&[
            ("client-auth", &["hmac", "oauth-types"]),
            ("client-flow", &["client-auth", "http"]),
            ("oauth-types", &["bytes"]),
        ]);
        assert_eq!(added(&built), expected);
    }

    #[test]
    fn what_is_refused_stays_refused() {
        let built = closures(&[("client-auth", &["bytes", "tokio"]), ("x", &["tokio-like"])]);
        let findings = refused(&built);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings.iter().any(|it| it.contains("tokio: a runtime")));
    }
}
