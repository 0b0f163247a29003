//! What has the right type but makes no sense is refused here, with the key's name.

use std::net::SocketAddr;

use anyhow::{Result, anyhow, bail};
use nova_core::RateLimit;
use nova_core::domain::memory::MODEL_NAME_MAX_BYTES;
use nova_core::services::{REPLAY_DECISIONS_MAX, ROTATION_GRACE_MAX_S};
use nova_runtime::Signers;

use super::model::{Breaker, Config, Leases};

/// Least and most bytes of a request's head.
const HEADER_BYTES: (u32, u32) = (8 << 10, 1 << 20);

impl Config {
    /// The address to listen on.
    pub(crate) fn listen(&self) -> Result<SocketAddr> {
        match self.server.listen.parse() {
            Ok(address) => Ok(address),
            Err(_) => bail!(
                "server.listen must be an address and a port such as 127.0.0.1:8080, got '{}'",
                self.server.listen
            ),
        }
    }

    /// Whose signatures let a component serve.
    pub(crate) fn signers(&self) -> Result<Signers> {
        Signers::parse(&self.plugins.signers).map_err(|error| anyhow!("plugins.signers: {error}"))
    }

    /// Refuses what has the right type but makes no sense.
    pub(super) fn check(&self) -> Result<()> {
        self.listen()?;
        self.check_server()?;
        let summarizer = &self.memory.summarizer;
        let at_least_one = [
            ("server.max_body_bytes", self.server.max_body_bytes),
            ("server.header_timeout_ms", self.server.header_timeout_ms),
            ("server.body_timeout_ms", self.server.body_timeout_ms),
            ("server.write_timeout_ms", self.server.write_timeout_ms),
            ("server.connections_max", self.server.connections_max.into()),
            (
                "server.connections_per_peer_max",
                self.server.connections_per_peer_max.into(),
            ),
            (
                "server.tls.scan_interval_ms",
                self.server.tls.scan_interval_ms,
            ),
            (
                "telemetry.otlp_queue_spans",
                self.telemetry.otlp_queue_spans.into(),
            ),
            (
                "telemetry.otlp_interval_ms",
                self.telemetry.otlp_interval_ms,
            ),
            ("telemetry.otlp_timeout_ms", self.telemetry.otlp_timeout_ms),
            ("data.readers", self.data.readers.into()),
            ("data.queue_len", self.data.queue_len.into()),
            ("data.batch_max", self.data.batch_max.into()),
            ("plugins.settle_ms", self.plugins.settle_ms),
            (
                "strategies.canary_interval_ms",
                self.strategies.canary_interval_ms,
            ),
            ("plugins.scan_interval_ms", self.plugins.scan_interval_ms),
            ("plugins.max_file_bytes", self.plugins.max_file_bytes),
            ("plugins.instances_max", self.plugins.instances_max.into()),
            ("plugins.processors_max", self.plugins.processors_max.into()),
            ("plugins.tick_ms", self.plugins.tick_ms),
            (
                "plugins.limits.deadline_ms",
                self.plugins.limits.deadline_ms,
            ),
            ("plugins.limits.wall_ms", self.plugins.limits.wall_ms),
            (
                "plugins.limits.memory_bytes",
                self.plugins.limits.memory_bytes,
            ),
            (
                "plugins.limits.concurrency",
                self.plugins.limits.concurrency.into(),
            ),
            (
                "allocation.attempts_max",
                self.allocation.attempts_max.into(),
            ),
            (
                "auth.last_used_interval_ms",
                self.auth.last_used_interval_ms,
            ),
            (
                "idempotency.prune_interval_ms",
                self.idempotency.prune_interval_ms,
            ),
            ("leases.waiters_max", self.leases.waiters_max.into()),
            ("leases.sweep_interval_ms", self.leases.sweep_interval_ms),
            ("memory.upkeep_interval_ms", self.memory.upkeep_interval_ms),
            ("memory.records_max", self.memory.records_max),
            ("memory.bytes_max", self.memory.bytes_max),
            (
                "memory.embedding_timeout_ms",
                self.memory.embedding_timeout_ms,
            ),
            (
                "memory.embedding_batch_max",
                self.memory.embedding_batch_max.into(),
            ),
            (
                "memory.embedding_attempts_max",
                self.memory.embedding_attempts_max.into(),
            ),
            ("memory.query_timeout_ms", self.memory.query_timeout_ms),
            ("memory.summarizer.timeout_ms", summarizer.timeout_ms),
            (
                "memory.summarizer.attempts_max",
                summarizer.attempts_max.into(),
            ),
            ("memory.summarizer.rounds_max", summarizer.rounds_max.into()),
            (
                "memory.summarizer.episodes_max",
                summarizer.episodes_max.into(),
            ),
            (
                "memory.summarizer.input_max_bytes",
                summarizer.input_max_bytes,
            ),
            (
                "memory.summarizer.answer_max_tokens",
                summarizer.answer_max_tokens.into(),
            ),
            (
                "memory.summarizer.statements_max",
                summarizer.statements_max.into(),
            ),
            (
                "memory.summarizer.statement_max_chars",
                summarizer.statement_max_chars.into(),
            ),
            (
                "allocation.expire_interval_ms",
                self.allocation.expire_interval_ms,
            ),
        ];
        self.check_breaker()?;
        self.signers()?;
        self.check_gate()?;
        self.alerts.check()?;
        self.retry.check()?;
        self.websocket.check()?;
        self.check_leases()?;
        self.check_journal()?;
        self.check_memory()?;
        self.check_auth()?;
        if let Some((key, _)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
            bail!("{key} must be at least 1, got 0");
        }
        if self.plugins.processors_max >= self.plugins.instances_max {
            bail!(
                "plugins.processors_max must be below plugins.instances_max ({}), got {}",
                self.plugins.instances_max,
                self.plugins.processors_max
            );
        }
        let not_negative = [
            ("shutdown.grace_s", self.shutdown.grace_s, 3600.0),
            (
                "scheduling.default_duration_s",
                self.scheduling.default_duration_s,
                315_360_000.0,
            ),
            ("scheduling.latency_s", self.scheduling.latency_s, 86_400.0),
            ("cache.ttl_max_s", self.cache.ttl_max_s, 31_536_000.0),
            ("shadow.cpu_share", self.shadow.cpu_share, 1.0),
            ("log.access_sample", self.log.access_sample, 1.0),
            ("telemetry.otlp_sample", self.telemetry.otlp_sample, 1.0),
        ];
        for (key, value, most) in not_negative {
            if !(0.0..=most).contains(&value) {
                bail!("{key} must be 0 to {most}, got {value}");
            }
        }
        if self.shadow.cpu_share < 0.001 {
            bail!(
                "shadow.cpu_share must be 0.001 to 1, got {}",
                self.shadow.cpu_share
            );
        }
        if self.scheduling.bandwidth_bytes_per_s.is_nan()
            || self.scheduling.bandwidth_bytes_per_s <= 0.0
        {
            let got = self.scheduling.bandwidth_bytes_per_s;
            bail!(
                "scheduling.bandwidth_bytes_per_s must be above 0 (inf: transfers are free), got {got}"
            );
        }
        Ok(())
    }

