//! A language model that draws statements from episodes: what consolidation may ask beside its own rules.

use async_trait::async_trait;

use crate::domain::Timestamp;

/// An episode as the model reads it.
#[derive(Clone, PartialEq, Debug)]
pub struct SummaryEpisode {
    /// By what statements cite it.
    pub name: String,
    /// When it happened.
    pub at: Timestamp,
    /// What it says.
    pub text: String,
}

/// A statement as the model answered it: nothing of it is checked yet.
#[derive(Clone, PartialEq, Debug)]
pub struct SummaryDraft {
    /// What it says.
    pub text: String,
    /// The names of the episodes that it cites.
    pub sources: Vec<String>,
}

/// Why there is no summary.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum SummaryError {
    /// The service did not answer, or not in time, also when asked again.
    #[error("the summarizer did not answer: {0}")]
    Unavailable(String),
    /// It answered what is no summary.
    #[error("the summarizer's answer is no summary: {0}")]
    Invalid(String),
}

/// Draws statements from episodes.
#[async_trait]
pub trait Summarizer: Send + Sync + 'static {
    /// Names the model.
    fn model(&self) -> &str;
    /// At most `statements_max` statements of at most `chars_max` characters each.
    ///
    /// # Errors
    /// See [`SummaryError`].
    async fn summarize(
        &self,
        episodes: &[SummaryEpisode],
        statements_max: usize,
        chars_max: usize,
    ) -> Result<Vec<SummaryDraft>, SummaryError>;
}
