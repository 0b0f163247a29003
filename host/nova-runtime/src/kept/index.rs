//! What is known of the kept revisions of one plugin: their numbers, and the files that they consist of.

use std::sync::Arc;

use nova_core::domain::{Clock, SystemClock, Timestamp};
use nova_core::ports::runtime::RolledBack;
use serde::{Deserialize, Serialize};

use crate::component::digest;

/// What a revision was loaded from.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) bytes: Arc<Vec<u8>>,
    /// The text of its `plugin.toml`; none = a lone component.
    pub(crate) manifest: Option<String>,
    /// The text of the component's signature.
    pub(crate) signature: Option<String>,
}

/// A file's name and what is in it.
pub(super) type NewFile = (String, Arc<Vec<u8>>);

#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Index {
    next_revision: u64,
    /// Newest first.
    pub(super) revisions: Vec<Entry>,
    /// Why the newest do not serve, where they do not.
    #[serde(default)]
    pub(super) rolled_back: Option<RolledBack>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) revision: u64,
    pub(super) digest: String,
    pub(super) manifest: Option<String>,
    /// It was taken back: it serves no more, and the file that it came from is not loaded again.
    #[serde(default)]
    pub(super) withdrawn: bool,
    /// When it first served; none of old ones, and of what has not.
    #[serde(default)]
    pub(super) since: Option<Timestamp>,
    /// It waits to be tried out and has not served yet.
    #[serde(default)]
    pub(super) staged: Option<Stage>,
}

/// What is told of a staged revision.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Stage {
    pub(super) version: String,
    pub(super) at: Timestamp,
}

impl Entry {
    /// It has served, and may again.
    pub(super) fn is_good(&self) -> bool {
        !self.withdrawn && self.staged.is_none()
    }

    /// It comes from this component and manifest.
    pub(super) fn is_of(&self, digest: &str, manifest: Option<&String>) -> bool {
        self.digest == digest && self.manifest.as_ref() == manifest
    }

    pub(super) fn component(&self) -> String {
        let hex = self.digest.strip_prefix("sha256:").unwrap_or(&self.digest);
        format!("{hex}.wasm")
    }

    pub(super) fn signature(&self) -> String {
        format!("{}.sig", self.component())
    }

    /// What is to be written of it.
    fn files(&self, origin: Origin) -> Vec<NewFile> {
        let mut files = vec![(self.component(), Arc::clone(&origin.bytes))];
        files.extend(self.words(origin));
        files
    }

    /// What is to be written of it beside the component.
    pub(super) fn words(&self, origin: Origin) -> Vec<NewFile> {
        let manifest = self.manifest().zip(origin.manifest);
        let manifest = manifest.map(|(file, text)| (file, Arc::new(text.into_bytes())));
        self.signed(origin.signature)
            .into_iter()
            .chain(manifest)
            .collect()
    }

    pub(super) fn signed(&self, signature: Option<String>) -> Option<NewFile> {
        Some((self.signature(), Arc::new(signature?.into_bytes())))
    }

    pub(super) fn manifest(&self) -> Option<String> {
        let text = self.manifest.as_ref()?;
        let hex = digest(text.as_bytes());
        Some(format!(
            "{}.toml",
            hex.strip_prefix("sha256:").unwrap_or(&hex)
        ))
    }
}

impl Index {
    /// The revision that this component and manifest come from, where it is the newest or the staged one.
    pub(super) fn newest(&mut self, digest: &str, manifest: Option<&String>) -> Option<&mut Entry> {
        let served = self.revisions.iter().position(|e| e.staged.is_none());
        let newest = served.map_or(self.revisions.len(), |place| place + 1);
        let mut newest = self.revisions[..newest].iter_mut();
        newest.find(|e| e.is_of(digest, manifest))
    }

    /// Adds one under the next number; gives that and what is to be written.
    pub(super) fn add(
        &mut self,
        digest: &str,
        origin: Origin,
        staged: Option<Stage>,
    ) -> (u64, Vec<NewFile>) {
        let revision = self.next_revision.max(1);
        self.next_revision = revision + 1;
        let entry = Entry {
            revision,
            digest: digest.to_owned(),
            manifest: origin.manifest.clone(),
            withdrawn: false,
            since: match staged {
                Some(_) => None,
                None => Some(SystemClock.now()),
            },
            staged,
        };
        let files = entry.files(origin);
        self.revisions.insert(0, entry);
        (revision, files)
    }
}
