//! Syncs written files to disk in the background, a second later, so that no device waits for it. Writes disk.

use crate::clock;
use parking_lot::Mutex;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use prometheus::{Histogram, HistogramOpts};

/// Maximum time until written data is synced.
const DELAY: Duration = Duration::from_secs(1);
/// Delay of a job after which another thread helps: a disk handles many slow requests in parallel.
const LATE: Duration = Duration::from_millis(100);
/// Maximum number of threads; more would not make the disk faster.
const THREADS: usize = 8;

/// The syncer of all devices of the process; its first thread starts with the first job.
#[derive(Debug, Clone, Default)]
pub struct Syncer(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    sender: Mutex<Option<Sender<Job>>>,
    delay: Histogram,
}

/// A file that is synced again and again.
#[derive(Debug)]
pub(super) struct Synced {
    file: Arc<File>,
    /// True while a job for the file is waiting.
    waits: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Job {
    file: Arc<File>,
    waits: Arc<AtomicBool>,
    written: Instant,
    /// Files that this file replaces, and that are deleted afterwards.
    replaces: Vec<PathBuf>,
}

/// State that the threads share.
struct Work {
    /// Jobs in the order in which they are due.
    jobs: Mutex<Receiver<Job>>,
    threads: AtomicUsize,
    delay: Histogram,
}

impl Default for Queue {
    fn default() -> Self {
        let opts = HistogramOpts::new(
            "lanyard_buffer_sync_delay_seconds",
            "Time from a write until it is forced to the disk, where sync is EverySecond: what a power cut can lose.",
        );
        let opts = opts.buckets(vec![1.01, 1.1, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0]);
        let delay = Histogram::with_opts(opts).expect("the name and the buckets are right");
        Self { sender: Mutex::default(), delay }
    }
}

impl Syncer {
    /// Returns the histogram of the time until written data is synced.
    #[must_use]
    pub fn delay(&self) -> Histogram {
        self.0.delay.clone()
    }

    /// Syncs a file within about a second.
    pub(super) fn soon(&self, synced: &Synced, now: Instant) {
        if !synced.waits.swap(true, Ordering::AcqRel) {
            let (file, waits) = (Arc::clone(&synced.file), Arc::clone(&synced.waits));
            self.send(Job { file, waits, written: now, replaces: Vec::new() });
        }
    }

    /// Syncs a file within about a second, and then deletes the files that it replaces.
    pub(super) fn replace(&self, file: &Arc<File>, replaces: Vec<PathBuf>, now: Instant) {
        self.send(Job { file: Arc::clone(file), waits: Arc::default(), written: now, replaces });
    }

    fn send(&self, job: Job) {
        let mut sender = self.0.sender.lock();
        let sender = sender.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::channel();
            let (jobs, delay) = (Mutex::new(receiver), self.delay());
            if let Err(error) = help(&Arc::new(Work { jobs, threads: AtomicUsize::new(0), delay })) {
                tracing::error!("failed to start the thread that syncs buffers to disk; a power failure may lose more events: {error}");
            }
            sender
        });
        // Without a thread the operating system writes at a time of its own choice.
        let _ = sender.send(job);
    }
}

impl Synced {
    pub(super) fn new(file: &Arc<File>) -> Self {
        Self { file: Arc::clone(file), waits: Arc::default() }
    }

    /// Syncs the file now.
    pub(super) fn now(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Starts another thread, unless there are enough.
fn help(work: &Arc<Work>) -> io::Result<()> {
    let more = |threads| (threads < THREADS).then_some(threads + 1);
    if work.threads.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_err() {
        return Ok(());
    }
    let work = Arc::clone(work);
    let thread = std::thread::Builder::new().name("sync".to_owned()).stack_size(256 * 1024);
    thread.spawn(move || run(&work)).map(drop)
}

fn run(work: &Arc<Work>) {
    loop {
        let job = work.jobs.lock().recv();
        let Ok(job) = job else { return };
        let due = job.written + DELAY;
        std::thread::sleep(due.saturating_duration_since(clock::instant()));
        if due.elapsed() > LATE {
            // Without another one it is only later.
            let _ = help(work);
        }
        force(&job);
        work.delay.observe(job.written.elapsed().as_secs_f64());
    }
}

fn force(job: &Job) {
    // What is written from here on waits for the next job.
    job.waits.store(false, Ordering::Release);
    if let Err(error) = job.file.sync_data() {
        tracing::error!(
            "failed to force a buffer to the disk, a power cut may lose more than a second: {error}"
        );
        return;
    }
    for path in &job.replaces {
        // What stays is deleted at the next start.
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch_folder::ScratchFolder;

    #[test]
    fn files_are_synced_after_a_second_before_replacement() {
        let folder = ScratchFolder::new();
        let (syncer, old, now) = (Syncer::default(), folder.at("old"), Instant::now());
        std::fs::write(&old, "").unwrap();
        let files: Vec<_> =
            (0..50).map(|number| Arc::new(File::create(folder.at(&number.to_string())).unwrap())).collect();
        let synced: Vec<_> = files.iter().map(Synced::new).collect();
        for synced in synced.iter().chain(&synced) {
            syncer.soon(synced, now);
        }
        syncer.replace(&files[0], vec![old.clone()], now);
        // The last observation follows the last deletion.
        while syncer.delay().get_sample_count() < 51 {
            assert!(now.elapsed() < Duration::from_secs(120), "it takes too long");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(!old.exists());
        assert!(syncer.delay().get_sample_sum() >= 51.0);
        assert!(synced.iter().all(|synced| !synced.waits.load(Ordering::Acquire)));
    }
}
