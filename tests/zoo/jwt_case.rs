//! Access tokens that other authorization servers sign, as our verifier reads them.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use mcp_authz_axum::{JwtVerifier, TokenVerifier as _};
use oauth_types::{Issuer, JwkSet, ResourceUri, ScopeSet, Secret, UnixTime};
use serde_json::Value;

use crate::script::{Failed, known, text};

const PRIVATE: &str = include_str!("../../crates/client-auth/tests/keys/es256.pem");
const PUBLIC: &str = include_str!("../../crates/client-auth/tests/keys/public.json");
const NOW: u64 = 1_800_000_000;

/// Checks every case of a file.
pub(crate) async fn check(file: &Value) -> Result<(), Failed> {
    known(file, "the file", &["source", "what", "cases"])?;
    let mut expected = "";
    for case in file["cases"].as_array().ok_or("the file has no cases")? {
        known(case, "a case", &["name", "claims", "expect"])?;
        let name = text(case, "name").unwrap_or_default();
        match text(case, "expect").unwrap_or_default() {
            "the same" => {}
            own => expected = own,
        }
        verify(&case["claims"], expected).await.map_err(|failed| format!("{name}: {failed}"))?;
    }
    Ok(())
}

const WHERE: &str = " where the host says that this server's scopes are in `";

/// Reads `scopes`, `none`, or `scopes where the host says that this server's scopes are in `claim`; else none`.
async fn verify(claims: &Value, expected: &str) -> Result<(), Failed> {
    let Some((scopes, rest)) = expected.split_once(WHERE) else {
        return same(granted(claims, None).await?.as_ref(), expected);
    };
    let Some((claim, "; else none")) = rest.split_once('`') else {
        return Err(format!("the expectation `{expected}` has an unknown form"));
    };
    same(granted(claims, None).await?.as_ref(), "none")?;
    same(granted(claims, Some(claim)).await?.as_ref(), scopes)
}

fn same(granted: Option<&ScopeSet>, expected: &str) -> Result<(), Failed> {
    let granted = granted.filter(|scopes| !scopes.is_empty());
    let wanted = match expected {
        "none" => None,
        scopes => Some(ScopeSet::parse(scopes).map_err(|error| format!("{scopes}: {error:?}"))?),
    };
    if granted == wanted.as_ref() {
        return Ok(());
    }
    Err(format!("expected {expected}, got {granted:?}"))
}

/// The scopes of a token with these claims, where it is taken.
async fn granted(claims: &Value, claim: Option<&str>) -> Result<Option<ScopeSet>, Failed> {
    let issuer = text(claims, "iss").unwrap_or_default();
    let issuer = Issuer::parse(issuer).map_err(|error| format!("{error:?}"))?;
    let keys = JwkSet::from_json(PUBLIC.as_bytes()).map_err(|error| format!("{error:?}"))?;
    let mut verifier =
        JwtVerifier::with_keys(issuer, &keys).map_err(|error| format!("{error:?}"))?;
    if let Some(claim) = claim {
        verifier = verifier.with_scope_claim(claim);
    }
    let mut header = Header::new(Algorithm::ES256);
    (header.typ, header.kid) = (Some("at+jwt".into()), Some("es256".into()));
    let key = EncodingKey::from_ec_pem(PRIVATE.as_bytes()).map_err(|error| error.to_string())?;
    let token = jsonwebtoken::encode(&header, claims, &key).map_err(|error| error.to_string())?;
    let facts = verifier.verify(&Secret::new(token), UnixTime::from_secs(NOW)).await;
    let facts = facts.map_err(|error| format!("{error:?}"))?;
    let own = ResourceUri::parse("https://rs.example/mcp").map_err(|error| format!("{error:?}"))?;
    let facts = facts.filter(|facts| facts.audience.contains(&own));
    Ok(facts.map(|facts| facts.scopes.clone()))
}
