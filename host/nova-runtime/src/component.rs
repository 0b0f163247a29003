//! What a file is: a component or not, of which kind and track, and what it imports.
//!
//! Reads the outer structure only and runs nothing; whether the code inside is valid is for
//! the compiler to say. A component is recognized by the names of the interfaces it exports,
//! because its world's own name is lost in it.

use nova_core::strategy::Kind;
use serde::Serialize;
use sha2::{Digest, Sha256};
use wasmparser::{Encoding, Parser, Payload};

/// The compatible line of the WIT package that this host serves.
pub const TRACK: &str = "0.1";

/// The interfaces that a plugin may import, each on its compatible line.
pub const OFFERED: &[(&str, &str)] = &[
    ("nova:strategy/types", TRACK),
    ("nova:strategy/host-log", TRACK),
    ("wasi:cli/environment", "0.2"),
    ("wasi:cli/exit", "0.2"),
    ("wasi:cli/stdin", "0.2"),
    ("wasi:cli/stdout", "0.2"),
    ("wasi:cli/stderr", "0.2"),
    ("wasi:cli/terminal-input", "0.2"),
    ("wasi:cli/terminal-output", "0.2"),
    ("wasi:cli/terminal-stdin", "0.2"),
    ("wasi:cli/terminal-stdout", "0.2"),
    ("wasi:cli/terminal-stderr", "0.2"),
    ("wasi:clocks/monotonic-clock", "0.2"),
    ("wasi:clocks/wall-clock", "0.2"),
    ("wasi:filesystem/preopens", "0.2"),
    ("wasi:filesystem/types", "0.2"),
    ("wasi:io/error", "0.2"),
    ("wasi:io/poll", "0.2"),
    ("wasi:io/streams", "0.2"),
    ("wasi:random/insecure", "0.2"),
    ("wasi:random/insecure-seed", "0.2"),
    ("wasi:random/random", "0.2"),
    ("wasi:sockets/instance-network", "0.2"),
    ("wasi:sockets/ip-name-lookup", "0.2"),
    ("wasi:sockets/network", "0.2"),
    ("wasi:sockets/tcp", "0.2"),
    ("wasi:sockets/tcp-create-socket", "0.2"),
    ("wasi:sockets/udp", "0.2"),
    ("wasi:sockets/udp-create-socket", "0.2"),
];

/// The interface that makes a component one of a kind.
fn interface(kind: Kind) -> &'static str {
    match kind {
        Kind::FlowOptimizer => "nova:strategy/optimizer",
        Kind::ResourceAllocator => "nova:strategy/allocator",
        Kind::AnalyticsProcessor => "nova:strategy/analytics",
    }
}

const METADATA: &str = "nova:strategy/metadata";

/// Which step of a load refused a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The bytes could not be had.
    Read,
    /// `plugin.toml` is wrong.
    Manifest,
    /// None of the configured keys has signed the component.
    Signature,
    /// The file is no component, or of no kind that fits.
    Component,
    /// It needs what is not offered.
    Imports,
    /// Its code is not valid.
    Compile,
    /// Its settings break the schema that it states, or the schema is none.
    Settings,
    /// It failed the questions that a plugin must answer before it serves.
    Probe,
    /// It does worse on recorded problems than what serves.
    Gate,
}

impl Stage {
    /// The name in answers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Manifest => "manifest",
            Self::Signature => "signature",
            Self::Component => "component",
            Self::Imports => "imports",
            Self::Compile => "compile",
            Self::Settings => "settings",
            Self::Probe => "probe",
            Self::Gate => "gate",
        }
    }
}

/// Why a file is refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Refused {
    /// By which step.
    pub stage: Stage,
    /// The full reason, for the operator.
    pub reason: String,
}

impl Refused {
    pub(crate) fn new(stage: Stage, reason: impl Into<String>) -> Self {
        Self {
            stage,
            reason: reason.into(),
        }
    }
}

/// What can be read from a file without running it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Inspection {
    /// `sha256:<hex>` of the bytes.
    pub digest: String,
    /// How many they are.
    pub size_bytes: u64,
    /// The kind it is made for; none when it is none, or more than one.
    pub kind: Option<Kind>,
    /// The track of that kind's interface, e.g. `0.1`.
    pub track: Option<String>,
    /// What it imports, by full name.
    pub imports: Vec<String>,
    /// What it exports, by full name.
    pub exports: Vec<String>,
    /// Why it would be refused, as far as reading shows.
    pub refused: Option<Refused>,
}

