//! A plugin author's way, from nothing to a served component, once in each language; and what the
//! kit says when something is wrong.
//!
//! Rust builds offline with the crates and the target folder of the shipped plugins. Python and
//! JavaScript need what `cargo xtask tools` installs; without it their tests say so and are skipped.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cases::diamond;
use crate::support::{Daemon, Options, eventually, nova, root, tool};

fn plugin(folder: &Path, args: &[&str]) -> Output {
    let mut command = nova();
    command.arg("plugin").args(args);
    at(command, folder).output().unwrap()
}

/// A command that is not ours.
fn outside(folder: &Path, tool: &str) -> Command {
    at(Command::new(tool), folder)
}

fn at(mut command: Command, folder: &Path) -> Command {
    command
        .current_dir(folder)
        // What the shipped plugins were built with is not built again.
        .env("CARGO_TARGET_DIR", root().join("plugins/target"))
        .env("CARGO_NET_OFFLINE", "true")
        .env("PATH", with_tools());
    command
}

#[track_caller]
fn succeeds(folder: &Path, args: &[&str]) -> String {
    let output = plugin(folder, args);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {told}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn fails(folder: &Path, args: &[&str]) -> String {
    let output = plugin(folder, args);
    assert!(!output.status.success(), "{args:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The search path, with what `cargo xtask tools` installs before all else.
fn with_tools() -> OsString {
    let tools = root().join("target/tools");
    let ours = [
        tools.join("python/bin"),
        tools.join("node/node_modules/.bin"),
    ];
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(ours.into_iter().chain(std::env::split_paths(&path))).unwrap()
}

/// A plugin directory with one shipped plugin in it.
fn peers(folder: &Path, shipped: &str) {
    let (from, to) = (
        root().join("target/plugins").join(shipped),
        folder.join(shipped),
    );
    std::fs::create_dir_all(&to).unwrap();
    for file in [format!("{shipped}.wasm"), "plugin.toml".to_owned()] {
        std::fs::copy(from.join(&file), to.join(&file)).unwrap();
    }
}

/// `new` → `build` → `test` → `bench` → copied into a running daemon's plugin directory → served.
fn newcomers_path(language: &str, kind: &str, name: &str, shipped: &str) {
    let daemon = Daemon::with(Options::default());
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let begun = Instant::now();
    let mut last = Duration::ZERO;
    let mut step = |what: &str| {
        let now = begun.elapsed();
        println!("{language} {what}: {:.2} s", (now - last).as_secs_f64());
        last = now;
    };
    succeeds(folder, &["new", "--kind", kind, "--lang", language, name]);
    step("new");
    let told = succeeds(folder, &["build", name]);
    assert!(told.contains("bytes"), "{told}");
    step("build");
    let told = succeeds(folder, &["test", name]);
    assert!(
        told.contains("cases passed") && !told.contains("FAILED"),
        "{told}"
    );
    print!("{told}");
    step("test");
    peers(&folder.join("peers"), shipped);
    let told = succeeds(
        folder,
        &["bench", name, "--against", "peers", "--svg", "plot.svg"],
    );
    assert!(told.contains(name) && told.contains(shipped), "{told}");
    print!("{told}");
    let plot = std::fs::read_to_string(folder.join("plot.svg")).unwrap();
    assert!(plot.starts_with("<svg") && plot.contains(shipped), "{plot}");
    step("bench");

    let (from, to) = (
        folder.join(name).join("dist").join(name),
        daemon.plugin_dir().join(name),
    );
    std::fs::create_dir_all(&to).unwrap();
    for file in [format!("{name}.wasm"), "plugin.toml".to_owned()] {
        std::fs::copy(from.join(&file), to.join(&file)).unwrap();
    }
    let client = &daemon;
    eventually("the new plugin is loaded", || {
        let answer = client.get(&format!("/api/plugins/{name}"));
        (answer.status == 200 && answer.body["digest"].is_string()).then_some(())
    });
    if kind == "resource-allocator" {
        client.post(
            "/api/orchestration/resources",
            json!({"resource_id": "cpu", "capacity": 8, "unit": "cores"}),
        );
        let answer = client.post(
            "/api/orchestration/resources/allocate",
            json!({"resources": {"cpu": {"requested": 4}}, "strategy": name, "dry_run": true}),
        );
        assert_eq!(answer.body["strategy"]["plugin"], name, "{}", answer.body);
    }
    step("served");
    println!(
        "{language}: the newcomer's path took {:.1} s",
        begun.elapsed().as_secs_f64()
    );
}

#[test]
fn a_newcomers_path_in_rust() {
    newcomers_path("rust", "flow-optimizer", "mine", "heft");
}

/// Every command in a block of the author's guide, one after the other, as they stand there.
#[test]
fn the_guides_commands_work() {
    let guide = std::fs::read_to_string(root().join("plugins/README.md")).unwrap();
    let blocks = guide.split("```sh\n").skip(1);
    let commands: Vec<&str> = blocks
        .flat_map(|block| block.split("```").next().unwrap().lines())
        .collect();
    let home = tempfile::tempdir().unwrap();
    peers(&home.path().join("nova-plugins"), "heft");
    let daemon = a_daemon_that_decided();
    std::os::unix::fs::symlink(daemon.data_dir(), home.path().join("nova-data")).unwrap();
    let mut folder = home.path().to_owned();
    let mut tools: BTreeMap<&str, usize> = BTreeMap::new();
    for line in commands {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["nova", "plugin", ..] => {
                succeeds(&folder, &words[2..]);
            }
            ["cd", to] => folder = folder.join(to).canonicalize().unwrap(),
            [tool @ ("cp" | "cargo"), ..] => {
                let output = outside(&folder, tool).args(&words[1..]).output().unwrap();
                let told = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{line}: {told}");
            }
            _ => panic!("a command that this test does not know: {line}"),
        }
        *tools.entry(words[0]).or_default() += 1;
    }
    let ran = [("cargo", 2), ("cd", 2), ("cp", 1), ("nova", 11)];
    assert_eq!(tools, BTreeMap::from(ran));
    let made = [
        "nova-plugins/mine/mine.wasm",
        "mine/dist/mine/mine.wasm.sig",
        "gantt.svg",
        "mine.svg",
        "recorded.svg",
    ];
    for file in made {
        assert!(home.path().join(file).exists(), "{file}");
    }
}

/// A daemon that has been asked for a plan, and has written it down.
fn a_daemon_that_decided() -> Daemon {
    let daemon = Daemon::with(Options::default());
    let flow = diamond(&daemon);
    for seed in 0..3 {
        let ask = json!({"parameters": {"seed": seed, "max_iterations": 20}});
        daemon
            .post(&format!("/api/orchestration/flows/{flow}/optimize"), ask)
            .expect(200);
    }
    eventually("the decisions are written down", || {
        let list = daemon.get("/api/decisions").expect(200);
        (list["items"].as_array().unwrap().len() >= 3).then_some(())
    });
    daemon
}

#[test]
fn recorded_decisions_are_problems_too() {
    let daemon = a_daemon_that_decided();
    let data = daemon.data_dir();
    let data = data.to_str().unwrap();
    let home = tempfile::tempdir().unwrap();
    let peers_of = |name: &str| {
        let folder = home.path().join(name);
        for plugin in ["heft", "drf"] {
            peers(&folder, plugin);
        }
    };
    peers_of("peers");
    // A shipped plugin in the form of a built project.
    let project = home.path().join("peft");
    peers(&project.join("dist"), "peft");
    std::fs::copy(
        project.join("dist/peft/plugin.toml"),
        project.join("plugin.toml"),
    )
    .unwrap();
    std::fs::write(project.join("Cargo.toml"), "").unwrap();
    let bench = ["bench", "peft", "--against", "peers", "--recorded"];
    let told = succeeds(
        home.path(),
        &[&bench[..], &[data, "--since", "1h", "--svg", "p.svg"]].concat(),
    );
    assert!(told.starts_with("3 problems"), "{told}");
    for strategy in ["peft", "heft"] {
        let line = told.lines().rfind(|line| line.starts_with(strategy));
        assert!(line.unwrap().contains(" 3/3 "), "{told}");
    }
    let plot = std::fs::read_to_string(home.path().join("p.svg")).unwrap();
    assert_eq!(plot.matches("<rect x=").count(), 6, "{plot}");

    let told = fails(home.path(), &[&bench[..], &["peers"]].concat());
    assert!(
        told.contains("no decisions are recorded in peers"),
        "{told}"
    );
    let told = fails(
        home.path(),
        &[&bench[..], &[data, "--problem", "p.json"]].concat(),
    );
    assert!(told.contains("cannot be used with"), "{told}");
    let told = fails(home.path(), &["bench", "peft", "--since", "7d"]);
    assert!(told.contains("--recorded"), "{told}");
}

/// What a trap shows to who wrote the plugin: its own words, and the functions that it was in.
#[test]
fn a_trap_is_shown_with_names() {
    let home = tempfile::tempdir().unwrap();
    let problem = json!({
        "kind": "flow-optimizer",
        "tasks": [{"id": "a", "work_s": 1}],
        "agents": [{"id": "ann"}],
        "parameters": {"misbehave": "trap"}
    });
    std::fs::write(home.path().join("p.json"), problem.to_string()).unwrap();
    let guest = root().join("target/fixtures/fixture-misbehaver.wasm");
    let args = ["run", "p.json", "--plugin", guest.to_str().unwrap()];
    let output = plugin(home.path(), &args);
    assert!(!output.status.success());
    let shown = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&shown);
    assert!(told.contains("panicked at"), "{told}");
    assert!(told.contains("the fixture traps on purpose"), "{told}");
    assert!(
        told.contains("(in nova:strategy/optimizer@0.1.0#optimize"),
        "{told}"
    );
}

#[test]
fn a_newcomers_path_in_python() {
    if tool("python/bin/componentize-py").is_some() {
        newcomers_path("python", "resource-allocator", "snake", "drf");
    }
}

#[test]
fn a_newcomers_path_in_javascript() {
    if tool("node/node_modules/.bin/componentize-qjs").is_some() {
        newcomers_path("javascript", "flow-optimizer", "script", "heft");
    }
}

/// Every kind's Rust project builds, passes its own tests natively and those of the kit.
#[test]
fn every_kind_builds_in_rust() {
    let home = tempfile::tempdir().unwrap();
    for (kind, name) in [
        ("resource-allocator", "shares"),
        ("analytics-processor", "counts"),
    ] {
        succeeds(home.path(), &["new", "--kind", kind, name]);
        succeeds(home.path(), &["build", name]);
        let told = succeeds(home.path(), &["test", name]);
        assert!(told.contains("ok      probe: describe"), "{told}");
    }
}

#[test]
fn a_decision_is_shown_with_its_chart() {
    let home = tempfile::tempdir().unwrap();
    let heft = root().join("target/plugins/heft");
    let problem = json!({
        "kind": "flow-optimizer",
        "tasks": [
            {"id": "fetch", "work_s": 4},
            {"id": "build", "work_s": 6, "after": ["fetch"], "needs": ["compiler"]}
        ],
        "agents": [{"id": "ann"}, {"id": "bob", "speed": 2, "can": ["compiler"]}]
    });
    std::fs::write(home.path().join("p.json"), problem.to_string()).unwrap();
    let path = heft.to_str().unwrap();
    let told = succeeds(
        home.path(),
        &["run", "p.json", "--plugin", path, "--svg", "gantt.svg"],
    );
    assert!(told.contains("makespan    5.000 s"), "{told}");
    assert!(told.contains("critical    fetch → build"), "{told}");
    assert!(told.contains("bob |fetch"), "{told}");
    let chart = std::fs::read_to_string(home.path().join("gantt.svg")).unwrap();
    assert!(chart.contains("fetch: 0.000 s to 2.000 s"), "{chart}");

    let problem = json!({
        "kind": "flow-optimizer",
        "tasks": [{"id": "fly", "work_s": 1, "needs": ["wings"]}],
        "agents": [{"id": "ann"}]
    });
    std::fs::write(home.path().join("q.json"), problem.to_string()).unwrap();
    let told = fails(home.path(), &["run", "q.json", "--plugin", path]);
    assert!(
        told.contains("refused (infeasible)") && told.contains("fly"),
        "{told}"
    );
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let told = fails(home.path(), &["new", "--kind", "flow-optimizer", "Mine"]);
    assert!(told.contains("must be 1 to 64 of [a-z0-9-]"), "{told}");
    let told = fails(home.path(), &["new", "--kind", "flows", "mine"]);
    assert!(
        told.contains("flow-optimizer, resource-allocator"),
        "{told}"
    );
    let told = fails(
        home.path(),
        &[
            "new",
            "--kind",
            "analytics-processor",
            "--lang",
            "python",
            "mine",
        ],
    );
    assert!(told.contains("use --lang rust"), "{told}");
    let told = fails(home.path(), &["build", "."]);
    assert!(told.contains("make one with `nova plugin new`"), "{told}");
    succeeds(home.path(), &["new", "--kind", "flow-optimizer", "mine"]);
    let told = fails(home.path(), &["new", "--kind", "flow-optimizer", "mine"]);
    assert!(told.contains("exists and is not empty"), "{told}");
    let told = fails(home.path(), &["test", "mine"]);
    assert!(
        told.contains("run `nova plugin build mine` first"),
        "{told}"
    );
}
