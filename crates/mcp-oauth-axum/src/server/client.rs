//! Who is this client? The store says so, or the client's own document.

#[cfg(feature = "client_documents")]
use authorization_server::DocumentRefused;
use authorization_server::{ClientRecord, ClientUnavailable, Store};
use oauth_types::ClientId;

use super::Server;

impl<S: Store, L> Server<S, L> {
    /// The client, if anybody knows it.
    pub(super) async fn client(
        &self,
        client_id: &ClientId,
    ) -> Result<Option<ClientRecord>, ClientUnavailable> {
        let known = self.store.read_client(client_id).await?;
        #[cfg(feature = "client_documents")]
        if known.is_none()
            && let Some(documents) = &self.documents
            && let Some(url) = self.config.client_document(client_id)
        {
            return documents.client(&url).await.map(Some).or_else(DocumentRefused::into_fact);
        }
        Ok(known)
    }
}
