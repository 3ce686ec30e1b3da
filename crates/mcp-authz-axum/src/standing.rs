//! Standing of a token or URL: those whose last answer was good have turns of their own, apart from new ones.

/// Standing of a token or of a document's URL, each of which has its own lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// The last answer was good.
    Good,
    /// There was no good answer yet.
    New,
}
