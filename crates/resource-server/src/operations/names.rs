//! Equivalence of resource URIs, under the normalizations that servers may apply (RFC 3986 §6).

/// Normalized URI: scheme, authority and folded path.
type Normal<'a> = (&'a str, &'a str, String);

/// Placeholder for letters beyond ASCII in a folded path, which match any text.
///
/// File systems and libraries compose, decompose, narrow and drop such letters by tables of their own.
const BEYOND_ASCII: char = '\u{fffd}';

/// Maximum length of a compared URI, in bytes; a longer one matches every row.
const MAX_URI: usize = 8 * 1024;

/// Name that a request asks for, in a form that is compared with rows.
pub(super) struct Named<'a> {
    method: &'a str,
    name: Option<&'a str>,
    /// Normalized URI, computed at the first comparison; the inner value is `None` if it is not normalized.
    normal: Option<Option<Normal<'a>>>,
}

impl<'a> Named<'a> {
    pub(super) const fn new(method: &'a str, name: Option<&'a str>) -> Self {
        Self { method, name, normal: None }
    }

    /// Returns `true` if a server may take the name for the name of this row.
    ///
    /// Only URIs have equivalent spellings; a name that was not read matches every row.
    pub(super) fn may_mean(&mut self, row: Option<&str>) -> bool {
        let (Some(row), Some(asked)) = (row, self.name) else { return true };
        if !self.method.starts_with("resources/") {
            return row == asked;
        }
        let asked = self.normal.get_or_insert_with(|| {
            Some(asked).filter(|asked| asked.len() <= MAX_URI).and_then(normal)
        });
        let (Some(row), Some(asked)) = (normal(row), asked) else { return true };
        row.0 == asked.0 && row.1 == asked.1 && may_be_one(&row.2, &asked.2)
    }
}

/// Returns `true` if two folded paths may be equal.
///
/// The parts before the first and after the last letter beyond ASCII are compared.
fn may_be_one(row: &str, asked: &str) -> bool {
    if ![row, asked].iter().any(|path| path.contains(BEYOND_ASCII)) {
        return row == asked;
    }
    let head = |path: &str| match path.split_once(BEYOND_ASCII) {
        // The letter before a combining accent is part of the accented letter.
        Some((head, _)) => {
            let mut letters = head.chars();
            letters.next_back();
            letters.as_str().to_owned()
        }
        None => path.to_owned(),
    };
    let tail =
        |path: &str| path.rsplit_once(BEYOND_ASCII).map_or(path, |(_, tail)| tail).to_owned();
    let (heads, tails) = ([row, asked].map(head), [row, asked].map(tail));
    let [row_head, asked_head] = &heads;
    let [row_tail, asked_tail] = &tails;
    row_head.bytes().zip(asked_head.bytes()).all(|(one, other)| one == other)
        && row_tail.bytes().rev().zip(asked_tail.bytes().rev()).all(|(one, other)| one == other)
}

/// Splits a normalized URI into its parts; `None` if it is not normalized.
///
/// Query and fragment are omitted, because file servers ignore them.
fn normal(uri: &str) -> Option<Normal<'_>> {
    let (scheme, rest) = uri.split_once(':')?;
    let is_scheme = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.')
    };
    let is_named = scheme.starts_with(|first: char| first.is_ascii_lowercase());
    if !is_named || !scheme.bytes().all(is_scheme) || !are_plain(rest) {
        return None;
    }
    let rest = rest.split(['?', '#']).next()?;
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    if !are_segments(path) {
        return None;
    }
    let path = path.trim_end_matches('/');
    if scheme == "file" {
        // Every host of a `file` URI is taken for this machine (RFC 8089 §2); browsers parse `file:a` as `file:///a`.
        return Some((scheme, "", folded(path.trim_start_matches('/'), Colon::Stream)?));
    }
    let default_port = match scheme {
        "http" | "ws" => Some(":80"),
        "https" | "wss" => Some(":443"),
        _ => None,
    };
    let lacks_host = default_port.is_some_and(|_| authority.is_empty());
    let has_default = default_port.is_some_and(|port| authority.ends_with(port));
    let is_host = |byte: u8| !byte.is_ascii_uppercase() && !matches!(byte, b'@' | b'%');
    let is_normal = authority.bytes().all(is_host)
        && !authority.ends_with([':', '.'])
        && ![".:", ":0"].iter().any(|odd| authority.contains(odd));
    let colon = if path.starts_with('/') { Colon::Stream } else { Colon::Plain };
    let path = folded(path, colon)?;
    (is_normal && !lacks_host && !has_default).then_some((scheme, authority, path))
}

