//! Forces what was written to the disk, a second later and on a thread of its own, so that no device waits for it.
//! Touches disk.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long what was written may wait for the disk.
const DELAY: Duration = Duration::from_secs(1);

/// One for all devices of the process; its thread begins with the first job.
#[derive(Debug, Clone, Default)]
pub struct Syncer(Arc<Mutex<Option<Sender<Job>>>>);

/// A file that is forced to the disk now and then.
#[derive(Debug)]
pub(super) struct Synced {
    file: Arc<File>,
    /// Whether a job for it is waiting.
    waits: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Job {
    file: Arc<File>,
    waits: Arc<AtomicBool>,
    due: Instant,
    /// What the file takes the place of, and which is deleted then.
    replaces: Vec<PathBuf>,
}

impl Syncer {
    /// Forces a file to the disk before long.
    pub(super) fn soon(&self, synced: &Synced, now: Instant) {
        if !synced.waits.swap(true, Ordering::AcqRel) {
            let (file, waits) = (Arc::clone(&synced.file), Arc::clone(&synced.waits));
            self.send(Job { file, waits, due: now + DELAY, replaces: Vec::new() });
        }
    }

    /// Deletes files when the one that takes their place is on the disk.
    pub(super) fn replace(&self, file: &Arc<File>, replaces: Vec<PathBuf>, now: Instant) {
        self.send(Job { file: Arc::clone(file), waits: Arc::default(), due: now + DELAY, replaces });
    }

    fn send(&self, job: Job) {
        let mut sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = sender.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::channel();
            let thread = std::thread::Builder::new().name("sync".to_owned()).stack_size(256 * 1024);
            if let Err(error) = thread.spawn(move || run(&receiver)) {
                tracing::error!("nothing forces the buffers to the disk, a power cut may lose more: {error}");
            }
            sender
        });
        // Without a thread the operating system writes when it likes to.
        let _ = sender.send(job);
    }
}

impl Synced {
    pub(super) fn new(file: &Arc<File>) -> Self {
        Self { file: Arc::clone(file), waits: Arc::default() }
    }

    /// Forces it to the disk now.
    pub(super) fn now(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Jobs come in the order in which they are due.
fn run(jobs: &Receiver<Job>) {
    for job in jobs {
        std::thread::sleep(job.due.saturating_duration_since(Instant::now()));
        // What is written from here on waits for the next job.
        job.waits.store(false, Ordering::Release);
        if let Err(error) = job.file.sync_data() {
            tracing::error!(
                "failed to force a buffer to the disk, a power cut may lose more than a second: {error}"
            );
            continue;
        }
        for path in &job.replaces {
            // What stays is deleted at the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}
