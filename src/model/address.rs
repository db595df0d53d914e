//! Which addresses everybody can reach: what a flow file names is not to look around in our network.

use std::net::{IpAddr, Ipv6Addr};

/// Whether everybody could reach an address.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_documentation()
                || matches!((a, b, c), (0, ..) | (100, 64..=127, _) | (192, 0, 0) | (198, 18..=19, _) | (240.., ..)))
        }
        IpAddr::V6(v6) => match embedded(v6) {
            Some(v4) => is_public(v4),
            // of all that is handed out, everything else is local, special or unknown
            None => v6.segments()[0] & 0xe000 == 0x2000 && !matches!(v6.segments(), [0x2001, 0 | 0xdb8, ..]),
        },
    }
}

/// The IPv4 address within one that only leads to it.
fn embedded(address: Ipv6Addr) -> Option<IpAddr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::from([a, b, c, d])
    };
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => Some(v4(g, h)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::is_public;

    #[test]
    fn only_what_everybody_can_reach_is_public() {
        let private = "127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 255.255.255.255 \
                       224.0.0.1 198.18.0.1 :: ::1 fe80::1 fd00::1 ff02::1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 \
                       64:ff9b::7f00:1 2002:7f00:1:: 2001:db8::1 2001::1";
        for address in private.split_whitespace() {
            assert!(!is_public(address.parse().expect(address)), "{address}");
        }
        for address in ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(is_public(address.parse().expect(address)), "{address}");
        }
    }
}
