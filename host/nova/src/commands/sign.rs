//! `nova plugin keygen`, `sign` and `verify`: signatures that a daemon can be told to ask for.
//!
//! Keys and signatures are minisign's, so that its own tools read and make them too.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use minisign::{KeyPair, SecretKey, SecretKeyBox};
use nova_runtime::{Signers, signature_file};

/// Signatures of components.
#[derive(Subcommand)]
pub(crate) enum SignCommand {
    /// Make a pair of keys to sign components with.
    Keygen(KeygenArgs),
    /// Sign a component: its signature is put beside it, with `.sig` added.
    Sign(SignArgs),
    /// Say whether one of some keys has signed a component.
    Verify(VerifyArgs),
}

/// See `nova plugin keygen --help`.
#[derive(Args)]
pub(crate) struct KeygenArgs {
    /// Where the secret key is written, readable by its owner only; the public one is put beside it, with
    /// `.pub` added.
    file: PathBuf,
    #[command(flatten)]
    lock: Lock,
}

/// See `nova plugin sign --help`.
#[derive(Args)]
pub(crate) struct SignArgs {
    /// The component.
    file: PathBuf,
    /// The secret key of `nova plugin keygen` or minisign.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    lock: Lock,
}

/// See `nova plugin verify --help`.
#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// The component; its signature lies beside it, with `.sig` added.
    file: PathBuf,
    /// A public key: its file, or the line in Base64. May be given more than once.
    #[arg(long, value_name = "KEY", required = true)]
    key: Vec<String>,
}

#[derive(Args)]
struct Lock {
    /// Locks the secret key; better given by the environment. Without one, whoever reads the file can sign.
    #[arg(long, env = "NOVA_SIGNING_PASSWORD", hide_env_values = true)]
    password: Option<String>,
}

/// Runs the subcommand.
pub(crate) fn run(command: SignCommand) -> Result<()> {
    match command {
        SignCommand::Keygen(args) => keygen(&args),
        SignCommand::Sign(args) => sign(&args),
        SignCommand::Verify(args) => verify(&args),
    }
}

fn keygen(args: &KeygenArgs) -> Result<()> {
    let public = with(&args.file, ".pub");
    // A key that is written over cannot be made again.
    if let Some(there) = [&args.file, &public].into_iter().find(|path| path.exists()) {
        bail!("{} is there already", there.display());
    }
    let keys = match &args.lock.password {
        Some(password) => KeyPair::generate_encrypted_keypair(Some(password.clone())),
        None => KeyPair::generate_unencrypted_keypair(),
    };
    let keys = keys.map_err(|error| anyhow!("no key could be made: {error}"))?;
    let unwritten = |error| anyhow!("the key cannot be written down: {error}");
    let secret = keys.sk.to_box(Some("nova plugin signing key"));
    let secret = secret.map_err(unwritten)?.into_string();
    let shown = keys.pk.to_box().map_err(unwritten)?.into_string();
    write_new(&args.file, 0o600, &secret)?;
    write_new(&public, 0o644, &shown)?;
    println!("secret key  {}", args.file.display());
    println!("public key  {}", public.display());
    println!("plugins.signers = [\"{}\"]", keys.pk.to_base64());
    Ok(())
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    let mut file = file.with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {}", path.display()))
}

fn sign(args: &SignArgs) -> Result<()> {
    let key = secret_key(args)?;
    let component = read(&args.file)?;
    let name = args.file.file_name().unwrap_or_default().to_string_lossy();
    let comment = format!("nova plugin {name}");
    let signature = minisign::sign(None, &key, component.as_slice(), Some(&comment), None);
    let signature = signature.map_err(|error| anyhow!("it cannot be signed: {error}"))?;
    let path = signature_file(&args.file);
    // Whole or not at all: a daemon may be watching.
    let part = with(&path, ".tmp");
    fs::write(&part, signature.into_string())
        .and_then(|()| fs::rename(&part, &path))
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}

fn secret_key(args: &SignArgs) -> Result<SecretKey> {
    let file = args.key.display();
    let text = fs::read_to_string(&args.key).with_context(|| format!("cannot read {file}"))?;
    let boxed = SecretKeyBox::from_string(&text)
        .map_err(|error| anyhow!("{file} is no secret key: {error}"))?;
    match &args.lock.password {
        Some(password) => boxed
            .into_secret_key(Some(password.clone()))
            .map_err(|error| anyhow!("{file} cannot be unlocked: {error}")),
        None => boxed.into_unencrypted_secret_key().map_err(|error| {
            anyhow!("{file} cannot be used: {error}; is it locked? Then NOVA_SIGNING_PASSWORD, or --password, unlocks it")
        }),
    }
}

fn verify(args: &VerifyArgs) -> Result<()> {
    let keys = args.key.iter().map(|given| public_key(given));
    let keys: Vec<String> = keys.collect::<Result<_>>()?;
    let signers = Signers::parse(&keys).map_err(|error| anyhow!(error))?;
    let component = read(&args.file)?;
    let path = signature_file(&args.file);
    let text = fs::read_to_string(&path)
        .with_context(|| format!("it is not signed: cannot read {}", path.display()))?;
    signers
        .check(&component, &text)
        .map_err(|error| anyhow!("{}: {error}", args.file.display()))?;
    println!("{} is signed by one of the keys", args.file.display());
    Ok(())
}

/// The line in Base64 of a key's file, or what was given itself.
fn public_key(given: &str) -> Result<String> {
    let path = Path::new(given);
    if !path.is_file() {
        return Ok(given.to_owned());
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {given}"))?;
    let line = text.lines().find(|line| !line.contains("comment:"));
    Ok(line.unwrap_or_default().to_owned())
}

fn read(component: &Path) -> Result<Vec<u8>> {
    fs::read(component).with_context(|| format!("cannot read {}", component.display()))
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
