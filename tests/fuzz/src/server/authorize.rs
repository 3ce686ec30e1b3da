//! The authorization endpoint, its page and the codes that come of it.

use super::*;

impl Server {
    pub(super) fn authorize(&mut self, ask: &Ask) {
        let number = usize::from(ask.client) % CLIENTS.len();
        let asked = ask.scope.map(|scope| ScopeSet::parse(choose(&SCOPES, scope)).unwrap());
        let request = Request::post("/authorize").body(form_of(ask).finish().into()).unwrap();
        let outcome = check(&self.store, &request, self.at);
        let needs = match outcome {
            Ok(needs) => needs,
            Err(answer) => return look_at(&answer, Some(number)),
        };
        let exceeds = |asked| needs.scopes().exceeds(asked);
        assert!(!asked.as_ref().is_some_and(exceeds), "I5: more than was asked for");
        let (uri, scopes, to) = facts(&needs);
        let lookup = needs.with_user(user());
        let remembered = match lookup.key() {
            Some(key) => now(self.store.read_consent(key)).unwrap(),
            None => None,
        };
        match lookup.with_consent(remembered, self.at) {
            Ok(Asking::Ask(needs)) => self.pages.push((number, ask.verifier, needs)),
            Ok(Asking::Agreed(agreed)) => {
                let covers = |own: &Agreement| {
                    (own.client, &own.redirect_uri, &own.resource) == (number, &uri, &to)
                        && !scopes.exceeds(&own.scopes)
                        && self.at < own.until
                };
                assert!(self.agreements.iter().any(covers), "I5: nobody agreed to this");
                let code = self.entropy();
                let approved = agreed.approve(code, self.at);
                self.give((number, ask.verifier), approved, (uri, scopes, to), None);
            }
            Err(error) => look_at(&error.into_response(), Some(number)),
        }
    }

    pub(super) fn answer(&mut self, page: u8, allows: bool, fault: Option<Fault>) {
        let Some(page) = usize::from(page).checked_rem(self.pages.len()) else { return };
        let (client, verifier, needs) = self.pages.swap_remove(page);
        if !allows {
            return look_at(&needs.deny(), Some(client));
        }
        let (uri, scopes, resource) = facts(&needs);
        let code = self.entropy();
        let approved = needs.approve(user(), code, self.at);
        if let Some(consent) = approved.consent() {
            now(self.store.put_consent(consent.clone())).unwrap();
            self.agreements.push(Agreement {
                client,
                redirect_uri: uri.clone(),
                scopes: scopes.clone(),
                resource: resource.clone(),
                until: self.at.saturating_add(REMEMBERED),
            });
        }
        self.give((client, verifier), approved, (uri, scopes, resource), fault);
    }

    /// Stores a code and sends it, to this client's own address.
    fn give(
        &mut self,
        (client, verifier): (usize, u8),
        approved: Approved<'_>,
        (redirect_uri, scopes, resource): (String, ScopeSet, ResourceUri),
        fault: Option<Fault>,
    ) {
        self.store.expect(fault.map(|fault| Fault { after: 0, ..fault }));
        let outcome = now(self.store.insert_code(approved.record().clone()));
        let is_stored = outcome.is_ok();
        let answer = approved.stored(outcome);
        let answer = answer.unwrap_or_else(RedirectError::into_response);
        look_at(&answer, Some(client));
        let code = parameter(&answer, "code");
        assert_eq!(code.is_some(), is_stored, "I4: a code that is not stored");
        if let Some(text) = code {
            self.codes.push(Code { text, client, redirect_uri, verifier, scopes, resource });
        }
    }
}

/// The form of a request, with what is wrong in it.
fn form_of(ask: &Ask) -> FormWriter {
    let client = &CLIENTS[usize::from(ask.client) % CLIENTS.len()];
    let other = ask.redirect_uri.unwrap_or_default();
    // That of another, its own with another port, and some that look like its own.
    let others = [
        CLIENTS[usize::from(other / 8) % CLIENTS.len()].redirect_uri.to_owned(),
        client.redirect_uri.replace("127.0.0.1", "127.0.0.1:5104"),
        client.redirect_uri.replace("127.0.0.1", "127.0.0.1@evil.example"),
        client.redirect_uri.replace(".example", ".example.evil.example"),
        format!("{}&iss=https://evil.example", client.redirect_uri),
        client.redirect_uri.replace("/cb", "/CB"),
        client.redirect_uri.replace("/cb", "/x/../cb"),
    ];
    let uri = match ask.redirect_uri {
        Some(other) => &others[usize::from(other) % others.len()],
        None => client.redirect_uri,
    };
    let has = |trouble| ask.trouble.as_ref() == Some(&trouble);
    let challenge = verifier(ask.verifier).challenge();
    let mut form = FormWriter::new();
    form.append("client_id", client.id).append("redirect_uri", uri);
    form.append("response_type", if has(Trouble::OtherResponse) { "token" } else { "code" });
    form.append("code_challenge", challenge.as_str());
    let method = if has(Trouble::PlainChallenge) { "plain" } else { "S256" };
    form.append("code_challenge_method", method).append("state", "st/ate&");
    if has(Trouble::TwoStates) {
        form.append("state", "twice");
    }
    if has(Trouble::NobodyToAsk) {
        form.append("prompt", "none");
    }
    if !has(Trouble::NoResource) {
        form.append("resource", choose(&RESOURCES, ask.resource));
    }
    if let Some(scope) = ask.scope {
        form.append("scope", choose(&SCOPES, scope));
    }
    form
}

fn facts(needs: &NeedsConsent<'_>) -> (String, ScopeSet, ResourceUri) {
    let uri = needs.redirect_uri().as_str().to_owned();
    (uri, needs.scopes().clone(), needs.resource().clone())
}
