//! Guides: one page a task, with code that the tests of this crate compile.
//!
//! | task | page |
//! |---|---|
//! | protect an rmcp server | [`protect_rmcp`] |
//! | ask for scopes per tool | [`tool_scopes`] |
//! | log in from an rmcp client | [`rmcp_client`] |
//! | show your own login page | [`own_login`] |
//! | let users log in at Google, Entra, Okta or Keycloak | [`upstream_login`] |
//! | accept the tokens of an external issuer | [`external_issuer`] |
//! | keep client secrets as argon2 or bcrypt hashes | [`hashed_secrets`] |
//! | run it in production | [`deployment`] |
//! | run it behind nginx, Caddy or a path prefix | [`behind_a_proxy`] |
//! | run several replicas, choose the store at run time, or move from SQLite to PostgreSQL | [`replicas`] |
//! | find out why a login fails | [`debugging`] |
//! | protect a server of another SDK, or use the types in one | [`other_sdk`] |
//! | take one crate alone, a client without tokio, or fuzz a core | [`one_core`] |
//! | write a store | [`own_store`] |
//! | move from rmcp's `AuthorizationManager`, `oauth2` or oxide-auth | [`moving`] |
//!
//! The modules contain documentation only.

pub mod behind_a_proxy {
    #![doc = include_str!("guide/behind_a_proxy.md")]
}
pub mod debugging {
    #![doc = include_str!("guide/debugging.md")]
}
pub mod deployment {
    #![doc = include_str!("guide/deployment.md")]
}
pub mod external_issuer {
    #![doc = include_str!("guide/external_issuer.md")]
}
pub mod hashed_secrets {
    #![doc = include_str!("guide/hashed_secrets.md")]
}
pub mod moving {
    #![doc = include_str!("guide/moving.md")]
}
pub mod one_core {
    #![doc = include_str!("guide/one_core.md")]
}
pub mod other_sdk {
    #![doc = include_str!("guide/other_sdk.md")]
}
pub mod own_login {
    #![doc = include_str!("guide/own_login.md")]
}
pub mod own_store {
    #![doc = include_str!("guide/own_store.md")]
}
pub mod protect_rmcp {
    #![doc = include_str!("guide/protect_rmcp.md")]
}
pub mod replicas {
    #![doc = include_str!("guide/replicas.md")]
}
pub mod rmcp_client {
    #![doc = include_str!("guide/rmcp_client.md")]
}
pub mod tool_scopes {
    #![doc = include_str!("guide/tool_scopes.md")]
}
pub mod upstream_login {
    #![doc = include_str!("guide/upstream_login.md")]
}
