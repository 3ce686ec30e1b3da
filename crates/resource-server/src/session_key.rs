//! Sealed handles: session and event identifiers, bound to their principal by a MAC.
//!
//! | handle | sent to the client as | received by the service as | otherwise |
//! |---|---|---|---|
//! | `Mcp-Session-Id` | identifier, `.`, MAC | identifier | 404, as for an unknown session |
//! | `id` of an event | identifier, `.`, MAC ([`EventIds`]) | identifier in `Last-Event-ID` | 404 |
//!
//! The MAC is HMAC-SHA-256 over kind, principal and identifier, truncated to 144 bits. Its key is derived for the
//! resource (HKDF-SHA-256, RFC 5869). No state is stored, so every process with the same key verifies the same handles.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use oauth_types::header::{LAST_EVENT_ID, MCP_SESSION_ID};
use oauth_types::{Entropy, ResourceUri};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::auth_info::AuthInfo;
use crate::denial::Denial;
use crate::event_ids::{EventIds, TAG, tag};
use crate::principal::Principal;

/// Key for the MACs of sessions and streams, of 256 random bits.
///
/// All processes that serve one resource need the same key, so that each accepts the sessions of the others.
///
/// ```
/// use oauth_types::{Entropy, ResourceUri};
/// use resource_server::{HandleSeal, SessionKey};
///
/// let key = SessionKey::new(Entropy::new([7; 32]));
/// let seal = HandleSeal::new(&key, &ResourceUri::parse("https://mcp.example/mcp")?);
/// # Ok::<(), oauth_types::InvalidUri>(())
/// ```
#[derive(Clone)]
pub struct SessionKey(Zeroizing<[u8; 32]>);

impl SessionKey {
    /// Creates a key from random bytes.
    #[must_use]
    pub fn new(key: Entropy<32>) -> Self {
        Self(Zeroizing::new(key.into_bytes()))
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey([redacted])")
    }
}

/// Session named by a request without a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NamedSession {
    /// The request names no session, or the host does not know the owners of sessions.
    None,
    /// The session was opened without a token.
    WithoutToken,
    /// The session belongs to another principal or is unknown.
    Foreign,
}

/// Kinds of handles; the MAC covers the kind, so one kind is not accepted as another.
#[derive(Clone, Copy)]
enum Handle {
    Session = 1,
    Event = 2,
}

/// Seals and opens the session and event identifiers of one resource.
#[derive(Clone)]
pub struct HandleSeal(Option<Hmac<Sha256>>);

