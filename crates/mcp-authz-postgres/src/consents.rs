//! What users agreed to.

use authorization_server::ConsentRecord;
use oauth_types::{ClientId, ScopeSet, SecretDigest};

use crate::failure::Failure;
use crate::row::{read_digest, read_subject, read_text, read_time, time};
use crate::session::Session;

pub(crate) async fn read(
    session: &mut Session,
    key: &SecretDigest,
) -> Result<Option<ConsentRecord>, Failure> {
    let query =
        "SELECT key, subject, client_id, scopes, metadata, until FROM consents WHERE key = $1";
    let Some(row) = session.find(query, &[&key.as_bytes().as_slice()]).await? else {
        return Ok(None);
    };
    Ok(Some(ConsentRecord {
        key: read_digest(&row, 0)?,
        subject: read_subject(&row, 1)?,
        client_id: read_text(&row, 2, ClientId::parse)?,
        scopes: read_text(&row, 3, ScopeSet::parse)?,
        metadata: read_digest(&row, 4)?,
        until: read_time(&row, 5)?,
    }))
}

pub(crate) async fn put(session: &mut Session, consent: &ConsentRecord) -> Result<(), Failure> {
    let statement = "INSERT INTO consents (key, subject, client_id, scopes, metadata, until) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (key) DO UPDATE SET \
         subject = EXCLUDED.subject, client_id = EXCLUDED.client_id, scopes = EXCLUDED.scopes, \
         metadata = EXCLUDED.metadata, until = EXCLUDED.until";
    session
        .change(
            statement,
            &[
                &consent.key.as_bytes().as_slice(),
                &consent.subject.as_bytes(),
                &consent.client_id.as_str(),
                &consent.scopes.as_str(),
                &consent.metadata.as_bytes().as_slice(),
                &time(consent.until),
            ],
        )
        .await?;
    Ok(())
}
