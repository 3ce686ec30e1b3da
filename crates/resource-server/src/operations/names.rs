//! Which resources a URI may stand for: servers look them up by rules that are not known here (RFC 3986 §6).

/// A URI in its normal form: scheme, authority, and path without a final slash.
type Normal<'a> = (&'a str, &'a str, &'a str);

/// Returns `true` if a server may take `asked` for the name of a row of `method`.
///
/// Only URIs have more than one spelling; where the name was not read, it may be any.
pub(super) fn may_mean(method: &str, row: Option<&str>, asked: Option<&str>) -> bool {
    let (Some(row), Some(asked)) = (row, asked) else { return true };
    if !method.starts_with("resources/") {
        return row == asked;
    }
    let (Some(row), Some(asked)) = (normal(row), normal(asked)) else { return true };
    // Files are found in any case of letters on some systems.
    row.0 == asked.0 && row.1 == asked.1 && row.2.eq_ignore_ascii_case(asked.2)
}

/// The parts of a URI that is in its normal form. Query and fragment are left out, because a server for files ignores
/// them.
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
        // Its host is this machine, whatever it is called (RFC 8089 §2); `file:a` is `file:///a` to browsers' parsers.
        return Some((scheme, "", path.trim_start_matches('/')));
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
    (is_normal && !lacks_host && !has_default).then_some((scheme, authority, path))
}

/// Returns `true` if no segment is a dot segment, or empty before the last one.
fn are_segments(path: &str) -> bool {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    path.is_empty()
        || path.split('/').all(|segment| {
            let name = segment.split(';').next().unwrap_or_default();
            !matches!(name, "" | "." | "..")
        })
}

/// Returns `true` if the text has characters of URIs alone, and escapes only where no such character would do.
fn are_plain(text: &str) -> bool {
    let mut pieces = text.split('%');
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&byte);
    let first = pieces.next().is_some_and(|piece| piece.bytes().all(is_plain));
    first
        && pieces.all(|piece| {
            let (escape, rest) = piece.split_at_checked(2).unwrap_or_default();
            let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
            let byte = u8::from_str_radix(escape, 16).ok();
            let byte = byte.filter(|_| escape.bytes().all(is_hex));
            let is_needed = |byte: u8| byte >= 0x80 || b" \"<>^`{|}".contains(&byte);
            byte.is_some_and(is_needed) && rest.bytes().all(is_plain)
        })
}

#[cfg(test)]
mod tests {
    fn may_mean(row: &str, asked: &str) -> bool {
        super::may_mean("resources/read", Some(row), Some(asked))
    }

    #[test]
    fn sec_234_every_spelling_that_a_server_may_normalise_may_mean_the_row() {
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
        ] {
            assert!(may_mean("file:///secret", spelling), "{spelling:?}");
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

    #[test]
    fn sec_234_another_resource_in_its_normal_form_means_no_other_row() {
        for other in [
            "file:///public",
            "file:///secret.txt",
            "file:///secret/below",
            "file:///docs/secret",
            "file:///a%20b",
            "file:///caf%C3%A9",
            "files:///secret",
            "note:secret",
        ] {
            assert!(!may_mean("file:///secret", other), "{other:?}");
        }
        for other in ["https://h.example/b", "https://g.example/a", "https://h.example:8443/a"] {
            assert!(!may_mean("https://h.example/a", other), "{other:?}");
        }
        // A row that is not in its normal form is found by whoever asks for anything.
        assert!(may_mean("FILE:///secret", "file:///public"));
        // Tools and prompts are found by their names, byte for byte.
        assert!(!super::may_mean("tools/call", Some("admin"), Some("Admin")));
        assert!(super::may_mean("skills/get", Some("skill://a"), None));
    }
}
