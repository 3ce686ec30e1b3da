//! Rules that hold in every schedule.
//!
//! | rule | checked |
//! |---|---|
//! | no process sends a refresh token again after its answer | at each token request |
//! | no process sends a refresh token whose replacement the store has kept | at each token request |
//! | within any period, requests open no more windows for a server than the budget allows | at each window |
//! | a process shows one window at a time | at each window |
//! | a renewal that the user has ended opens no window, redeems no code and sends no token | at each of them |
//! | a window closes unanswered only if the user ended its login or another process brought tokens | when it closes |
//! | after a logout, no request carries a token that the process knew before | at each request |
//! | `LoginEnded` is returned only after the user ended a renewal | at the end of each call |
//! | every call ends; every returned code is redeemed, unless its login was ended | when all is quiet |
//! | the tokens issued last are in memory or in the store | when all is quiet |

use core::time::Duration;

use tokio::time::Instant;

use super::world::{Born, Code, Grant, Issued, State};

impl State {
    /// Records a violation.
    ///
    /// It does not panic, because the client catches panics of the host's code.
    pub(super) fn violated(&mut self, rule: &str) {
        self.log.push(format!("      VIOLATED: {rule}"));
        self.violated.get_or_insert_with(|| rule.to_owned());
    }

    pub(super) fn note(&mut self, process: usize, what: &str) -> u64 {
        self.event += 1;
        let task = tokio::task::try_id();
        if let Some(task) = task {
            self.tasks.entry(task).or_insert(Born(self.event));
        }
        let at = crate::clock::now().as_secs();
        let task = task.map(|task| task.to_string()).unwrap_or_default();
        self.log.push(format!("{:5} {at} process {process} task {task}: {what}", self.event));
        self.event
    }

    /// Returns `true` if the user has ended the work of this task.
    fn is_over(&self, process: usize, needs_user: bool) -> bool {
        let Some(Born(born)) = tokio::task::try_id().and_then(|id| self.tasks.get(&id)) else {
            return false;
        };
        let own = &self.processes[process];
        let is_after = |endings: &[u64]| endings.last().is_some_and(|at| at > born);
        is_after(&own.logouts) || (needs_user && is_after(&own.cancellations))
    }

    pub(super) fn window_opens(&mut self, process: usize) -> u64 {
        let event = self.note(process, "a window opens");
        self.count.windows += 1;
        if self.is_over(process, true) {
            self.violated("a login that the user had ended opens a window");
        }
        let (now, limit) = (Instant::now(), self.settings.limit);
        if self.processes[process].is_open {
            self.violated("two windows are open at once");
        }
        let own = &mut self.processes[process];
        own.is_open = true;
        own.windows.push(now);
        let is_within = |at: Instant| now.duration_since(at) < limit.period();
        let opened = own.windows.iter().filter(|at| is_within(**at)).count();
        let by_user = |(_, end): &&(Instant, Option<Instant>)| end.is_none_or(is_within);
        let asked = own.logins.iter().filter(by_user).count();
        if opened > usize::from(limit.windows()) + asked {
            self.violated("more windows than the budget allows");
        }
        event
    }

    /// Checks that a window may be closed before its user has answered.
    pub(super) fn window_torn_down(&mut self, process: usize) {
        self.note(process, "its window is given up");
        self.processes[process].is_open = false;
        let is_brought = self.saved.iter().enumerate().any(|(by, at)| by != process && *at > 0);
        if self.is_over(process, true) {
            self.count.ended += 1;
        } else if is_brought {
            self.count.from_another_process += 1;
        } else {
            self.violated("a window has no owner any more");
        }
    }

    pub(super) fn window_answered(&mut self, process: usize, how: &str) {
        self.note(process, how);
        self.processes[process].is_open = false;
    }

    pub(super) fn saved(&mut self, process: usize, number: Option<usize>) {
        let event = self.note(process, &format!("saves tokens {number:?}"));
        if number.is_some() {
            self.saved[process] = event;
        }
    }

    pub(super) fn save_failed(&mut self, process: usize, number: Option<usize>) {
        self.note(process, &format!("cannot save tokens {number:?}"));
        self.count.failed_saves += 1;
        if let Some(number) = number {
            let grant = self.issued[number].grant;
            self.grants[grant].is_excused = true;
        }
    }

    /// Records a logout in a process that knows these tokens and those issued to it.
    pub(super) fn log_out(&mut self, process: usize, known: &[usize]) {
        let event = self.note(process, &format!("the user logs out of {known:?}"));
        for grant in &mut self.grants {
            grant.is_excused = true;
        }
        let given = self.issued.iter().enumerate();
        let given: Vec<usize> =
            given.filter(|(_, own)| own.by == process).map(|(number, _)| number).collect();
        let own = &mut self.processes[process];
        own.logouts.push(event);
        own.forbidden.extend(known);
        own.forbidden.extend(given);
    }

    pub(super) fn cancel(&mut self, process: usize) {
        let event = self.note(process, "the user cancels the login");
        self.processes[process].cancellations.push(event);
    }

