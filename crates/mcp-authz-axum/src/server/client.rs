//! The client of a request: out of the store, or from its own document; and the keys that it publishes.

#[cfg(feature = "client_documents")]
use authorization_server::DocumentRefused;
use authorization_server::{ClientRecord, ClientUnavailable, KeysNeeded, Store};
use http::Request;
use oauth_types::ClientId;

use super::Server;

impl<S: Store, L> Server<S, L> {
    /// The client that a request names, if anybody knows it.
    pub(super) async fn client<B>(
        &self,
        client_id: &ClientId,
        request: &Request<B>,
    ) -> Result<Option<ClientRecord>, ClientUnavailable> {
        let known = self.store.read_client(client_id).await?;
        #[cfg(feature = "client_documents")]
        if known.is_none()
            && let Some(documents) = &self.documents
            && let Some(url) = self.config.client_document(client_id)
        {
            let asker = self.rates.network(request);
            let client = documents.client(&url, asker).await;
            return client.map(Some).or_else(DocumentRefused::into_fact);
        }
        #[cfg(not(feature = "client_documents"))]
        let _ = request;
        Ok(known)
    }

    /// Takes note that a client got a token.
    pub(super) fn mark_used(&self, client: Option<&ClientRecord>) {
        #[cfg(feature = "client_documents")]
        if let (Some(documents), Some(client)) = (&self.documents, client) {
            documents.mark_used(client);
        }
        #[cfg(not(feature = "client_documents"))]
        let _ = (self, client);
    }

    /// The same client with the keys that it publishes, where the request needs them and they can be had.
    #[cfg_attr(
        not(feature = "client_documents"),
        expect(clippy::unused_async, reason = "nothing is fetched")
    )]
    pub(super) async fn with_keys<B>(
        &self,
        client: Option<ClientRecord>,
        needed: Option<KeysNeeded<'_>>,
        request: &Request<B>,
    ) -> Result<Option<ClientRecord>, ClientUnavailable> {
        #[cfg(feature = "client_documents")]
        if let (Some(documents), Some(needed)) = (&self.documents, needed) {
            return match documents.keys(&needed, self.rates.network(request)).await {
                Ok(set) => Ok(client.map(|client| client.with_key_set(&set))),
                // Without keys nobody is let in; the reply is that of a wrong signature.
                Err(refused) => refused.into_fact().map(|_| client),
            };
        }
        #[cfg(not(feature = "client_documents"))]
        let _ = (needed, request);
        Ok(client)
    }
}
