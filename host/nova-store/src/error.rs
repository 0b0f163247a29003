//! The errors of this crate, and how they look from the domain.
//!
//! A text never repeats its source: print the chain (`{:#}` of `anyhow`) for one full line.

use std::path::PathBuf;

use nova_core::Error;
use rusqlite::ErrorCode;

/// What went wrong below the domain.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A setting is out of its range.
    #[error("datastore setting {name} must be {accepted}, got {got}")]
    Setting {
        /// Which one.
        name: &'static str,
        /// What it may be.
        accepted: &'static str,
        /// What it was.
        got: usize,
    },
    /// The file cannot be made, opened or written.
    #[error("cannot open the datastore '{}' for writing", path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// What the system or the driver says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file belongs to somebody else.
    #[error("'{}' is not a Nova datastore: {what}", path.display())]
    Foreign {
        /// The database file.
        path: PathBuf,
        /// How that shows.
        what: &'static str,
    },
    /// A newer Nova has written the file.
    #[error(
        "the datastore '{}' has schema {found}, this binary knows up to {known}: run a newer nova",
        path.display()
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema of this binary.
        known: i64,
    },
    /// An older Nova has written the file, and whoever opens it now is not to change it.
    #[error(
        "the datastore '{}' has schema {found}, this binary has {known}: start the daemon with it first",
        path.display()
    )]
    Older {
        /// The database file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The schema of this binary.
        known: i64,
    },
    /// The driver failed.
    #[error("the database failed")]
    Sqlite(#[from] rusqlite::Error),
    /// A record that must be there is not.
    #[error("there is no {what} '{id}' to change")]
    Missing {
        /// The kind of record.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// A number does not fit into a column.
    #[error("{0} is past the largest number that the datastore keeps")]
    TooLarge(u64),
    /// A value cannot be written as JSON.
    #[error("a value cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// A job panicked; it was undone.
    #[error("a datastore job panicked: {0}")]
    Panic(String),
    /// The jobs of a batch were undone because one of them, or the commit, broke it.
    #[error("the commit failed and was undone")]
    Commit(#[source] std::sync::Arc<StoreError>),
    /// The database undid the transaction by itself.
    #[error("the database rolled back the transaction")]
    RolledBack,
    /// A thread could not be started, or ended early.
    #[error("the datastore's {0} does not run")]
    Thread(&'static str),
}

impl StoreError {
    /// Whether another process has locked the file.
    pub(crate) fn is_busy(&self) -> bool {
        let Self::Sqlite(error) = self else {
            return false;
        };
        matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        )
    }

    /// What a client may be told about a condition that passes, and when to come back
    /// (seconds); none = not such a condition.
    fn passing(&self) -> Option<(&'static str, u64)> {
        match self {
            Self::Commit(cause) => cause.passing(),
            Self::RolledBack => Some(("the datastore undid the write", 1)),
            Self::Sqlite(error) => match error.sqlite_error_code()? {
                ErrorCode::DiskFull => Some(("the datastore's disk is full", 10)),
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                    Some(("the datastore is locked by another process", 1))
                }
                _ => None,
            },
            _ => None,
        }
    }
}

impl From<StoreError> for Error {
    /// What passes is [`Error::Unavailable`], all else [`Error::Service`].
    fn from(error: StoreError) -> Self {
        match error.passing() {
            Some((message, retry_after_s)) => Self::Unavailable {
                message: message.to_owned(),
                retry_after_s,
                source: Some(Box::new(error)),
            },
            None => Self::service(error),
        }
    }
}

/// The domain's view of a driver error.
pub(crate) fn sql(error: rusqlite::Error) -> Error {
    StoreError::from(error).into()
}
