//! The files of an upload: written aside, looked at, and put in place once they may serve.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nova_core::Error;
use nova_core::ports::runtime::Upload;
use serde_json::json;
use tempfile::NamedTempFile;

use crate::component::Stage;
use crate::files::Source;

/// Where an upload's files go.
pub(crate) struct Place {
    component: PathBuf,
    signature: PathBuf,
}

impl Place {
    /// That of a plugin's files; none = its manifest names no component.
    pub(crate) fn of(source: &Source) -> Option<Self> {
        Some(Self {
            component: source.component.clone()?,
            signature: source.signature.clone()?,
        })
    }
}

/// Files beside their later place, under names that the watch does not look at; gone when dropped.
pub(crate) struct Parts {
    place: Place,
    component: NamedTempFile,
    signature: Option<NamedTempFile>,
}

impl Parts {
    /// Writes them; blocks.
    pub(crate) fn write(place: Place, upload: &Upload) -> nova_core::Result<Self> {
        let text = upload.signature.as_deref();
        Ok(Self {
            component: write_aside(&place.component, &upload.component)?,
            signature: text
                .map(|text| write_aside(&place.signature, text.as_bytes()))
                .transpose()?,
            place,
        })
    }

    /// The plugin as it would be with them.
    pub(crate) fn source(&self, of: &Source) -> Source {
        Source {
            component: Some(self.component.path().to_owned()),
            signature: self.signature.as_ref().map(|part| part.path().to_owned()),
            ..of.clone()
        }
    }

    /// Puts them in place; blocks. The signature of the component before goes with it.
    pub(crate) fn put_in_place(self) -> nova_core::Result<()> {
        let Place {
            component,
            signature,
        } = self.place;
        let put = || {
            match self.signature {
                Some(part) => _ = part.persist(&signature).map_err(|error| error.error)?,
                None => removed(&signature)?,
            }
            self.component
                .persist(&component)
                .map_err(|error| error.error)?;
            match component.parent() {
                Some(dir) => File::open(dir)?.sync_all(),
                None => Ok(()),
            }
        };
        put().map_err(|error| unwritable(&component, error))
    }
}

fn removed(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write_aside(target: &Path, bytes: &[u8]) -> nova_core::Result<NamedTempFile> {
    let dir = target.parent().map(Path::to_owned).unwrap_or_default();
    let write = || {
        let mut part = tempfile::Builder::new()
            .prefix(".upload-")
            .tempfile_in(&dir)?;
        part.write_all(bytes)?;
        part.as_file().sync_all()?;
        Ok(part)
    };
    write().map_err(|error| unwritable(target, error))
}

/// The directory refuses a change.
pub(crate) fn unwritable(path: &Path, error: io::Error) -> Error {
    tracing::error!(path = %path.display(), %error, "the plugin directory cannot be changed");
    Error::conflict(
        format!("the plugin directory cannot be changed: {}", error.kind()),
        json!({"stage": Stage::Read.as_str()}),
    )
}
