//! Codes, families and access tokens of the in-memory store.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use oauth_types::{
    AccessTokenInfo, ClientId, Issuer, ScopeSet, SecretDigest, Subject, Thumbprint, UnixTime,
};

use super::expiries::Expiries;
use crate::store::{
    AccessRecord, CodeRecord, FamilyId, FamilyRecord, NewAccess, NewFamily, RedeemOutcome,
    RotateOutcome, Rotation,
};

/// Codes, families and access tokens, each with the order in which they end.
#[derive(Debug, Default)]
pub(super) struct Grants {
    // Boxed, so that the free room of a map costs a pointer and not a record.
    codes: HashMap<SecretDigest, Box<CodeRecord>>,
    families: HashMap<FamilyId, Box<Family>>,
    access: HashMap<SecretDigest, Access>,
    code_ends: Expiries<SecretDigest>,
    family_ends: Expiries<FamilyId>,
    access_ends: Expiries<SecretDigest>,
}

#[derive(Debug)]
struct Family {
    record: FamilyRecord,
    /// Code that the family came from; it is kept as long, because it detects a second use.
    code: Option<SecretDigest>,
    /// End of the family or of its last access token, whichever is later.
    needed_until: UnixTime,
}

/// Access token, without what its family says about it.
#[derive(Debug)]
struct Access {
    family: FamilyId,
    /// Scopes of the token; `None` if they are those of the family.
    scopes: Option<ScopeSet>,
    expires_at: UnixTime,
    jkt: Option<Thumbprint>,
    /// Facts about the token, made once and shared by all later requests.
    facts: OnceLock<Arc<AccessTokenInfo>>,
}

impl Access {
    fn record(&self, family: &FamilyRecord) -> AccessRecord {
        AccessRecord {
            family: self.family,
            client_id: family.client_id.clone(),
            subject: family.subject.clone(),
            resource: family.resource.clone(),
            scopes: self.scopes.as_ref().unwrap_or(&family.scopes).clone(),
            expires_at: self.expires_at,
            jkt: self.jkt,
        }
    }
}

impl Grants {
    pub(super) fn insert_code(&mut self, code: CodeRecord) {
        self.code_ends.insert(code.expires_at, code.digest);
        self.codes.entry(code.digest).or_insert_with(|| Box::new(code));
    }

    pub(super) fn code(&self, digest: &SecretDigest) -> Option<&CodeRecord> {
        self.codes.get(digest).map(|code| &**code)
    }

    pub(super) fn family(&self, id: &FamilyId) -> Option<&FamilyRecord> {
        self.families.get(id).map(|family| &family.record)
    }

    /// Redeems a code, which the family then comes from.
    pub(super) fn redeem(
        &mut self,
        digest: &SecretDigest,
        family: NewFamily,
        now: UnixTime,
        keep_client: impl FnOnce(&NewFamily),
    ) -> RedeemOutcome {
        // A-TOKEN-1, A-TOKEN-2
        let Some(code) = self.codes.get_mut(digest) else {
            return RedeemOutcome::Missing;
        };
        if let Some(redeemed) = code.redeemed {
            self.revoke(&redeemed);
            return RedeemOutcome::AlreadyUsed(redeemed);
        }
        if now >= code.expires_at {
            return RedeemOutcome::Expired;
        }
        code.redeemed = Some(family.id);
        keep_client(&family);
        self.insert(family, Some(*digest), now);
        RedeemOutcome::Redeemed
    }

    /// Stores a family with its first access token.
    pub(super) fn insert(&mut self, family: NewFamily, code: Option<SecretDigest>, now: UnixTime) {
        let (id, needed_until) = (family.id, family.needed_until());
        let (record, access) = FamilyRecord::split(family, now);
        self.family_ends.insert(needed_until, id);
        self.families.insert(id, Box::new(Family { record, code, needed_until }));
        self.insert_access(id, access);
    }

    /// Stores an access token of a family, which is needed as long.
    fn insert_access(&mut self, id: FamilyId, access: NewAccess) {
        let Some(family) = self.families.get_mut(&id) else { return };
        family.needed_until = family.needed_until.max(access.expires_at);
        self.access_ends.insert(access.expires_at, access.digest);
        let scopes = Some(access.scopes).filter(|scopes| *scopes != family.record.scopes);
        let (expires_at, jkt, facts) = (access.expires_at, access.jkt, OnceLock::new());
        self.access.insert(access.digest, Access { family: id, scopes, expires_at, jkt, facts });
    }

