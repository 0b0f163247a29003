//! Vectors from a service that speaks OpenAI's `/v1/embeddings`.
//!
//! Never on a write's way: a memory is found by its words at once, and by its vector when the background has fetched
//! it.

use std::sync::OnceLock;

use async_trait::async_trait;
use nova_core::ports::Embedder;
use nova_core::{Error, Result};
use serde_json::{Value, json};

use crate::service::{Failed, Service, ServiceConfig};

/// Seconds after which a client of Nova's may ask again.
const RETRY_AFTER_S: u64 = 5;
/// Largest answer of the service, in bytes.
const ANSWER_MAX_BYTES: u64 = 256 << 20;
/// A text up to so many bytes is not cut: what the service refuses of it is not its length.
const CUT_MIN_BYTES: usize = 1024;
/// A text that no service has a reason to refuse: one that does refuses whatever it is asked.
const PLAIN: &str = "hello";

/// Which model is asked, and how.
#[derive(Clone, Debug)]
pub struct RemoteConfig {
    /// Where.
    pub service: ServiceConfig,
    /// The model's name there.
    pub model: String,
    /// Numbers of a vector, where the model lets that be chosen; none = its own.
    pub dimensions: Option<usize>,
    /// Texts of one request.
    pub batch_max: usize,
}

/// A client of such a service.
pub struct RemoteEmbedder {
    id: String,
    service: Service,
    /// The model's name there.
    name: String,
    dimensions: Option<usize>,
    batch_max: usize,
    /// Numbers of the first vector that came: all must be alike.
    length: OnceLock<usize>,
}

impl RemoteEmbedder {
    /// A client; nothing is sent yet.
    pub fn new(config: RemoteConfig) -> Self {
        let id = match config.dimensions {
            Some(dimensions) => format!("{}@{dimensions}", config.model),
            None => config.model.clone(),
        };
        Self {
            id,
            service: Service::new(config.service, "embeddings", ANSWER_MAX_BYTES),
            name: config.model,
            dimensions: config.dimensions,
            batch_max: config.batch_max,
            length: OnceLock::new(),
        }
    }

    /// The vectors of texts. What the service refuses is sent again by halves, and a long text that it refuses alone by
    /// its beginning; a short one has zeros for its vector. So none keeps another from its vector.
    async fn batch(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        let (mut vectors, mut waiting) = (Vec::with_capacity(texts.len()), vec![texts]);
        while let Some(mut texts) = waiting.pop() {
            let answer = self.service.ask("/embeddings", self.body(&texts)).await;
            match (answer, texts.as_mut_slice()) {
                (Ok(answer), _) => vectors.extend(self.vectors(&answer, texts.len())?),
                (Err(failed), [text]) if failed.refused && text.len() > CUT_MIN_BYTES => {
                    text.truncate(text.floor_char_boundary(text.len() / 2));
                    waiting.push(texts);
                }
                (Err(failed), [_, _, ..]) if failed.refused => {
                    let rest = texts.split_off(texts.len() / 2);
                    waiting.extend([rest, texts]);
                }
                (Err(failed), [_]) if failed.refused => vectors.push(self.none(&failed).await?),
                (Err(failed), _) => return Err(self.unavailable(&failed.reason)),
            }
        }
        Ok(vectors)
    }

    /// The vector of a text that the service refuses. A service that refuses everything says nothing of a text.
    async fn none(&self, failed: &Failed) -> Result<Vec<f32>> {
        let answer = self
            .service
            .ask("/embeddings", self.body(&[PLAIN.to_owned()]));
        let plain = answer.await.map_err(|_| self.unavailable(&failed.reason))?;
        let length = self.vectors(&plain, 1)?.iter().map(Vec::len).sum();
        tracing::warn!(
            model = self.id,
            reason = failed.reason,
            "the embedding service refuses a text; it has no vector"
        );
        Ok(vec![0.0; length])
    }

    fn vectors(&self, answer: &Value, count: usize) -> Result<Vec<Vec<f32>>> {
        let vectors = read(answer, count).map_err(|reason| self.unavailable(&reason))?;
        for vector in &vectors {
            let length = *self.length.get_or_init(|| vector.len());
            if vector.len() != length {
                let reason = format!("vectors of {length} and of {} numbers", vector.len());
                return Err(self.unavailable(&reason));
            }
        }
        Ok(vectors)
    }

