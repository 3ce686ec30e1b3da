//! Registered names that documents list: methods, grants, response types (RFC 7591 §2, RFC 8414 §2).

/// An open set of wire names: the ones we know, and any other, kept as text.
macro_rules! open_names {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A name that is not known here.
            Other(Box<str>),
        }

        impl $name {
            /// The name on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }

            /// Reads a name; one that is not known is kept.
            #[must_use]
            pub fn from_name(name: &str) -> Self {
                match name {
                    $($text => Self::$variant,)+
                    other => Self::Other(other.into()),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Self::from_name(&String::deserialize(deserializer)?))
            }
        }
    };
}

open_names! {
    /// How a client authenticates at the token endpoint (`token_endpoint_auth_method`).
    AuthMethod {
        /// A public client: its identifier alone.
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
    /// What a token request offers (`grant_type`).
    GrantType {
        /// An authorization code (RFC 6749 §4.1).
        AuthorizationCode = "authorization_code",
        /// A refresh token (RFC 6749 §6).
        RefreshToken = "refresh_token",
        /// The client's own authority (RFC 6749 §4.4).
        ClientCredentials = "client_credentials",
        /// A signed assertion (RFC 7523 §2.1).
        JwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer",
        /// One token for another (RFC 8693 §2.1).
        TokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange",
    }
}

open_names! {
    /// What a grant's assertions have to be like (draft-ietf-oauth-identity-assertion-authz-grant §7.2).
    GrantProfile {
        /// The word of an enterprise's identity provider.
        IdJag = "urn:ietf:params:oauth:grant-profile:id-jag",
    }
}

open_names! {
    /// What an authorization request asks for (`response_type`).
    ResponseType {
        /// An authorization code.
        Code = "code",
    }
}

open_names! {
    /// What kind of program the client is (OpenID Connect Registration §2).
    ApplicationType {
        /// Installed on the user's machine: loopback or private-use redirects.
        Native = "native",
        /// Served over https.
        Web = "web",
    }
}

open_names! {
    /// How a JWT is signed (RFC 7518 §3.1, RFC 8037 §3.1).
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
    /// A kind of token, for token exchange (RFC 8693 §3).
    IssuedTokenType {
        /// An OpenID Connect ID token.
        IdToken = "urn:ietf:params:oauth:token-type:id_token",
        /// An identity assertion for another authorization server
        /// (draft-ietf-oauth-identity-assertion-authz-grant).
        IdJag = "urn:ietf:params:oauth:token-type:id-jag",
    }
}

open_names! {
    /// The form of a client assertion (RFC 7521 §4.2).
    ClientAssertionType {
        /// A JWT (RFC 7523 §2.2).
        JwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
}
