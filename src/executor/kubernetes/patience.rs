//! How long the cluster is waited for.

use std::time::Duration;

/// How long the cluster is waited for; the defaults fit most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the scheduler to find a node: an autoscaler needs minutes to bring one.
    pub scheduling: Duration,
    /// For a registry, a volume or a node's container runtime that fails, or a node that does not take its pod.
    pub trouble: Duration,
    /// For a pod's containers to be made, images and all, while nothing fails.
    pub making: Duration,
    /// For a node that cannot be reached: how long the cluster leaves our pods there. Whole seconds.
    pub node: Duration,
    /// For the containers' states to follow the pod's: the kubelet's own updates take a second or two.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            scheduling: Duration::from_secs(10 * 60),
            trouble: Duration::from_secs(5 * 60),
            making: Duration::from_secs(30 * 60),
            node: Duration::from_secs(5 * 60),
            silence: Duration::from_secs(30),
        }
    }
}
