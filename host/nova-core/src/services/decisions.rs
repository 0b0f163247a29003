//! Recorded decisions: what was decided, by whom, on which problem.

use std::sync::Arc;

use serde_json::json;

use crate::domain::{DecisionId, Domain};
use crate::error::{Error, Result};
use crate::ports::{
    DecisionFilter, DecisionJournal, DecisionSummary, JournalUsage, Page, PageRequest,
};
use crate::strategy::decision::Decision;

/// Looks at recorded decisions.
pub struct DecisionService {
    /// None: the journal is switched off.
    journal: Option<Arc<dyn DecisionJournal>>,
}

impl DecisionService {
    pub(super) fn new(journal: Option<Arc<dyn DecisionJournal>>) -> Self {
        Self { journal }
    }

    /// A domain's decisions, newest first.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the journal is switched off.
    pub async fn list(
        &self,
        domain: &Domain,
        filter: DecisionFilter,
        page: PageRequest,
    ) -> Result<Page<DecisionSummary>> {
        self.journal()?.list(domain, filter, page).await
    }

    /// One decision with its problem and its answer.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`] when the domain has no such decision, or no longer;
    /// [`Error::Conflict`] when the journal is switched off.
    pub async fn get(&self, domain: &Domain, id: DecisionId) -> Result<Decision> {
        let found = self.journal()?.get(domain, id).await?;
        found.ok_or_else(|| Error::not_found("decision", id))
    }

    /// How much is recorded.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the journal is switched off.
    pub async fn usage(&self) -> Result<JournalUsage> {
        self.journal()?.usage().await
    }

    pub(super) fn journal(&self) -> Result<&Arc<dyn DecisionJournal>> {
        self.journal.as_ref().ok_or_else(|| {
            Error::conflict(
                "decisions are not recorded: journal.enabled is false in the daemon's configuration",
                json!({"setting": "journal.enabled"}),
            )
        })
    }
}
