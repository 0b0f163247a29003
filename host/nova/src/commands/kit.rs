//! `nova plugin new|build|test|bench|run`: the plugin author's kit.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use nova_core::ports::ReplayFilter;
use nova_core::services::REPLAY_DECISIONS_MAX;
use nova_core::strategy::Kind;
use nova_core::{Clock as _, SystemClock};
use nova_runtime::{RuntimeConfig, Tool, Workbench};

use crate::kit::{self, Language, Project};
use crate::telemetry;

/// From nothing to a measured component.
#[derive(Subcommand)]
pub(crate) enum KitCommand {
    /// Make a project that builds as it stands.
    New(NewArgs),
    /// Build a project's component into dist/NAME, which is what a plugin directory takes.
    Build(BuildArgs),
    /// Ask a project's component the probe's problems and those in cases/, in the real sandbox.
    Test(TestArgs),
    /// Compare a project's component with the plugins of a directory: quality, time, memory.
    Bench(BenchArgs),
    /// Have one problem decided, and show the answer.
    Run(RunArgs),
}

/// See [`KitCommand::New`].
#[derive(Args)]
pub(crate) struct NewArgs {
    /// The plugin's name.
    name: String,
    /// What it decides: flow-optimizer, resource-allocator or analytics-processor.
    #[arg(long, value_parser = parse_kind)]
    kind: Kind,
    /// What it is written in.
    #[arg(long, default_value = "rust")]
    lang: Language,
    /// The folder to make it in; NAME without it.
    #[arg(long)]
    into: Option<PathBuf>,
}

/// See [`KitCommand::Build`].
#[derive(Args)]
pub(crate) struct BuildArgs {
    /// The project's folder.
    #[arg(default_value = ".")]
    project: PathBuf,
}

/// See [`KitCommand::Test`].
#[derive(Args)]
pub(crate) struct TestArgs {
    /// The project's folder.
    #[arg(default_value = ".")]
    project: PathBuf,
}

/// See [`KitCommand::Bench`].
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// The project's folder.
    #[arg(default_value = ".")]
    project: PathBuf,
    /// A plugin directory with what to compare with.
    #[arg(long, env = "NOVA_PLUGINS__DIR", default_value = "nova-plugins")]
    against: PathBuf,
    /// Problems as JSON files; problems that every binary has in it without any.
    #[arg(long = "problem")]
    problems: Vec<PathBuf>,
    /// Problems that a daemon was asked: its data directory, which it may be running on.
    #[arg(long, value_name = "DIR", conflicts_with = "problems")]
    recorded: Option<PathBuf>,
    /// Of the recorded ones those of the last while: a number and s, m, h or d.
    #[arg(long, value_name = "TIME", requires = "recorded", value_parser = super::replay::seconds)]
    since: Option<f64>,
    /// The newest so many of the recorded ones.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=REPLAY_DECISIONS_MAX))]
    decisions_max: u64,
    /// Where to write the plot.
    #[arg(long)]
    svg: Option<PathBuf>,
}

/// See [`KitCommand::Run`].
#[derive(Args)]
pub(crate) struct RunArgs {
    /// The problem, a JSON file.
    problem: PathBuf,
    /// The plugin: a component, a folder with a plugin.toml, or a built project.
    #[arg(long, default_value = ".")]
    plugin: PathBuf,
    /// Where to write a plan's Gantt chart.
    #[arg(long)]
    svg: Option<PathBuf>,
}

fn parse_kind(text: &str) -> Result<Kind, String> {
    let kinds = Kind::ALL.map(Kind::as_str).join(", ");
    Kind::parse(text).ok_or_else(|| format!("must be one of {kinds}"))
}

