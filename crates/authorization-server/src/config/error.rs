//! Reasons why a configuration is refused.

use core::fmt;

use oauth_types::InvalidUri;

/// Reason why a configuration is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// No resource is named that tokens could be for.
    NoResource,
    /// The default scope is empty, or contains a scope that the configuration lacks.
    DefaultScope,
    /// A lifetime is out of its bounds.
    Lifetime,
    /// No client authentication method is named, or one that this build does not support.
    AuthMethods,
    /// An endpoint's URL cannot be made from the issuer.
    Endpoint(InvalidUri),
    /// An identity provider is named twice, or is this server itself.
    IdentityProvider,
    /// A resource server is named twice, or authenticates by its identifier alone.
    ResourceServer,
    /// The prefix that a proxy strips is not a prefix of the issuer's path.
    PathPrefix,
    /// A listed scheme is malformed, runs code, or belongs to browsers.
    PrivateUseScheme,
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoResource => f.write_str("name at least one resource that tokens are for"),
            Self::DefaultScope => f.write_str(
                "the default scope is at least one of the scopes that the configuration names, and no other",
            ),
            Self::Lifetime => f.write_str(
                "a code lives at most 10 minutes, the grace window at most 60 seconds, and nothing 0 \
                 seconds but the grace window",
            ),
            Self::AuthMethods => f.write_str(
                "name at least one client authentication method, and only ones that this server speaks",
            ),
            Self::Endpoint(rule) => write!(f, "an endpoint made from the issuer {rule}"),
            Self::IdentityProvider => {
                f.write_str("an identity provider is another server, and named once")
            }
            Self::PrivateUseScheme => f.write_str(
                "a private-use scheme is one in lower case that an application owns, such as cursor: not http, \
                 https, javascript, data, file, or another scheme of browsers and systems",
            ),
            Self::PathPrefix => f.write_str(
                "a prefix that a proxy takes away is `/` and whole segments, with which the issuer's path begins",
            ),
            Self::ResourceServer => {
                f.write_str("a resource server proves who it is when it asks, and is named once")
            }
        }
    }
}

impl core::error::Error for InvalidConfig {}
