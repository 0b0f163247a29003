//! Vectors of texts, in the shape of OpenAI's `/v1/embeddings`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nova_core::Error;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::object::only_object;

/// Texts whose vectors are wanted.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = EmbeddingRequest, example = json!({"input": ["Ann prefers short answers."], "model": "default"}))]
pub(crate) struct EmbeddingBody {
    /// A text, or a list of texts. Lists of token numbers are of another model's vocabulary, and refused.
    #[schema(value_type = EmbeddingInputSchema)]
    input: Value,
    /// The model's name, or `default`.
    #[serde(default)]
    model: Option<String>,
    /// `float`, or `base64`: little-endian 32-bit floats.
    #[serde(default)]
    #[schema(value_type = Option<EncodingName>)]
    encoding_format: Option<String>,
    /// The first so many numbers, brought to length 1 again.
    #[serde(default)]
    #[schema(minimum = 1)]
    dimensions: Option<usize>,
    /// Taken and not used.
    #[serde(default)]
    #[serde(rename = "user")]
    _user: Option<String>,
}

only_object!(EmbeddingBody);

/// How vectors are written.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "for the document only")]
pub(crate) enum EncodingName {
    /// Numbers.
    Float,
    /// Bytes.
    Base64,
}

/// Schema of the input.
pub(crate) struct EmbeddingInputSchema;

impl utoipa::PartialSchema for EmbeddingInputSchema {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Type};
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let list = ArrayBuilder::new().items(text()).min_items(Some(1));
        OneOfBuilder::new().item(text()).item(list).into()
    }
}

impl ToSchema for EmbeddingInputSchema {
    fn name() -> std::borrow::Cow<'static, str> {
        "EmbeddingInput".into()
    }
}

/// A request that makes sense.
pub(crate) struct EmbeddingAsk {
    /// The texts.
    pub(crate) texts: Vec<String>,
    /// As bytes in place of numbers.
    pub(crate) base64: bool,
    /// The first so many numbers.
    pub(crate) dimensions: Option<usize>,
}

impl EmbeddingBody {
    /// The parsed request to the model of this name.
    pub(crate) fn parse(self, served: &str) -> Result<EmbeddingAsk, Error> {
        match self.model.as_deref() {
            None | Some("default") => {}
            Some(model) if model == served => {}
            Some(model) => {
                let model: String = model.chars().take(80).collect();
                return Err(Error::not_found("embedding model", model));
            }
        }
        let base64 = match self.encoding_format.as_deref() {
            None | Some("float") => false,
            Some("base64") => true,
            Some(other) => {
                let shown: String = other.chars().take(40).collect();
                return Err(Error::field(
                    "encoding_format",
                    format!("encoding_format must be float or base64, got '{shown}'"),
                ));
            }
        };
        if self.dimensions == Some(0) {
            return Err(Error::field(
                "dimensions",
                "dimensions must be 1 or more, got 0",
            ));
        }
        Ok(EmbeddingAsk {
            texts: texts(self.input)?,
            base64,
            dimensions: self.dimensions,
        })
    }
}

fn texts(input: Value) -> Result<Vec<String>, Error> {
    let items = match input {
        Value::String(text) => return Ok(vec![text]),
        Value::Array(items) => items,
        _ => {
            return Err(Error::field(
                "input",
                "input must be a text or a list of texts",
            ));
        }
    };
    let of = |(i, item): (usize, Value)| match item {
        Value::String(text) => Ok(text),
        _ => Err(Error::field(
            format!("input[{i}]"),
            format!("input[{i}] must be a text; numbers of tokens are not accepted"),
        )),
    };
    items.into_iter().enumerate().map(of).collect()
}

/// A vector, as numbers or as bytes.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum VectorText {
    /// Numbers.
    Floats(Vec<f32>),
    /// Little-endian 32-bit floats in Base64.
    Base64(String),
}

/// One text's vector.
#[derive(Serialize, ToSchema)]
pub(crate) struct EmbeddingItem {
    /// `embedding`.
    #[schema(example = "embedding")]
    object: &'static str,
    /// The place of its text in the input.
    index: usize,
    embedding: VectorText,
}

/// What was read.
#[derive(Serialize, ToSchema)]
pub(crate) struct EmbeddingUsage {
    /// Words of the texts: the model's tokens are not counted.
    prompt_tokens: usize,
    /// The same.
    total_tokens: usize,
}

/// The vectors.
#[derive(Serialize, ToSchema)]
pub(crate) struct EmbeddingAnswer {
    /// `list`.
    #[schema(example = "list")]
    object: &'static str,
    /// One for each text, in order.
    data: Vec<EmbeddingItem>,
    /// The model's name.
    #[schema(example = "nova-static-256")]
    model: String,
    usage: EmbeddingUsage,
}

impl EmbeddingAnswer {
    /// The answer in the form that was asked for.
    pub(crate) fn new(
        model: &str,
        vectors: Vec<Vec<f32>>,
        words: usize,
        base64: bool,
        dimensions: Option<usize>,
    ) -> Result<Self, Error> {
        let has = vectors.first().map_or(0, Vec::len);
        if let Some(wanted) = dimensions.filter(|wanted| *wanted > has) {
            return Err(Error::field(
                "dimensions",
                format!("dimensions must be 1 to {has}, got {wanted}"),
            ));
        }
        let shape = |(index, vector): (usize, Vec<f32>)| {
            let vector = match dimensions {
                Some(wanted) => shortened(vector, wanted),
                None => vector,
            };
            let embedding = if base64 {
                let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                VectorText::Base64(STANDARD.encode(bytes))
            } else {
                VectorText::Floats(vector)
            };
            EmbeddingItem {
                object: "embedding",
                index,
                embedding,
            }
        };
        Ok(Self {
            object: "list",
            data: vectors.into_iter().enumerate().map(shape).collect(),
            model: model.to_owned(),
            usage: EmbeddingUsage {
                prompt_tokens: words,
                total_tokens: words,
            },
        })
    }
}

fn shortened(mut vector: Vec<f32>, wanted: usize) -> Vec<f32> {
    vector.truncate(wanted);
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    vector
}

/// A model.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelItem {
    /// Its name.
    #[schema(example = "nova-static-256")]
    id: String,
    /// `model`.
    #[schema(example = "model")]
    object: &'static str,
    /// `nova`.
    #[schema(example = "nova")]
    owned_by: &'static str,
}

/// The models that are served.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelList {
    /// `list`.
    #[schema(example = "list")]
    object: &'static str,
    data: Vec<ModelItem>,
}

impl ModelList {
    /// The list of the one model.
    pub(crate) fn of(model: &str) -> Self {
        let id = model.to_owned();
        let (object, owned_by) = ("model", "nova");
        Self {
            object: "list",
            data: vec![ModelItem {
                id,
                object,
                owned_by,
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn shortened_vectors_have_length_one() {
        let vector = shortened(vec![3.0, 4.0, 12.0], 2);
        assert_eq!(vector, [0.6, 0.8]);
        assert_eq!(shortened(vec![0.0, 0.0], 1), [0.0]);
    }

    #[test]
    fn more_numbers_than_there_are_cannot_be_asked_for() {
        let made = |wanted| EmbeddingAnswer::new("m", vec![vec![1.0, 0.0]], 1, true, Some(wanted));
        assert!(made(2).is_ok());
        assert!(made(3).is_err());
    }
}