    fn check_breaker(&self) -> Result<()> {
        let Breaker {
            window,
            failures,
            trials,
            rollback_within_s,
            ..
        } = self.plugins.breaker;
        if !(0.0..=31_536_000.0).contains(&rollback_within_s) {
            bail!(
                "plugins.breaker.rollback_within_s must be 0 to 31536000, got {rollback_within_s}"
            );
        }
        for (key, got, most) in [
            ("window", window, 64),
            ("failures", failures, window),
            ("trials", trials, 1000),
        ] {
            if !(1..=most).contains(&got) {
                bail!("plugins.breaker.{key} must be 1 to {most}, got {got}");
            }
        }
        Ok(())
    }

    fn check_gate(&self) -> Result<()> {
        let gate = &self.plugins.gate;
        if gate.enabled && !self.journal.enabled {
            bail!("plugins.gate.enabled needs recorded decisions: journal.enabled must be true");
        }
        let most = REPLAY_DECISIONS_MAX;
        let counts = [
            ("decisions_max", gate.decisions_max, 1, most),
            ("decisions_min", gate.decisions_min, 1, gate.decisions_max),
            ("time_max_ms", gate.time_max_ms, 1, 600_000),
            ("failures_max", gate.failures_max, 0, most),
        ];
        for (key, got, least, most) in counts {
            if !(least..=most).contains(&got) {
                bail!("plugins.gate.{key} must be {least} to {most}, got {got}");
            }
        }
        for (key, got) in [
            ("objective_loss_max", gate.objective_loss_max),
            ("time_growth_max", gate.time_growth_max),
        ] {
            if got.is_nan() || got < 0.0 {
                bail!("plugins.gate.{key} must be 0 or more (inf: any), got {got}");
            }
        }
        Ok(())
    }