impl HandleSeal {
    /// Derives the key of this resource and creates its seal.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "RFC 5869 §2.3 and RFC 2104 §2 allow these lengths"
    )]
    #[must_use]
    pub fn new(key: &SessionKey, resource: &ResourceUri) -> Self {
        // The label separates this purpose from other uses of the same key by the host.
        let label = [LABEL, resource.as_str().as_bytes()];
        let mut derived = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, &*key.0)
            .expand_multi_info(&label, &mut *derived)
            .expect("32 bytes are at most 255 blocks");
        Self(Some(Hmac::new_from_slice(&*derived).expect("HMAC takes keys of every length")))
    }

    /// Creates a seal without a key, for a host without a random source.
    ///
    /// Every session is refused in requests and removed from responses.
    #[must_use]
    pub const fn without_key() -> Self {
        Self(None)
    }

    /// Returns `true` if the headers contain a session identifier.
    #[must_use]
    pub fn has_session(headers: &HeaderMap) -> bool {
        headers.contains_key(MCP_SESSION_ID)
    }

    /// Returns the session identifier of the service, after [`open_session`](Self::open_session).
    ///
    /// The result is `None` if there are several.
    #[must_use]
    pub fn session(headers: &HeaderMap) -> Option<&HeaderValue> {
        one(headers, &MCP_SESSION_ID)
    }

    /// Replaces the sealed session identifier of a request by that of the service.
    ///
    /// `granted` is `None` for a request without a token. A session that was opened without a token is not accepted
    /// with one, because other parties may know its streams and its identifier; a client that has logged in begins a
    /// new session.
    ///
    /// # Errors
    ///
    /// [`Denial`] (404) if the session belongs to another principal or does not exist; the responses are the same.
    pub fn open_session(
        &self,
        headers: &mut HeaderMap,
        granted: Option<&AuthInfo>,
    ) -> Result<(), Denial> {
        if !headers.contains_key(MCP_SESSION_ID) {
            return Ok(());
        }
        let sealed = one(headers, &MCP_SESSION_ID);
        let opened = sealed.and_then(|id| self.open(Handle::Session, granted, id));
        headers.insert(MCP_SESSION_ID, opened.ok_or_else(Denial::foreign_session)?);
        Ok(())
    }

    /// Classifies the session that a request without a token names.
    ///
    /// The result is an argument of
    /// [`OperationScopes::admit_without_token`](crate::OperationScopes::admit_without_token).
    #[must_use]
    pub fn session_without_token(&self, headers: &HeaderMap) -> NamedSession {
        match headers.contains_key(MCP_SESSION_ID) {
            false => NamedSession::None,
            true => match one(headers, &MCP_SESSION_ID) {
                Some(id) if self.open(Handle::Session, None, id).is_some() => {
                    NamedSession::WithoutToken
                }
                _ => NamedSession::Foreign,
            },
        }
    }

    /// Replaces the sealed `Last-Event-ID` of a request by that of the service.
    ///
    /// An empty `Last-Event-ID` is removed.
    ///
    /// # Errors
    ///
    /// [`Denial`] (404) if this seal did not send the event to this principal.
    pub fn open_event(
        &self,
        headers: &mut HeaderMap,
        granted: Option<&AuthInfo>,
    ) -> Result<(), Denial> {
        if !headers.contains_key(LAST_EVENT_ID) {
            return Ok(());
        }
        let sealed = one(headers, &LAST_EVENT_ID);
        if sealed.is_some_and(HeaderValue::is_empty) {
            headers.remove(LAST_EVENT_ID);
            return Ok(());
        }
        let opened = sealed.and_then(|id| self.open(Handle::Event, granted, id));
        headers.insert(LAST_EVENT_ID, opened.ok_or_else(Denial::foreign_event)?);
        Ok(())
    }

    /// Seals the session identifier of a response to the principal of the request.
    ///
    /// `granted` is `None` without a token.
    pub fn seal_session(&self, headers: &mut HeaderMap, granted: Option<&AuthInfo>) {
        let Some(id) = one(headers, &MCP_SESSION_ID) else {
            // Several identifiers count as none (MCP, session management).
            headers.remove(MCP_SESSION_ID);
            return;
        };
        match self.seal(Handle::Session, granted, id) {
            Some(sealed) => headers.insert(MCP_SESSION_ID, sealed),
            None => headers.remove(MCP_SESSION_ID),
        };
    }

    /// Creates the sealer for the identifiers of one event stream; `None` without a token.
    #[must_use]
    pub fn event_ids(&self, granted: Option<&AuthInfo>) -> EventIds {
        EventIds::new(self.mac(Handle::Event, granted))
    }

    fn mac(&self, handle: Handle, granted: Option<&AuthInfo>) -> Option<Hmac<Sha256>> {
        let mac = self.0.clone()?.chain_update([handle as u8]);
        Some(mac.chain_update(Principal::of_request(granted).as_bytes()))
    }

    fn seal(
        &self,
        handle: Handle,
        granted: Option<&AuthInfo>,
        id: &HeaderValue,
    ) -> Option<HeaderValue> {
        let mac = self.mac(handle, granted)?.chain_update(id.as_bytes());
        HeaderValue::from_bytes(&[id.as_bytes(), &tag(mac)].concat()).ok()
    }

    fn open(
        &self,
        handle: Handle,
        granted: Option<&AuthInfo>,
        sealed: &HeaderValue,
    ) -> Option<HeaderValue> {
        let at = sealed.len().checked_sub(TAG).filter(|&at| at > 0)?;
        let (id, tag) = sealed.as_bytes().split_at_checked(at)?;
        let tag = URL_SAFE_NO_PAD.decode(tag.strip_prefix(b".")?).ok()?;
        self.mac(handle, granted)?.chain_update(id).verify_truncated_left(&tag).ok()?;
        HeaderValue::from_bytes(id).ok()
    }
}

impl fmt::Debug for HandleSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandleSeal([redacted])")
    }
}

/// Label of derived keys; the identifier of the resource follows.
const LABEL: &[u8] = b"mcp-authz/session-handles\0";

/// Returns the header with this name if it is present exactly once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    Some(line)
}
