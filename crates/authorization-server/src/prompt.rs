//! The parameter `prompt` of authorization requests (OpenID Connect Core §3.1.2.1).

use serde::{Deserialize, Serialize};

/// Value of `prompt`: permission or demand to ask the user (OpenID Connect Core §3.1.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub(crate) enum Prompt {
    /// Ask if no earlier consent counts.
    #[default]
    AsNeeded,
    /// Ask in every case. For `login`, too, the user stays logged in.
    Always,
    /// Do not ask (`none`).
    Never,
    /// `none` together with another value, which is an error.
    Contradiction,
}

impl Prompt {
    /// Parses the parameter; unknown values are ignored, as unknown parameters are.
    pub(crate) fn parse(prompt: Option<&str>) -> Self {
        let mut values = prompt.unwrap_or_default().split(' ').filter(|value| !value.is_empty());
        if values.clone().any(|value| value == "none") {
            return if values.all(|value| value == "none") {
                Self::Never
            } else {
                Self::Contradiction
            };
        }
        let asks = |value| matches!(value, "consent" | "login" | "select_account");
        if values.any(asks) { Self::Always } else { Self::AsNeeded }
    }

    /// Returns `true` if a page may be shown.
    pub(crate) const fn lets_ask(self) -> bool {
        matches!(self, Self::AsNeeded | Self::Always)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_request_wants_the_user_to_be_asked() {
        for (sent, read) in [
            (None, Prompt::AsNeeded),
            (Some(""), Prompt::AsNeeded),
            (Some("create nones NONE"), Prompt::AsNeeded),
            (Some("consent"), Prompt::Always),
            (Some("create  login"), Prompt::Always),
            (Some("select_account"), Prompt::Always),
            (Some("none"), Prompt::Never),
            (Some(" none none "), Prompt::Never),
            (Some("none consent"), Prompt::Contradiction),
            (Some("create none"), Prompt::Contradiction),
        ] {
            assert_eq!(Prompt::parse(sent), read, "{sent:?}");
        }
    }
}
