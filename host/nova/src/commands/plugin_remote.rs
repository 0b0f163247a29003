//! `nova plugin list`, `upload` and `rollback`: plugins of a running daemon.

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use nova_runtime::signature_file;
use serde_json::{Value, json};
use ureq::http::Response;
use ureq::{Agent, Body};

/// Where the daemon is, and who asks.
#[derive(Args)]
pub(crate) struct Remote {
    /// The daemon.
    #[arg(long, env = "NOVA_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// An API key; better given by the environment.
    #[arg(long, env = "NOVA_API_KEY", hide_env_values = true)]
    key: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// See `nova plugin list --help`.
#[derive(Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    remote: Remote,
}

/// See `nova plugin upload --help`.
#[derive(Args)]
pub(crate) struct UploadArgs {
    /// The plugin.
    name: String,
    /// The component.
    file: PathBuf,
    /// To be tried out first, by a canary or a shadow: what serves goes on.
    #[arg(long)]
    stage: bool,
    #[command(flatten)]
    remote: Remote,
}

/// See `nova plugin rollback --help`.
#[derive(Args)]
pub(crate) struct RollbackArgs {
    /// The plugin.
    name: String,
    /// The revision to serve; the one before the serving one otherwise.
    #[arg(long)]
    revision: Option<u64>,
    #[command(flatten)]
    remote: Remote,
}

/// Prints the plugins.
pub(crate) fn list(args: &ListArgs) -> Result<()> {
    let answer = args.remote.send("GET", "/api/plugins", None)?;
    let items = answer["items"].as_array().cloned().unwrap_or_default();
    if args.remote.json {
        println!("{}", serde_json::to_string_pretty(&items)?);
        return Ok(());
    }
    println!(
        "{:<24} {:<20} {:<12} {:>8} {:<10} {:>9} {:>7}  NOTE",
        "NAME", "KIND", "STATE", "REVISION", "VERSION", "CALLS", "ERRORS"
    );
    for plugin in &items {
        let text = |field: &str| shown(&plugin[field]);
        println!(
            "{:<24} {:<20} {:<12} {:>8} {:<10} {:>9} {:>7}  {}",
            text("name"),
            text("kind"),
            text("state"),
            text("revision"),
            text("version"),
            text("calls"),
            text("errors"),
            note(plugin)
        );
    }
    Ok(())
}

/// Uploads a component.
pub(crate) fn upload(args: &UploadArgs) -> Result<()> {
    let read = |path: &PathBuf| fs::read(path).with_context(|| format!("{}", path.display()));
    let component = read(&args.file)?;
    let path = format!("/api/plugins/{}?stage={}", args.name, args.stage);
    let beside = signature_file(&args.file);
    let signature = match fs::read(&beside) {
        Ok(text) => Some(STANDARD.encode(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("{}", beside.display())),
    };
    let answer = args.remote.request(&path, |agent, url, key| {
        let mut request = agent.put(url).header("X-API-Key", key);
        if let Some(signature) = &signature {
            request = request.header("X-Component-Signature", signature);
        }
        request.content_type("application/wasm").send(&component)
    })?;
    if args.remote.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let (name, serving) = (shown(&answer["name"]), shown(&answer["revision"]));
    let staged = &answer["staged"]["revision"];
    if args.stage {
        println!("revision {staged} of {name} is staged; revision {serving} serves");
    } else {
        println!(
            "{name} serves revision {serving} ({})",
            shown(&answer["digest"])
        );
    }
    Ok(())
}

/// Has an earlier revision served again.
pub(crate) fn roll_back(args: &RollbackArgs) -> Result<()> {
    let path = format!("/api/plugins/{}/rollback", args.name);
    let body = match args.revision {
        Some(revision) => json!({"revision": revision}),
        None => json!({}),
    };
    let answer = args.remote.send("POST", &path, Some(&body))?;
    if args.remote.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        println!(
            "{} serves revision {} ({}) again",
            shown(&answer["name"]),
            shown(&answer["revision"]),
            shown(&answer["digest"])
        );
    }
    Ok(())
}

fn note(plugin: &Value) -> String {
    let rolled_back = &plugin["rolled_back"];
    if rolled_back.is_object() {
        let (from, why) = (shown(&rolled_back["from"]), shown(&rolled_back["reason"]));
        return format!("revision {from} was taken back: {why}");
    }
    let staged = &plugin["staged"];
    if staged.is_object() {
        let (revision, version) = (shown(&staged["revision"]), shown(&staged["version"]));
        return format!("revision {revision} ({version}) is staged");
    }
    match plugin["refused_reason"].as_str() {
        // A gate's reason has a table after its first line.
        Some(reason) => {
            let reason = reason.lines().next().unwrap_or_default();
            format!("the newest file is refused: {reason}")
        }
        None => String::new(),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Remote {
    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        self.request(path, |agent, url, key| match (method, body) {
            ("POST", Some(body)) => agent.post(url).header("X-API-Key", key).send_json(body),
            _ => agent.get(url).header("X-API-Key", key).call(),
        })
    }

    fn request(
        &self,
        path: &str,
        send: impl FnOnce(&Agent, &str, &str) -> Result<Response<Body>, ureq::Error>,
    ) -> Result<Value> {
        let Some(key) = &self.key else {
            bail!("a key is needed: NOVA_API_KEY, or --key KEY")
        };
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let mut response =
            send(&agent, &url, key).with_context(|| format!("no answer from {}", self.url))?;
        let answer: Value = response
            .body_mut()
            .read_json()
            .context("the answer is not JSON")?;
        if !response.status().is_success() {
            bail!(
                "the daemon refused ({}): {}",
                response.status().as_u16(),
                answer["error"]["message"]
                    .as_str()
                    .unwrap_or("no reason given")
            );
        }
        Ok(answer)
    }
}