/// Runs the subcommand.
pub(crate) fn run(command: KitCommand) -> Result<()> {
    match command {
        KitCommand::New(args) => {
            let folder = args.into.unwrap_or_else(|| PathBuf::from(&args.name));
            kit::new::create(&folder, &args.name, args.kind, args.lang)?;
            println!(
                "made {}; next: nova plugin build {0}, nova plugin test {0}",
                folder.display()
            );
            Ok(())
        }
        KitCommand::Build(args) => {
            let project = Project::open(&args.project)?;
            let component = kit::build::build(&project)?;
            let bytes = std::fs::metadata(&component)?.len();
            println!("built {} ({bytes} bytes)", component.display());
            println!(
                "copy {} into a plugin directory to serve it",
                project.dist().display()
            );
            Ok(())
        }
        KitCommand::Test(args) => asynchronously(test(args)),
        KitCommand::Bench(args) => asynchronously(bench(args)),
        KitCommand::Run(args) => asynchronously(decide(args)),
    }
}

fn asynchronously(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)
}

/// The component that a project was built into.
pub(super) fn built(project: &Project) -> Result<PathBuf> {
    let component = project.component();
    if !component.is_file() {
        bail!(
            "{} is not built: run `nova plugin build {}` first",
            component.display(),
            project.folder.display()
        );
    }
    Ok(component)
}

async fn open(bench: &Workbench, project: &Project) -> Result<Tool> {
    built(project)?;
    let opened = bench.open(&project.dist()).await;
    opened.map_err(|reason| anyhow::anyhow!("{} is {reason}", project.name))
}

async fn test(args: TestArgs) -> Result<()> {
    let project = Project::open(&args.project)?;
    let bench = Workbench::new(&RuntimeConfig::default())?;
    let tool = open(&bench, &project).await?;
    println!(
        "{} {}: {} bytes, loaded in {:.0} ms",
        tool.name(),
        tool.version,
        tool.size_bytes,
        tool.load_ms
    );
    let outcomes = kit::cases::run(&tool, &project.cases()?).await?;
    let mut failed = 0;
    for outcome in &outcomes {
        let micros = outcome.elapsed.as_micros();
        match &outcome.wrong {
            None => println!("ok      {} ({micros} µs)", outcome.name),
            Some(wrong) => {
                failed += 1;
                println!("FAILED  {}: {wrong}", outcome.name);
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {} cases failed", outcomes.len());
    }
    println!("{} cases passed", outcomes.len());
    Ok(())
}

async fn bench(args: BenchArgs) -> Result<()> {
    let project = Project::open(&args.project)?;
    let problems = match &args.recorded {
        Some(data) => {
            let filter = ReplayFilter {
                kind: project.kind,
                domain: None,
                since: args.since.map(|s| SystemClock.now().plus_s(-s)),
            };
            kit::recorded::problems(data, filter, args.decisions_max).await?
        }
        None => kit::bench::problems(project.kind, &args.problems)?,
    };
    println!("{} problems", problems.len());
    let bench = Workbench::new(&RuntimeConfig::default())?;
    let mut tools = vec![open(&bench, &project).await?];
    tools.extend(kit::bench::peers(&bench, &args.against, project.kind).await?);
    let cells = kit::bench::compare(&tools, &problems).await;
    print!("{}", kit::bench::tables(project.kind, &cells));
    if let Some(file) = args.svg {
        std::fs::write(&file, kit::bench::plot(project.kind, &cells))
            .with_context(|| format!("cannot write {}", file.display()))?;
        println!("plot in {}", file.display());
    }
    Ok(())
}

async fn decide(args: RunArgs) -> Result<()> {
    let (problem, _) = kit::read(&args.problem)?;
    let bench = Workbench::new(&RuntimeConfig::default())?;
    // A project stands for what it builds.
    let project = Project::open(&args.plugin).ok();
    let path = project.map_or(args.plugin, |project| project.dist());
    let opened = bench.open(&path).await;
    let tool = opened.map_err(|reason| anyhow::anyhow!("{} is {reason}", path.display()))?;
    // From here on, so that the probe's lines are not among them.
    telemetry::show_plugins()?;
    let chart = kit::show(&tool, &problem).await?;
    if let Some(file) = args.svg {
        let chart = chart.context("only a plan has a chart")?;
        std::fs::write(&file, chart).with_context(|| format!("cannot write {}", file.display()))?;
        println!("chart in {}", file.display());
    }
    Ok(())
}
