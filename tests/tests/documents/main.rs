//! Documents that the official SDKs for TypeScript and Python wrote, read and written again by our types.
//!
//! `tests/peers/documents` holds them as they were written, `tests/peers` the programs that wrote them and that
//! `cargo xtask interop` gives our rewrites to. What they read in our challenges is in `challenges.rs`.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "the documents are files")]

mod challenges;

use std::fs;
use std::path::Path;

use bytes::Bytes;
use oauth_types::{
    AuthorizationServerMetadata, ClientInformation, ClientMetadata, DocumentError, ErrorResponse,
    ProtectedResourceMetadata, TokenErrorCode, TokenResponse,
};
use serde_json::{Map, Value, json};

/// The document, read and written again.
fn rewritten(kind: &str, json: &[u8]) -> Result<Bytes, DocumentError> {
    Ok(match kind {
        "authorization-server-metadata" | "openid-metadata" => {
            AuthorizationServerMetadata::from_json(json)?.to_json()
        }
        "protected-resource-metadata" => ProtectedResourceMetadata::from_json(json)?.to_json(),
        "client-metadata" => ClientMetadata::from_json(json)?.to_json(),
        "registration-answer" => ClientInformation::from_json(json)?.to_json(),
        "token-response" => TokenResponse::from_json(json)?.to_json(),
        "token-error" => ErrorResponse::<TokenErrorCode>::from_json(json)?.to_json(),
        other => panic!("no type for {other}"),
    })
}

/// Whether a member means the same as before.
fn is_kept(name: &str, before: &Value, after: Option<&Value>) -> bool {
    let Some(after) = after else {
        // An absent member says the same as an empty one; and an empty list has to be left out of metadata
        // (RFC 9728 §3.2).
        return [json!(null), json!(false), json!([]), json!("")].contains(before);
    };
    before == after
        || match name {
            // Names one thing in any case.
            "token_type" => before.as_str().is_some_and(|own| own.eq_ignore_ascii_case("bearer")),
            // Cleaned of what may not stand there, and cut.
            "error_description" => after.is_string(),
            // A fraction of a second.
            "expires_in" => before.as_f64().map(f64::floor) == after.as_f64(),
            // `null`, which readers of ours would refuse.
            "redirect_uris" => before.is_null() && *after == json!([]),
            _ => false,
        }
}

#[test]
fn every_document_of_the_sdks_is_read_and_no_member_is_lost() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/documents");
    // The rewrites, for the SDKs to read.
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop/documents");
    fs::remove_dir_all(&out).ok();
    fs::create_dir_all(&out).unwrap();
    let (mut read, mut findings) = (0, Vec::new());
    for sdk in ["typescript", "python"] {
        for file in fs::read_dir(home.join(sdk)).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let (kind, case) = name.split_once('.').unwrap();
            let json = fs::read(&path).unwrap();
            read += 1;
            let ours = match rewritten(kind, &json) {
                Ok(ours) => ours,
                Err(error) => {
                    findings.push(format!("{sdk}/{name}: {error}"));
                    continue;
                }
            };
            let [before, after] = [&json[..], &ours]
                .map(|json| serde_json::from_slice::<Map<String, Value>>(json).unwrap());
            let lost =
                before.iter().filter(|(name, value)| !is_kept(name, value, after.get(*name)));
            findings
                .extend(lost.map(|(member, value)| format!("{sdk}/{name}: {member} was {value}")));
            fs::write(out.join(format!("{kind}.{sdk}-{case}")), &ours).unwrap();
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
    assert!(read >= 230, "only {read} documents");
}
