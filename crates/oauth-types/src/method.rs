//! Registered names in OAuth documents: grant types, authentication methods, response types.
//!
//! Their metadata members are those of RFC 7591 §2 and RFC 8414 §2.

/// Defines an open set of names: the known ones, and any other, kept as text.
macro_rules! open_names {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// Any other name.
            Other(Box<str>),
        }

        impl $name {
            /// Returns the name as it is sent.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }

            /// Parses a name; an unknown one becomes `Other`.
            #[must_use]
            pub fn parse(name: &str) -> Self {
                match name {
                    $($text => Self::$variant,)+
                    other => Self::Other(other.into()),
                }
            }
        }

        crate::text_impls::as_str_impls!($name);

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self::parse(name)
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self::parse(&name)
            }
        }

        impl core::str::FromStr for $name {
            type Err = core::convert::Infallible;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                Ok(Self::parse(name))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Self::parse(&String::deserialize(deserializer)?))
            }
        }
    };
}

open_names! {
    /// Client authentication method at the token endpoint (`token_endpoint_auth_method`).
    #[doc(alias = "token_endpoint_auth_method")]
    AuthMethod {
        /// Public client, which sends only its identifier.
        None = "none",
        /// Identifier and secret in the `Authorization` header (RFC 6749 §2.3.1).
        ClientSecretBasic = "client_secret_basic",
        /// Identifier and secret in the body (RFC 6749 §2.3.1).
        ClientSecretPost = "client_secret_post",
        /// A signed assertion (RFC 7523 §2.2).
        PrivateKeyJwt = "private_key_jwt",
    }
}

open_names! {
    /// Grant type of a token request (`grant_type`).
    #[doc(alias = "grant_type")]
    GrantType {
        /// An authorization code (RFC 6749 §4.1).
        AuthorizationCode = "authorization_code",
        /// A refresh token (RFC 6749 §6).
        RefreshToken = "refresh_token",
        /// Client credentials, without a resource owner (RFC 6749 §4.4).
        ClientCredentials = "client_credentials",
        /// A signed assertion (RFC 7523 §2.1).
        JwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer",
        /// Exchange of one token for another (RFC 8693 §2.1).
        TokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange",
    }
}

open_names! {
    /// Profile of the assertions of a grant (draft-ietf-oauth-identity-assertion-authz-grant §7.2).
    GrantProfile {
        /// Identity assertion (ID-JAG) of an enterprise's identity provider.
        IdJag = "urn:ietf:params:oauth:grant-profile:id-jag",
    }
}

open_names! {
    /// Response type of an authorization request (`response_type`).
    #[doc(alias = "response_type")]
    ResponseType {
        /// An authorization code.
        Code = "code",
    }
}

open_names! {
    /// Application type of a client (OpenID Connect Registration §2).
    ApplicationType {
        /// Native application, installed on the user's device, with loopback or private-use redirect URIs.
        Native = "native",
        /// Web application, served over https.
        Web = "web",
    }
}

open_names! {
    /// Signing algorithm of a JWT (RFC 7518 §3.1, RFC 8037 §3.1).
    #[doc(alias = "JWA")]
    SigningAlgorithm {
        /// ECDSA on P-256 with SHA-256.
        Es256 = "ES256",
        /// ECDSA on P-384 with SHA-384.
        Es384 = "ES384",
        /// EdDSA on Ed25519.
        EdDsa = "EdDSA",
        /// RSASSA-PKCS1-v1_5 with SHA-256.
        Rs256 = "RS256",
        /// RSASSA-PSS with SHA-256.
        Ps256 = "PS256",
    }
}

open_names! {
    /// Type of a token in a token exchange (RFC 8693 §3).
    IssuedTokenType {
        /// An OpenID Connect ID token.
        IdToken = "urn:ietf:params:oauth:token-type:id_token",
        /// Identity assertion for another authorization server.
        ///
        /// Specified in draft-ietf-oauth-identity-assertion-authz-grant.
        IdJag = "urn:ietf:params:oauth:token-type:id-jag",
    }
}

open_names! {
    /// Type of a client assertion (RFC 7521 §4.2).
    ClientAssertionType {
        /// A JWT (RFC 7523 §2.2).
        JwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
}
