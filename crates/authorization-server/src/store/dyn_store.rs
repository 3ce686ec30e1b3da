//! Stores that are chosen at run time: [`DynStore`].
//!
//! Written by hand on the list of methods that [`delegate_store!`](crate::delegate_store!) uses. `dynosaur` 0.3.1 would
//! be a procedural macro that every user of the core builds, and the code that it generates contains `unsafe`, which
//! this workspace forbids. `trait-variant` makes no dyn-compatible form.

use core::any::type_name;
use core::fmt;
use core::pin::Pin;
use std::sync::Arc;

use super::{Store, StoreError};

/// Any [`Store`] behind one type, for programs that choose the store when they start.
///
/// `Store` is not dyn-compatible, because its methods return `impl Future`. Here each call allocates its future, and a
/// clone is another pointer to the same store. All methods are forwarded, so that a store that shares the
/// [facts about a token](Store::access_token_info) goes on to share them. `Debug` shows the type of the store and
/// nothing of its content.
///
/// # Examples
///
/// ```
/// use authorization_server::{DynStore, MemoryStore};
///
/// # struct Settings { small: bool }
/// # let settings = Settings { small: true };
/// // The arms may have different types: `SqliteStore`, `PostgresStore`, a store of yours.
/// let store = match settings.small {
///     true => DynStore::new(MemoryStore::with_max_clients(100)),
///     false => DynStore::new(std::sync::Arc::new(MemoryStore::default())),
/// };
/// assert_eq!(format!("{store:?}"), "DynStore(authorization_server::memory::MemoryStore)");
/// ```
#[derive(Clone)]
pub struct DynStore(Arc<dyn ErasedStore>);

impl DynStore {
    /// Wraps a store.
    #[must_use]
    pub fn new(store: impl Store + 'static) -> Self {
        Self(Arc::new(store))
    }
}

impl fmt::Debug for DynStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynStore({})", self.0.type_name())
    }
}

/// Boxed future of an operation.
type Operation<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Declares [`ErasedStore`], and implements it for every store.
macro_rules! erase {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        /// Dyn-compatible form of [`Store`].
        trait ErasedStore: Send + Sync {
            fn type_name(&self) -> &'static str;

            $(fn $name<'a>(&'a self, $($argument: $type),*) -> Operation<'a, $answer>;)*
        }

        impl<S: Store> ErasedStore for S {
            fn type_name(&self) -> &'static str {
                type_name::<S>()
            }

            $(fn $name<'a>(&'a self, $($argument: $type),*) -> Operation<'a, $answer> {
                Box::pin(Store::$name(self, $($argument),*))
            })*
        }
    };
}

crate::__store_methods! { ['a] [erase] [] }

/// Implements the methods of [`Store`] by those of [`ErasedStore`].
macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        $(async fn $name(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
            self.0.$name($($argument),*).await
        })*
    };
}

#[deny(clippy::missing_trait_methods)]
impl Store for DynStore {
    crate::__store_methods! { ['_] [forward] [] }
}
