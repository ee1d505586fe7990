//! The names for which a CA may sign certificates (RFC 5280 §4.2.1.10): who gets hold of the CA's key plays no other host
//! than the emulator. Pure.

use std::net::{IpAddr, Ipv4Addr};

use rcgen::{CidrSubnet, GeneralSubtree};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Returns the subtrees of `localhost`, loopback addresses, a cluster's services (`*.svc`) and `names`.
#[must_use]
pub fn of_names(names: &[String]) -> Vec<GeneralSubtree> {
    let always = [dns("localhost"), dns("svc"), addresses(Ipv4Addr::LOCALHOST.into(), 8)];
    let named = names.iter().map(|name| match name.parse() {
        Ok(IpAddr::V4(address)) => addresses(address.into(), 32),
        Ok(IpAddr::V6(address)) => addresses(address.into(), 128),
        Err(_) => dns(name),
    });
    let mut all = Vec::new();
    add(&mut all, always.into_iter().chain(named));
    all
}

/// Returns the permitted subtrees of a CA's certificate; nothing when it may sign for any name.
#[must_use]
pub fn of_certificate(der: &[u8]) -> Option<Vec<GeneralSubtree>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let constraints =
        certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::NameConstraints(constraints) => constraints.permitted_subtrees.as_ref(),
            _ => None,
        })?;
    Some(constraints.iter().filter_map(|subtree| read(&subtree.base)).collect())
}

/// Adds the subtrees that are not inside one of `permitted`; returns whether there were any.
pub fn add(permitted: &mut Vec<GeneralSubtree>, added: impl IntoIterator<Item = GeneralSubtree>) -> bool {
    let before = permitted.len();
    for subtree in added {
        if !permitted.iter().any(|outer| holds(outer, &subtree)) {
            permitted.push(subtree);
        }
    }
    permitted.len() > before
}

fn dns(name: &str) -> GeneralSubtree {
    GeneralSubtree::DnsName(name.to_ascii_lowercase())
}

/// Returns the network of `address` whose mask has `prefix` bits.
fn addresses(address: IpAddr, prefix: u8) -> GeneralSubtree {
    GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, prefix))
}

fn read(name: &GeneralName<'_>) -> Option<GeneralSubtree> {
    match name {
        GeneralName::DNSName(name) => Some(dns(name)),
        GeneralName::IPAddress(bytes) => match bytes.split_at(bytes.len() / 2) {
            (address, mask) if bytes.len() == 8 => Some(GeneralSubtree::IpAddress(CidrSubnet::V4(
                address.try_into().ok()?,
                mask.try_into().ok()?,
            ))),
            (address, mask) if bytes.len() == 32 => Some(GeneralSubtree::IpAddress(CidrSubnet::V6(
                address.try_into().ok()?,
                mask.try_into().ok()?,
            ))),
            _ => None,
        },
        _ => None,
    }
}

fn holds(outer: &GeneralSubtree, inner: &GeneralSubtree) -> bool {
    match (outer, inner) {
        (GeneralSubtree::DnsName(outer), GeneralSubtree::DnsName(inner)) => {
            inner.strip_suffix(outer.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }
        (GeneralSubtree::IpAddress(outer), GeneralSubtree::IpAddress(inner)) => match (outer, inner) {
            (CidrSubnet::V4(outer, mask), CidrSubnet::V4(inner, narrower)) => {
                same_network(outer, mask, inner, narrower)
            }
            (CidrSubnet::V6(outer, mask), CidrSubnet::V6(inner, narrower)) => {
                same_network(outer, mask, inner, narrower)
            }
            _ => false,
        },
        _ => false,
    }
}

fn same_network(outer: &[u8], mask: &[u8], inner: &[u8], narrower: &[u8]) -> bool {
    let mut bytes = outer.iter().zip(mask).zip(inner.iter().zip(narrower));
    bytes.all(|((outer, mask), (inner, narrower))| outer & mask == inner & mask && mask & narrower == *mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn names_within_a_subtree_are_not_added() {
        let always = of_names(&[]);
        let within = ["localhost", "emulator.plant.svc", "127.0.0.9", "SVC"];
        assert_eq!(of_names(&names(&within)), always);
        let others = ["x.svc.cluster.local", "notsvc", "10.0.0.7", "::1", "contoso.azure-devices.net"];
        assert_eq!(of_names(&names(&others)).len(), always.len() + others.len());
    }
}
