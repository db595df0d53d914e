//! What a namespace's NetworkPolicies let the pods of untrusted code reach. Pure: whether the cluster's network enforces
//! them, nobody can ask.

use std::net::IpAddr;

use k8s_openapi::{
    api::networking::v1::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicySpec},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use crate::executor::label::TRUST;

/// Whether policies let untrusted code reach an address, at whatever port. Where several are for a pod, what one of them
/// allows is allowed; where none is, everything. What they say of pods by their labels leads to no address.
pub fn lets_reach(policies: &[NetworkPolicy], to: IpAddr) -> bool {
    let mut bounding = policies.iter().filter_map(|policy| policy.spec.as_ref()).filter(|spec| bounds(spec)).peekable();
    bounding.peek().is_none() || bounding.any(|spec| allows(spec, to))
}

/// Whether a policy is for what leaves pods of untrusted code.
fn bounds(spec: &NetworkPolicySpec) -> bool {
    let of_egress = match &spec.policy_types {
        Some(types) => types.iter().any(|kind| kind == "Egress"),
        None => spec.egress.is_some(),
    };
    of_egress && spec.pod_selector.as_ref().is_none_or(selects)
}

/// Whether a selector surely means such pods: all, or those with the label that says so.
fn selects(selector: &LabelSelector) -> bool {
    let is_ours = |(name, value): (&String, &String)| name == TRUST && value == "untrusted";
    let expressions = selector.match_expressions.as_ref().is_none_or(Vec::is_empty);
    expressions && selector.match_labels.iter().flatten().all(is_ours)
}

fn allows(spec: &NetworkPolicySpec, to: IpAddr) -> bool {
    spec.egress.iter().flatten().any(|rule| match rule.to.as_deref() {
        None | Some([]) => true,
        Some(peers) => peers.iter().any(|peer| leads(peer, to)),
    })
}

fn leads(peer: &NetworkPolicyPeer, to: IpAddr) -> bool {
    peer.ip_block.as_ref().is_some_and(|block| {
        contains(&block.cidr, to) && !block.except.iter().flatten().any(|except| contains(except, to))
    })
}

/// Whether an address is in a block; what is none contains nothing.
fn contains(block: &str, address: IpAddr) -> bool {
    let Some((base, length)) = block.split_once('/') else { return false };
    let (Ok(base), Ok(length)) = (base.parse::<IpAddr>(), length.parse::<u32>()) else { return false };
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let ((base_bits, size), (bits, other)) = (bits(base), bits(address));
    let kept = u128::MAX.checked_shl(128_u32.saturating_sub(length)).unwrap_or(0);
    size == other && length <= size && (base_bits ^ bits) & kept == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> NetworkPolicy {
        serde_yaml::from_str(text).expect("a policy")
    }

    #[test]
    fn policies_add_up_and_none_lets_everything_through() {
        let reach = |policies: &[NetworkPolicy], to: &str| lets_reach(policies, to.parse().expect(to));
        let nothing = policy("spec: {podSelector: {}, policyTypes: [Egress]}");
        let ours = policy(
            "spec: {podSelector: {matchLabels: {containerops.io/trust: untrusted}}, policyTypes: [Egress], egress: \
             [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}, {ipBlock: {cidr: '2000::/3'}}]}]}",
        );
        let others = policy("spec: {podSelector: {matchLabels: {app: x}}, policyTypes: [Egress]}");
        let all = policy("spec: {podSelector: {}, egress: [{}]}");
        let ingress = policy("spec: {podSelector: {}, policyTypes: [Ingress]}");
        for open in [&[][..], &[others], &[ingress], &[nothing.clone(), all]] {
            assert!(reach(open, "10.1.2.3"), "{open:?}");
        }
        assert!(!reach(std::slice::from_ref(&nothing), "1.1.1.1"));
        let both = [nothing, ours];
        for (to, expected) in
            [("10.1.2.3", false), ("11.0.0.0", true), ("9.255.255.255", true), ("fd00::1", false), ("2606::1", true)]
        {
            assert_eq!(reach(&both, to), expected, "{to}");
        }
    }

    #[test]
    fn a_block_contains_what_begins_like_it() {
        for (block, address, expected) in [
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("192.0.2.7/32", "192.0.2.7", true),
            ("192.0.2.7/32", "192.0.2.6", false),
            ("172.16.0.0/12", "172.31.255.255", true),
            ("172.16.0.0/12", "172.32.0.0", false),
            ("::/0", "::1", true),
            ("192.0.2.0/33", "192.0.2.0", false),
            ("nowhere", "192.0.2.0", false),
        ] {
            assert_eq!(contains(block, address.parse().expect(address)), expected, "{block} {address}");
        }
    }
}
