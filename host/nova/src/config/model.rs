//! Every key of the configuration, with its default; `config/nova.default.toml` documents them.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::alerts::{Alerts, Retry};

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty = $default:expr),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name { $(pub(crate) $field: $type),* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),* }
            }
        }
    };
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For eyes.
    #[default]
    Pretty,
    /// For machines.
    Json,
}

impl LogFormat {
    /// The name in files and flags.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pretty => "pretty",
            Self::Json => "json",
        }
    }
}

section!(Config {
    server: Server = Server::default(),
    shutdown: Shutdown = Shutdown::default(),
    data: Data = Data::default(),
    plugins: Plugins = Plugins::default(),
    strategies: Strategies = Strategies::default(),
    scheduling: Scheduling = Scheduling::default(),
    allocation: Allocation = Allocation::default(),
    leases: Leases = Leases::default(),
    memory: Memory = Memory::default(),
    websocket: WebSocket = WebSocket::default(),
    auth: Auth = Auth::default(),
    idempotency: Idempotency = Idempotency::default(),
    alerts: Alerts = Alerts::default(),
    retry: Retry = Retry::default(),
    journal: Journal = Journal::default(),
    replay: Replay = Replay::default(),
    shadow: Shadow = Shadow::default(),
    cache: Cache = Cache::default(),
    log: Log = Log::default(),
    telemetry: Telemetry = Telemetry::default(),
});

section!(Server {
    listen: String = "127.0.0.1:8080".into(),
    max_body_bytes: u64 = 2 * 1024 * 1024,
    header_timeout_ms: u64 = 30_000,
    header_max_bytes: u32 = 64 * 1024,
    body_timeout_ms: u64 = 30_000,
    write_timeout_ms: u64 = 60_000,
    connections_max: u32 = 10_000,
    connections_per_peer_max: u32 = 10_000,
    cors_origins: Vec<String> = Vec::new(),
    compress: bool = true,
    compress_min_bytes: u64 = 1024,
    tls: Tls = Tls::default(),
});

section!(Tls {
    certificate: PathBuf = PathBuf::new(),
    key: PathBuf = PathBuf::new(),
    scan_interval_ms: u64 = 1000,
});

section!(Shutdown {
    grace_s: f64 = 10.0,
});

section!(Data {
    dir: PathBuf = "nova-data".into(),
    readers: u32 = 4,
    queue_len: u32 = 4096,
    batch_max: u32 = 512,
});

section!(Plugins {
    dir: PathBuf = "nova-plugins".into(),
    settle_ms: u64 = 50,
    scan_interval_ms: u64 = 1000,
    retire_grace_ms: u64 = 2000,
    drain_deadline_ms: u64 = 10_000,
    max_file_bytes: u64 = 64 * 1024 * 1024,
    kept_revisions: u32 = 2,
    signers: Vec<String> = Vec::new(),
    instances_max: u32 = 256,
    processors_max: u32 = 64,
    tick_ms: u64 = 2,
    limits: Limits = Limits::default(),
    breaker: Breaker = Breaker::default(),
    gate: Gate = Gate::default(),
});

section!(Gate {
    enabled: bool = false,
    decisions_max: u64 = 200,
    decisions_min: u64 = 20,
    time_max_ms: u64 = 10_000,
    objective_loss_max: f64 = 0.01,
    time_growth_max: f64 = 1.0,
    failures_max: u64 = 0,
});

section!(Breaker {
    window: u32 = 20,
    failures: u32 = 5,
    open_ms: u64 = 5000,
    trials: u32 = 3,
    rollback_within_s: f64 = 900.0,
});

section!(Limits {
    deadline_ms: u64 = 1000,
    wall_ms: u64 = 5000,
    memory_bytes: u64 = 256 * 1024 * 1024,
    table_elements: u64 = 20_000,
    hostcall_bytes: u64 = 16 * 1024 * 1024,
    input_bytes: u64 = 16 * 1024 * 1024,
    concurrency: u32 = 64,
    queue_ms: u64 = 1000,
    log_bytes: u64 = 16 * 1024,
});

section!(Strategies {
    flow_optimizer: String = "nova-flow".into(),
    resource_allocator: String = "drf".into(),
    analytics_processor: String = "pulse".into(),
    canary_interval_ms: u64 = 250,
});

section!(Scheduling {
    default_duration_s: f64 = 1.0,
    latency_s: f64 = 0.0,
    bandwidth_bytes_per_s: f64 = f64::INFINITY,
});

section!(Allocation {
    attempts_max: u32 = 5,
    expire_interval_ms: u64 = 1000,
});

