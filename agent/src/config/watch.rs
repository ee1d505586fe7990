//! Watch for changes of handoff files: by notifications of the system, and by polling. Reads disk.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Interval of polling. It is needed for network file systems, which send no notifications.
const POLL: Duration = Duration::from_secs(30);
/// After a notification, more are awaited so long: writers and Kubernetes change several files at once.
const SETTLE: Duration = Duration::from_millis(100);
/// At most so long, for a folder may never come to rest.
const LONGEST_SETTLE: Duration = Duration::from_secs(1);

/// Folders that are watched.
pub struct FileWatch {
    watcher: Option<RecommendedWatcher>,
    watched: HashSet<PathBuf>,
    touched: Arc<Notify>,
}

impl FileWatch {
    /// Creates a watch of no folders.
    #[must_use]
    pub fn new() -> Self {
        let touched = Arc::new(Notify::new());
        let notify = Arc::clone(&touched);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is not a change: polling would otherwise notify itself forever.
            if !matches!(event, Ok(notify::Event { kind: notify::EventKind::Access(_), .. })) {
                notify.notify_one();
            }
        });
        let watcher = watcher
            .inspect_err(|error| {
                tracing::warn!("failed to watch files; the agent reads them every {POLL:?} instead: {error}");
            })
            .ok();
        Self { watcher, watched: HashSet::new(), touched }
    }

    /// Watches these folders and no others. Folders and not files, because Kubernetes and editors replace files; for
    /// one that does not exist, its parent is watched.
    pub fn set(&mut self, folders: impl IntoIterator<Item = PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        let existing =
            |folder: PathBuf| folder.ancestors().take(2).find(|folder| folder.is_dir()).map(Path::to_owned);
        let folders: HashSet<PathBuf> = folders.into_iter().filter_map(existing).collect();
        for gone in self.watched.difference(&folders) {
            // It may be gone from the disk, and its watch with it.
            let _ = watcher.unwatch(gone);
        }
        // All folders are watched again: a replaced folder has silently lost its watch.
        self.watched = folders.into_iter().filter(|folder| watch(watcher, folder)).collect();
    }

    /// Waits until something may have changed.
    pub async fn changed(&self) {
        let touched = tokio::time::timeout(POLL, self.touched.notified()).await;
        if touched.is_ok() {
            let rest = async { while tokio::time::timeout(SETTLE, self.touched.notified()).await.is_ok() {} };
            // At rest or not, it is time to look.
            let _ = tokio::time::timeout(LONGEST_SETTLE, rest).await;
        }
    }
}

impl Default for FileWatch {
    fn default() -> Self {
        Self::new()
    }
}

fn watch(watcher: &mut RecommendedWatcher, folder: &Path) -> bool {
    let watched = watcher.watch(folder, RecursiveMode::NonRecursive);
    if let Err(error) = &watched {
        tracing::debug!("{} cannot be watched: {error}", folder.display());
    }
    watched.is_ok()
}
