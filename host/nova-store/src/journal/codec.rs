//! A decision's body as bytes: everything that lists do not show.
//!
//! One byte that says the format, then zstd over MessagePack with named fields. Names cost nothing
//! once compressed, and let later releases add fields.

use std::io::Read;
use std::sync::Arc;

use nova_core::strategy::decision::{Cost, Decider, Decision, Outcome, Question, Subject};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zstd::bulk::Compressor;

/// The format's first byte.
const FORMAT: u8 = 1;
/// zstd's own default: more costs time and gains little on columns of numbers.
const LEVEL: i32 = 3;
/// Largest body, decompressed: a record is ours, but a damaged one must not take all memory.
const BODY_MAX_BYTES: u64 = 512 << 20;

#[derive(Serialize)]
struct BodyRef<'a> {
    subject: &'a Subject,
    decider: &'a Decider,
    question: &'a Question,
    parameters: &'a Map<String, Value>,
    outcome: &'a Outcome,
    cost: &'a Cost,
}

/// What is read back.
#[derive(Deserialize)]
pub(super) struct Body {
    pub(super) subject: Arc<Subject>,
    pub(super) decider: Decider,
    pub(super) question: Question,
    pub(super) parameters: Map<String, Value>,
    pub(super) outcome: Outcome,
    pub(super) cost: Cost,
}

/// Encodes one decision after the other; keeps its buffers.
pub(super) struct Codec {
    compressor: Compressor<'static>,
    plain: Vec<u8>,
}

impl Codec {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            compressor: Compressor::new(LEVEL)?,
            plain: Vec::new(),
        })
    }

    /// The body of a decision.
    ///
    /// # Errors
    /// What cannot be encoded, in words.
    pub(super) fn encode(&mut self, decision: &Decision) -> Result<Vec<u8>, String> {
        self.plain.clear();
        let body = BodyRef {
            subject: &decision.subject,
            decider: &decision.decider,
            question: &decision.question,
            parameters: &decision.parameters,
            outcome: &decision.outcome,
            cost: &decision.cost,
        };
        rmp_serde::encode::write_named(&mut self.plain, &body).map_err(|e| e.to_string())?;
        let packed = self.compressor.compress(&self.plain);
        let packed = packed.map_err(|e| e.to_string())?;
        let mut out = Vec::with_capacity(packed.len() + 1);
        out.push(FORMAT);
        out.extend_from_slice(&packed);
        Ok(out)
    }
}

/// The reverse of [`Codec::encode`].
///
/// # Errors
/// How the bytes are damaged, in words.
pub(super) fn decode(bytes: &[u8]) -> Result<Body, String> {
    let Some((format, packed)) = bytes.split_first() else {
        return Err("the record is empty".to_owned());
    };
    if *format != FORMAT {
        return Err(format!("the record has format {format}, not {FORMAT}"));
    }
    let plain = zstd::stream::Decoder::with_buffer(packed).map_err(|e| e.to_string())?;
    rmp_serde::from_read(plain.take(BODY_MAX_BYTES)).map_err(|e| e.to_string())
}

/// Whether these bytes are the body of a recorded decision; for tests that feed it what nobody wrote.
///
/// # Errors
/// How they are not.
pub fn check_record(bytes: &[u8]) -> Result<(), String> {
    decode(bytes).map(drop)
}
