//! Stores that delegate to another one: references, shared pointers, wrappers ([`delegate_store!`]).
//!
//! [`delegate_store!`]: crate::delegate_store!

use std::sync::Arc;

use super::Store;

// The lint holds `__store_methods!` to the trait, because a default method that it lacks would not be forwarded.
#[deny(clippy::missing_trait_methods)]
impl<S: Store + ?Sized> Store for &S {
    crate::delegate_store!(|store| **store);
}

#[deny(clippy::missing_trait_methods)]
impl<S: Store + ?Sized> Store for Arc<S> {
    crate::delegate_store!(|store| **store);
}

/// Implements the methods of [`Store`](trait@crate::Store) that a wrapper leaves to the wrapped store.
///
/// The first argument is the expression of the wrapped store. The wrapper itself implements the methods after `except`.
/// If `access` is among them, `access_token_info` is left out too, so that the default of the trait calls the wrapper's
/// `access`.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// use authorization_server::oauth_types::{SecretDigest, UnixTime};
/// use authorization_server::{Store, delegate_store};
/// use authorization_server::store::{AccessRecord, StoreError};
///
/// /// Counts the tokens that are looked up.
/// struct Counting<S> {
///     inner: S,
///     lookups: AtomicUsize,
/// }
///
/// impl<S: Store> Store for Counting<S> {
///     delegate_store!(|store| store.inner, except access);
///
///     async fn access(
///         &self,
///         digest: &SecretDigest,
///         now: UnixTime,
///     ) -> Result<Option<AccessRecord>, StoreError> {
///         self.lookups.fetch_add(1, Ordering::Relaxed);
///         self.inner.access(digest, now).await
///     }
/// }
/// ```
#[macro_export]
macro_rules! delegate_store {
    (|$store:ident| $inner:expr $(, except $($except:ident),+ $(,)?)?) => {
        $crate::__store_methods! { ['_] [$crate::delegate_store] [@each [$($($except)+)?] |$store| ($inner);] }
    };
    (@each $except:tt |$store:ident| $inner:tt;
        $($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {$(
        $crate::delegate_store! { @unless $name $except {
            fn $name(
                &self,
                $($argument: $type),*
            ) -> impl ::core::future::Future<Output = Result<$answer, $crate::store::StoreError>> + Send {
                let $store = self;
                $crate::Store::$name(&$inner, $($argument),*)
            }
        } }
    )*};
    // Implemented by the wrapper.
    (@unless read_client [read_client $($rest:ident)*] $item:tt) => {};
    (@unless create_client [create_client $($rest:ident)*] $item:tt) => {};
    (@unless delete_client [delete_client $($rest:ident)*] $item:tt) => {};
    (@unless insert_code [insert_code $($rest:ident)*] $item:tt) => {};
    (@unless read_code [read_code $($rest:ident)*] $item:tt) => {};
    (@unless redeem [redeem $($rest:ident)*] $item:tt) => {};
    (@unless insert_family [insert_family $($rest:ident)*] $item:tt) => {};
    (@unless read_family [read_family $($rest:ident)*] $item:tt) => {};
    (@unless rotate [rotate $($rest:ident)*] $item:tt) => {};
    (@unless revoke_family [revoke_family $($rest:ident)*] $item:tt) => {};
    (@unless revoke_subject [revoke_subject $($rest:ident)*] $item:tt) => {};
    (@unless access [access $($rest:ident)*] $item:tt) => {};
    (@unless access_token_info [access_token_info $($rest:ident)*] $item:tt) => {};
    (@unless access_token_info [access $($rest:ident)*] $item:tt) => {};
    (@unless read_consent [read_consent $($rest:ident)*] $item:tt) => {};
    (@unless put_consent [put_consent $($rest:ident)*] $item:tt) => {};
    (@unless put_once [put_once $($rest:ident)*] $item:tt) => {};
    (@unless sweep [sweep $($rest:ident)*] $item:tt) => {};
    (@unless $name:ident [] { $($item:tt)* }) => { $($item)* };
    (@unless $name:ident [$other:ident $($rest:ident)*] $item:tt) => {
        $crate::delegate_store! { @unless $name [$($rest)*] $item }
    };
}

/// Calls a macro with the signatures of all methods of [`Store`](trait@crate::Store).
///
/// The arguments are the lifetime of references, the macro, and the tokens that it gets before the list. This is the
/// only list of the methods beside the trait, so that nothing that delegates can forget one.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_methods {
    ([$lifetime:lifetime] [$($callback:tt)+] [$($before:tt)*]) => { $($callback)+! { $($before)*
        read_client(client_id: &$lifetime $crate::oauth_types::ClientId) -> Option<$crate::ClientRecord>;
        create_client(
            client: $crate::ClientRecord,
            now: $crate::oauth_types::UnixTime
        ) -> $crate::store::CreateOutcome;
        delete_client(
            client_id: &$lifetime $crate::oauth_types::ClientId,
            now: $crate::oauth_types::UnixTime
        ) -> ();
        insert_code(code: $crate::store::CodeRecord) -> ();
        read_code(digest: &$lifetime $crate::oauth_types::SecretDigest) -> Option<$crate::store::CodeRecord>;
        redeem(
            digest: &$lifetime $crate::oauth_types::SecretDigest,
            family: $crate::store::NewFamily,
            now: $crate::oauth_types::UnixTime
        ) -> $crate::store::RedeemOutcome;
        insert_family(family: $crate::store::NewFamily, now: $crate::oauth_types::UnixTime) -> ();
        read_family(family: &$lifetime $crate::store::FamilyId) -> Option<$crate::store::FamilyRecord>;
        rotate(
            rotation: $crate::store::Rotation,
            now: $crate::oauth_types::UnixTime
        ) -> $crate::store::RotateOutcome;
        revoke_family(family: &$lifetime $crate::store::FamilyId, now: $crate::oauth_types::UnixTime) -> ();
        revoke_subject(
            subject: &$lifetime $crate::oauth_types::Subject,
            client_id: Option<&$lifetime $crate::oauth_types::ClientId>,
            now: $crate::oauth_types::UnixTime
        ) -> ();
        access(
            digest: &$lifetime $crate::oauth_types::SecretDigest,
            now: $crate::oauth_types::UnixTime
        ) -> Option<$crate::store::AccessRecord>;
        access_token_info(
            digest: &$lifetime $crate::oauth_types::SecretDigest,
            issuer: &$lifetime $crate::oauth_types::Issuer,
            now: $crate::oauth_types::UnixTime
        ) -> Option<::std::sync::Arc<$crate::oauth_types::AccessTokenInfo>>;
        read_consent(key: &$lifetime $crate::oauth_types::SecretDigest) -> Option<$crate::store::ConsentRecord>;
        put_consent(consent: $crate::store::ConsentRecord) -> ();
        put_once(
            kind: $crate::store::OnceKind,
            key: &$lifetime $crate::oauth_types::SecretDigest,
            until: $crate::oauth_types::UnixTime,
            now: $crate::oauth_types::UnixTime
        ) -> $crate::Replay;
        sweep(now: $crate::oauth_types::UnixTime, max: usize) -> usize;
    } };
}