section!(Leases {
    default_s: f64 = 60.0,
    max_s: f64 = 3600.0,
    wait_max_ms: u64 = 30_000,
    waiters_max: u32 = 1000,
    sweep_interval_ms: u64 = 500,
});

section!(Memory {
    model_dir: String = String::new(),
    previous_model_dir: String = String::new(),
    embedding_url: String = String::new(),
    embedding_model: String = String::new(),
    embedding_key_env: String = String::new(),
    embedding_dimensions: u32 = 0,
    embedding_timeout_ms: u64 = 10_000,
    embedding_batch_max: u32 = 64,
    embedding_attempts_max: u32 = 4,
    query_timeout_ms: u64 = 2_000,
    tokenizer: String = "words".into(),
    stemming: String = "english".into(),
    fold_diacritics: bool = true,
    same_within_s: f64 = 86_400.0,
    records_max: u64 = 5_000_000,
    bytes_max: u64 = 4 * 1024 * 1024 * 1024,
    keyword_weight: f64 = 1.0,
    vector_weight: f64 = 1.0,
    nearby_weight: f64 = 0.3,
    nearby_within_s: f64 = 3600.0,
    episodic_half_life_s: f64 = 2_592_000.0,
    semantic_half_life_s: f64 = f64::INFINITY,
    recency_floor: f64 = 0.5,
    importance_weight: f64 = 0.2,
    upkeep_interval_ms: u64 = 1000,
    consolidate_episodes: u64 = 10,
    consolidate_importance: f64 = 0.8,
    consolidate_after_s: f64 = 300.0,
    episode_retention_s: f64 = f64::INFINITY,
    episode_keep_importance: f64 = 0.8,
    summarizer: Summarizer = Summarizer::default(),
});

section!(Summarizer {
    url: String = String::new(),
    model: String = String::new(),
    key_env: String = String::new(),
    timeout_ms: u64 = 30_000,
    attempts_max: u32 = 3,
    rounds_max: u32 = 3,
    pause_s: f64 = 60.0,
    episodes_max: u32 = 25,
    input_max_bytes: u64 = 32 * 1024,
    answer_max_tokens: u32 = 2048,
    statements_max: u32 = 10,
    statement_max_chars: u32 = 400,
});

section!(WebSocket {
    sockets_max: u32 = 10_000,
    sockets_per_key_max: u32 = 10_000,
    message_max_bytes: u64 = 16 * 1024,
    subscriptions_max: u32 = 24,
    streams_max: u32 = 2000,
    questions_max: u32 = 256,
    queue_len: u32 = 256,
    replay_max_events: u64 = 100_000,
    interval_min_ms: u64 = 250,
    ping_interval_ms: u64 = 20_000,
    silent_ms: u64 = 60_000,
});

section!(Auth {
    rate_requests: u32 = 100,
    rate_window_s: f64 = 60.0,
    operator_rate_requests: u32 = 1_000_000,
    operator_rate_window_s: f64 = 1.0,
    rotation_grace_s: f64 = 3600.0,
    failures_max: u32 = 30,
    failures_window_s: f64 = 60.0,
    last_used_interval_ms: u64 = 5000,
});

section!(Idempotency {
    keep_s: f64 = 86_400.0,
    answer_max_bytes: u64 = 1024 * 1024,
    prune_interval_ms: u64 = 60_000,
});

section!(Journal {
    enabled: bool = true,
    max_age_s: f64 = 2_592_000.0,
    max_bytes: u64 = 1024 * 1024 * 1024,
    queue_bytes: u64 = 64 * 1024 * 1024,
    flush_ms: u64 = 100,
    wait_ms: u64 = 1000,
});

section!(Replay { parallel: u32 = 1 });

section!(Cache {
    max_bytes: u64 = 64 * 1024 * 1024,
    entries_max: u64 = 10_000,
    ttl_max_s: f64 = 3600.0,
});

section!(Shadow {
    queue_len: u32 = 64,
    queue_bytes: u64 = 16 * 1024 * 1024,
    cpu_share: f64 = 0.1,
    deadline_ms: u64 = 1000,
});

section!(Log {
    format: LogFormat = LogFormat::Pretty,
    filter: String = "info".into(),
    access_sample: f64 = 1.0,
});

section!(Telemetry {
    otlp_endpoint: String = String::new(),
    otlp_sample: f64 = 1.0,
    otlp_queue_spans: u32 = 2048,
    otlp_interval_ms: u64 = 5000,
    otlp_timeout_ms: u64 = 5000,
    service_name: String = "nova".into(),
});
