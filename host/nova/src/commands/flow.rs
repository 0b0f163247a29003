//! `nova flow import FILE`: brings a workflow into a running daemon.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::import;

/// Work with flows of a running daemon.
#[derive(Subcommand)]
pub(crate) enum FlowCommand {
    /// Make a flow of a workflow file: WfCommons' WfFormat 1.5, or a graph of nodes and edges.
    Import(ImportArgs),
}

/// See [`FlowCommand::Import`].
#[derive(Args)]
pub(crate) struct ImportArgs {
    /// The workflow.
    file: PathBuf,
    /// The daemon.
    #[arg(long, env = "NOVA_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// A key with the permission `write`.
    #[arg(long, env = "NOVA_API_KEY", hide_env_values = true)]
    key: Option<String>,
    /// The flow's id; the daemon makes one otherwise.
    #[arg(long)]
    flow_id: Option<String>,
    /// The domain; the key's default otherwise.
    #[arg(long)]
    domain: Option<String>,
    /// Bytes a second between two agents, for the plans of this flow.
    #[arg(long)]
    bandwidth_bytes_per_s: Option<f64>,
    /// Print the request in place of sending it.
    #[arg(long)]
    print: bool,
}

/// Runs the subcommand.
pub(crate) fn run(command: FlowCommand) -> Result<()> {
    let FlowCommand::Import(args) = command;
    let mut body = import::read(&args.file)?;
    if let Some(id) = &args.flow_id {
        body["flow_id"] = id.as_str().into();
    }
    if let Some(bandwidth) = args.bandwidth_bytes_per_s {
        body["communication"] = serde_json::json!({"bandwidth_bytes_per_s": bandwidth});
    }
    if args.print {
        println!("{body:#}");
        return Ok(());
    }
    let Some(key) = &args.key else {
        bail!("a key is needed: --key KEY, or NOVA_API_KEY")
    };
    let answer = post(&args, key, &body)?;
    println!(
        "flow {} with {} tasks",
        answer["flow_id"].as_str().unwrap_or("?"),
        count(&body["tasks"])
    );
    Ok(())
}

fn count(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}

fn post(args: &ImportArgs, key: &str, body: &Value) -> Result<Value> {
    let url = format!("{}/api/orchestration/flows", args.url.trim_end_matches('/'));
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let mut request = agent.post(&url).header("X-API-Key", key);
    if let Some(domain) = &args.domain {
        request = request.query("domain", domain);
    }
    let mut response = request
        .send_json(body)
        .with_context(|| format!("no answer from {}", args.url))?;
    let answer: Value = response
        .body_mut()
        .read_json()
        .context("the answer is not JSON")?;
    if !response.status().is_success() {
        let message = answer["error"]["message"]
            .as_str()
            .unwrap_or("no reason given");
        bail!(
            "the daemon refused the flow ({}): {message}",
            response.status().as_u16()
        );
    }
    Ok(answer)
}
