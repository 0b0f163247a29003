//! A plugin's project folder: which language it is in, what it builds, where that goes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use nova_core::strategy::Kind;

/// What a plugin is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Language {
    Rust,
    Python,
    Javascript,
}

/// A folder with a `plugin.toml`.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) language: Language,
}

impl Project {
    /// Looks at a folder.
    ///
    /// # Errors
    /// What is missing, and how to come by it.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let manifest = folder.join("plugin.toml");
        let text = std::fs::read_to_string(&manifest).with_context(|| {
            format!(
                "{} is no plugin project: it has no plugin.toml; make one with `nova plugin new`",
                folder.display()
            )
        })?;
        let table: toml::Table = text
            .parse()
            .with_context(|| format!("{}", manifest.display()))?;
        let word = |key: &str| {
            let value = table.get(key).and_then(toml::Value::as_str);
            value.with_context(|| format!("{} has no '{key}'", manifest.display()))
        };
        let kind = word("kind")?;
        let kind = Kind::parse(kind)
            .with_context(|| format!("{}: '{kind}' is no kind", manifest.display()))?;
        let files = [
            ("Cargo.toml", Language::Rust),
            ("app.py", Language::Python),
            ("app.js", Language::Javascript),
        ];
        let language = files.iter().find(|(file, _)| folder.join(file).exists());
        let Some((_, language)) = language else {
            bail!(
                "{} has neither Cargo.toml, app.py nor app.js: its language cannot be told",
                folder.display()
            )
        };
        Ok(Self {
            folder: folder.to_owned(),
            name: word("name")?.to_owned(),
            kind,
            language: *language,
        })
    }

    /// The folder that is copied into a plugin directory: component and manifest.
    pub(crate) fn dist(&self) -> PathBuf {
        self.folder.join("dist").join(&self.name)
    }

    /// The component, once it is built.
    pub(crate) fn component(&self) -> PathBuf {
        self.dist().join(format!("{}.wasm", self.name))
    }

    /// The author's own problems, in order of their names.
    pub(crate) fn cases(&self) -> Result<Vec<PathBuf>> {
        problems_in(&self.folder.join("cases"))
    }
}

/// The JSON files of a folder, in order; none where there is no folder.
pub(crate) fn problems_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if folder.is_dir() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "json") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