/// Meaning of a colon in a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Colon {
    /// Separator before the name of an alternate stream of a file.
    Stream,
    /// Ordinary character, as in `urn:a:b`.
    Plain,
}

/// Folds a path by the rules of file systems.
///
/// Dots and spaces around a segment and alternate streams are removed, and letters are in lower case.
///
/// Returns `None` if a segment becomes empty or may be a short name.
fn folded(path: &str, colon: Colon) -> Option<String> {
    let mut folded = String::with_capacity(path.len());
    for (at, segment) in path.split('/').enumerate() {
        let is_drive = segment.len() == 2 && segment.ends_with(':');
        let is_whole = is_drive || colon == Colon::Plain;
        let name = segment.split_once(':').filter(|_| !is_whole).map_or(segment, |(name, _)| name);
        let name = trimmed(name);
        let is_first_of_absolute = at == 0 && segment.is_empty();
        let is_short =
            name.split('~').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if is_short || (name.is_empty() && !is_first_of_absolute) {
            return None;
        }
        if at > 0 {
            folded.push('/');
        }
        let (plain, escaped) =
            name.split_once('%').map_or((name, None), |(plain, escaped)| (plain, Some(escaped)));
        folded.push_str(plain);
        for piece in escaped.into_iter().flat_map(|escaped| escaped.split('%')) {
            // `are_plain` has checked that two digits follow.
            match piece.split_at_checked(2) {
                Some((escape, rest)) if escape.starts_with(|first: char| first >= '8') => {
                    if !folded.ends_with(BEYOND_ASCII) {
                        folded.push(BEYOND_ASCII);
                    }
                    folded.push_str(rest);
                }
                _ => folded.extend(["%", piece]),
            }
        }
    }
    folded.make_ascii_lowercase();
    Some(folded)
}

/// Removes spaces at the start of a name, and dots and spaces at its end.
fn trimmed(name: &str) -> &str {
    let mut name = name.trim_start_matches("%20");
    while let Some(shorter) = name.strip_suffix("%20").or_else(|| name.strip_suffix('.')) {
        name = shorter;
    }
    name
}

/// Returns `true` if there are no dot segments and no empty segments before the last one.
fn are_segments(path: &str) -> bool {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    path.is_empty()
        || path.split('/').all(|segment| {
            let name = segment.split_once(';').map_or(segment, |(name, _)| name);
            !matches!(name, "" | "." | "..")
        })
}

/// Returns `true` if the text consists of URI characters, with escapes only of characters that need them.
fn are_plain(text: &str) -> bool {
    let mut pieces = text.split('%');
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&byte);
    let first = pieces.next().is_some_and(|piece| piece.bytes().all(is_plain));
    first
        && pieces.all(|piece| {
            let Some((escape, rest)) = piece.split_at_checked(2) else { return false };
            let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
            let byte = u8::from_str_radix(escape, 16).ok();
            let byte = byte.filter(|_| escape.bytes().all(is_hex));
            let is_needed = |byte: u8| byte >= 0x80 || b" \"<>^`{|}".contains(&byte);
            byte.is_some_and(is_needed) && rest.bytes().all(is_plain)
        })
}

#[cfg(test)]
mod tests {
    use super::{MAX_URI, Named};

    fn may_mean(row: &str, asked: &str) -> bool {
        Named::new("resources/read", Some(asked)).may_mean(Some(row))
    }

    #[test]
    fn a_long_name_is_read_without_a_stack_and_may_mean_every_row() {
        let trailing = |times| format!("file:///public{}", ".%20".repeat(times));
        assert!(!may_mean("file:///secret", &trailing(1000)));
        assert!(may_mean("file:///secret", &trailing(MAX_URI)));
        assert!(super::trimmed(&".%20".repeat(1_000_000)).is_empty());
    }

