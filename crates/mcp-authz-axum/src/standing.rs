//! Standing of a token or URL, which separates the turns of known ones from those of new ones.

/// Standing of a token or of a document's URL, each of which has its own lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// The last answer was good.
    Good,
    /// No good answer has arrived yet.
    New,
}
