//! `nova keys create|list|rotate|revoke`.
//!
//! Asks a running daemon over HTTP (`--url`, `--key`), which acts at once: a revoked key's next request is refused.
//! With `--data-dir` it works on the data directory of a stopped daemon instead, without a key: whoever may write there
//! owns the installation. The directory's lock keeps the two apart, so that a daemon never serves from keys that have
//! changed behind its back.

mod door;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use door::Door;

/// Make, list, rotate and revoke API keys.
#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key and print its secret, which is shown this once.
    Create(CreateArgs),
    /// List keys, newest first, revoked ones too.
    List(ListArgs),
    /// Give a key a new secret; the present one serves on for a grace period.
    Rotate(RotateArgs),
    /// End a key.
    Revoke(RevokeArgs),
}

/// Where the keys are.
#[derive(Args)]
pub(crate) struct Place {
    /// The daemon.
    #[arg(long, env = "NOVA_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// A key with the permission `admin`.
    #[arg(long, env = "NOVA_API_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Work on the data directory of a stopped daemon instead of asking a running one; needs no key.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print JSON, as the API answers it.
    #[arg(long)]
    json: bool,
}

/// See [`KeysCommand::Create`].
#[derive(Args)]
pub(crate) struct CreateArgs {
    /// For people.
    #[arg(long)]
    name: String,
    /// What it may do: read, write, admin.
    #[arg(long = "permission", value_name = "PERMISSION", value_delimiter = ',')]
    permissions: Vec<String>,
    /// Roles that it has, e.g. viewer, operator, agent, admin.
    #[arg(long = "role", value_name = "ROLE", value_delimiter = ',')]
    roles: Vec<String>,
    /// Where it may act.
    #[arg(
        long = "domain",
        value_name = "DOMAIN",
        value_delimiter = ',',
        default_value = "*"
    )]
    domains: Vec<String>,
    /// The domain of requests that name none.
    #[arg(long, value_name = "DOMAIN")]
    default_domain: Option<String>,
    /// Requests that it may make in a window; as configured otherwise.
    #[arg(long, value_name = "N")]
    rate_requests: Option<u32>,
    /// Length of that window, in seconds.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 60.0,
        requires = "rate_requests"
    )]
    rate_window_s: f64,
    /// When it ends (RFC 3339); never otherwise.
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// See [`KeysCommand::List`].
#[derive(Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    place: Place,
}

/// See [`KeysCommand::Rotate`].
#[derive(Args)]
pub(crate) struct RotateArgs {
    /// The key's id.
    key_id: String,
    /// How long the present secret serves on; as configured otherwise.
    #[arg(long, value_name = "SECONDS")]
    grace_s: Option<f64>,
    #[command(flatten)]
    place: Place,
}

/// See [`KeysCommand::Revoke`].
#[derive(Args)]
pub(crate) struct RevokeArgs {
    /// The key's id.
    key_id: String,
    #[command(flatten)]
    place: Place,
}

/// Runs the subcommand.
pub(crate) fn run(command: KeysCommand) -> Result<()> {
    match command {
        KeysCommand::Create(args) => {
            let body = args.body();
            let answer = Door::open(&args.place, true)?.create(body)?;
            print_secret(&answer, args.place.json)
        }
        KeysCommand::List(args) => {
            let keys = Door::open(&args.place, false)?.list()?;
            if args.place.json {
                return print_json(&Value::Array(keys));
            }
            print_table(&keys);
            Ok(())
        }
        KeysCommand::Rotate(args) => {
            check_id(&args.key_id)?;
            let door = Door::open(&args.place, false)?;
            let answer = door.rotate(&args.key_id, args.grace_s)?;
            print_secret(&answer, args.place.json)
        }
        KeysCommand::Revoke(args) => {
            check_id(&args.key_id)?;
            let answer = Door::open(&args.place, false)?.revoke(&args.key_id)?;
            if args.place.json {
                return print_json(&answer);
            }
            println!("key {} is revoked", args.key_id);
            Ok(())
        }
    }
}

impl CreateArgs {
    fn body(&self) -> Value {
        let mut body = json!({
            "name": self.name,
            "permissions": self.permissions,
            "roles": self.roles,
            "domains": self.domains,
        });
        if let Some(domain) = &self.default_domain {
            body["default_domain"] = domain.as_str().into();
        }
        if let Some(requests) = self.rate_requests {
            body["rate_limit"] = json!({"requests": requests, "window_s": self.rate_window_s});
        }
        if let Some(end) = &self.expires_at {
            body["expires_at"] = end.as_str().into();
        }
        body
    }
}

/// An id goes into a path: anything else than an id must not.
fn check_id(id: &str) -> Result<()> {
    match id.parse::<nova_core::KeyId>() {
        Ok(_) => Ok(()),
        Err(error) => bail!("{error}; `nova keys list` shows the ids"),
    }
}

fn print_json(value: &Value) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

fn print_secret(answer: &Value, json: bool) -> Result<()> {
    if json {
        return print_json(answer);
    }
    println!("key     {}", text(&answer["key_id"]));
    println!("secret  {} (shown once)", text(&answer["secret"]));
    if let Some(until) = answer["orchestration"]["former_secret_until"].as_str() {
        println!("former  serves until {until}");
    }
    Ok(())
}

fn print_table(keys: &[Value]) {
    let head = [
        "ID",
        "STATUS",
        "PREFIX",
        "PERMISSIONS",
        "DOMAINS",
        "LIMIT",
        "LAST USED",
        "NAME",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(keys.iter().map(row));
    let width = |column: usize| {
        rows.iter()
            .map(|r| r[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; 8] = std::array::from_fn(width);
    for row in &rows {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

fn row(key: &Value) -> [String; 8] {
    let roles = key["roles"].as_array().into_iter().flatten();
    let roles = roles.map(|r| format!("role:{}", text(r)));
    let permissions = key["permissions"].as_array().into_iter().flatten();
    let may: Vec<String> = permissions.map(text).chain(roles).collect();
    let domains = key["domains"].as_array().into_iter().flatten();
    let limit = &key["rate_limit"];
    [
        text(&key["key_id"]),
        text(&key["status"]),
        text(&key["prefix"]),
        may.join(","),
        domains.map(text).collect::<Vec<_>>().join(","),
        format!("{}/{} s", limit["requests"], limit["window_s"]),
        text(&key["last_used_at"]),
        text(&key["name"]),
    ]
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}