    /// SEC-234
    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of spellings")]
    fn every_spelling_that_a_server_may_normalise_may_mean_the_row() {
        for spelling in [
            "FILE:///secret",
            "File:///secret",
            "file:///./secret",
            "file:///a/../secret",
            "file:///a/..;x/secret",
            "file:///%73ecret",
            "file:///%2e/secret",
            "file:///%2Fsecret",
            "file:///%5Csecret",
            "file:///secret%00",
            "file:///%2573ecret",
            "file:////secret",
            "file://///secret",
            "file:///secret//",
            "file:///secret/",
            "file:///secret/.",
            "file:///SECRET",
            "file:///secret?",
            "file:///secret?x=1",
            "file:///secret#",
            "file:///secret#x",
            "file://localhost/secret",
            "file://LOCALHOST/secret",
            "file://127.0.0.1/secret",
            "file://user@host/secret",
            "file:/secret",
            "file:secret",
            "file:secret/../secret",
            "file:\\\\\\secret",
            "file:///\\secret",
            "file:///%zzsecret",
            "file:///%7",
            "file:///%",
            " file:///secret",
            "file:///secret ",
            "file:///se\tcret",
            "file:///secret\u{0}",
            "file:///\u{ff53}ecret",
            "/secret",
            "secret",
            "",
            // Equivalent file names on Windows and macOS.
            "file:///secret.",
            "file:///secret...",
            "file:///secret%20",
            "file:///%20secret",
            "file:///secret.%20.%20",
            "file:///secret::$DATA",
            "file:///secret:stream",
            "file:///secret.::$data",
            "file:///SECRET./",
            "file:///%EF%BD%93ecret",
            "file:///s%EF%BD%85cret",
            "file:///secre%EF%BC%B4",
            "file:///secret%E2%80%8B",
            "file:///sec%E2%80%8Cret",
            "file:///s%C3%A9cret",
            "file:///SECRE~1",
            "file:///a/~1",
            "file:///...",
            "file:///%20/secret",
        ] {
            assert!(may_mean("file:///secret", spelling), "{spelling:?}");
        }
        for (row, spelling) in [
            ("file:///caf%C3%A9", "file:///cafe%CC%81"),
            ("file:///cafe%CC%81", "file:///caf%C3%A9"),
            ("file:///caf%C3%A9/a", "file:///CAF%C3%89/A"),
            ("file:///%E6%97%A5", "file:///%EF%A8%80"),
            ("file:///d/secret", "file:///d./secret"),
            ("file:///d/secret", "file:///d::$INDEX_ALLOCATION/secret"),
            ("file:///d/secret", "file:///d%EF%BC%8Fsecret"),
            ("file:///C:/secret", "file:///c:/secret."),
            ("docs://d/secret", "docs://d/secret."),
        ] {
            assert!(may_mean(row, spelling), "{row} {spelling:?}");
        }
        for spelling in [
            "https://H.example/a",
            "https://h.example:443/a",
            "https://h.example:/a",
            "https://h.example./a",
            "https://u@h.example/a",
            "https://%68.example/a",
            "HTTPS://h.example/a",
            "https:h.example/a",
            "https:/h.example/a",
            "https:///h.example/a",
            "https://h.example:0443/a",
            "https://h.example/a/",
        ] {
            assert!(may_mean("https://h.example/a", spelling), "{spelling:?}");
        }
    }

    /// SEC-234
    #[test]
    fn another_resource_in_its_normal_form_means_no_other_row() {
        for other in [
            "file:///public",
            "file:///secret.txt",
            "file:///secret/below",
            "file:///docs/secret",
            "file:///a%20b",
            "file:///caf%C3%A9",
            "file:///docs/%E6%97%A5",
            "file:///public.",
            "file:///public:secret",
            "file:///secret.txt.",
            "file:///C:/secret",
            "file:///~alice",
            "files:///secret",
            "note:secret",
        ] {
            assert!(!may_mean("file:///secret", other), "{other:?}");
        }
        for other in ["https://h.example/b", "https://g.example/a", "https://h.example:8443/a"] {
            assert!(!may_mean("https://h.example/a", other), "{other:?}");
        }
        assert!(!may_mean("file:///C:/secret", "file:///C:/public"));
        assert!(!may_mean("note:a", "note:b") && may_mean("note:a", "note:A"));
        assert!(!may_mean("urn:isbn:1", "urn:isbn:2"));
        // A row that is not normalized applies to every request of its method.
        assert!(may_mean("FILE:///secret", "file:///public"));
        // Tools and prompts are compared byte for byte.
        assert!(!Named::new("tools/call", Some("Admin")).may_mean(Some("admin")));
        assert!(Named::new("skills/get", None).may_mean(Some("skill://a")));
    }
}
