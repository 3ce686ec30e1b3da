//! Consents: the scopes that users granted to clients, remembered until a time.

use authorization_server::store::ConsentRecord;
use authorization_server::store::rows::ConsentIndex;
use oauth_types::{ClientId, SecretDigest};

use crate::failure::Failure;
use crate::row::{read_body, read_digest, read_subject, read_text, read_time, time};
use crate::session::Session;

pub(crate) async fn read(
    session: &mut Session,
    key: &SecretDigest,
) -> Result<Option<ConsentRecord>, Failure> {
    let query = "SELECT key, subject, client_id, until, body FROM consents WHERE key = $1";
    let Some(row) = session.find(query, &[&key.as_bytes().as_slice()]).await? else {
        return Ok(None);
    };
    let index = ConsentIndex {
        key: read_digest(&row, 0)?,
        subject: read_subject(&row, 1)?,
        client_id: read_text(&row, 2, ClientId::parse)?,
        until: read_time(&row, 3)?,
    };
    Ok(Some(ConsentRecord::from_row(index, &read_body(&row, 4)?)?))
}

pub(crate) async fn put(session: &mut Session, consent: &ConsentRecord) -> Result<(), Failure> {
    let statement = "INSERT INTO consents (key, subject, client_id, until, body) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (key) DO UPDATE SET \
         subject = EXCLUDED.subject, client_id = EXCLUDED.client_id, until = EXCLUDED.until, \
         body = EXCLUDED.body";
    session
        .change(
            statement,
            &[
                &consent.key.as_bytes().as_slice(),
                &consent.subject.as_str().as_bytes(),
                &consent.client_id.as_str(),
                &time(consent.until),
                &consent.body()?.as_str(),
            ],
        )
        .await?;
    Ok(())
}
