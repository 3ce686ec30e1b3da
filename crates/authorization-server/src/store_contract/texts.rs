//! Contract tests for unusual texts and extreme numbers.

use oauth_types::{
    ClientId, ClientMetadata, RedirectUri, ResourceUri, ScopeSet, Subject, UnixTime,
};

use super::samples::{
    ONCE, access, after, client, code, consent, digest, family, right, rotation, stored, subject,
};
use super::{Broken, fits, same};
use crate::store::{CreateOutcome, RedeemOutcome, RotateOutcome, Store};

/// Names that an identity provider may give to users.
const NAMES: &[&str] = &[
    " ",
    "'",
    "''",
    "\"",
    "\\",
    "\\'",
    "'; DROP TABLE clients; --",
    "' OR '1'='1",
    "$1",
    "?1",
    ":name",
    "%",
    "_",
    "NULL",
    "0",
    "\0",
    "a\0",
    "a\0b",
    "\u{7f}\u{1b}[31m",
    "line\r\nbreak\ttab",
    "{\"json\": [1]}",
    "\u{e9}",
    "e\u{301}",
    "\u{df}\u{1e9e}",
    "\u{130}i\u{131}I",
    "\u{202e}txt",
    "\u{10ffff}\u{1f5dd}\u{fffd}\u{feff}",
];

/// Checks that subjects are stored and compared byte for byte.
pub async fn users_of_any_name_are_kept_apart<S: Store>(store: &S) -> Result<(), Broken> {
    for (number, name) in (0..).zip(NAMES) {
        let (mut code, mut new, mut consent) = (code(number)?, family(number)?, consent(number)?);
        let user = subject(name)?;
        code.subject = user.clone();
        new.subject = user.clone();
        consent.subject = user.clone();
        store.insert_code(code.clone()).await?;
        same(store.read_code(&code.digest).await?, Some(code.clone()))?;
        let outcome = store.redeem(&code.digest, new.clone(), after(0)).await?;
        same(outcome, RedeemOutcome::Redeemed)?;
        same(store.read_family(&new.id).await?, Some(stored(new, after(0))))?;
        let known = store.access(&access(number)?.digest, after(0)).await?;
        same(known.map(|known| known.subject), Some(user))?;
        store.put_consent(consent.clone()).await?;
        same(store.read_consent(&consent.key).await?, Some(consent))?;
    }
    for (number, name) in (0..).zip(NAMES) {
        store.revoke_subject(&subject(name)?, None, after(1)).await?;
        for (other, of_other) in (0..).zip(NAMES) {
            let known = store.access(&access(other)?.digest, after(1)).await?;
            fits(&(name, of_other, known), "one user's end", |(_, _, known)| {
                known.is_some() == (other > number)
            })?;
        }
    }
    Ok(())
}

/// Checks that client identifiers are stored and compared byte for byte.
///
/// Names with control characters are left out, because no identifier contains them.
pub async fn clients_of_any_name_are_kept_apart<S: Store>(store: &S) -> Result<(), Broken> {
    let names = NAMES.iter().filter_map(|name| ClientId::parse(name).ok());
    for (number, name) in (0..).zip(names) {
        let mut odd = client(number)?;
        odd.client_id = name.clone();
        same(store.create_client(odd.clone(), after(0)).await?, CreateOutcome::Created)?;
        same(store.create_client(odd.clone(), after(0)).await?, CreateOutcome::Duplicate)?;
        same(store.read_client(&name).await?, Some(odd))?;
        let mut new = family(number)?;
        new.client_id = name.clone();
        store.insert_family(new, after(0)).await?;
        let known = store.access(&access(number)?.digest, after(0)).await?;
        same(known.map(|known| known.client_id), Some(name.clone()))?;
        store.delete_client(&name, after(0)).await?;
        same(store.read_client(&name).await?, None)?;
        same(store.access(&access(number)?.digest, after(0)).await?, None)?;
    }
    Ok(())
}

