//! The outside world, modelled: small, strict, and able to fail.

pub(crate) mod github;
//! What the tests stand on: a real cluster, and small models of the outside.

use std::path::PathBuf;

pub(crate) mod agents;
pub(crate) mod cluster;

/// The kubeconfig of the cluster that tests may use, or nothing: then the test says so and skips. It fails instead if
/// `CONTAINEROPS_TEST_REQUIRE` names `kubernetes`.
pub(crate) fn kubeconfig() -> Option<PathBuf> {
    let kubeconfig = std::env::var_os("CONTAINEROPS_TEST_KUBECONFIG").map(PathBuf::from);
    if kubeconfig.is_none() {
        let required = std::env::var("CONTAINEROPS_TEST_REQUIRE").unwrap_or_default();
        assert!(
            !required.contains("kubernetes"),
            "CONTAINEROPS_TEST_REQUIRE wants a cluster: set CONTAINEROPS_TEST_KUBECONFIG"
        );
        eprintln!("SKIPPED: no cluster, because CONTAINEROPS_TEST_KUBECONFIG is not set");
    }
    kubeconfig
}
