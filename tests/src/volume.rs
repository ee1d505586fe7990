//! Volumes for the claims of a test, where the cluster makes none by itself. Writes the cluster; touches disk.

use crate::installation::{kubectl, try_kubectl};
use crate::scratch::Scratch;

/// A volume that a claim of its class gets: a folder of this machine, which is the cluster's only node. It is gone with the test.
pub struct Volume {
    /// The StorageClass to ask for.
    pub class: String,
    _folder: Scratch,
}

impl Volume {
    /// Creates a volume whose claim cannot grow, because its class is only a name, or one whose class says that it can.
    ///
    /// # Panics
    /// When the cluster refuses it.
    #[must_use]
    pub fn new(purpose: &str, grows: bool) -> Self {
        let class = format!("lanyard-{purpose}-{}", std::process::id());
        let folder = Scratch::new("volume");
        let node =
            kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.labels.kubernetes\\.io/hostname}"]);
        let mut objects = format!(
            "
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {class}}}
spec:
  storageClassName: {class}
  accessModes: [ReadWriteOnce]
  capacity: {{storage: 1Gi}}
  persistentVolumeReclaimPolicy: Retain
  local: {{path: '{}'}}
  nodeAffinity:
    required: {{nodeSelectorTerms: [{{matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: ['{node}']}}]}}]}}
",
            folder.path().display()
        );
        if grows {
            objects += &format!(
                "---\n{{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {{name: {class}}}, \
                 provisioner: kubernetes.io/no-provisioner, allowVolumeExpansion: true}}\n"
            );
        }
        let file = folder.write("objects.yaml", &objects);
        let volume = Self { class, _folder: folder };
        kubectl(&["apply", "-f", &file.display().to_string()]);
        volume
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // A volume that is still claimed is deleted with its claim.
        let _ = try_kubectl(&["delete", "pv", &self.class, "--ignore-not-found", "--wait=false"]);
        let _ = try_kubectl(&["delete", "storageclass", &self.class, "--ignore-not-found", "--wait=false"]);
    }
}
