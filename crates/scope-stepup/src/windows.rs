//! Budget of browser windows that one client opens for one server on its own.

use core::time::Duration;
use std::collections::VecDeque;

/// Number of browser windows that a client may open for one server within a period.
///
/// The default is three in ten minutes. The limit covers logins and step-ups that requests lead to. A login that the
/// user starts is counted and always permitted.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use scope_stepup::{Policy, WindowLimit};
///
/// let policy = Policy::default().with_window_limit(WindowLimit::new(1, Duration::from_secs(3600)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WindowLimit {
    windows: u8,
    period: Duration,
}

impl WindowLimit {
    /// Creates a limit of `windows` in each `period`; with 0 no request opens a window.
    #[must_use]
    pub const fn new(windows: u8, period: Duration) -> Self {
        Self { windows, period }
    }

    /// Returns the number of windows.
    #[must_use]
    pub const fn windows(self) -> u8 {
        self.windows
    }

    /// Returns the time after which a window is no longer counted.
    #[must_use]
    pub const fn period(self) -> Duration {
        self.period
    }
}

impl Default for WindowLimit {
    fn default() -> Self {
        Self::new(3, Duration::from_secs(600))
    }
}

/// Browser windows that were opened for one server; keep one beside each [`Ledger`](crate::Ledger).
///
/// Times are durations since any fixed moment of a monotonic clock.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use scope_stepup::{WindowLimit, Windows};
///
/// let (limit, mut windows) = (WindowLimit::new(1, Duration::from_secs(60)), Windows::default());
/// assert_eq!(windows.wait(limit, Duration::ZERO), None);
/// windows.opened(Duration::ZERO);
/// assert_eq!(windows.wait(limit, Duration::from_secs(20)), Some(Duration::from_secs(40)));
/// assert_eq!(windows.wait(limit, Duration::from_secs(60)), None);
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Windows {
    /// Times of opening, the oldest first.
    opened: VecDeque<Duration>,
}

impl Windows {
    /// Creates an empty record.
    #[must_use]
    pub const fn new() -> Self {
        Self { opened: VecDeque::new() }
    }

    /// Returns the time until the next window may open; `None` if it may open now.
    #[must_use]
    pub fn wait(&self, limit: WindowLimit, now: Duration) -> Option<Duration> {
        let Some(before) = limit.windows.checked_sub(1) else { return Some(limit.period) };
        // The window that has to leave the period before the next may open.
        let decisive = self.opened.iter().rev().nth(before.into())?;
        let end = decisive.saturating_add(limit.period);
        end.checked_sub(now).filter(|wait| !wait.is_zero())
    }

    /// Counts a window that opens now.
    pub fn opened(&mut self, now: Duration) {
        if self.opened.len() >= usize::from(u8::MAX) {
            self.opened.pop_front();
        }
        self.opened.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// SEC-244
    #[test]
    fn three_windows_open_in_ten_minutes_and_the_oldest_makes_room() {
        let (limit, mut windows) = (WindowLimit::default(), Windows::new());
        for at in [0, 100, 200] {
            assert_eq!(windows.wait(limit, seconds(at)), None);
            windows.opened(seconds(at));
        }
        assert_eq!(windows.wait(limit, seconds(200)), Some(seconds(400)));
        assert_eq!(windows.wait(limit, seconds(599)), Some(seconds(1)));
        assert_eq!(windows.wait(limit, seconds(600)), None);
        // A window that the user asked for is counted too.
        windows.opened(seconds(600));
        assert_eq!(windows.wait(limit, seconds(600)), Some(seconds(100)));
    }

    #[test]
    fn a_limit_of_zero_opens_none_and_the_list_is_bounded() {
        let (none, mut windows) = (WindowLimit::new(0, seconds(60)), Windows::new());
        assert_eq!(windows.wait(none, seconds(5)), Some(seconds(60)));
        for at in 0..1000 {
            windows.opened(seconds(at));
        }
        assert_eq!(windows.opened.len(), 255);
        assert_eq!(
            windows.wait(WindowLimit::new(255, seconds(900)), seconds(999)),
            Some(seconds(646))
        );
    }
}