    fn body(&self, texts: &[String]) -> String {
        // An empty text is refused by many services.
        let texts = texts.iter().map(String::as_str);
        let texts: Vec<&str> = texts.map(|t| if t.is_empty() { " " } else { t }).collect();
        let mut body = json!({"input": texts, "model": self.name, "encoding_format": "float"});
        if let (Some(dimensions), Some(map)) = (self.dimensions, body.as_object_mut()) {
            map.insert("dimensions".to_owned(), dimensions.into());
        }
        body.to_string()
    }

    fn unavailable(&self, reason: &str) -> Error {
        tracing::warn!(
            model = self.id,
            reason,
            "the embedding service gave no vectors"
        );
        Error::unavailable("the embedding service gave no vectors", RETRY_AFTER_S)
    }
}

#[async_trait]
impl Embedder for RemoteEmbedder {
    fn model(&self) -> &str {
        &self.id
    }

    fn is_local(&self) -> bool {
        false
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(self.batch_max.max(1)) {
            vectors.extend(self.batch(batch.to_vec()).await?);
        }
        Ok(vectors)
    }
}

/// The vectors of an answer in the order of their texts, each of length 1.
fn read(answer: &Value, count: usize) -> Result<Vec<Vec<f32>>, String> {
    let data = answer["data"].as_array().ok_or("no data in the answer")?;
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; count];
    for (at, item) in data.iter().enumerate() {
        let index = item["index"].as_u64().map_or(at, |i| i as usize);
        let numbers = item["embedding"]
            .as_array()
            .ok_or("no embedding in the data")?;
        let vector: Vec<f32> = numbers
            .iter()
            .map(|x| x.as_f64().map(|x| x as f32))
            .collect::<Option<_>>()
            .ok_or("an embedding that is not all numbers")?;
        let place = vectors.get_mut(index).ok_or("more embeddings than texts")?;
        *place = Some(unit(vector)?);
    }
    let all: Option<Vec<Vec<f32>>> = vectors.into_iter().collect();
    all.ok_or_else(|| format!("{} embeddings of {count} texts", data.len()))
}

