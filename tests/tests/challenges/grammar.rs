//! The challenge parser against a slow transcription of the grammar (RFC 9110 §5.6, §11.2, §11.3, §11.6.1).
//!
//! The transcription tries every way in which the rules can be read, so it gives a set of readings. Wherever there
//! is any, ours has to be one of them. What the grammar does not read at all, we may still read in part: those
//! deviations are listed on [`Challenges`] and pinned by the last test.

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use oauth_types::Challenges;
use proptest::prelude::*;

/// A challenge as the grammar has it: scheme, then a token68 or parameters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Read {
    scheme: String,
    token68: Option<String>,
    params: Vec<(String, String)>,
}

/// The ways to match a rule at a place: what was read, and where it ends.
type Ways<T> = Vec<(T, usize)>;

/// Reads a line by the letter of the grammar.
struct Grammar<'a>(&'a [u8]);

impl Grammar<'_> {
    fn at(&self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    fn text(&self, from: usize, to: usize) -> String {
        String::from_utf8(self.0[from..to].to_vec()).unwrap()
    }

    /// `min*byte`: every length.
    fn some(&self, at: usize, min: usize, is: impl Fn(u8) -> bool) -> Vec<usize> {
        let run = self.0[at..].iter().take_while(|byte| is(**byte)).count();
        (min..=run).map(|length| at + length).collect()
    }

    /// `OWS = BWS = *( SP / HTAB )`
    fn ows(&self, at: usize) -> Vec<usize> {
        self.some(at, 0, |byte| byte == b' ' || byte == b'\t')
    }

    /// `token = 1*tchar`
    fn token(&self, at: usize) -> Ways<String> {
        let tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        self.some(at, 1, tchar).into_iter().map(|end| (self.text(at, end), end)).collect()
    }

    /// `token68 = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`
    fn token68(&self, at: usize) -> Ways<String> {
        let body = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        let bodies = self.some(at, 1, body);
        let ends = bodies.into_iter().flat_map(|end| self.some(end, 0, |byte| byte == b'='));
        ends.map(|end| (self.text(at, end), end)).collect()
    }

    /// `quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE`
    fn quoted(&self, at: usize) -> Ways<String> {
        let (mut text, mut here) = (Vec::new(), at + 1);
        if self.at(at) != Some(b'"') {
            return Vec::new();
        }
        loop {
            let is_text = |byte: u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
            match (self.at(here), self.at(here + 1)) {
                (Some(b'"'), _) => return vec![(String::from_utf8(text).unwrap(), here + 1)],
                (Some(b'\\'), Some(pair)) if is_text(pair) => {
                    text.push(pair);
                    here += 2;
                }
                (Some(byte), _) if byte != b'\\' && is_text(byte) => {
                    text.push(byte);
                    here += 1;
                }
                _ => return Vec::new(),
            }
        }
    }

    /// `auth-param = token BWS "=" BWS ( token / quoted-string )`
    fn auth_param(&self, at: usize) -> Ways<(String, String)> {
        let mut ways = Vec::new();
        for (name, end) in self.token(at) {
            for equals in self.ows(end) {
                if self.at(equals) != Some(b'=') {
                    continue;
                }
                for start in self.ows(equals + 1) {
                    let values = self.token(start).into_iter().chain(self.quoted(start));
                    ways.extend(values.map(|(value, end)| ((name.clone(), value), end)));
                }
            }
        }
        ways
    }

    /// `#element = [ element ] *( OWS "," OWS [ element ] )`, as a recipient reads it.
    fn list<T: Clone>(&self, at: usize, element: &dyn Fn(usize) -> Ways<T>) -> Ways<Vec<T>> {
        let optional = |read: &[T], at: usize| -> Ways<Vec<T>> {
            let with = |(next, end)| ([read, &[next]].concat(), end);
            element(at).into_iter().map(with).chain([(read.to_vec(), at)]).collect()
        };
        let mut ways = optional(&[], at);
        let mut from = 0;
        while from < ways.len() {
            let (read, end) = ways[from].clone();
            from += 1;
            for comma in self.ows(end).into_iter().filter(|at| self.at(*at) == Some(b',')) {
                for start in self.ows(comma + 1) {
                    ways.extend(optional(&read, start));
                }
            }
        }
        ways
    }

    /// `challenge = auth-scheme [ 1*SP ( token68 / #auth-param ) ]`
    fn challenge(&self, at: usize) -> Ways<Read> {
        let mut ways = Vec::new();
        for (scheme, end) in self.token(at) {
            let bare = Read { scheme, token68: None, params: Vec::new() };
            for start in self.some(end, 1, |byte| byte == b' ') {
                let tokens = self.token68(start).into_iter();
                ways.extend(
                    tokens.map(|(token, end)| (Read { token68: Some(token), ..bare.clone() }, end)),
                );
                let params = self.list(start, &|at| self.auth_param(at)).into_iter();
                ways.extend(params.map(|(params, end)| (Read { params, ..bare.clone() }, end)));
            }
            ways.push((bare, end));
        }
        ways
    }

    /// `WWW-Authenticate = #challenge`: every way to read the whole line, white space around it aside.
    fn readings(line: &[u8]) -> Vec<Vec<Read>> {
        let trimmed = line.trim_ascii();
        let grammar = Grammar(trimmed);
        let ways = grammar.list(0, &|at| grammar.challenge(at)).into_iter();
        let mut whole: Vec<_> =
            ways.filter(|(_, end)| *end == trimmed.len()).map(|(read, _)| read).collect();
        whole.sort();
        whole.dedup();
        whole
    }
}