    fn check_journal(&self) -> Result<()> {
        let journal = &self.journal;
        // inf would be no limit, and a record's age is counted in milliseconds.
        if !(1.0..=3_153_600_000.0).contains(&journal.max_age_s) {
            bail!(
                "journal.max_age_s must be 1 to 3153600000, got {}",
                journal.max_age_s
            );
        }
        let bounds = [
            ("journal.max_bytes", journal.max_bytes, 1 << 20, 1 << 50),
            ("journal.queue_bytes", journal.queue_bytes, 1024, 1 << 38),
            ("journal.flush_ms", journal.flush_ms, 1, 60_000),
            ("journal.wait_ms", journal.wait_ms, 0, 60_000),
            ("replay.parallel", self.replay.parallel.into(), 1, 256),
            (
                "shadow.queue_len",
                self.shadow.queue_len.into(),
                1,
                1_000_000,
            ),
            ("cache.max_bytes", self.cache.max_bytes, 1024, 1 << 38),
            ("cache.entries_max", self.cache.entries_max, 1, 1 << 32),
            ("shadow.queue_bytes", self.shadow.queue_bytes, 1024, 1 << 38),
            ("shadow.deadline_ms", self.shadow.deadline_ms, 1, 60_000),
        ];
        for (key, got, least, most) in bounds {
            if !(least..=most).contains(&got) {
                bail!("{key} must be {least} to {most}, got {got}");
            }
        }
        Ok(())
    }

    fn check_leases(&self) -> Result<()> {
        let Leases {
            default_s, max_s, ..
        } = self.leases;
        if !(0.1..=86_400.0).contains(&max_s) {
            bail!("leases.max_s must be 0.1 to 86400, got {max_s}");
        }
        if !(0.1..=max_s).contains(&default_s) {
            bail!("leases.default_s must be 0.1 to leases.max_s ({max_s}), got {default_s}");
        }
        Ok(())
    }

    fn check_auth(&self) -> Result<()> {
        let auth = &self.auth;
        let requests = [
            ("auth.rate_requests", auth.rate_requests),
            ("auth.operator_rate_requests", auth.operator_rate_requests),
            ("auth.failures_max", auth.failures_max),
        ];
        let most = RateLimit::REQUESTS_MAX;
        if let Some((key, got)) = requests.into_iter().find(|(_, n)| !(1..=most).contains(n)) {
            bail!("{key} must be 1 to {most}, got {got}");
        }
        let day = RateLimit::WINDOW_MAX_MS as f64 / 1000.0;
        let spans = [
            ("auth.rate_window_s", auth.rate_window_s, 0.001, day),
            (
                "auth.operator_rate_window_s",
                auth.operator_rate_window_s,
                0.001,
                day,
            ),
            ("auth.failures_window_s", auth.failures_window_s, 0.001, day),
            (
                "auth.rotation_grace_s",
                auth.rotation_grace_s,
                0.0,
                ROTATION_GRACE_MAX_S,
            ),
            (
                "idempotency.keep_s",
                self.idempotency.keep_s,
                1.0,
                31_536_000.0,
            ),
        ];
        for (key, got, least, most) in spans {
            if !(least..=most).contains(&got) {
                bail!("{key} must be {least} to {most}, got {got}");
            }
        }
        Ok(())
    }

