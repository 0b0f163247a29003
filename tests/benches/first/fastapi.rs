//! The same endpoint in FastAPI with uvicorn (`../fastapi/app.py`), in a virtual environment of its own.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::daemon::cpu_s;

/// The key that the program takes.
pub(crate) const KEY: &str = "benchmark-key-of-the-fastapi-program";

/// A running uvicorn; killed when dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: String,
}

impl Program {
    /// Starts it, one worker; installs it from PyPI where it is not yet.
    ///
    /// # Errors
    /// In words: no Python, no PyPI, or it does not start.
    pub(crate) fn start(home: &Path) -> Result<Self, String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/fastapi");
        let python = environment(&folder)?;
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        drop(listener);
        let child = Command::new(python)
            .args([
                "-m",
                "uvicorn",
                "app:app",
                "--no-access-log",
                "--log-level",
                "error",
            ])
            .args(["--port", &address.port().to_string()])
            .current_dir(&folder)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("NOVA_BENCH_KEY", KEY)
            .env("NOVA_BENCH_DB", home.join("fastapi.db"))
            .spawn()
            .map_err(|e| format!("uvicorn does not start: {e}"))?;
        let mut program = Self {
            child,
            address: address.to_string(),
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(address).is_err() {
            let ended = program.child.try_wait().map_err(|e| e.to_string())?;
            if let Some(status) = ended {
                return Err(format!("uvicorn ended: {status}"));
            }
            if Instant::now() > deadline {
                return Err("uvicorn does not listen".to_owned());
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(program)
    }

    /// Its CPU time so far, in seconds.
    pub(crate) fn cpu_s(&self) -> f64 {
        cpu_s(&self.child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The interpreter of the virtual environment, made when absent.
fn environment(folder: &Path) -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let home = target.join("fastapi-venv");
    let python = home.join("bin/python");
    let run = |what: &str, command: &mut Command| {
        let output = command.stdin(Stdio::null()).output();
        match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Err(format!(
                    "{what}: {}",
                    text.lines().last().unwrap_or("it failed")
                ))
            }
            Err(error) => Err(format!("{what}: {error}")),
        }
    };
    if !python.is_file() {
        let mut command = Command::new("python3");
        run("python3 -m venv", command.args(["-m", "venv"]).arg(&home))?;
    }
    let ready = run(
        "",
        Command::new(&python).args(["-c", "import fastapi, uvicorn, uvloop"]),
    )
    .is_ok();
    if !ready {
        let mut command = Command::new(&python);
        command.args(["-m", "pip", "install", "--quiet", "-r"]);
        run("pip install", command.arg(folder.join("requirements.txt")))?;
    }
    Ok(python)
}