/// What our parser makes of the line; `None` for a challenge that it reports as malformed.
fn ours(line: &[u8]) -> Vec<Option<Read>> {
    let value = HeaderValue::from_bytes(line).unwrap();
    let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]);
    let read = |challenge: oauth_types::Challenge<'_>| Read {
        scheme: challenge.scheme().to_owned(),
        token68: challenge.token68().map(str::to_owned),
        params: challenge
            .params()
            .map(|(name, value)| (name.to_owned(), value.to_text().unwrap().into_owned()))
            .collect(),
    };
    Challenges::new(&headers).map(|challenge| challenge.ok().map(read)).collect()
}

/// Whether ours is one of the readings.
fn agrees(line: &[u8]) -> bool {
    let readings = Grammar::readings(line);
    let ours: Option<Vec<Read>> = ours(line).into_iter().collect();
    readings.is_empty() || ours.is_some_and(|ours| readings.contains(&ours))
}

/// Pieces of lines: put together at random they are often right and often nearly right.
const PIECES: [&str; 22] = [
    "Basic ",
    "Bearer ",
    "Bearer",
    "x",
    " ",
    "  ",
    "\t",
    ",",
    ", ",
    "=",
    " = ",
    "a=b",
    "b=\"c\"",
    "c=\"d, e=f\"",
    "d=\"\\\"\"",
    "e=\"\\\\\"",
    "f=\"\"",
    "YII/+==",
    "z=",
    "\"",
    "\\",
    "g=\"caf\u{e9}\"",
];

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// C-DISC-3
    #[test]
    fn a_line_that_the_grammar_reads_is_read_the_same(
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..7)
    ) {
        let line = pieces.concat();
        prop_assert!(
            agrees(line.as_bytes()),
            "{:?}: ours {:?}, grammar {:?}",
            line, ours(line.as_bytes()), Grammar::readings(line.as_bytes())
        );
    }

    /// C-DISC-3
    #[test]
    fn any_short_line(line in "[ \t,=\"\\\\ab/;]{0,9}") {
        prop_assert!(agrees(line.as_bytes()), "{:?}: ours {:?}", line, ours(line.as_bytes()));
    }
}

/// C-DISC-3
#[test]
fn what_is_read_beyond_the_grammar() {
    let read = |line: &str| -> Vec<Option<String>> {
        let show = |read: Read| format!("{} {:?} {:?}", read.scheme, read.token68, read.params);
        ours(line.as_bytes()).into_iter().map(|challenge| challenge.map(show)).collect()
    };
    let some = |text: &str| Some(text.to_owned());
    for (line, expected) in [
        // An unquoted value with a colon.
        ("Bearer scope=mcp:read", vec![some(r#"Bearer None [("scope", "mcp:read")]"#)]),
        // An unquoted value that is empty.
        ("Bearer a=, b=c", vec![some(r#"Bearer None [("a", ""), ("b", "c")]"#)]),
        // A challenge that is broken costs itself.
        ("Bearer a=\"b\" c=d, Basic e=f", vec![None, some(r#"Basic None [("e", "f")]"#)]),
        ("a=b, Basic e=f", vec![None, some(r#"Basic None [("e", "f")]"#)]),
    ] {
        assert!(Grammar::readings(line.as_bytes()).is_empty(), "{line}: the grammar reads it");
        assert_eq!(read(line), expected, "{line}");
    }
}
