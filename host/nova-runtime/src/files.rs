//! The plugin directory: which plugins lie in it, and when a file has changed.
//!
//! Layout: `<dir>/<name>/plugin.toml` with its component beside it, or `<dir>/<name>.wasm`; beside a
//! component its signature, `<component>.sig`. Names that
//! begin with a dot and names that end in `.tmp` are somebody's unfinished business. Symbolic
//! links are followed.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::manifest;
use crate::signature::beside;

/// The files of one plugin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Source {
    /// The plugin's name: its folder's, or its file's without `.wasm`.
    pub(crate) name: String,
    /// None: a lone component.
    pub(crate) manifest: Option<PathBuf>,
    /// None: the manifest does not say, or is wrong.
    pub(crate) component: Option<PathBuf>,
    /// Where the component's signature lies, if it has one.
    pub(crate) signature: Option<PathBuf>,
    /// A lone component of the same name, which the folder hides.
    pub(crate) hidden: Option<PathBuf>,
}

/// What changes when a plugin's files do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    manifest: Option<FileStamp>,
    /// None: there is no such file.
    pub(crate) component: Option<FileStamp>,
    signature: Option<FileStamp>,
}

/// What changes when a file does: the kernel keeps `changed`, nobody can set it back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FileStamp {
    device: u64,
    inode: u64,
    size_bytes: u64,
    changed: (i64, i64),
}

impl Source {
    /// A component without a manifest.
    pub(crate) fn lone(path: &Path) -> Self {
        let name = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        Self {
            name,
            manifest: None,
            component: Some(path.to_owned()),
            signature: Some(beside(path)),
            hidden: None,
        }
    }

    /// The plugin in a folder with a manifest.
    pub(crate) fn folder(dir: &Path) -> Self {
        let name = dir
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let manifest = dir.join(manifest::FILE_NAME);
        let component = text(&manifest)
            .as_deref()
            .and_then(manifest::file_of)
            .map(|file| dir.join(file));
        Self {
            name,
            manifest: Some(manifest),
            signature: component.as_deref().map(beside),
            component,
            hidden: None,
        }
    }

    /// What an operator knows the plugin by.
    pub(crate) fn file(&self) -> String {
        let path = self.component.as_ref().or(self.manifest.as_ref());
        path.map(|path| path.display().to_string())
            .unwrap_or_default()
    }

    /// Where its signature would be, for who looks for it.
    pub(crate) fn file_of_signature(&self) -> String {
        let path = self.signature.as_deref().and_then(Path::file_name);
        path.map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// The state of its files now.
    pub(crate) fn stamp(&self) -> Stamp {
        let of = |path: &Option<PathBuf>| path.as_deref().and_then(FileStamp::of);
        Stamp {
            manifest: of(&self.manifest),
            component: of(&self.component),
            signature: of(&self.signature),
        }
    }

    /// Its component has been taken away.
    pub(crate) fn is_removed(&self, stamp: &Stamp) -> bool {
        self.component.is_some() && stamp.component.is_none()
    }
}

impl Stamp {
    /// How long ago its newest file changed; none when that lies in the future.
    pub(crate) fn age(&self) -> Option<Duration> {
        let (s, ns) = self
            .manifest
            .iter()
            .chain(&self.component)
            .chain(&self.signature)
            .map(|file| file.changed)
            .max()?;
        let at = Duration::new(u64::try_from(s).ok()?, u32::try_from(ns).ok()?);
        SystemTime::UNIX_EPOCH.elapsed().ok()?.checked_sub(at)
    }
}

impl FileStamp {
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok().filter(Metadata::is_file)?;
        let changed = (file.ctime(), file.ctime_nsec());
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
            size_bytes: file.size(),
            changed,
        })
    }
}

/// Every plugin in the directory, by name, with the state of its files.
///
/// # Errors
/// The directory cannot be read; that says nothing about the plugins in it.
pub(crate) fn scan(dir: &Path) -> io::Result<BTreeMap<String, (Source, Stamp)>> {
    let mut folders = Vec::new();
    let mut lone = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if name.starts_with('.') || name.ends_with(".tmp") {
            continue;
        }
        if path.join(manifest::FILE_NAME).is_file() {
            folders.push(Source::folder(&path));
        } else if name.ends_with(".wasm") && path.is_file() {
            lone.push(Source::lone(&path));
        }
    }
    let mut found: BTreeMap<String, Source> = BTreeMap::new();
    for source in folders {
        found.insert(source.name.clone(), source);
    }
    for source in lone {
        match found.get_mut(&source.name) {
            Some(folder) => folder.hidden = source.component,
            None => _ = found.insert(source.name.clone(), source),
        }
    }
    let stamped = found.into_iter().map(|(name, source)| {
        let stamp = source.stamp();
        (name, (source, stamp))
    });
    Ok(stamped.collect())
}

/// A manifest's text, as far as it may be read.
fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    fs::File::open(path)
        .ok()?
        .take(manifest::MAX_BYTES)
        .read_to_string(&mut text)
        .ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_directory_is_read_by_its_layout() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("lone.wasm", "x");
        put(".hidden.wasm", "x");
        put("half.wasm.tmp", "x");
        put("copying.tmp/plugin.toml", "");
        put("notes.txt", "x");
        put("empty-folder/readme", "x");
        put("whole/plugin.toml", "name = 'whole'\nfile = 'code.wasm'");
        put("whole/code.wasm", "x");
        put("whole.wasm", "x");
        put("broken/plugin.toml", "name = ");
        put("gone/plugin.toml", "file = 'gone.wasm'");
        std::os::unix::fs::symlink(
            dir.path().join("whole/code.wasm"),
            dir.path().join("link.wasm"),
        )
        .unwrap();

        let found = scan(dir.path()).unwrap();
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(names, ["broken", "gone", "link", "lone", "whole"]);
        let (whole, stamp) = &found["whole"];
        assert_eq!(whole.component, Some(dir.path().join("whole/code.wasm")));
        assert_eq!(whole.hidden, Some(dir.path().join("whole.wasm")));
        assert!(!whole.is_removed(stamp));
        assert!(stamp.age().unwrap() < Duration::from_secs(60));
        let (broken, stamp) = &found["broken"];
        assert!(
            broken.component.is_none() && !broken.is_removed(stamp),
            "a broken manifest removes nothing"
        );
        let (gone, stamp) = &found["gone"];
        assert!(gone.is_removed(stamp));
        assert!(scan(&dir.path().join("nowhere")).is_err());
    }

    #[test]
    fn any_change_of_a_file_changes_its_stamp() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.wasm");
        fs::write(&path, "one").unwrap();
        let source = Source::lone(&path);
        let first = source.stamp();
        assert_eq!(source.stamp(), first);
        // The kernel's clock for files advances every few milliseconds.
        std::thread::sleep(Duration::from_millis(20));
        fs::write(&path, "two").unwrap();
        let second = source.stamp();
        assert_ne!(second, first, "written in place");
        fs::write(dir.path().join("q"), "two").unwrap();
        fs::rename(dir.path().join("q"), &path).unwrap();
        let third = source.stamp();
        assert_ne!(third, second, "renamed over");
        fs::write(dir.path().join("p.wasm.sig"), "signed").unwrap();
        assert_ne!(source.stamp(), third, "a signature came");
    }
}
