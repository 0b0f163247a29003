//! Traces over OTLP: what was done for a request, told to a collector.
//!
//! Spans are sent in batches by a thread of their own over plain HTTP; a collector that is slow or away costs
//! spans, never a request.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use nova_api::Tracer;
use nova_core::trace::TraceContext;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::config::Telemetry;

/// Where a collector takes traces.
const PATH: &str = "/v1/traces";

/// The recorder of spans.
#[derive(Clone)]
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    /// How long the last spans may take to be sent.
    timeout: Duration,
}

impl Traces {
    /// As configured; none without an endpoint.
    ///
    /// # Errors
    /// An endpoint that is no address.
    pub(crate) fn start(config: &Telemetry) -> Result<Option<Self>> {
        if config.otlp_endpoint.is_empty() {
            return Ok(None);
        }
        let timeout = Duration::from_millis(config.otlp_timeout_ms);
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .build();
        let endpoint = format!("{}{PATH}", config.otlp_endpoint.trim_end_matches('/'));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender(agent.into()))
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint)
            .build()
            .context("telemetry.otlp_endpoint cannot be used")?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(config.otlp_queue_spans as usize)
            .with_max_export_batch_size(512.min(config.otlp_queue_spans as usize))
            .with_scheduled_delay(Duration::from_millis(config.otlp_interval_ms))
            .build();
        let processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(batches)
            .build();
        let resource = Resource::builder_empty()
            .with_service_name(config.service_name.clone())
            .with_attribute(KeyValue::new("service.version", nova_api::VERSION))
            .build();
        let begun_here = Sampler::TraceIdRatioBased(config.otlp_sample);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(begun_here)))
            .with_resource(resource)
            .build();
        Ok(Some(Self { provider, timeout }))
    }

    pub(super) fn tracer(&self) -> SdkTracer {
        self.provider.tracer("nova")
    }

    /// Sends what is left; blocks.
    pub(crate) fn end(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(self.timeout) {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

impl Tracer for Traces {
    fn place(&self, span: &Span, from: Option<TraceContext>) -> Option<TraceContext> {
        if let Some(from) = from {
            let flags = TraceFlags::default().with_sampled(from.sampled);
            let remote = SpanContext::new(
                TraceId::from_bytes(from.trace_id.to_be_bytes()),
                SpanId::from_bytes(from.span_id.to_be_bytes()),
                flags,
                true,
                TraceState::default(),
            );
            let parent = Context::new().with_remote_span_context(remote);
            if let Err(error) = span.set_parent(parent) {
                tracing::debug!(%error, "the trace of a request is not continued");
            }
        }
        let context = span.context();
        let own = context.span().span_context().clone();
        own.is_valid().then(|| TraceContext {
            trace_id: u128::from_be_bytes(own.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(own.span_id().to_bytes()),
            sampled: own.is_sampled(),
        })
    }
}

/// Sends a batch. Called on the thread of the batches, which may block.
struct Sender(ureq::Agent);

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

#[async_trait::async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.0.run(request.map(|body| body.to_vec()))?;
        let (parts, mut body) = answer.into_parts();
        let bytes = body.read_to_vec()?;
        Ok(Response::from_parts(parts, Bytes::from(bytes)))
    }
}
