//! Static embeddings: a token has one vector, a text the mean of its tokens' vectors.
//!
//! Model2Vec's format (Minish Lab, 2024); a model is bundled, see `model/NOTICE`. Tens of microseconds a
//! text, so that a write can wait for its vector.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use async_trait::async_trait;
use model2vec_rs::model::StaticModel;
use nova_core::ports::Embedder;
use nova_core::{Error, Result};
use sha2::{Digest, Sha256};

const TOKENIZER: &[u8] = include_bytes!("../model/tokenizer.json");
const MODEL: &[u8] = include_bytes!("../model/model.safetensors");
const CONFIG: &[u8] = include_bytes!("../model/config.json");

/// What a model's folder holds.
const FILES: [&str; 3] = ["tokenizer.json", "model.safetensors", "config.json"];
/// The bundled model's id.
pub(crate) const BUNDLED: &str = "nova-static-256";
/// Tokens of a text that are looked at.
const TOKENS_MAX: usize = 4096;
/// Bytes of texts that are embedded on the caller's thread; more go to a blocking one.
const INLINE_MAX_BYTES: usize = 8 * 1024;

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the embedding model {name} cannot be loaded: {reason}")]
pub struct ModelError {
    name: String,
    reason: String,
}

/// A static embedding model in memory.
pub struct StaticEmbedder {
    id: String,
    model: StaticModel,
}

impl StaticEmbedder {
    /// The model that comes with Nova: 256 dimensions, English.
    ///
    /// # Errors
    /// When the bundled bytes are damaged.
    pub fn bundled() -> Result<Self, ModelError> {
        let model = StaticModel::from_bytes(TOKENIZER, MODEL, CONFIG, None);
        Ok(Self {
            id: BUNDLED.to_owned(),
            model: model.map_err(|error| bad(BUNDLED, &error))?,
        })
    }

    /// A Model2Vec folder: `tokenizer.json`, `model.safetensors`, `config.json`. The model's id is the folder's name with
    /// the beginning of a hash of these files: another model may come in a folder of that name, or in this one.
    ///
    /// # Errors
    /// When a file is missing or is not what it should be.
    pub fn folder(path: &Path) -> Result<Self, ModelError> {
        let shown = path.display().to_string();
        let model = StaticModel::from_pretrained(path, None, None, None);
        let model = model.map_err(|error| bad(&shown, &error))?;
        let hash = hash(path).map_err(|error| bad(&shown, &error))?;
        let name = path.file_name().map(|name| name.to_string_lossy());
        Ok(Self {
            id: format!("{}-{hash:08x}", name.as_deref().unwrap_or(&shown)),
            model,
        })
    }

    /// Numbers in a vector.
    pub fn dimensions(&self) -> usize {
        self.model.dim()
    }
}

/// The first four bytes of the hash of a model's files.
fn hash(folder: &Path) -> io::Result<u32> {
    let mut hash = Sha256::new();
    for name in FILES {
        let mut file = BufReader::with_capacity(1 << 20, File::open(folder.join(name))?);
        loop {
            let part = file.fill_buf()?;
            let length = part.len();
            if length == 0 {
                break;
            }
            hash.update(part);
            file.consume(length);
        }
    }
    let [a, b, c, d, ..]: [u8; 32] = hash.finalize().into();
    Ok(u32::from_be_bytes([a, b, c, d]))
}

fn bad(name: &str, error: &impl std::fmt::Display) -> ModelError {
    ModelError {
        name: name.to_owned(),
        reason: format!("{error:#}"),
    }
}

#[async_trait]
impl Embedder for StaticEmbedder {
    fn model(&self) -> &str {
        &self.id
    }

    fn is_local(&self) -> bool {
        true
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        let encode = |model: &StaticModel, texts: &[String]| {
            model.encode_with_args(texts, Some(TOKENS_MAX), texts.len().max(1))
        };
        let vectors = if texts.iter().map(String::len).sum::<usize>() <= INLINE_MAX_BYTES {
            encode(&self.model, &texts)
        } else {
            let model = self.model.clone();
            tokio::task::spawn_blocking(move || encode(&model, &texts))
                .await
                .map_err(Error::service)?
        };
        Ok(vectors.into_iter().map(sound).collect())
    }
}

/// A vector that is not finite (a text without any token) becomes zeros.
fn sound(vector: Vec<f32>) -> Vec<f32> {
    if vector.iter().all(|x| x.is_finite()) {
        return vector;
    }
    vec![0.0; vector.len()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[tokio::test]
    async fn the_bundled_model_knows_what_is_alike() {
        let embedder = StaticEmbedder::bundled().unwrap();
        assert_eq!(embedder.dimensions(), 256);
        let texts = [
            "The cat sat on the mat.",
            "A kitten was sitting on a rug.",
            "Quarterly revenue rose by nine percent.",
            "",
        ];
        let vectors = embedder
            .embed(texts.map(str::to_owned).to_vec())
            .await
            .unwrap();
        assert!((cosine(&vectors[0], &vectors[0]) - 1.0).abs() < 1e-3);
        assert!(cosine(&vectors[0], &vectors[1]) > cosine(&vectors[0], &vectors[2]) + 0.2);
        assert!(
            vectors[3].iter().all(|x| *x == 0.0),
            "no text, no direction"
        );
    }

    #[test]
    fn models_in_folders_of_one_name_are_told_apart() {
        let root = std::env::temp_dir().join(format!("nova-models-{}", std::process::id()));
        let made = |place: &str, config: &[u8]| {
            let folder = root.join(place).join("model");
            std::fs::create_dir_all(&folder).unwrap();
            for (name, bytes) in FILES.into_iter().zip([TOKENIZER, MODEL, config]) {
                std::fs::write(folder.join(name), bytes).unwrap();
            }
            StaticEmbedder::folder(&folder).unwrap().id
        };
        let changed = [CONFIG, b" "].concat();
        let (one, same, other) = (made("a", CONFIG), made("b", CONFIG), made("c", &changed));
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(one, same, "wherever it is");
        assert_ne!(one, other);
        assert!(one.starts_with("model-"), "{one}");
        assert_eq!(StaticEmbedder::bundled().unwrap().id, "nova-static-256");
    }

    #[test]
    fn a_folder_without_a_model_is_refused_by_name() {
        let error = StaticEmbedder::folder(Path::new("/nonexistent/model"))
            .err()
            .unwrap();
        assert!(error.to_string().contains("/nonexistent/model"), "{error}");
    }
}
