//! Share of documentation summaries of each crate that begin with a question word or a pronoun.
//!
//! A summary is the first line of a documentation comment. An index or a search result shows nothing else, so it has to
//! be understandable by itself. The allowed shares are listed in [`ALLOWED`] and only fall.

use std::collections::BTreeMap;

use xshell::Shell;

use crate::tidy::source::Source;
use crate::workspace::Error;

/// File of the maximum share of each crate, in percent.
const ALLOWED: &str = "xtask/style.toml";

const HEAD: &str = "\
# Percent of the documentation summaries of each crate that may begin with a word that asks or points elsewhere
# (xtask/src/tidy/summaries.rs). `cargo xtask tidy --bless` lowers a share and never raises it.

";

/// Question words, and pronouns that refer to something outside of the summary.
const VAGUE: &[&str] = &[
    "What", "Whether", "How", "It", "Its", "Who", "Whose", "Which", "Where", "When", "Why", "Nor",
    "Also", "Nobody", "Whoever", "Somebody",
];

/// Number of summaries of one crate.
#[derive(Default)]
struct Count {
    all: u32,
    vague: u32,
}

impl Count {
    /// Returns the share of vague summaries in percent, rounded up to a tenth.
    fn share(&self) -> f64 {
        f64::from((self.vague * 1000).div_ceil(self.all.max(1))) / 10.0
    }
}

/// Compares each crate with its allowed share; `bless` lowers the allowed shares.
pub(super) fn findings(
    sh: &Shell,
    sources: &[Source],
    bless: bool,
    verbose: bool,
) -> Result<Vec<String>, Error> {
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.is_library_code()) {
        let Some(module) = source.module() else { continue };
        let count = counts.entry(module.krate).or_default();
        for (number, summary) in summaries(source.body()) {
            count.all += 1;
            if is_vague(summary) {
                count.vague += 1;
                if verbose {
                    println!("{}:{number}: {summary}", source.path);
                }
            }
        }
    }
    let mut allowed: BTreeMap<String, f64> = toml::from_str(&sh.read_file(ALLOWED)?)?;
    let mut findings = Vec::new();
    for (name, count) in &counts {
        let share = count.share();
        let most = allowed.entry((*name).to_owned()).or_insert(0.0);
        if share > *most {
            let Count { all, vague } = count;
            findings.push(format!(
                "crates/{name}: {vague} of {all} summaries ({share} %) begin with a question word or a pronoun, at most \
                 {most} % may: begin with a verb in the third person, or with the kind of thing (`--verbose` lists them)"
            ));
        } else if bless {
            *most = share;
        }
    }
    if bless {
        sh.write_file(ALLOWED, HEAD.to_owned() + &toml::to_string(&allowed)?)?;
    }
    let (all, vague) =
        counts.values().fold((0, 0), |(all, vague), count| (all + count.all, vague + count.vague));
    println!("summaries: {vague} of {all} begin with a question word or a pronoun");
    Ok(findings)
}

/// Returns the first line of each documentation comment, with its line number.
fn summaries<'a>(lines: impl Iterator<Item = &'a str>) -> impl Iterator<Item = (usize, &'a str)> {
    let mut in_comment = false;
    lines.zip(1..).filter_map(move |(line, number)| {
        let line = line.trim_start();
        let text = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        let is_first = text.is_some() && !in_comment;
        in_comment = text.is_some();
        text.filter(|_| is_first).map(|text| (number, text.trim()))
    })
}

fn is_vague(summary: &str) -> bool {
    let word = summary.split(|it: char| !it.is_alphanumeric()).next();
    word.is_some_and(|word| VAGUE.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_the_first_line_of_a_comment() {
        let text = "//! Head.\n//!\n//! More.\n\n/// A type.\n#[derive(Debug)]\nstruct A {\n    /// A field,\n    /// told at length.\n    b: u8, // What\n}\n";
        let found: Vec<_> = summaries(text.lines()).collect();
        assert_eq!(found, [(1, "Head."), (5, "A type."), (8, "A field,")]);
    }

    #[test]
    fn a_word_is_compared_whole() {
        for vague in ["What it is.", "Whether", "It's there.", "Its key."] {
            assert!(is_vague(vague), "{vague}");
        }
        for clear in ["Whatever arrives.", "Items.", "Returns what is kept.", "`It`", ""] {
            assert!(!is_vague(clear), "{clear}");
        }
    }

    #[test]
    fn a_share_is_rounded_up() {
        assert_eq!(Count { all: 3, vague: 1 }.share(), 33.4);
        assert_eq!(Count::default().share(), 0.0);
    }
}
