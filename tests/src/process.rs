//! Starts the built programs, keeps what they log, shows it when a test fails, and leaves none behind.

use parking_lot::Mutex;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Maximum time that a test waits for a program.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Returns the path of a program of this workspace: in `LANYARD_BIN_DIR`, or beside the running test.
///
/// # Panics
/// The program was not built.
#[must_use]
#[expect(clippy::panic, reason = "a test without its programs fails with what to do")]
pub fn binary(name: &str) -> PathBuf {
    let dir = std::env::var_os("LANYARD_BIN_DIR").map(PathBuf::from).unwrap_or_else(|| {
        let test = std::env::current_exe().unwrap_or_default();
        // target/<triple>/<profile>/deps/<test>
        test.ancestors().nth(2).map(PathBuf::from).unwrap_or_default()
    });
    let path = dir.join(name);
    if !path.is_file() {
        panic!(
            "{} is not built: run 'cargo build --workspace' first, or set LANYARD_BIN_DIR",
            path.display()
        );
    }
    path
}

/// Calls `condition` until it gives something.
///
/// # Panics
/// After `limit`, with `what` was waited for.
#[expect(clippy::panic, reason = "a wait that fails is a test that fails")]
pub fn eventually<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        if start.elapsed() > limit {
            panic!("timed out after {} s waiting for: {what}", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A running program. It is killed when it goes out of scope.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Process {
    /// Starts `command` and keeps what it prints.
    ///
    /// # Panics
    /// When it cannot be started.
    #[expect(clippy::panic, reason = "a test whose program does not start fails")]
    pub fn spawn(name: &str, mut command: Command) -> Self {
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let log = Arc::new(Mutex::new(String::new()));
        if let Some(out) = child.stdout.take() {
            collect(out, log.clone());
        }
        if let Some(out) = child.stderr.take() {
            collect(out, log.clone());
        }
        Self { name: name.to_owned(), child, log }
    }

    /// Returns everything it printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().clone()
    }

    /// Returns its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the exit status of an ended program.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        eventually(&what, limit, || self.ended())
    }

    /// Asks it to end (SIGTERM) and waits until it did.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait(LIMIT)
    }

    /// Sends a signal by its name.
    pub fn signal(&self, signal: &str) {
        // A process that is gone already needs no signal.
        let _ = Command::new("kill").arg(format!("-{signal}")).arg(self.id().to_string()).status();
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            println!("---- log of {} ----\n{}---- end of log ----", self.name, self.log());
        }
    }
}

fn collect(out: impl Read + Send + 'static, log: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(out);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            log.lock().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
}
