//! Standing of what is asked about: a token or a URL that was good keeps its turns whoever asks about new ones.

/// Standing of a token or of a document's URL. Each has a lane of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// The last answer was good.
    Good,
    /// There was no answer yet, or none that was good.
    New,
}
