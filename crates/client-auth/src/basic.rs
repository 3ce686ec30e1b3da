//! The `Basic` credentials of RFC 6749 §2.3.1: form-encoded twice over, then Base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oauth_types::{ClientId, Secret, decode_component, encode_component};
use zeroize::{Zeroize as _, Zeroizing};

use crate::Reason;

/// The header value for these credentials.
pub(crate) fn encode(client_id: &ClientId, secret: &Secret) -> Secret {
    // C-TOKEN-3
    let id = encode_component(client_id.as_str());
    let pair = Zeroizing::new(format!("{id}:{}", encode_component(secret.expose())));
    Secret::new(format!("Basic {}", STANDARD.encode(&*pair)))
}

/// The credentials in a header value. `None` when its scheme is not Basic.
pub(crate) fn decode(header: &[u8]) -> Option<Result<(ClientId, Secret), Reason>> {
    // A-AUTHN-1: the scheme in any case, one or more spaces, strict Base64.
    let at = header.iter().position(|&byte| byte == b' ').unwrap_or(header.len());
    let (scheme, rest) = header.split_at(at);
    if !scheme.eq_ignore_ascii_case(b"Basic") {
        return None;
    }
    let start = rest.iter().position(|&byte| byte != b' ').unwrap_or(rest.len());
    Some(decode_pair(rest.get(start..).unwrap_or_default()).ok_or(Reason::MalformedHeader))
}

/// Longest pair that is decoded on the stack, in bytes.
const ON_STACK: usize = 192;

fn decode_pair(encoded: &[u8]) -> Option<(ClientId, Secret)> {
    if encoded.len() > ON_STACK / 3 * 4 {
        return split_pair(&Zeroizing::new(STANDARD.decode(encoded).ok()?));
    }
    let mut buffer = [0; ON_STACK];
    let pair = STANDARD.decode_slice(encoded, &mut buffer).ok();
    let pair = pair.and_then(|length| buffer.get_mut(..length))?;
    let result = split_pair(pair);
    pair.zeroize();
    result
}

fn split_pair(pair: &[u8]) -> Option<(ClientId, Secret)> {
    // Printable ASCII without escapes, which most pairs are, stands for itself.
    let is_plain = |all, byte: &u8| all & (byte.wrapping_sub(b' ') < 0x5F) & !b"%+".contains(byte);
    if pair.iter().fold(true, is_plain) {
        let (id, secret) = core::str::from_utf8(pair).ok()?.split_once(':')?;
        return Some((ClientId::parse(id).ok()?, Secret::new(secret)));
    }
    // The first colon divides: any other is encoded (RFC 6749 appendix B).
    let colon = pair.iter().position(|&byte| byte == b':')?;
    let id = decode_component(pair.get(..colon)?).ok()?;
    let secret = decode_component(pair.get(colon + 1..)?).ok()?;
    if secret.chars().any(char::is_control) {
        return None;
    }
    Some((ClientId::parse(&id).ok()?, Secret::new(&*secret)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(header: &str) -> Option<Result<(String, String), Reason>> {
        let texts = |(id, secret): (ClientId, Secret)| (id.to_string(), secret.expose().to_owned());
        decode(header.as_bytes()).map(|pair| pair.map(texts))
    }

    fn basic(pair: &[u8]) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    #[test]
    fn a_authn_1_sec_071_the_scheme_in_any_case_and_spaces_only() {
        let pair = STANDARD.encode("c1:s");
        for good in [format!("basic {pair}"), format!("BASIC   {pair}")] {
            assert_eq!(read(&good), Some(Ok(("c1".to_owned(), "s".to_owned()))), "{good}");
        }
        assert_eq!(read(&format!("Basic\t{pair}")), None);
        assert_eq!(read(&format!("Basic \t{pair}")), Some(Err(Reason::MalformedHeader)));
        assert_eq!(read(&format!("Bearer {pair}")), None);
    }

    #[test]
    fn a_authn_1_sec_072_base64_is_strict() {
        for bad in ["YzE6 cw==", "YzE6cw", "YzE6cw=", "Y-E6_w==", "Y!zE6cw==", "", "bm9jb2xvbg=="] {
            assert_eq!(read(&format!("Basic {bad}")), Some(Err(Reason::MalformedHeader)), "{bad}");
        }
    }

    #[test]
    fn a_authn_1_sec_073_sec_074_split_at_the_first_colon_then_decode() {
        let pair = |id: &str, secret: &str| Some(Ok((id.to_owned(), secret.to_owned())));
        assert_eq!(read(&basic(b"a%3Ab:c")), pair("a:b", "c"));
        assert_eq!(read(&basic(b"a:b:c")), pair("a", "b:c"));
        assert_eq!(read(&basic(b"a:")), pair("a", ""));
        assert_eq!(read(&basic(b"x+y:p%20q")), pair("x y", "p q"));
        for bad in [&b"a:%zz"[..], b"a:%f", b"a:%ff", b"a%00:b", b"a:%00", b":x", b"\xff:x"] {
            assert_eq!(read(&basic(bad)), Some(Err(Reason::MalformedHeader)), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn c_token_3_what_is_encoded_decodes(id in "\\PC{1,30}", secret in "\\PC{0,30}") {
            let header = encode(&ClientId::parse(&id).unwrap(), &Secret::new(secret.as_str()));
            prop_assert_eq!(read(header.expose()), Some(Ok((id, secret))));
        }
    }
}
