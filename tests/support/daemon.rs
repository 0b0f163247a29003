//! The daemon as a child process.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use super::{Client, eventually, root};

/// The secret of the admin key that every daemon of the tests is started with.
pub const ADMIN_KEY: &str = "nova-black-box-tests-admin-key";

/// How to start a daemon.
#[derive(Default)]
pub struct Options {
    /// Further environment variables, e.g. configuration.
    pub env: Vec<(String, String)>,
    /// Names of the default plugins to install; none = all three.
    pub plugins: Option<Vec<&'static str>>,
    /// Further components to install as lone files, by file name.
    pub files: Vec<(String, Vec<u8>)>,
    /// A configuration file.
    pub config: Option<PathBuf>,
}

/// A running daemon with its own folder; killed when dropped.
pub struct Daemon {
    child: Child,
    client: Client,
    home: Arc<tempfile::TempDir>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Daemon {
    /// Starts a daemon with the default plugins and waits until it is ready.
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    /// Starts a daemon and waits until it is ready.
    pub fn with(options: Options) -> Self {
        let home = Arc::new(tempfile::tempdir().unwrap());
        let plugins = home.path().join("plugins");
        for name in options
            .plugins
            .as_deref()
            .unwrap_or(&["heft", "drf", "pulse"])
        {
            let (from, to) = (root().join("target/plugins").join(name), plugins.join(name));
            std::fs::create_dir_all(&to).unwrap();
            for file in [format!("{name}.wasm"), "plugin.toml".to_owned()] {
                std::fs::copy(from.join(&file), to.join(&file)).unwrap_or_else(|e| {
                    panic!("{name}/{file}: {e}; run `cargo xtask plugins` first")
                });
            }
        }
        std::fs::create_dir_all(&plugins).unwrap();
        for (name, bytes) in &options.files {
            std::fs::write(plugins.join(name), bytes).unwrap();
        }
        Self::launch(home, &options.env, options.config.as_deref())
    }

    /// Starts a daemon without a bootstrap key on this folder's `data`, and waits until it is ready. Its client
    /// has no valid key.
    pub fn on(home: tempfile::TempDir) -> Self {
        let plugins = home.path().join("plugins");
        std::fs::create_dir_all(&plugins).unwrap();
        for kind in ["heft", "drf", "pulse"] {
            let name = format!("{kind}.wasm");
            let from = root().join("target/plugins").join(kind).join(&name);
            std::fs::copy(from, plugins.join(name)).unwrap();
        }
        let no_key = [("NOVA_BOOTSTRAP_KEY".to_owned(), String::new())];
        Self::launch(Arc::new(home), &no_key, None)
    }

    /// Its data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Kills it as `kill -9` does and starts it again on the same folder.
    pub fn kill_and_restart(self) -> Self {
        self.kill_and_restart_with(&[])
    }

    /// The same with these environment variables.
    pub fn kill_and_restart_with(mut self, env: &[(String, String)]) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Self::launch(Arc::clone(&self.home), env, None)
    }

    /// Asks it to end (`SIGTERM`); does not wait.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        let kill = [format!("-{name}"), self.child.id().to_string()];
        assert!(Command::new("kill").args(kill).status().unwrap().success());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        eventually("the daemon has ended", || self.child.try_wait().unwrap())
    }

    /// Its plugin directory.
    pub fn plugin_dir(&self) -> PathBuf {
        self.home.path().join("plugins")
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    /// Resident memory of its own, without the pages of files that the kernel lends it, in bytes.
    #[allow(dead_code, reason = "for the benchmarks")]
    pub fn own_bytes(&self) -> u64 {
        self.status_bytes("RssAnon:")
    }

    fn status_bytes(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        let kilobytes = line.trim().trim_end_matches(" kB").trim();
        kilobytes.parse::<u64>().unwrap() * 1024
    }

    /// Seconds of CPU that it has used, of all its threads.
    #[allow(dead_code, reason = "for the benchmarks")]
    pub fn cpu_s(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name, in parentheses, may have spaces in it.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .collect();
        let ticks: f64 = [11, 12]
            .iter()
            .map(|i| fields[*i].parse::<f64>().unwrap())
            .sum();
        // Linux reports in hundredths of a second to every program.
        ticks / 100.0
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    fn launch(
        home: Arc<tempfile::TempDir>,
        env: &[(String, String)],
        config: Option<&Path>,
    ) -> Self {
        copy_new_files(&compiled(), &home.path().join("data/artifacts"));
        let mut command = nova();
        // Most tests are about the daemon and not about schedules: the strategy that searches
        // serves those that install it, and the quick one all others.
        if !home.path().join("plugins/nova-flow").exists() {
            command.env("NOVA_STRATEGIES__FLOW_OPTIMIZER", "heft");
        }
        command
            .args(["serve", "--profile", "dev", "--listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(home.path().join("data"))
            .arg("--plugin-dir")
            .arg(home.path().join("plugins"))
            .env("NOVA_BOOTSTRAP_KEY", ADMIN_KEY)
            // Tests that nobody comes in try more often than a client may.
            .env("NOVA_AUTH__FAILURES_MAX", "1000000")
            .envs(env.iter().map(|(k, v)| (k, v)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if env
            .iter()
            .any(|(k, v)| k == "NOVA_BOOTSTRAP_KEY" && v.is_empty())
        {
            command.env_remove("NOVA_BOOTSTRAP_KEY");
        }
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, stderr) = (Arc::clone(&log), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = loop {
            match stdout.next() {
                Some(line) => {
                    if let Some(url) = line.unwrap().strip_prefix("nova ready: ") {
                        break url.to_owned();
                    }
                }
                None => panic!(
                    "the daemon ended before it was ready:\n{}",
                    log.lock().unwrap().join("\n")
                ),
            }
        };
        std::thread::spawn(move || stdout.for_each(drop));
        let daemon = Self {
            child,
            client: Client::new(&url, ADMIN_KEY),
            home,
            log,
        };
        copy_new_files(&daemon.home.path().join("data/artifacts"), &compiled());
        daemon
    }
}

/// Where compiled plugins are kept from daemon to daemon: each would compile the same ones again.
fn compiled() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled")
}

/// Copies what is missing; each file appears whole or not at all, whoever else copies it now.
fn copy_new_files(from: &Path, to: &Path) {
    let Ok(entries) = std::fs::read_dir(from) else {
        return;
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(to)
        .unwrap();
    for file in entries.map(|e| e.unwrap().path()).filter(|p| p.is_file()) {
        let target = to.join(file.file_name().unwrap());
        if !target.exists() {
            let part = tempfile::NamedTempFile::new_in(to).unwrap();
            // A daemon may be writing beside us: what is no longer there was its temporary file.
            if std::fs::copy(&file, part.path()).is_ok() {
                part.persist(target).unwrap();
            }
        }
    }
}

impl std::ops::Deref for Daemon {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the daemon's log ---\n{}", self.log());
        }
    }
}

/// The `nova` program that was built beside this test.
pub fn nova() -> Command {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap();
    let program = folder.join(format!("nova{}", std::env::consts::EXE_SUFFIX));
    assert!(
        Path::new(&program).is_file(),
        "{} is missing; run `cargo xtask test`",
        program.display()
    );
    Command::new(program)
}
