//! Good revisions on disk: what serves after a restart when the plugin directory holds a broken file, or none.
//!
//! One folder for each plugin in the daemon's private directory: components by their digest, the manifest
//! of each revision, and an index that is replaced at once. A damaged entry is one that its load refuses.

mod index;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nova_core::domain::{Clock, SystemClock, Timestamp};
use nova_core::ports::runtime::{RolledBack, Staged};
use parking_lot::Mutex;

pub(crate) use self::index::Origin;
use self::index::{Entry, Index, NewFile, Stage};
use crate::files::Source;

const INDEX: &str = "index.json";

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

    /// The revisions that are kept of a plugin, newest first.
    pub(crate) fn numbers(&self, name: &str) -> Vec<u64> {
        let index = self.index.lock();
        let kept = index.get(name).map(|index| &index.revisions);
        kept.into_iter().flatten().map(|e| e.revision).collect()
    }

    /// What is kept of a plugin, newest first.
    pub(crate) fn sources(&self, name: &str) -> Vec<Source> {
        let index = self.index.lock();
        let kept = index.get(name).map(|index| &index.revisions);
        let good = kept.into_iter().flatten().filter(|e| e.is_good());
        good.map(|entry| self.source(name, entry)).collect()
    }

    /// What is kept of a plugin that the newest good revision does not come from this component and
    /// manifest; else nothing.
    pub(crate) fn before(
        &self,
        name: &str,
        digest: &str,
        manifest: Option<&String>,
    ) -> Vec<Source> {
        let index = self.index.lock();
        let kept = index.get(name).map(|index| &index.revisions);
        let mut good = kept.into_iter().flatten().filter(|e| e.is_good());
        if good
            .clone()
            .next()
            .is_some_and(|e| e.is_of(digest, manifest))
        {
            return Vec::new();
        }
        good.by_ref()
            .map(|entry| self.source(name, entry))
            .collect()
    }

    fn source(&self, name: &str, entry: &Entry) -> Source {
        let dir = self.dir.join(name);
        Source {
            name: name.to_owned(),
            manifest: entry.manifest().map(|file| dir.join(file)),
            component: Some(dir.join(entry.component())),
            signature: Some(dir.join(entry.signature())),
            hidden: None,
        }
    }

    /// A revision by its number, taken back or staged as well; else the newest good one before `below`.
    pub(crate) fn find(
        &self,
        name: &str,
        number: Option<u64>,
        below: u64,
    ) -> Option<(u64, Source)> {
        let index = self.index.lock();
        let mut revisions = index.get(name)?.revisions.iter();
        let entry = revisions.find(|e| match number {
            Some(number) => e.revision == number,
            None => e.revision < below && e.is_good(),
        })?;
        Some((entry.revision, self.source(name, entry)))
    }

    /// What the directory may hold without its being loaded: digests and manifests of revisions
    /// that were taken back.
    pub(crate) fn withdrawn(&self, name: &str) -> Vec<(String, Option<String>)> {
        let index = self.index.lock();
        let entries = index.get(name).map(|index| &index.revisions);
        let withdrawn = entries.into_iter().flatten().filter(|e| e.withdrawn);
        withdrawn
            .map(|e| (e.digest.clone(), e.manifest.clone()))
            .collect()
    }

    /// Why the newest revisions do not serve.
    pub(crate) fn rolled_back(&self, name: &str) -> Option<RolledBack> {
        self.index.lock().get(name)?.rolled_back.clone()
    }

    /// Takes back every revision after `serving`, until another file comes. Written when this returns;
    /// blocks.
    pub(crate) fn roll_back(&self, name: &str, serving: u64, note: RolledBack) -> io::Result<()> {
        if let Some(index) = self.index.lock().get_mut(name) {
            let served = |e: &&mut Entry| e.staged.is_none();
            for entry in index.revisions.iter_mut().filter(served) {
                entry.withdrawn = entry.revision > serving;
            }
            let mut served = index.revisions.iter().filter(|e| e.staged.is_none());
            let newest = served.next().map(|e| e.revision);
            index.rolled_back = (newest != Some(serving)).then_some(note);
        }
        self.write(name, &[])
    }

    /// Keeps a revision and gives its number: a known one's own, else the next. Written aside, by a
    /// blocking thread.
    pub(crate) fn keep(self: &Arc<Self>, name: &str, digest: &str, origin: Origin) -> u64 {
        let mut all = self.index.lock();
        let index = all.entry(name.to_owned()).or_default();
        // Numbers of what was taken back are not given again to something else.
        index.rolled_back = None;
        if let Some(newest) = index.newest(digest, origin.manifest.as_ref()) {
            let number = newest.revision;
            let is_news = !newest.is_good();
            if is_news {
                newest.since = Some(SystemClock.now());
            }
            (newest.withdrawn, newest.staged) = (false, None);
            // It may be signed by now, or by another key.
            let files: Vec<_> = newest.signed(origin.signature).into_iter().collect();
            drop(all);
            if is_news || !files.is_empty() {
                self.write_aside(name, files);
            }
            return number;
        }
        // What is staged was to be compared with what served until now.
        index.revisions.retain(Entry::is_good);
        let (revision, files) = index.add(digest, origin, None);
        index.revisions.truncate(self.limit);
        drop(all);
        self.write_aside(name, files);
        revision
    }

    /// Keeps a revision that is to be tried out, in the place of the one before, and gives its number; the same
    /// again keeps it. Written when this returns; blocks.
    pub(crate) fn stage(
        &self,
        name: &str,
        (version, digest): (&str, &str),
        origin: Origin,
        at: Timestamp,
    ) -> io::Result<u64> {
        let (revision, files) = {
            let mut all = self.index.lock();
            let index = all.entry(name.to_owned()).or_default();
            let mut staged = index.revisions.iter().filter(|e| e.staged.is_some());
            if let Some(same) = staged.find(|e| e.is_of(digest, origin.manifest.as_ref())) {
                return Ok(same.revision);
            }
            index.revisions.retain(|e| e.staged.is_none());
            let version = version.to_owned();
            index.add(digest, origin, Some(Stage { version, at }))
        };
        self.write(name, &files)?;
        Ok(revision)
    }

    /// The revision that waits to be tried out.
    pub(crate) fn staged(&self, name: &str) -> Option<Staged> {
        let index = self.index.lock();
        index.get(name)?.revisions.iter().find_map(|entry| {
            let Stage { version, at } = entry.staged.clone()?;
            Some(Staged {
                revision: entry.revision,
                digest: entry.digest.clone(),
                version,
                at,
            })
        })
    }

    /// A revision's files were put down again, with another signature or in other words: it is by these that
    /// they are known again once it is taken back.
    pub(crate) fn renew(self: &Arc<Self>, name: &str, revision: u64, origin: Origin) {
        let mut all = self.index.lock();
        let mut entries = all.get_mut(name).into_iter().flat_map(|i| &mut i.revisions);
        let Some(entry) = entries.find(|e| e.revision == revision) else {
            return;
        };
        if entry.manifest == origin.manifest && origin.signature.is_none() {
            return;
        }
        entry.manifest.clone_from(&origin.manifest);
        let files = entry.words(origin);
        drop(all);
        self.write_aside(name, files);
    }

    /// When a revision first served, or was put down again after it had been taken back.
    pub(crate) fn since(&self, name: &str, revision: u64) -> Option<Instant> {
        let index = self.index.lock();
        let mut revisions = index.get(name)?.revisions.iter();
        let since = revisions.find(|e| e.revision == revision)?.since?;
        let age = SystemClock.now().since_s(since).max(0.0);
        Instant::now().checked_sub(Duration::from_secs_f64(age))
    }

    /// The number of what serves after a start, which is kept already.
    pub(crate) fn known(&self, name: &str, digest: &str, manifest: Option<&String>) -> Option<u64> {
        let index = self.index.lock();
        let mut revisions = index.get(name)?.revisions.iter();
        revisions
            .find(|e| e.is_good() && e.is_of(digest, manifest))
            .map(|e| e.revision)
    }

    fn write_aside(self: &Arc<Self>, name: &str, new: Vec<NewFile>) {
        let (this, name) = (Arc::clone(self), name.to_owned());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = this.write(&name, &new) {
                tracing::warn!(plugin = name, %error, "revisions cannot be kept for a restart");
            }
        });
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

    fn write(&self, name: &str, new: &[NewFile]) -> io::Result<()> {
        let _writing = self.writing.lock();
        let Some(index) = self.index.lock().get(name).cloned() else {
            return Ok(()); // Removed meanwhile.
        };
        let dir = self.dir.join(name);
        fs::create_dir_all(&dir)?;
        for (file, bytes) in new {
            put(&dir, file, bytes)?;
        }
        let text = serde_json::to_vec(&index).map_err(io::Error::other)?;
        put(&dir, INDEX, &text)?;
        File::open(&dir)?.sync_all()?;
        let mut used = BTreeSet::from([INDEX.to_owned()]);
        for entry in &index.revisions {
            used.extend([entry.component(), entry.signature()]);
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

/// Written whole or not at all, also when the machine stops on the way; what is there already stays.
fn put(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    if fs::read(dir.join(name)).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
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
    use crate::component::digest;

    fn origin(bytes: &[u8]) -> Origin {
        Origin {
            bytes: Arc::new(bytes.to_vec()),
            manifest: Some(format!("file = '{}'", bytes.len())),
            signature: Some("signed".to_owned()),
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
        assert_eq!(files, 7, "two of each, and the index");
        let signed = sources[0].signature.as_ref().unwrap();
        assert_eq!(fs::read_to_string(signed).unwrap(), "signed");
        assert_eq!(kept.names(), ["p"]);

        let note = RolledBack {
            from: 3,
            reason: "worse".into(),
            automatic: false,
            at: nova_core::domain::Timestamp::from_millis(0),
        };
        assert_eq!(kept.find("p", None, 3).map(|(number, _)| number), Some(2));
        kept.roll_back("p", 2, note.clone()).unwrap();
        let kept = open();
        assert_eq!(kept.sources("p").len(), 1);
        assert_eq!(
            kept.withdrawn("p"),
            [(digest(b"333"), origin(b"333").manifest)]
        );
        assert_eq!(kept.rolled_back("p"), Some(note));
        assert_eq!(kept.find("p", None, 2).map(|(number, _)| number), None);
        assert_eq!(
            kept.find("p", Some(3), 2).map(|(number, _)| number),
            Some(3)
        );
        // Another file ends it, and the number of what was taken back is not given again.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let inside = runtime.enter();
        let number = kept.keep("p", &digest(b"4444"), origin(b"4444"));
        drop(inside);
        drop(runtime);
        assert_eq!(number, 4);
        assert_eq!((kept.withdrawn("p"), kept.rolled_back("p")), (vec![], None));
        fs::write(home.path().join("revisions/p").join(INDEX), "{").unwrap();
        assert!(open().names().is_empty(), "a damaged index is none");
    }

    #[test]
    fn what_is_staged_serves_nobody_until_its_file_comes() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let home = tempfile::tempdir().unwrap();
        let open = || Arc::new(Kept::open(home.path().join("revisions"), 1).unwrap());
        let kept = open();
        let keep = |bytes: &[u8]| kept.keep("p", &digest(bytes), origin(bytes));
        let stage = |bytes: &[u8]| {
            let at = Timestamp::from_millis(7);
            kept.stage("p", ("2.0.0", &digest(bytes)), origin(bytes), at)
                .unwrap()
        };
        assert_eq!((keep(b"1"), stage(b"22"), stage(b"333")), (1, 2, 3));
        assert_eq!(stage(b"333"), 3);
        // A restart finds it, and what served before.
        let read = open();
        assert_eq!(read.numbers("p"), [3, 1], "one at a time is staged");
        assert_eq!(read.sources("p").len(), 1);
        let staged = read.staged("p").unwrap();
        assert_eq!((staged.revision, &*staged.version), (3, "2.0.0"));
        assert_eq!(staged.digest, digest(b"333"));
        assert_eq!(read.find("p", None, 9).map(|(number, _)| number), Some(1));
        assert!(read.find("p", Some(3), 0).is_some());
        let known =
            |kept: &Kept| kept.known("p", &digest(b"333"), origin(b"333").manifest.as_ref());
        assert_eq!(known(&read), None);

        assert_eq!(keep(b"1"), 1, "the same again changes nothing");
        assert_eq!(kept.staged("p").map(|staged| staged.revision), Some(3));
        assert_eq!(keep(b"333"), 3);
        assert_eq!((kept.staged("p"), known(&kept)), (None, Some(3)));
        // Another file takes over: what was to be compared with the one before is over.
        assert_eq!((stage(b"4444"), keep(b"55555")), (4, 5));
        assert_eq!(kept.numbers("p"), [5, 3]);
    }
}