    pub(super) fn login_begins(&mut self, process: usize) -> usize {
        self.note(process, "the user asks for a login");
        let own = &mut self.processes[process];
        own.logins.push((Instant::now(), None));
        own.logins.len() - 1
    }

    pub(super) fn login_ends(&mut self, process: usize, login: usize) {
        self.processes[process].logins[login].1 = Some(Instant::now());
    }

    /// Checks a `LoginEnded` of a call that began at this event.
    pub(super) fn heard_of_the_end(&mut self, process: usize, since: u64) {
        let own = &self.processes[process];
        if !own.logouts.iter().chain(&own.cancellations).any(|at| *at > since) {
            self.violated("a login ended for no reason");
        }
    }

    /// Checks the token that a request to the MCP server carries.
    pub(super) fn carried(&mut self, process: usize, number: usize) {
        if self.processes[process].forbidden.contains(&number) {
            self.violated("a request carries a token that the user has logged out of");
        }
    }

    /// Issues tokens of a grant to a process.
    pub(super) fn issue(&mut self, process: usize, grant: usize, scope: &str) -> usize {
        let until = Instant::now() + Duration::from_secs(self.settings.lifetime);
        let number = self.issued.len();
        let scope = scope.to_owned();
        self.issued.push(Issued { grant, scope, until, arrived: 0, by: process });
        self.grants[grant].current = number;
        number
    }

    /// Records the response to a token request, with tokens or a refusal.
    pub(super) fn arrived(&mut self, process: usize, sent: Option<usize>, given: Option<usize>) {
        let event = self.note(process, &format!("sent {sent:?}, was given {given:?}"));
        // A refused token may be used once more by way of a store that failed to remove it.
        if given.is_some() || !self.settings.saves_fail {
            self.processes[process].spent.extend(sent);
        }
        if let Some(number) = given {
            self.issued[number].arrived = event;
        }
    }

    /// Checks that this refresh token may be sent.
    fn may_send(&mut self, process: usize, sent: usize) {
        self.count.refreshes += 1;
        if self.is_over(process, false) {
            self.violated("a refresh token is sent for a user who has logged out");
        }
        if self.processes[process].spent.contains(&sent) {
            self.violated("a refresh token is sent again after its answer");
        }
        if self.processes[process].forbidden.contains(&sent) {
            self.violated("a refresh carries a token that the user has logged out of");
        }
    }

    /// Records a refresh that the server fails to process.
    pub(super) fn refresh_fails(&mut self, process: usize, sent: usize) {
        self.note(process, &format!("refreshes by {sent} in vain"));
        self.may_send(process, sent);
    }

    /// Returns the number of the new tokens; `None` if the server refuses the refresh.
    pub(super) fn refresh(&mut self, process: usize, sent: usize) -> Option<usize> {
        self.note(process, &format!("refreshes by {sent}"));
        self.may_send(process, sent);
        let Issued { grant, scope, .. } = self.issued[sent].clone();
        let held = &mut self.grants[grant];
        if held.has_ended {
            return None;
        }
        if held.current != sent {
            held.has_ended = true;
            if !held.is_excused {
                self.violated("a spent refresh token is sent, and what replaced it was saved");
            }
            return None;
        }
        Some(self.issue(process, grant, &scope))
    }

    /// Checks that a code may be sent.
    pub(super) fn sends_code(&mut self, process: usize, code: usize) {
        self.note(process, &format!("sends code {code}"));
        if self.is_over(process, true) {
            self.violated("a code is redeemed for a login that the user has ended");
        }
        if self.codes[code].is_sent || self.codes[code].process != process {
            self.violated("a code is sent twice, or by another process");
        }
        self.codes[code].is_sent = true;
    }

    /// Issues the tokens of a code.
    pub(super) fn redeem(&mut self, process: usize, code: usize) -> usize {
        let scope = self.codes[code].scope.clone();
        let current = self.issued.len();
        self.grants.push(Grant { current, has_ended: false, is_excused: false });
        self.issue(process, self.grants.len() - 1, &scope)
    }

    /// Checks the rules for a pause; `held` are the tokens in memory and in the store.
    pub(super) fn quiet(&mut self, held: &[usize]) {
        self.note(0, &format!("all is quiet, held is {held:?}"));
        self.count.quiet += 1;
        let is_left = |code: &Code| {
            let own = &self.processes[code.process];
            let mut endings = own.logouts.iter().chain(&own.cancellations);
            !code.is_sent && !endings.any(|at| *at > code.since)
        };
        if self.codes.iter().any(is_left) {
            self.violated("a user came back, and the code is not redeemed");
        }
        let last = self.issued.iter().enumerate().filter(|(_, own)| own.arrived > 0);
        let Some((number, last)) = last.max_by_key(|(_, own)| own.arrived) else { return };
        let grant = &self.grants[last.grant];
        let is_owed = !grant.is_excused && !grant.has_ended && grant.current == number;
        if is_owed && !held.contains(&number) {
            self.violated("a grant is lost that the server gave");
        }
    }
}