fn unit(mut vector: Vec<f32>) -> Result<Vec<f32>, String> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if vector.is_empty() || !length.is_finite() {
        return Err("an embedding that is empty or not finite".to_owned());
    }
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    Ok(vector)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use nova_core::trace::{self, TraceContext};

    use super::*;

    /// A service that gives these answers, one after the other, and what it was asked.
    fn service(answers: Vec<(u16, Value)>) -> (String, Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (tell, asked) = channel();
        std::thread::spawn(move || {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut text = Vec::new();
                let mut part = [0; 4096];
                while !whole(&text) {
                    let count = stream.read(&mut part).unwrap();
                    text.extend_from_slice(&part[..count]);
                }
                tell.send(String::from_utf8_lossy(&text).into_owned())
                    .unwrap();
                let body = body.to_string();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                stream
                    .write_all(format!("{head}{body}").as_bytes())
                    .unwrap();
            }
        });
        (url, asked)
    }

    fn whole(request: &[u8]) -> bool {
        let text = String::from_utf8_lossy(request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            return false;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().unwrap())
        });
        body.len() >= length.unwrap_or_default()
    }

    fn embedder(url: &str) -> RemoteEmbedder {
        RemoteEmbedder::new(config(url))
    }

    fn config(url: &str) -> RemoteConfig {
        RemoteConfig {
            service: ServiceConfig {
                url: url.to_owned(),
                key: Some("secret".to_owned()),
                timeout: Duration::from_secs(20),
                attempts_max: 3,
                pause: Duration::from_millis(1),
            },
            model: "m".to_owned(),
            dimensions: None,
            batch_max: 2,
        }
    }

    fn texts(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("text {i}")).collect()
    }

    fn given(vectors: &[(u64, [f32; 2])]) -> Value {
        let item = |(index, vector): &(u64, [f32; 2])| json!({"index": index, "embedding": vector});
        json!({"data": vectors.iter().map(item).collect::<Vec<_>>()})
    }

    #[tokio::test]
    async fn vectors_come_in_order_in_batches_and_after_a_refusal() {
        let (url, asked) = service(vec![
            (503, json!({"error": "later"})),
            (200, given(&[(1, [0.0, 2.0]), (0, [3.0, 0.0])])),
            (200, given(&[(0, [0.6, 0.8])])),
        ]);
        let vectors = embedder(&url).embed(texts(3)).await.unwrap();
        assert_eq!(vectors, [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]);
        let first = asked.recv().unwrap();
        assert!(first.starts_with("POST /v1/embeddings "), "{first}");
        assert!(
            first.contains("Bearer secret") && first.contains("text 1"),
            "{first}"
        );
    }

    #[tokio::test]
    async fn a_text_too_long_for_the_model_is_embedded_by_its_beginning() {
        let refused = || (400, json!({"error": "maximum context length"}));
        let (url, asked) = service(vec![
            refused(),
            (200, given(&[(0, [1.0, 0.0])])),
            refused(),
            (200, given(&[(0, [0.0, 1.0])])),
        ]);
        let long = format!(
            "{}é{}",
            "a".repeat(CUT_MIN_BYTES - 1),
            "b".repeat(CUT_MIN_BYTES)
        );
        let both = vec!["short".to_owned(), long];
        let vectors = embedder(&url).embed(both).await.unwrap();
        assert_eq!(vectors, [[1.0, 0.0], [0.0, 1.0]]);
        let asked: Vec<String> = asked.iter().collect();
        assert_eq!(asked.len(), 4, "both, the one, the other, its half");
        let cut = format!("[\"{}\"]", "a".repeat(CUT_MIN_BYTES - 1));
        assert!(asked[3].contains(&cut), "{}", asked[3]);
    }

    #[tokio::test]
    async fn a_refused_text_has_no_vector_and_keeps_no_other_from_its_own() {
        let refused = || (400, json!({"error": "bad input"}));
        let one = || (200, given(&[(0, [1.0, 0.0])]));
        let (url, asked) = service(vec![refused(), refused(), one(), one()]);
        let vectors = embedder(&url).embed(texts(2)).await.unwrap();
        assert_eq!(vectors, [[0.0, 0.0], [1.0, 0.0]]);
        let asked: Vec<String> = asked.iter().collect();
        assert!(asked[2].contains(PLAIN), "{}", asked[2]);

        // A service that refuses everything is no judge of a text.
        let (url, asked) = service(vec![refused(); 3]);
        embedder(&url).embed(texts(2)).await.unwrap_err();
        assert_eq!(asked.iter().count(), 3, "both, the one, a plain one");
    }

    #[tokio::test]
    async fn the_service_is_told_the_place_in_the_trace() {
        let answer = given(&[(0, [1.0, 0.0])]);
        let (url, asked) = service(vec![(200, answer.clone()), (200, answer)]);
        let place = TraceContext {
            trace_id: 0xabc,
            span_id: 1,
            sampled: true,
        };
        let embedder = embedder(&url);
        trace::scope(place, embedder.embed(texts(1))).await.unwrap();
        embedder.embed(texts(1)).await.unwrap();
        let header = format!("traceparent: 00-{:032x}-", 0xabc);
        assert!(asked.recv().unwrap().contains(&header));
        assert!(!asked.recv().unwrap().contains("traceparent"));
    }

    #[tokio::test]
    async fn what_is_refused_or_makes_no_sense_gives_nothing() {
        for (status, body) in [
            (401, json!({"error": "key"})),
            (200, json!({"data": []})),
            (200, json!({"vectors": [[1.0]]})),
            (200, given(&[(7, [1.0, 0.0])])),
            (200, json!({"data": [{"index": 0, "embedding": ["x"]}]})),
        ] {
            let (url, _asked) = service(vec![(status, body.clone())]);
            let error = embedder(&url).embed(texts(1)).await.unwrap_err();
            assert!(
                matches!(error, Error::Unavailable { .. }),
                "{body}: {error}"
            );
            assert!(
                !error.to_string().contains("key"),
                "a client does not read the cause"
            );
        }
        let late = vec![(500, json!({})); 3];
        let (url, asked) = service(late);
        embedder(&url).embed(texts(1)).await.unwrap_err();
        assert_eq!(asked.iter().count(), 3, "no more than so many attempts");
    }

    #[tokio::test]
    async fn an_answer_past_the_limit_is_not_read() {
        let answer = given(&[(0, [1.0, 0.0])]);
        let length = answer.to_string().len() as u64;
        for (most, fits) in [(length, true), (length - 1, false)] {
            let (url, _asked) = service(vec![(200, answer.clone())]);
            let mut config = config(&url);
            config.service.attempts_max = 1;
            let embedder = RemoteEmbedder {
                service: Service::new(config.service.clone(), "embeddings", most),
                ..RemoteEmbedder::new(config)
            };
            assert_eq!(embedder.embed(texts(1)).await.is_ok(), fits);
        }
    }

    #[tokio::test]
    async fn vectors_of_another_length_are_refused() {
        let (url, _asked) = service(vec![
            (200, given(&[(0, [1.0, 0.0])])),
            (200, json!({"data": [{"embedding": [1.0, 0.0, 0.0]}]})),
        ]);
        let embedder = embedder(&url);
        embedder.embed(texts(1)).await.unwrap();
        embedder.embed(texts(1)).await.unwrap_err();
    }
}
