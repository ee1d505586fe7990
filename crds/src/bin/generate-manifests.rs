//! Writes the CRD manifests for `kubectl apply` and for the chart. Touches disk.

use std::io::Write as _;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    let mut out = std::io::stdout().lock();
    for folder in ["crds/manifests", "charts/lanyard/files/crds"] {
        std::fs::create_dir_all(root.join(folder))?;
        for (name, text) in lanyard_crds::schema::manifests() {
            std::fs::write(root.join(folder).join(&name), text)?;
            writeln!(out, "wrote {folder}/{name}")?;
        }
    }
    Ok(())
}
