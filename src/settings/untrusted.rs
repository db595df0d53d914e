//! What becomes of code that nobody vouches for.

use super::{SettingsError, Values};
use crate::model::UntrustedRule;

/// What becomes of untrusted code, and where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UntrustedChoice {
    /// What of it is run, in which repositories; the last that is meant counts.
    pub rules: Vec<UntrustedRule>,
    /// The namespace of its pods.
    pub namespace: String,
    /// The `RuntimeClass` of its pods, where a flow names none.
    pub runtime: Option<String>,
    /// Whether its pods have users of their own.
    pub own_users: bool,
    /// Whether it must be kept apart.
    pub isolation: Isolation,
}

/// Whether untrusted code must be kept apart from the machine and the network that the server is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Executors that cannot do so do not run it.
    Required,
    /// Everything runs it.
    None,
}

impl Values {
    pub(super) fn untrusted(&self) -> Result<UntrustedChoice, SettingsError> {
        let usual = self.get("kubernetes_namespace").unwrap_or("containerops");
        let isolation = match self.get("untrusted_isolation") {
            None | Some("required") => Isolation::Required,
            Some("none") => Isolation::None,
            Some(other) => {
                let message = format!("`{other}` is neither `required` nor `none`");
                return Err(SettingsError::Value { name: "untrusted_isolation", message });
            }
        };
        let namespace = self.get("kubernetes_untrusted_namespace");
        let namespace = namespace.map_or_else(|| format!("{usual}-untrusted"), str::to_owned);
        if namespace == usual {
            let message = format!("untrusted code needs another namespace than {usual}, which is that of trusted code");
            return Err(SettingsError::Value { name: "kubernetes_untrusted_namespace", message });
        }
        let runtime = self.get("untrusted_runtime").map(str::to_owned);
        let own_users = match self.get("untrusted_user_namespaces") {
            None | Some("no") => false,
            Some("yes") => true,
            Some(other) => {
                let message = format!("`{other}` is neither `yes` nor `no`");
                return Err(SettingsError::Value { name: "untrusted_user_namespaces", message });
            }
        };
        Ok(UntrustedChoice { rules: self.list("untrusted")?, namespace, runtime, own_users, isolation })
    }
}
