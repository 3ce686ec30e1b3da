//! Identifiers of server-sent events, sealed with a MAC as the stream passes (HTML §9.2.6).
//!
//! The MAC follows the identifier, so it is inserted at the end of the line and no byte is held back. All other bytes
//! pass unchanged, however the stream is divided into pieces; lines may end with LF, CR or CRLF.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];
const FIELD: [u8; 3] = *b"id:";

/// Seals the `id` fields of one event stream.
///
/// Created by [`HandleSeal::event_ids`](crate::HandleSeal::event_ids).
#[derive(Clone)]
pub struct EventIds {
    /// MAC over the principal so far; `None` if there is no key.
    mac: Option<Hmac<Sha256>>,
    line: Line,
}

/// Position in a line.
#[derive(Clone)]
enum Line {
    /// After this many bytes of a byte order mark, which is recognized only at the start of the stream.
    Bom(usize),
    /// After this many bytes of `id:`.
    Field(usize),
    /// After `id:`; one space here is not part of the value.
    Space,
    /// After the space, before the first byte of the value.
    Value,
    /// Inside the value; the MAC covers its bytes so far.
    Id(Hmac<Sha256>),
    /// In a line that is not an `id` field.
    Other,
}

impl EventIds {
    pub(crate) const fn new(mac: Option<Hmac<Sha256>>) -> Self {
        Self { mac, line: Line::Bom(0) }
    }

    /// Seals the next piece of the stream.
    ///
    /// A piece in which no identifier ends is returned unchanged, without a copy.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        reason = "`copied <= at`, and `at` counts bytes of the piece"
    )]
    pub fn seal(&mut self, piece: Bytes) -> Bytes {
        let mut sealed = Vec::new();
        let mut copied = 0;
        let mut at = 0;
        while let Some((&byte, rest)) = piece.get(at..).and_then(<[u8]>::split_first) {
            if let Some(tag) = self.step(byte) {
                sealed.extend_from_slice(&piece[copied..at]);
                sealed.extend_from_slice(&tag);
                copied = at;
            }
            at += 1;
            if matches!(self.line, Line::Other) {
                at += rest.iter().position(|&byte| is_end(byte)).unwrap_or(rest.len());
            }
        }
        if sealed.is_empty() {
            return piece;
        }
        sealed.extend_from_slice(&piece[copied..]);
        sealed.into()
    }

    /// Consumes one byte, and returns the MAC to insert before it if it ends an identifier.
    fn step(&mut self, byte: u8) -> Option<[u8; TAG]> {
        let line = core::mem::replace(&mut self.line, Line::Other);
        if is_end(byte) {
            self.line = Line::Field(0);
            return match line {
                Line::Id(mac) => Some(tag(mac)),
                _ => None,
            };
        }
        self.line = match line {
            Line::Bom(at) if BOM.get(at) == Some(&byte) => match at {
                2 => Line::Field(0),
                _ => Line::Bom(at + 1),
            },
            Line::Bom(0) | Line::Field(0) if byte == b'i' => Line::Field(1),
            Line::Field(at) if at > 0 && FIELD.get(at) == Some(&byte) => match at {
                2 => Line::Space,
                _ => Line::Field(at + 1),
            },
            Line::Space if byte == b' ' => Line::Value,
            Line::Space | Line::Value => self.id(self.mac.clone(), byte),
            Line::Id(mac) => self.id(Some(mac), byte),
            _ => Line::Other,
        };
        None
    }

    fn id(&self, mac: Option<Hmac<Sha256>>, byte: u8) -> Line {
        mac.map_or(Line::Other, |mac| Line::Id(mac.chain_update([byte])))
    }
}

impl core::fmt::Debug for EventIds {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("EventIds")
    }
}

const fn is_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// Length that sealing adds to a handle, in bytes: a dot, and 144 bits in base64url.
pub(crate) const TAG: usize = 25;

/// Returns the dot and the MAC that follow an identifier.
#[expect(clippy::expect_used, reason = "the lengths are constants")]
pub(crate) fn tag(mac: Hmac<Sha256>) -> [u8; TAG] {
    let mut tag = [b'.'; TAG];
    let bytes = mac.finalize().into_bytes();
    let written = URL_SAFE_NO_PAD.encode_slice(bytes.split_at(18).0, tag.split_at_mut(1).1);
    written.expect("18 bytes are 24 characters in base64url");
    tag
}
