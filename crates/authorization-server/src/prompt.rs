//! The parameter `prompt`: a request's wish about asking the user (OpenID Connect Core §3.1.2.1).

use serde::{Deserialize, Serialize};

/// Wish of a request about asking the user (OpenID Connect Core §3.1.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub(crate) enum Prompt {
    /// If that is needed.
    #[default]
    AsNeeded,
    /// In any case. Who is logged in stays so, also where the request would have them log in again (`login`).
    Always,
    /// Not at all.
    Never,
    /// Not at all, and yet somehow.
    Contradiction,
}

impl Prompt {
    /// Reads the parameter. What is not known is ignored, as any parameter that is not.
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
