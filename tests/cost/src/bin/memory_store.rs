//! Cost of the in-memory store as it fills: memory of a grant, a look-up, a refresh, and a sweep for what it removes.
//!
//! `cargo run --release -p cost --bin memory_store` fills stores with a thousand to a million grants, each with a redeemed
//! code, a family and an access token. Further numbers can be given: `-- 10000000` needs 10 GiB. The last column shows
//! that a sweep costs what it removes and not what it leaves.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark, whose inputs are ours"
)]

use core::hint::black_box;
use core::time::Duration;
use std::time::Instant;

use allocation_counter::measure;
use authorization_server::store::rows::CodeIndex;
use authorization_server::store::{
    CodeRecord, FamilyId, Generation, NewAccess, NewFamily, RotateOutcome, Rotation,
};
use authorization_server::{MemoryStore, Store as _};
use oauth_types::{
    ClientId, CodeVerifier, Issuer, RedirectUri, ResourceUri, ScopeSet, SecretDigest, Subject,
    UnixTime,
};
use tests::world::now_or_never;

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
const LOOKUPS: u64 = 200_000;
const REFRESHES: u64 = 500;
const REMOVED: usize = 1000;

fn main() {
    let mut sizes = vec![1_000, 10_000, 100_000, 1_000_000];
    sizes.extend(std::env::args().filter_map(|number| number.parse::<u64>().ok()));
    println!("| grants | bytes a grant | look-up | refresh | sweep, a removed row |");
    println!("|---|---|---|---|---|");
    for grants in sizes {
        let store = MemoryStore::default();
        let filled = measure(|| {
            for number in 0..grants {
                grant(&store, number);
            }
        });
        let bytes = u64::try_from(filled.bytes_current).unwrap() / grants;
        let issuer = Issuer::parse("https://as.example").unwrap();
        let lookup = time(LOOKUPS, |step| {
            // Far apart, as the tokens of different users are.
            let digest = access_digest(step.wrapping_mul(0x9e37_79b9_7f4a_7c15) % grants, 0);
            black_box(now_or_never(store.access(&digest, NOW)).unwrap().unwrap());
        });
        let hashing = time(LOOKUPS, |step| {
            black_box(access_digest(step.wrapping_mul(0x9e37_79b9_7f4a_7c15) % grants, 0));
        });
        black_box(&issuer);
        let refresh = time(REFRESHES, |number| {
            let access = access(number, 1);
            let until = at(500_000);
            let (grace, first) = (Duration::from_secs(60), Generation::new(0));
            let rotation = Rotation::new(family_id(number), first, access, until, grace);
            let outcome = now_or_never(store.rotate(rotation, NOW)).unwrap();
            assert_eq!(outcome, RotateOutcome::Rotated);
        });
        let sweep = time(1, |_| {
            // A thousandth of the first tokens has expired by then, at least the number that is asked for.
            assert!(now_or_never(store.sweep(at(600), REMOVED)).unwrap() > 0);
        });
        println!(
            "| {grants} | {bytes} | {:?} | {refresh:?} | {:?} |",
            lookup.saturating_sub(hashing),
            sweep / u32::try_from(REMOVED).unwrap(),
        );
    }
}

/// Returns the time of one step.
fn time(steps: u64, mut step: impl FnMut(u64)) -> Duration {
    let start = Instant::now();
    (0..steps).for_each(&mut step);
    start.elapsed() / u32::try_from(steps).unwrap()
}

fn at(seconds: u64) -> UnixTime {
    NOW.saturating_add(Duration::from_secs(seconds))
}

fn family_id(number: u64) -> FamilyId {
    FamilyId::from_bytes(u128::from(number).to_be_bytes())
}

fn access_digest(number: u64, generation: u64) -> SecretDigest {
    SecretDigest::of(&format!("access-{number}-{generation}"))
}

/// Returns a token; of the first ones a thousand expires after ten minutes, the others later.
fn access(number: u64, generation: u64) -> NewAccess {
    let scopes = ScopeSet::parse("files:read files:write").unwrap();
    let seconds = if number < 1000 && generation == 0 { 600 } else { 3600 };
    NewAccess::new(access_digest(number, generation), scopes, at(seconds))
}

/// Stores a code and redeems it, as a login does.
fn grant(store: &MemoryStore, number: u64) {
    let client_id = ClientId::parse("s6BhdRkqt3-7Fjfp0ZBr1KtDRbnfVdmIw").unwrap();
    let subject = Subject::try_from(format!("user-{number}")).unwrap();
    let resource = ResourceUri::parse("https://mcp.example.com/mcp").unwrap();
    let scopes = ScopeSet::parse("files:read files:write").unwrap();
    let index = CodeIndex {
        digest: SecretDigest::of(&format!("code-{number}")),
        client_id: client_id.clone(),
        subject: subject.clone(),
        expires_at: at(60),
        redeemed: None,
    };
    let digest = index.digest;
    let redirect_uri = RedirectUri::parse("http://127.0.0.1:51004/callback").unwrap();
    let challenge = CodeVerifier::parse(&"v".repeat(43)).unwrap().challenge();
    let code = CodeRecord::new(index, redirect_uri, challenge, resource.clone(), scopes);
    now_or_never(store.insert_code(code)).unwrap();
    let access = access(number, 0);
    let mut family = NewFamily::new(family_id(number), client_id, subject, resource, access);
    (family.expires_at, family.idle_until) = (at(1_000_000), at(500_000));
    now_or_never(store.redeem(&digest, family, NOW)).unwrap();
}