    /// Advances a family by one generation.
    pub(super) fn rotate(&mut self, rotation: Rotation, now: UnixTime) -> RotateOutcome {
        // A-TOKEN-4
        let Some(family) = self.families.get_mut(&rotation.family) else {
            return RotateOutcome::Missing;
        };
        let family = &mut family.record;
        if family.revoked {
            return RotateOutcome::Revoked;
        }
        if now >= family.expires_at || now >= family.idle_until {
            return RotateOutcome::Expired;
        }
        let outcome = if rotation.presented == family.generation {
            family.generation = family.generation.next();
            family.rotated_at = now;
            family.idle_until = rotation.idle_until;
            RotateOutcome::Rotated
        } else if rotation.presented.next() == family.generation
            && now.saturating_duration_since(family.rotated_at) < rotation.grace
        {
            RotateOutcome::GraceReplay
        } else {
            family.revoked = true;
            return RotateOutcome::Reused;
        };
        self.insert_access(rotation.family, rotation.access);
        outcome
    }

    pub(super) fn revoke(&mut self, id: &FamilyId) {
        if let Some(family) = self.families.get_mut(id) {
            family.record.revoked = true;
        }
    }

    /// Ends the grants of these clients and subjects: codes, and families with all their tokens.
    pub(super) fn end(&mut self, is_meant: impl Fn(&ClientId, &Subject) -> bool) {
        self.codes.retain(|_, code| !is_meant(&code.client_id, &code.subject));
        for family in self.families.values_mut() {
            let record = &mut family.record;
            record.revoked |= is_meant(&record.client_id, &record.subject);
        }
    }

    /// Returns an access token that has not expired, and its family, which is not revoked.
    fn live(&self, digest: &SecretDigest, now: UnixTime) -> Option<(&Access, &FamilyRecord)> {
        let access = self.access.get(digest).filter(|access| now < access.expires_at)?;
        let family = self.family(&access.family).filter(|family| !family.revoked)?;
        Some((access, family))
    }

    pub(super) fn access(&self, digest: &SecretDigest, now: UnixTime) -> Option<AccessRecord> {
        self.live(digest, now).map(|(access, family)| access.record(family))
    }

    pub(super) fn facts(
        &self,
        digest: &SecretDigest,
        issuer: &Issuer,
        now: UnixTime,
    ) -> Option<Arc<AccessTokenInfo>> {
        let (access, family) = self.live(digest, now)?;
        let make = || Arc::new(access.record(family).into_facts(issuer.clone()));
        let facts = access.facts.get_or_init(make);
        Some(if facts.issuer == *issuer { Arc::clone(facts) } else { make() })
    }

    /// Removes at most `left` access tokens, families and codes that nothing needs, and counts them down.
    pub(super) fn sweep(&mut self, now: UnixTime, left: &mut usize) {
        while *left > 0
            && let Some(digest) = self.access_ends.pop(now)
        {
            if self.access.get(&digest).is_some_and(|access| access.expires_at <= now) {
                self.access.remove(&digest);
                *left -= 1;
            }
        }
        // A family stays until its expiry, because its generations detect reuse, and as long as an access token refers
        // to it.
        while *left > 0
            && let Some(id) = self.family_ends.pop(now)
        {
            let Some(family) = self.families.get(&id) else { continue };
            if now < family.needed_until {
                self.family_ends.insert(family.needed_until, id);
                continue;
            }
            if let Some(code) = family.code.and_then(|digest| self.codes.get(&digest)) {
                self.code_ends.insert(code.expires_at, code.digest);
            }
            self.families.remove(&id);
            *left -= 1;
        }
        while *left > 0
            && let Some(digest) = self.code_ends.pop(now)
        {
            let Some(code) = self.codes.get(&digest) else { continue };
            // The family puts its code back into the order when it is removed itself.
            if code.redeemed.is_none_or(|family| !self.families.contains_key(&family)) {
                self.codes.remove(&digest);
                *left -= 1;
            }
        }
    }
}
