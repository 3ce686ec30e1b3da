//! Import paths inside a crate: `crate::config::Config` instead of the re-export `crate::Config`.
//!
//! The re-exports of `lib.rs` are for users of the crate. If modules import each other directly, the head of each file
//! shows the modules that it depends on.

use std::collections::BTreeMap;

use crate::tidy::code_paths::{crate_paths, imports, modules};
use crate::tidy::source::{Module, Source};
use crate::workspace::Error;

/// Re-exports of a crate's `lib.rs`, with the path of each name.
struct Surface {
    homes: BTreeMap<String, String>,
}

impl Surface {
    fn read(lib: &str) -> Result<Self, Error> {
        let modules = modules(lib)?;
        let mut homes = BTreeMap::new();
        for import in imports(lib)? {
            let ours = import.names.first().is_some_and(|first| modules.contains(first));
            let home = import.names.join("::");
            let home = if ours { format!("crate::{home}") } else { home };
            // If a module and a function share a name, the path means the module.
            homes.extend(import.names.into_iter().next_back().map(|name| (name, home)));
        }
        homes.retain(|name, _| !modules.contains(name));
        Ok(Self { homes })
    }
}

/// Returns a finding for each path through `lib.rs`, with the path to write instead.
pub(super) fn findings(sources: &[Source]) -> Result<Vec<String>, Error> {
    let mut surfaces = BTreeMap::new();
    for source in sources {
        if let Some(module) = source.module().filter(Module::is_root) {
            surfaces.insert(module.krate, Surface::read(source.text())?);
        }
    }
    let mut findings = Vec::new();
    for source in sources {
        let Some(module) = source.module().filter(|it| !it.is_root()) else { continue };
        let Some(surface) = surfaces.get(module.krate) else { continue };
        for path in crate_paths(&module.names, source.text())? {
            let home = path.names.first().and_then(|name| surface.homes.get_key_value(name));
            if let Some((name, home)) = home {
                let (file, line) = (&source.path, path.line);
                findings
                    .push(format!("{file}:{line}: `crate::{name}` is `{home}` inside the crate"));
            }
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIB: &str = "//! Head.\nmod config;\nmod token;\npub use oauth_types;\n\
        pub use client_auth::Replay;\npub use config::{Config, read};\npub use token::token;\n";

    fn of(text: &str) -> Vec<String> {
        let lib = Source::new("crates/a/src/lib.rs".to_owned(), LIB.to_owned());
        let file = Source::new("crates/a/src/token.rs".to_owned(), text.to_owned());
        findings(&[file, lib]).unwrap()
    }

    #[test]
    fn a_path_through_the_surface_is_found_with_the_path_to_write() {
        let text = "use crate::{Config, token::b};\nuse crate::Replay as R;\n\
            fn f() { crate::read() }\n#[cfg(test)]\nmod tests {\nuse crate::oauth_types::Scope;\n}\n";
        assert_eq!(
            of(text),
            [
                "crates/a/src/token.rs:1: `crate::Config` is `crate::config::Config` inside the crate",
                "crates/a/src/token.rs:2: `crate::Replay` is `client_auth::Replay` inside the crate",
                "crates/a/src/token.rs:3: `crate::read` is `crate::config::read` inside the crate",
                "crates/a/src/token.rs:6: `crate::oauth_types` is `oauth_types` inside the crate",
            ]
        );
    }

    #[test]
    fn a_path_by_the_module_is_right_and_documentation_names_the_surface() {
        let text = "/// [`Config`](crate::Config)\nuse crate::config::Config;\n\
            use crate::token::token;\nuse super::config::read;\n";
        assert_eq!(of(text), Vec::<String>::new());
    }
}
