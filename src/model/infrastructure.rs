//! Deaths that are nobody's code's fault: each has a name of its own, and is tried again.

use serde::{Deserialize, Serialize};

/// What took a job away, or kept it from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Infrastructure {
    /// The image exists, or may, but could not be fetched.
    ImagePull,
    /// No node takes the pod.
    Unschedulable,
    /// The namespace's quota had no room for the pod.
    Quota,
    /// A node has the pod, but its containers were not made: a volume, a network or the container runtime is missing.
    NotStarted,
    /// The container that brings the agent did not: its image is the operator's.
    AgentImage,
    /// The container runs, and its agent never asked for work.
    AgentAbsent,
    /// A signal from outside ended the agent, and with it the container.
    AgentKilled,
    /// The container ended without the agent's end record, or the agent stopped speaking.
    AgentLost,
    /// The agent could not bring the source into the workspace.
    Source,
    /// The node took its resources back, or someone drains it.
    Evicted,
    /// The node had no memory left for anybody.
    NodeMemory,
    /// The node had no disk left for anybody.
    NodeDisk,
    /// A more important pod took its place.
    Preempted,
    /// The node went away.
    NodeLost,
    /// Someone deleted the pod, or killed the process tree from outside.
    Deleted,
    /// The executor refused or failed.
    Executor,
}

impl Infrastructure {
    /// All of them, in the order in which an attempt may meet them.
    pub const ALL: [Self; 16] = [
        Self::Quota,
        Self::Unschedulable,
        Self::ImagePull,
        Self::NotStarted,
        Self::AgentImage,
        Self::AgentAbsent,
        Self::AgentKilled,
        Self::AgentLost,
        Self::Source,
        Self::Evicted,
        Self::NodeMemory,
        Self::NodeDisk,
        Self::Preempted,
        Self::NodeLost,
        Self::Deleted,
        Self::Executor,
    ];

    /// For sentences: "infrastructure: node lost".
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ImagePull => "image not pulled",
            Self::Unschedulable => "not scheduled",
            Self::Quota => "quota exceeded",
            Self::NotStarted => "pod not started",
            Self::AgentImage => "agent not installed",
            Self::AgentAbsent => "agent never came",
            Self::AgentKilled => "agent killed",
            Self::AgentLost => "agent lost",
            Self::Source => "source not prepared",
            Self::Evicted => "evicted",
            Self::NodeMemory => "node out of memory",
            Self::NodeDisk => "node out of disk",
            Self::Preempted => "preempted",
            Self::NodeLost => "node lost",
            Self::Deleted => "pod deleted",
            Self::Executor => "executor failed",
        }
    }

    /// What the operator can do about it, where the cluster's words do not say that already.
    pub const fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::ImagePull => "look whether the registry can be reached from the cluster's nodes",
            Self::Unschedulable => "give the cluster a node with room for the job, or let the job ask for less",
            Self::Quota => "raise the namespace's quota, or let fewer jobs run at once",
            Self::NotStarted => "look at the node's kubelet and container runtime, and at the namespace's events",
            Self::AgentImage => {
                "look whether the nodes can pull the image that `CONTAINEROPS_KUBERNETES_AGENT_IMAGE` names"
            }
            Self::AgentAbsent => "look whether pods can reach the address that `CONTAINEROPS_AGENT_URL` names",
            Self::NodeMemory => "let jobs ask for as much memory as they use (`resources: {memory: …}`), or add nodes",
            Self::NodeDisk => "free disk on the node, or add nodes",
            Self::AgentKilled
            | Self::AgentLost
            | Self::Source
            | Self::Evicted
            | Self::Preempted
            | Self::NodeLost
            | Self::Deleted
            | Self::Executor => return None,
        })
    }
}
