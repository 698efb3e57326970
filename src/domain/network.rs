//! Networks of IP addresses: who is near (loopback, or on the operator's list), and which addresses are one client.
//!
//! Whole prefixes only. Names of hosts are not looked up.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Bits of an IPv6 address that tell clients apart: a subscriber is given a /64 or more, and may change the rest of
/// the address at will (RFC 4291 2.5.4, RFC 6177).
const IPV6_CLIENT_BITS: u8 = 64;

/// `192.0.2.0/24`, `2001:db8::/48`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

/// Networks whose clients are not slowed or counted: proxies, a webmail. Loopback is always among them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Trusted(pub Vec<Network>);

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && first_of(address, self.bits) == self.first
    }
}

impl Trusted {
    pub fn spares(&self, address: IpAddr) -> bool {
        address.to_canonical().is_loopback() || self.0.iter().any(|network| network.contains(address))
    }
}

/// The address that stands for all of one client.
pub fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => first_of(IpAddr::V6(address), IPV6_CLIENT_BITS),
    }
}

/// The address with all but its first bits put to zero.
fn first_of(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is not a network; write an address and its bits, as in \"192.0.2.0/24\"");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(wrong)?,
            None => most,
        };
        let first = first_of(address, bits);
        if first != address {
            return Err(format!(
                "{text:?} goes beyond its bits; is \"{first}/{bits}\" meant?"
            ));
        }
        Ok(Self { first, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_are_read_and_written() {
        for text in [
            "192.0.2.0/24",
            "0.0.0.0/0",
            "2001:db8::/48",
            "::/0",
            "192.0.2.7/32",
        ] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        assert_eq!(
            "192.0.2.7".parse::<Network>().unwrap().to_string(),
            "192.0.2.7/32"
        );
        for bad in [
            "",
            "a",
            "192.0.2.0/33",
            "192.0.2.0/",
            "192.0.2.0/-1",
            "2001:db8::/129",
            "192.0.2/24",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
        let why = "192.0.2.7/24".parse::<Network>().unwrap_err();
        assert!(why.contains("\"192.0.2.0/24\""), "{why}");
    }

    #[test]
    fn who_is_near_is_spared() {
        let trusted = Trusted(vec![
            "192.0.2.0/24".parse().unwrap(),
            "2001:db8:1::/48".parse().unwrap(),
        ]);
        for near in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "192.0.2.255",
            "::ffff:192.0.2.1",
            "2001:db8:1:2::3",
        ] {
            assert!(trusted.spares(ip(near)), "{near}");
        }
        for far in [
            "192.0.3.0",
            "2001:db8:2::1",
            "::2",
            "::ffff:192.0.3.1",
            "10.0.0.1",
        ] {
            assert!(!trusted.spares(ip(far)), "{far}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains(ip("198.51.100.1")) && !all.contains(ip("2001:db8::1")));
    }

    #[test]
    fn a_subscriber_is_one_client_whatever_address_he_takes() {
        assert_eq!(
            client_of(ip("2001:db8:0:7:1:2:3:4")),
            client_of(ip("2001:db8:0:7::ffff"))
        );
        assert_ne!(client_of(ip("2001:db8:0:7::1")), client_of(ip("2001:db8:0:8::1")));
        assert_eq!(client_of(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
        assert_ne!(client_of(ip("192.0.2.1")), client_of(ip("192.0.2.2")));
    }
}
