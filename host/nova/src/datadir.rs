//! The data directory: one daemon at a time, and the installation's secret.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A data directory that this process owns until it ends.
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory where it is missing and takes it.
    ///
    /// # Errors
    /// It cannot be written, or another daemon has it.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let hint = || {
            format!(
                "cannot write the data directory {}; choose another with --data-dir",
                path.display()
            )
        };
        if !path.is_dir() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .with_context(hint)?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"));
        let lock = lock.with_context(hint)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => bail!(
                "the data directory {} is in use by another daemon; stop it or choose another with --data-dir",
                path.display()
            ),
            Err(TryLockError::Error(error)) => Err(error).with_context(hint),
        }
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The secret under which API keys are hashed; made at first use, readable by the owner only.
    ///
    /// # Errors
    /// The file cannot be read or written, or is not what was written.
    pub(crate) fn pepper(&self) -> Result<[u8; 32]> {
        let path = self.path.join("pepper");
        let mut pepper = [0; 32];
        match File::open(&path) {
            Ok(mut file) => {
                let mut rest = [0; 1];
                let whole = file
                    .read_exact(&mut pepper)
                    .and_then(|()| file.read(&mut rest));
                match whole {
                    Ok(0) => Ok(pepper),
                    _ => bail!(
                        "{} is damaged: restore it, or no API key will be recognised",
                        path.display()
                    ),
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                getrandom::fill(&mut pepper).context("the system gives no randomness")?;
                self.write_private(&path, &pepper)?;
                Ok(pepper)
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Written whole or not at all, also when the machine stops on the way.
    fn write_private(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let part = path.with_extension("tmp");
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(&part)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&part, path)?;
            File::open(&self.path)?.sync_all()
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_daemon_at_a_time_and_one_pepper_for_ever() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("data");
        let first = DataDir::take(&path).unwrap();
        let second = DataDir::take(&path).err().unwrap().to_string();
        assert!(second.contains("in use by another daemon"), "{second}");
        let pepper = first.pepper().unwrap();
        drop(first);
        let again = DataDir::take(&path).unwrap();
        assert_eq!(again.pepper().unwrap(), pepper);
        std::fs::write(path.join("pepper"), b"short").unwrap();
        assert!(again.pepper().unwrap_err().to_string().contains("damaged"));
    }
}