/// `sha256:<hex>` of some bytes.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

impl Inspection {
    /// Of bytes that nobody has looked into.
    pub(crate) fn unread(bytes: &[u8]) -> Self {
        Self {
            digest: digest(bytes),
            size_bytes: bytes.len() as u64,
            kind: None,
            track: None,
            imports: Vec::new(),
            exports: Vec::new(),
            refused: None,
        }
    }
}

/// Says what these bytes are.
pub fn inspect(bytes: &[u8]) -> Inspection {
    let mut found = Inspection::unread(bytes);
    found.refused = read(bytes, &mut found)
        .and_then(|()| recognize(&mut found))
        .and_then(|()| imports_offered(&found.imports))
        .err();
    found
}

/// Collects the outermost imports and exports.
fn read(bytes: &[u8], found: &mut Inspection) -> Result<(), Refused> {
    let refuse = |reason: String| Err(Refused::new(Stage::Component, reason));
    if bytes.is_empty() {
        return refuse("the file is empty".to_owned());
    }
    let magic = b"\0asm";
    if !bytes.starts_with(&magic[..bytes.len().min(4)]) {
        return refuse("the file is no WebAssembly: it does not begin with \\0asm".to_owned());
    }
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = match payload {
            Ok(payload) => payload,
            Err(error) if error.message().contains("unexpected end") => {
                return refuse(format!(
                    "the file is truncated: it ends at byte {}, within a section",
                    bytes.len()
                ));
            }
            Err(error) => {
                return refuse(format!(
                    "the file is damaged at byte {}: {}",
                    error.offset(),
                    error.message()
                ));
            }
        };
        match payload {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } if depth == 0 => {
                return refuse(
                    "the file is a core module, not a component: build it for wasm32-wasip2"
                        .to_owned(),
                );
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let import = import.map_err(damaged)?;
                    found.imports.push(import.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let export = export.map_err(damaged)?;
                    found.exports.push(export.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn damaged(error: wasmparser::BinaryReaderError) -> Refused {
    Refused::new(
        Stage::Component,
        format!(
            "the file is damaged at byte {}: {}",
            error.offset(),
            error.message()
        ),
    )
}

/// Finds the kind and track by the interfaces exported.
fn recognize(found: &mut Inspection) -> Result<(), Refused> {
    let refuse = |reason: String| Err(Refused::new(Stage::Component, reason));
    let version_of = |name: &str| {
        found
            .exports
            .iter()
            .find_map(|export| match export.split_once('@') {
                Some((interface, version)) if interface == name => Some(version),
                _ => None,
            })
    };
    let kinds: Vec<(Kind, &str)> = Kind::ALL
        .into_iter()
        .filter_map(|kind| Some((kind, version_of(interface(kind))?)))
        .collect();
    let (kind, version) = match kinds[..] {
        [only] => only,
        [] => {
            let wanted: Vec<&str> = Kind::ALL.into_iter().map(interface).collect();
            let has = if found.exports.is_empty() {
                "nothing".to_owned()
            } else {
                found.exports.join(", ")
            };
            return refuse(format!(
                "no strategy: it exports {has}; one of {} is needed",
                wanted.join(", ")
            ));
        }
        _ => {
            return refuse(
                "it exports more than one kind of strategy; make a component of each".to_owned(),
            );
        }
    };
    if !on_track(version, TRACK) {
        return refuse(format!(
            "it is made for version {version} of nova:strategy, this host serves {TRACK}.x"
        ));
    }
    if !version_of(METADATA).is_some_and(|version| on_track(version, TRACK)) {
        return refuse(format!("it does not export {METADATA}@{TRACK}.x"));
    }
    (found.kind, found.track) = (Some(kind), Some(TRACK.to_owned()));
    Ok(())
}

/// Refuses what is imported and not offered.
fn imports_offered(imports: &[String]) -> Result<(), Refused> {
    let offered = |import: &str| {
        import.split_once('@').is_some_and(|(name, version)| {
            OFFERED
                .iter()
                .any(|(interface, track)| *interface == name && on_track(version, track))
        })
    };
    let missing: Vec<&str> = imports
        .iter()
        .map(String::as_str)
        .filter(|import| !offered(import))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let reason = format!(
        "it imports {}; offered are nova:strategy/host-log and WASI 0.2 (cli, clocks, filesystem, io, random, sockets)",
        missing.join(", ")
    );
    Err(Refused::new(Stage::Imports, reason))
}

/// Whether `version` is a release `<track>.<patch>`. Prereleases match only themselves when they are
/// linked, so that none is on a track.
fn on_track(version: &str, track: &str) -> bool {
    version
        .strip_prefix(track)
        .and_then(|rest| rest.strip_prefix('.'))
        .is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A component with these imports and exports, all of them empty instances.
    fn hollow(imports: &[&str], exports: &[&str]) -> Vec<u8> {
        let mut text = String::from("(component");
        for name in imports {
            text += &format!("(import {name:?} (instance))");
        }
        text += "(instance $empty)";
        for name in exports {
            text += &format!("(export {name:?} (instance $empty))");
        }
        wat::parse_str(text + ")").unwrap()
    }

    const OPTIMIZER: &str = "nova:strategy/optimizer@0.1.0";
    const ABOUT: &str = "nova:strategy/metadata@0.1.0";

    #[test]
    fn a_component_is_known_by_its_exports() {
        let found = inspect(&hollow(
            &["wasi:io/poll@0.2.3"],
            &[ABOUT, "nova:strategy/allocator@0.1.7"],
        ));
        assert_eq!(found.refused, None);
        assert_eq!(
            (found.kind, found.track.as_deref()),
            (Some(Kind::ResourceAllocator), Some("0.1"))
        );
        assert_eq!(found.imports, ["wasi:io/poll@0.2.3"]);
    }

    #[test]
    fn what_is_no_plugin_is_refused_with_its_reason() {
        let sound = hollow(&[], &[ABOUT, OPTIMIZER]);
        let module = wat::parse_str("(module)").unwrap();
        let cases: Vec<(Vec<u8>, Stage, &str)> = vec![
            (vec![], Stage::Component, "empty"),
            (b"hello".to_vec(), Stage::Component, "no WebAssembly"),
            (b"\0as".to_vec(), Stage::Component, "truncated"),
            (
                sound[..sound.len() - 3].to_vec(),
                Stage::Component,
                "truncated",
            ),
            (sound[..10].to_vec(), Stage::Component, "truncated"),
            (
                [&sound[..], &[200, 1, 0]].concat(),
                Stage::Component,
                "damaged",
            ),
            (module, Stage::Component, "core module"),
            (
                hollow(&[], &["a:b/c@1.0.0"]),
                Stage::Component,
                "exports a:b/c@1.0.0",
            ),
            (
                hollow(&[], &[OPTIMIZER]),
                Stage::Component,
                "does not export nova:strategy/metadata",
            ),
            (
                hollow(&[], &[ABOUT, OPTIMIZER, "nova:strategy/analytics@0.1.0"]),
                Stage::Component,
                "more than one kind",
            ),
            (
                hollow(&[], &[ABOUT, "nova:strategy/optimizer@0.2.0"]),
                Stage::Component,
                "serves 0.1.x",
            ),
            (
                hollow(&[], &[ABOUT, "nova:strategy/optimizer@0.1.0-rc"]),
                Stage::Component,
                "serves 0.1.x",
            ),
            (
                hollow(&["wasi:http/types@0.2.3"], &[ABOUT, OPTIMIZER]),
                Stage::Imports,
                "imports wasi:http/types@0.2.3",
            ),
            (
                hollow(&["wasi:io/poll@0.3.0"], &[ABOUT, OPTIMIZER]),
                Stage::Imports,
                "imports wasi:io/poll@0.3.0",
            ),
        ];
        for (bytes, stage, part) in cases {
            let refused = inspect(&bytes).refused.unwrap();
            assert_eq!(refused.stage, stage, "{refused:?}");
            assert!(
                refused.reason.contains(part),
                "{refused:?} should say '{part}'"
            );
        }
    }

    #[test]
    fn what_is_offered_is_linked() {
        let engine = wasmtime::Engine::default();
        let linker = crate::sandbox::linker(&engine).unwrap();
        for (interface, track) in OFFERED
            .iter()
            .filter(|(name, _)| !name.ends_with("/types") || name.starts_with("wasi"))
        {
            // A function that no interface has: the linker's error tells whether it has the interface.
            let text = format!(
                r#"(component (import "{interface}@{track}.0" (instance (export "none" (func)))))"#
            );
            let component =
                wasmtime::component::Component::new(&engine, wat::parse_str(text).unwrap())
                    .unwrap();
            let error = linker
                .instantiate_pre(&component)
                .err()
                .map(|e| format!("{e:#}"))
                .unwrap();
            assert!(error.contains("`none`"), "{interface}: {error}");
        }
    }
}
