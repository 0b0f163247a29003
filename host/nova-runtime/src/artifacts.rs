//! Compiled code, kept between runs.
//!
//! Compiling takes hundreds of milliseconds, loading compiled code less than one. An artifact
//! is found by the component's digest and by everything its code depends on: the version of the engine, its
//! configuration and the target. Whatever does not match, or is damaged, is a miss.
//!
//! This is the one module that may use `unsafe`: loading machine code runs it unchecked. So code is
//! loaded only from the daemon's own directory, which nobody else may enter, only if this
//! module wrote it (its last bytes are the SHA-256 of the others), and never from a place where plugins are put.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Artifacts kept; the least recently written go first.
const FILES_MAX: usize = 256;
/// Bytes of the checksum at an artifact's end.
const CHECKSUM: usize = 32;

/// The artifact directory.
pub(crate) struct Artifacts {
    dir: PathBuf,
    /// Everything but the component that code depends on: the engine hashes its own version, its
    /// configuration and the target.
    engine_key: String,
}

impl Artifacts {
    /// Opens the directory, made and closed to others where needed.
    ///
    /// # Errors
    /// It cannot be made, or is not ours to close.
    pub(crate) fn open(dir: PathBuf, engine: &Engine) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let engine_key = format!("{:016x}", hasher.finish());
        Ok(Self { dir, engine_key })
    }

    /// The compiled component of this digest, when it is kept and whole.
    pub(crate) fn load(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let path = self.path(digest);
        let bytes = fs::read(&path).ok()?;
        let (code, checksum) = bytes.split_last_chunk::<CHECKSUM>()?;
        if Sha256::digest(code).as_slice() != checksum {
            tracing::warn!(artifact = %path.display(), "damaged artifact, compiling anew");
            return None;
        }
        #[expect(
            unsafe_code,
            reason = "the engine has no checked way to load compiled code"
        )]
        // SAFETY: `deserialize` asks that the bytes are what `Component::serialize` gave. They
        // are: this module wrote them, whole as the checksum shows, into a directory that only this
        // user can enter; and the engine itself refuses another version's or configuration's code.
        let component = unsafe { Component::deserialize(engine, code) };
        component.inspect_err(|error| tracing::debug!(artifact = %path.display(), error = format!("{error:#}"), "stale artifact")).ok()
    }

    /// Keeps a compiled component. What cannot be written is compiled again next time.
    pub(crate) fn store(&self, digest: &str, component: &Component) {
        if let Err(error) = self.try_store(digest, component) {
            tracing::warn!(dir = %self.dir.display(), %error, "compiled code cannot be kept");
        }
    }

    fn try_store(&self, digest: &str, component: &Component) -> io::Result<()> {
        let code = component.serialize().map_err(io::Error::other)?;
        // Made with mode 0600, then renamed: nobody ever sees a part of it.
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(&code)?;
        file.write_all(&Sha256::digest(&code))?;
        file.persist(self.path(digest))
            .map_err(|error| error.error)?;
        prune(&self.dir, FILES_MAX)
    }

    fn path(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
        self.dir.join(format!("{hex}-{}.cwasm", self.engine_key))
    }
}

/// Removes the oldest artifacts past `keep`.
fn prune(dir: &Path, keep: usize) -> io::Result<()> {
    let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort_unstable();
    let surplus = files.len().saturating_sub(keep);
    files
        .iter()
        .take(surplus)
        .try_for_each(|(_, path)| fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn wat(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn an_artifact_is_found_again_and_a_damaged_one_is_a_miss() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let artifacts = Artifacts::open(dir.path().join("artifacts"), &engine).unwrap();
        let component = Component::new(
            &engine,
            wat("(component (core module (func (export \"f\"))))"),
        )
        .unwrap();
        assert!(artifacts.load(&engine, "sha256:aa").is_none());
        artifacts.store("sha256:aa", &component);
        assert!(artifacts.load(&engine, "sha256:aa").is_some());
        assert!(artifacts.load(&engine, "sha256:ab").is_none());

        let mode = fs::metadata(&artifacts.dir).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);

        let path = artifacts.path("sha256:aa");
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for damaged in [&whole[..whole.len() - 1], &whole[..7], &[], &flipped] {
            fs::write(&path, damaged).unwrap();
            assert!(artifacts.load(&engine, "sha256:aa").is_none());
        }
    }

    #[test]
    fn another_configuration_is_a_miss() {
        let dir = tempfile::tempdir().unwrap();
        let (plain, epochs) = (
            Engine::default(),
            Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap(),
        );
        let component = Component::new(&plain, wat("(component)")).unwrap();
        Artifacts::open(dir.path().into(), &plain)
            .unwrap()
            .store("sha256:aa", &component);
        assert!(
            Artifacts::open(dir.path().into(), &epochs)
                .unwrap()
                .load(&epochs, "sha256:aa")
                .is_none()
        );
    }

    #[test]
    fn the_oldest_go_first() {
        let dir = tempfile::tempdir().unwrap();
        for (i, name) in ["a", "b", "c"].iter().enumerate() {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(i as u64))
                .unwrap();
        }
        prune(dir.path(), 2).unwrap();
        assert!(!dir.path().join("a").exists());
        assert!(dir.path().join("b").exists() && dir.path().join("c").exists());
    }
}
