//! Paths in a Rust file, with `use` trees expanded: `crate::a::{b, c}` is two paths.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::workspace::Error;

/// Path with the line of its last name.
pub(super) struct CodePath {
    pub(super) names: Vec<String>,
    pub(super) line: usize,
}

/// Reads the paths of a module that begin with `crate` or `super`.
///
/// Returns the names below the crate's root. Bodies of macros are read too; comments, and a macro's `$crate`, are not.
pub(super) fn crate_paths(module: &[&str], text: &str) -> Result<Vec<CodePath>, Error> {
    Ok(Reader::new(text)?.crate_paths(module))
}

/// Reads the paths of all `use` declarations.
pub(super) fn imports(text: &str) -> Result<Vec<CodePath>, Error> {
    Ok(Reader::new(text)?.imports())
}

/// Reads the names of the modules that are files of their own: `mod name;`.
pub(super) fn modules(text: &str) -> Result<Vec<String>, Error> {
    Ok(Reader::new(text)?.modules())
}

/// Collects names, punctuation and braces with their lines; a literal becomes an empty word.
fn flatten(tokens: TokenStream, words: &mut Vec<(String, usize)>) {
    for token in tokens {
        let line = token.span().start().line;
        match token {
            TokenTree::Ident(name) => words.push((name.to_string(), line)),
            TokenTree::Punct(sign) => words.push((sign.to_string(), line)),
            TokenTree::Literal(_) => words.push((String::new(), line)),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ("{", "}"),
                    _ => ("(", ")"),
                };
                words.push((open.to_owned(), line));
                flatten(group.stream(), words);
                words.push((close.to_owned(), group.span_close().start().line));
            }
        }
    }
}

struct Reader {
    words: Vec<(String, usize)>,
    at: usize,
    found: Vec<CodePath>,
}

impl Reader {
    fn new(text: &str) -> Result<Self, Error> {
        let tokens: TokenStream = text.parse()?;
        let mut words = Vec::new();
        flatten(tokens, &mut words);
        Ok(Self { words, at: 0, found: Vec::new() })
    }

    fn modules(&self) -> Vec<String> {
        let windows = self.words.windows(3);
        let names = windows.filter_map(|words| match words {
            [(word, _), (name, _), (end, _)] if word == "mod" && end == ";" => Some(name.clone()),
            _ => None,
        });
        names.collect()
    }

    fn imports(mut self) -> Vec<CodePath> {
        while let Some(word) = self.word(0) {
            let is_import = word == "use";
            self.at += 1;
            if is_import {
                self.tree(Vec::new());
            }
        }
        self.found
    }

    fn crate_paths(mut self, module: &[&str]) -> Vec<CodePath> {
        let mut here: Vec<String> = module.iter().map(|&name| name.to_owned()).collect();
        // One entry for each open brace: `true` for that of an inline module.
        let mut braces = Vec::new();
        while let Some(word) = self.word(0) {
            match word {
                "{" => {
                    let name = (self.word(-2) == Some("mod")).then(|| self.word(-1)).flatten();
                    let name = name.map(str::to_owned);
                    braces.push(name.is_some());
                    here.extend(name);
                }
                "}" if braces.pop() == Some(true) => {
                    here.pop();
                }
                "crate" | "super"
                    if self.is_path() && !matches!(self.word(-1), Some(":" | "$")) =>
                {
                    let base = if word == "super" { here.clone() } else { Vec::new() };
                    self.tree(base);
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
        self.found
    }

    /// Reads a path or a `use` tree that continues `base`.
    fn tree(&mut self, mut base: Vec<String>) {
        loop {
            match self.word(0) {
                None => return,
                Some("{") => return self.branches(&base),
                Some("super") => {
                    base.pop();
                }
                Some("crate" | "self") => {}
                Some(name) => base.push(name.to_owned()),
            }
            if !self.is_path() {
                let line = self.words.get(self.at).map_or(0, |&(_, line)| line);
                self.found.push(CodePath { names: base, line });
                self.at += 1;
                return;
            }
            self.at += 3;
        }
    }

    /// Reads the `use` trees between two braces.
    fn branches(&mut self, base: &[String]) {
        self.at += 1;
        while let Some(word) = self.word(0) {
            match word {
                "}" => {
                    self.at += 1;
                    return;
                }
                "," => self.at += 1,
                "as" => self.at += 2,
                _ => self.tree(base.to_vec()),
            }
        }
    }

    /// Returns `true` if `::` follows.
    fn is_path(&self) -> bool {
        self.word(1) == Some(":") && self.word(2) == Some(":")
    }

    fn word(&self, ahead: isize) -> Option<&str> {
        let at = self.at.checked_add_signed(ahead)?;
        self.words.get(at).map(|(word, _)| word.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(module: &[&str], text: &str) -> Vec<(String, usize)> {
        joined(crate_paths(module, text).unwrap())
    }

    fn joined(paths: Vec<CodePath>) -> Vec<(String, usize)> {
        paths.into_iter().map(|path| (path.names.join("::"), path.line)).collect()
    }

    fn listed(paths: &[(&str, usize)]) -> Vec<(String, usize)> {
        paths.iter().map(|&(path, line)| (path.to_owned(), line)).collect()
    }

    #[test]
    fn a_tree_is_spread_out_with_the_line_of_each_name() {
        let text = "use crate::a::{\n    self, B,\n    c::{D as E, f},\n};\nuse crate::G;\n";
        let expected = [("a", 2), ("a::B", 2), ("a::c::D", 3), ("a::c::f", 3), ("G", 5)];
        assert_eq!(of(&["m"], text), listed(&expected));
    }

    #[test]
    fn paths_in_code_and_macros_count_and_those_in_comments_and_strings_do_not() {
        let text = "/// [`A`](crate::A)\nfn f() { crate::a::b(\"crate::C\"); } // crate::D\n\
            pub(crate) fn g<'a>() { assert!(crate::e::F); $crate::G; other::crate::H }\n";
        assert_eq!(of(&["m"], text), listed(&[("a::b", 2), ("e::F", 3)]));
    }

    #[test]
    fn super_is_what_it_stands_for() {
        let text = "use super::c;\nuse super::super::d::E;\n";
        assert_eq!(of(&["a", "b"], text), listed(&[("a::c", 1), ("d::E", 2)]));
        let text = "mod inner {\n    use super::c;\n    fn f() {}\n}\nuse super::d;\n";
        assert_eq!(of(&["a"], text), listed(&[("a::c", 2), ("d", 5)]));
    }

    #[test]
    fn imports_and_modules_are_those_that_are_declared() {
        let text = "mod a;\nmod b {}\npub use a::{C, d::E as F};\nuse {g, h::I};\nlet j = k::L;\n";
        assert_eq!(modules(text).unwrap(), ["a"]);
        let expected = [("a::C", 3), ("a::d::E", 3), ("g", 4), ("h::I", 4)];
        assert_eq!(joined(imports(text).unwrap()), listed(&expected));
    }
}
