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
        f.write_str(match self {
            Self::Endpoint(rule) => {
                return write!(f, "an endpoint made from the issuer {rule}; choose another issuer");
            }
            Self::NoResource => {
                "the configuration names no resource: name at least one that tokens are for"
            }
            Self::DefaultScope => {
                "the default scope is empty, or has a scope that the configuration lacks: choose at least one of the \
                 scopes that it names"
            }
            Self::Lifetime => {
                "a lifetime is out of its bounds: choose at most 10 minutes for codes, at most 60 seconds for the \
                 grace window, and at least a second for all others"
            }
            Self::AuthMethods => {
                "no client authentication method is named, or one that this build does not support: name at least \
                 one that it supports (`private_key_jwt` needs the feature `jwt`)"
            }
            Self::IdentityProvider => {
                "the identity provider is named twice, or is this server itself: name each other server once"
            }
            Self::PrivateUseScheme => {
                "a private-use scheme is malformed, or belongs to browsers or systems, such as `http`, `javascript` \
                 or `file`: name one in lower case that an application owns, such as `cursor`"
            }
            Self::PathPrefix => {
                "the stripped prefix does not begin the issuer's path: pass `/` and the whole segments that the \
                 proxy removes"
            }
            Self::ResourceServer => {
                "the resource server is named twice, or authenticates by its identifier alone: name it once, with a \
                 secret or a key"
            }
        })
    }
}

impl core::error::Error for InvalidConfig {}