/// Checks that client metadata is kept with all members, known and unknown.
pub async fn whatever_a_client_says_about_itself_is_kept<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    let names = serde_json::json!(NAMES);
    let metadata = serde_json::json!({
        "redirect_uris": NAMES, "client_name": NAMES.concat(), "client_uri": names,
        "token_endpoint_auth_method": "x'--", "grant_types": ["'", "\u{e9}"],
        "'; --": {"\u{0}": null, "n": [1, -1, 1.5, u64::MAX, true, {}]},
    });
    let mut odd = client(1)?;
    odd.metadata = right(ClientMetadata::from_json(metadata.to_string().as_bytes()))?;
    same(store.create_client(odd.clone(), after(0)).await?, CreateOutcome::Created)?;
    same(store.read_client(&odd.client_id).await?, Some(odd))
}

/// Checks that texts of the maximum length are kept whole.
pub async fn long_texts_are_kept_whole<S: Store>(store: &S) -> Result<(), Broken> {
    let long = |start: &str| format!("{start}{}", "a".repeat(2048 - start.len()));
    let mut code = code(1)?;
    code.client_id = right(ClientId::parse(&long("")))?;
    code.redirect_uri = right(RedirectUri::parse(&long("https://app.example/")))?;
    code.resource = right(ResourceUri::parse(&long("https://rs.example/")))?;
    code.scopes = right(ScopeSet::parse(&"s".repeat(ScopeSet::MAX_BYTES)))?;
    code.subject = subject(&long(""))?;
    let mut new = family(1)?;
    new.client_id = code.client_id.clone();
    new.resource = code.resource.clone();
    new.scopes = code.scopes.clone();
    new.subject.clone_from(&code.subject);
    new.access.scopes = code.scopes.clone();
    store.insert_code(code.clone()).await?;
    same(store.read_code(&code.digest).await?, Some(code.clone()))?;
    same(store.redeem(&code.digest, new.clone(), after(0)).await?, RedeemOutcome::Redeemed)?;
    same(store.read_family(&new.id).await?, Some(stored(new, after(0))))?;
    let known = store.access(&access(1)?.digest, after(0)).await?;
    same(known.map(|known| known.scopes), Some(code.scopes))
}

/// Checks that a subject of the maximum length is kept whole, or refused and not stored.
pub async fn a_name_as_long_as_its_type_allows_is_kept_whole_or_refused<S: Store>(
    store: &S,
) -> Result<(), Broken> {
    let mut new = family(1)?;
    new.subject = subject(&"\u{e9}'".repeat(Subject::MAX_BYTES / 3))?;
    let is_kept = store.insert_family(new.clone(), after(0)).await.is_ok();
    let expected = is_kept.then(|| stored(new, after(0)));
    let found = store.read_family(&family(1)?.id).await?;
    fits(&is_kept, "a name that is kept whole, or refused", |_| found == expected)?;
    // The next operation succeeds.
    store.insert_family(family(2)?, after(0)).await?;
    let known = store.access(&access(2)?.digest, after(0)).await?;
    fits(&known, "a token that lives", Option::is_some)
}

/// Checks that the latest time is stored exactly, and never expires.
pub async fn the_end_of_time_is_kept<S: Store>(store: &S) -> Result<(), Broken> {
    let end = UnixTime::from_secs(u64::MAX);
    let mut eternal = family(1)?;
    (eternal.expires_at, eternal.idle_until, eternal.access.expires_at) = (end, end, end);
    let mut code = code(1)?;
    code.expires_at = end;
    let mut consent = consent(1)?;
    consent.until = end;
    let mut client = client(2)?;
    (client.registered_at, client.unused_until) = (end, Some(end));
    store.insert_code(code.clone()).await?;
    store.insert_family(eternal.clone(), after(0)).await?;
    store.put_consent(consent.clone()).await?;
    store.create_client(client.clone(), after(0)).await?;
    store.put_once(ONCE, &digest("key", 1), end, after(0)).await?;
    let late = UnixTime::from_secs(u64::MAX / 4);
    same(store.sweep(late, 100).await?, 0)?;
    same(store.read_code(&code.digest).await?, Some(code))?;
    same(store.read_family(&eternal.id).await?, Some(stored(eternal, after(0))))?;
    same(store.read_consent(&consent.key).await?, Some(consent))?;
    same(store.read_client(&client.client_id).await?, Some(client))?;
    let known = store.access(&access(1)?.digest, late).await?;
    same(known.map(|known| known.expires_at), Some(end))?;
    let mut refresh = rotation(1, 0, 2)?;
    (refresh.idle_until, refresh.access.expires_at) = (end, end);
    same(store.rotate(refresh, late).await?, RotateOutcome::Rotated)
}
