//! What the listener is given: limits, origins, the certificate, enough file handles.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nova_api::{ServeConfig, Tls, TlsFiles};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// File handles beside those of connections: the datastore, plugins, logs, the reserve.
const OTHER_HANDLES: u64 = 512;

/// The listener's limits and switches.
///
/// # Errors
/// An origin that is no header value.
pub(crate) fn serving(config: &Config, tls: Option<Arc<Tls>>) -> Result<ServeConfig> {
    let server = &config.server;
    let origins = server.cors_origins.iter().map(|origin| {
        let value = origin.parse();
        value.with_context(|| format!("server.cors_origins: '{origin}' is not an origin"))
    });
    Ok(ServeConfig {
        header_read_timeout: Duration::from_millis(server.header_timeout_ms),
        header_max_bytes: server.header_max_bytes as usize,
        write_timeout: Duration::from_millis(server.write_timeout_ms),
        connections_max: server.connections_max as usize,
        connections_per_peer_max: server.connections_per_peer_max as usize,
        grace: Duration::from_secs_f64(config.shutdown.grace_s),
        cors_origins: origins.collect::<Result<_>>()?,
        compress: server.compress,
        compress_min_bytes: server.compress_min_bytes,
        tls,
    })
}

/// The certificate, where there is one.
///
/// # Errors
/// It cannot be used.
pub(crate) fn certificate(config: &Config) -> Result<Option<Arc<Tls>>> {
    let tls = &config.server.tls;
    if tls.certificate.as_os_str().is_empty() {
        return Ok(None);
    }
    let files = TlsFiles {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
    };
    let opened = Tls::open(files).context("server.tls cannot be used")?;
    Ok(Some(Arc::new(opened)))
}

/// Takes over a certificate whose files have changed, again and again.
pub(crate) async fn watch_certificate(tls: Option<Arc<Tls>>, every: Duration) {
    let Some(tls) = tls else { return };
    let mut tick = tokio::time::interval(every);
    loop {
        tick.tick().await;
        match tls.reload_if_changed() {
            Ok(true) => tracing::info!("the certificate has changed and was read again"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the certificate is not taken over"),
        }
    }
}

/// Asks the system for as many file handles as the connections need.
pub(crate) fn raise_file_limit(config: &Config) {
    let needed = u64::from(config.server.connections_max) + OTHER_HANDLES;
    let now = getrlimit(Resource::Nofile);
    let Some(current) = now.current.filter(|current| *current < needed) else {
        return;
    };
    let wanted = now.maximum.map_or(needed, |most| most.min(needed));
    let asked = Rlimit {
        current: Some(wanted),
        maximum: now.maximum,
    };
    let got = setrlimit(Resource::Nofile, asked).map_or(current, |()| wanted);
    if got < needed {
        tracing::warn!(
            handles = got,
            needed,
            "server.connections_max needs more file handles than the system gives; raise its limit (ulimit -n)"
        );
    }
}
