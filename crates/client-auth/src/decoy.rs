//! Decoy public keys for signatures of clients that have no fitting key.
//!
//! With them an unknown client costs the same work. The result of such a verification is ignored, because the private
//! halves may be public.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth_types::{SecretDigest, SigningAlgorithm};

use crate::keys::{Material, RSA_BYTES};

struct Decoys {
    es256: Material,
    es384: Material,
    eddsa: Material,
    rsa: [Material; 3],
}

/// Generators of the curves, and moduli of unknown factors.
///
/// They are built once, because building them takes time too.
static DECOYS: LazyLock<Decoys> = LazyLock::new(|| Decoys {
    es256: Material::Ec {
        x: "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY".into(),
        y: "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU".into(),
    },
    es384: Material::Ec {
        x: "qofKIr6LBTeOscceyCOtdG4dO2KLp5uYWfdB4IJUKjhVAvJdv1UpbDpUXjhydgq3".into(),
        y: "NhfeSpYmLG9dnpi_kpLcKfj0Hb0omhR86doxE7XwuMAKYLHOHX6BnXpDHXyQ6g5f".into(),
    },
    eddsa: Material::Ed { x: "WGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY".into() },
    rsa: RSA_BYTES.map(|size| Material::Rsa { n: URL_SAFE_NO_PAD.encode(modulus(size)).into() }),
});

/// Returns concatenated digests with the highest and the lowest bit set.
///
/// A modulus with a regular pattern could make division faster.
fn modulus(size: usize) -> Vec<u8> {
    let block = |number: usize| *SecretDigest::of(&number.to_string()).as_bytes();
    let mut bytes: Vec<u8> = (0..size / 32).flat_map(block).collect();
    if let [first, .., last] = &mut *bytes {
        *first |= 0x80;
        *last |= 1;
    }
    bytes
}

/// Returns the key to verify a signature of this algorithm and size (in bytes) with.
pub(crate) fn decoy(algorithm: &SigningAlgorithm, size: usize) -> Option<&'static Material> {
    match algorithm {
        SigningAlgorithm::Es256 => Some(&DECOYS.es256),
        SigningAlgorithm::Es384 => Some(&DECOYS.es384),
        SigningAlgorithm::EdDsa => Some(&DECOYS.eddsa),
        _ => DECOYS.rsa.iter().find(|key| key.signature_bytes() == size),
    }
}