    fn check_memory(&self) -> Result<()> {
        let memory = &self.memory;
        let summarizer = &memory.summarizer;
        for (url_key, url, model_key, model) in [
            (
                "memory.embedding_url",
                &memory.embedding_url,
                "memory.embedding_model",
                &memory.embedding_model,
            ),
            (
                "memory.summarizer.url",
                &summarizer.url,
                "memory.summarizer.model",
                &summarizer.model,
            ),
        ] {
            if !(url.is_empty() || url.starts_with("http://") || url.starts_with("https://")) {
                bail!("{url_key} must begin with http:// or https://, got '{url}'");
            }
            if url.is_empty() != model.is_empty() {
                bail!("{url_key} and {model_key} belong together; one of them is empty");
            }
        }
        let (name, most) = (&summarizer.model, MODEL_NAME_MAX_BYTES);
        if name.len() > most {
            bail!(
                "memory.summarizer.model may have at most {most} bytes, got {}",
                name.len()
            );
        }
        if !(0.0..=86_400.0).contains(&summarizer.pause_s) {
            let got = summarizer.pause_s;
            bail!("memory.summarizer.pause_s must be 0 to 86400, got {got}");
        }
        crate::memory::analyzer(memory)?;
        let units = [
            ("memory.recency_floor", memory.recency_floor),
            ("memory.importance_weight", memory.importance_weight),
            ("memory.nearby_weight", memory.nearby_weight),
            (
                "memory.consolidate_importance",
                memory.consolidate_importance,
            ),
            (
                "memory.episode_keep_importance",
                memory.episode_keep_importance,
            ),
        ];
        if let Some((key, got)) = units.into_iter().find(|(_, v)| !(0.0..=1.0).contains(v)) {
            bail!("{key} must be 0 to 1, got {got}");
        }
        let positive = [
            ("memory.same_within_s", memory.same_within_s, true),
            ("memory.keyword_weight", memory.keyword_weight, true),
            ("memory.vector_weight", memory.vector_weight, true),
            ("memory.nearby_within_s", memory.nearby_within_s, true),
            (
                "memory.consolidate_after_s",
                memory.consolidate_after_s,
                true,
            ),
            (
                "memory.episodic_half_life_s",
                memory.episodic_half_life_s,
                false,
            ),
            (
                "memory.semantic_half_life_s",
                memory.semantic_half_life_s,
                false,
            ),
            (
                "memory.episode_retention_s",
                memory.episode_retention_s,
                false,
            ),
        ];
        for (key, got, or_zero) in positive {
            if got.is_nan() || got < 0.0 || got == 0.0 && !or_zero {
                let least = if or_zero { "0 or more" } else { "above 0" };
                bail!("{key} must be {least}, got {got}");
            }
        }
        Ok(())
    }

    fn check_server(&self) -> Result<()> {
        let server = &self.server;
        if !(HEADER_BYTES.0..=HEADER_BYTES.1).contains(&server.header_max_bytes) {
            let ((least, most), got) = (HEADER_BYTES, server.header_max_bytes);
            bail!("server.header_max_bytes must be {least} to {most}, got {got}");
        }
        let is_origin = |text: &str| {
            let host = text
                .strip_prefix("https://")
                .or_else(|| text.strip_prefix("http://"));
            text == "*"
                || host.is_some_and(|host| {
                    let fits = |b: u8| b.is_ascii_graphic() && !b"/?#@*".contains(&b);
                    !host.is_empty() && host.bytes().all(fits)
                })
        };
        if let Some(wrong) = server.cors_origins.iter().find(|o| !is_origin(o)) {
            bail!(
                "server.cors_origins must list origins such as https://console.example.com, or *, got '{wrong}'"
            );
        }
        let endpoint = &self.telemetry.otlp_endpoint;
        let host = endpoint.strip_prefix("http://");
        if !endpoint.is_empty() && host.is_none_or(|h| h.trim_end_matches('/').is_empty()) {
            bail!(
                "telemetry.otlp_endpoint must be an address such as http://127.0.0.1:4318, got '{endpoint}'"
            );
        }
        if server.tls.certificate.as_os_str().is_empty() != server.tls.key.as_os_str().is_empty() {
            bail!("server.tls.certificate and server.tls.key must be given together");
        }
        Ok(())
    }
}
