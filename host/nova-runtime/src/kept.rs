//! Good revisions on disk: what serves after a restart when the plugin directory holds a broken file, or none.
//!
//! One folder for each plugin in the daemon's private directory: components by their digest, the manifest
//! of each revision, and an index that is replaced at once. A damaged entry is one that its load refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::component::digest;
use crate::files::Source;

const INDEX: &str = "index.json";

/// What a revision was loaded from.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) bytes: Arc<Vec<u8>>,
    /// The text of its `plugin.toml`; none = a lone component.
    pub(crate) manifest: Option<String>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Index {
    next_revision: u64,
    /// Newest first.
    revisions: Vec<Entry>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    revision: u64,
    digest: String,
    manifest: Option<String>,
}

impl Entry {
    fn component(&self) -> String {
        let hex = self.digest.strip_prefix("sha256:").unwrap_or(&self.digest);
        format!("{hex}.wasm")
    }

    fn manifest(&self) -> Option<String> {
        let text = self.manifest.as_ref()?;
        let hex = digest(text.as_bytes());
        Some(format!(
            "{}.toml",
            hex.strip_prefix("sha256:").unwrap_or(&hex)
        ))
    }
}

/// The kept revisions of all plugins.
pub(crate) struct Kept {
    dir: PathBuf,
    /// The serving revision and so many before it.
    limit: usize,
    index: Mutex<BTreeMap<String, Index>>,
    /// One writer at a time.
    writing: Mutex<()>,
}

impl Kept {
    /// Opens the directory, made where it is missing.
    ///
    /// # Errors
    /// It cannot be made or read.
    pub(crate) fn open(dir: PathBuf, previous: usize) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        let mut index = BTreeMap::new();
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(name) = name.filter(|_| path.is_dir()) else {
                continue;
            };
            match fs::read(path.join(INDEX)).map(|bytes| serde_json::from_slice::<Index>(&bytes)) {
                Ok(Ok(read)) => _ = index.insert(name.to_owned(), read),
                Ok(Err(error)) => {
                    tracing::warn!(plugin = name, %error, "the index of kept revisions is damaged");
                }
                Err(_) => {} // Nothing was finished there.
            }
        }
        Ok(Self {
            dir,
            limit: previous + 1,
            index: Mutex::new(index),
            writing: Mutex::new(()),
        })
    }

    /// Plugins of which something is kept.
    pub(crate) fn names(&self) -> Vec<String> {
        self.index.lock().keys().cloned().collect()
    }

    /// What is kept of a plugin, newest first.
    pub(crate) fn sources(&self, name: &str) -> Vec<Source> {
        let index = self.index.lock();
        let kept = index.get(name).map(|index| &index.revisions);
        let dir = self.dir.join(name);
        let source = |entry: &Entry| Source {
            name: name.to_owned(),
            manifest: entry.manifest().map(|file| dir.join(file)),
            component: Some(dir.join(entry.component())),
            hidden: None,
        };
        kept.into_iter().flatten().map(source).collect()
    }

    /// Keeps a revision and gives its number: a known one's own, else the next. Written aside, by a
    /// blocking thread.
    pub(crate) fn keep(self: &Arc<Self>, name: &str, digest: &str, origin: Origin) -> u64 {
        let mut all = self.index.lock();
        let index = all.entry(name.to_owned()).or_default();
        let same = |e: &Entry| e.digest == digest && e.manifest == origin.manifest;
        if let Some(newest) = index.revisions.first().filter(|e| same(e)) {
            return newest.revision;
        }
        let revision = index.next_revision.max(1);
        index.next_revision = revision + 1;
        let entry = Entry {
            revision,
            digest: digest.to_owned(),
            manifest: origin.manifest.clone(),
        };
        index.revisions.insert(0, entry.clone());
        index.revisions.truncate(self.limit);
        drop(all);
        let (this, name) = (Arc::clone(self), name.to_owned());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = this.write(&name, &entry, &origin) {
                tracing::warn!(plugin = name, revision, %error, "a revision cannot be kept for a restart");
            }
        });
        revision
    }

    /// Forgets a plugin that was removed.
    pub(crate) fn forget(self: &Arc<Self>, name: &str) {
        if self.index.lock().remove(name).is_none() {
            return;
        }
        let (this, name) = (Arc::clone(self), name.to_owned());
        tokio::task::spawn_blocking(move || {
            let _writing = this.writing.lock();
            if this.index.lock().contains_key(&name) {
                return; // It has come again meanwhile.
            }
            let dir = this.dir.join(&name);
            // Without an index nothing of the folder counts.
            let removed = fs::remove_file(dir.join(INDEX)).and_then(|()| fs::remove_dir_all(&dir));
            if let Err(error) = removed {
                tracing::warn!(plugin = name, %error, "kept revisions cannot be removed");
            }
        });
    }

    fn write(&self, name: &str, entry: &Entry, origin: &Origin) -> io::Result<()> {
        let _writing = self.writing.lock();
        let Some(index) = self.index.lock().get(name).cloned() else {
            return Ok(()); // Removed meanwhile.
        };
        let dir = self.dir.join(name);
        fs::create_dir_all(&dir)?;
        put(&dir, &entry.component(), &origin.bytes)?;
        if let (Some(file), Some(text)) = (entry.manifest(), &origin.manifest) {
            put(&dir, &file, text.as_bytes())?;
        }
        let text = serde_json::to_vec(&index).map_err(io::Error::other)?;
        put(&dir, INDEX, &text)?;
        File::open(&dir)?.sync_all()?;
        let mut used = BTreeSet::from([INDEX.to_owned()]);
        for entry in &index.revisions {
            used.insert(entry.component());
            used.extend(entry.manifest());
        }
        for file in fs::read_dir(&dir)? {
            let file = file?;
            if !used.contains(&*file.file_name().to_string_lossy()) {
                fs::remove_file(file.path())?;
            }
        }
        Ok(())
    }
}

/// Written whole or not at all, also when the machine stops on the way.
fn put(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(dir.join(name)).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn origin(bytes: &[u8]) -> Origin {
        Origin {
            bytes: Arc::new(bytes.to_vec()),
            manifest: Some(format!("file = '{}'", bytes.len())),
        }
    }

    #[test]
    fn the_newest_are_kept_and_numbers_go_on() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let home = tempfile::tempdir().unwrap();
        let open = || Arc::new(Kept::open(home.path().join("revisions"), 1).unwrap());
        let kept = open();
        let keep = |kept: &Arc<Kept>, bytes: &[u8]| {
            let _inside = runtime.enter();
            kept.keep("p", &digest(bytes), origin(bytes))
        };
        let numbers = [&b"1"[..], b"22", b"22", b"333"].map(|bytes| keep(&kept, bytes));
        assert_eq!(numbers, [1, 2, 2, 3]);
        drop(runtime); // Waits for what is being written.

        let kept = open();
        let sources = kept.sources("p");
        let read = |source: &Source| fs::read(source.component.as_ref().unwrap()).unwrap();
        assert_eq!(
            sources.iter().map(read).collect::<Vec<_>>(),
            [&b"333"[..], b"22"]
        );
        let files = fs::read_dir(home.path().join("revisions/p"))
            .unwrap()
            .count();
        assert_eq!(files, 5, "two of each, and the index");
        assert_eq!(kept.names(), ["p"]);
        fs::write(home.path().join("revisions/p").join(INDEX), "{").unwrap();
        assert!(open().names().is_empty(), "a damaged index is none");
    }
}
