//! Where a request comes from, for limits.
//!
//! That is the address of the connection, or, where that is a trusted proxy's, what the proxy says in
//! `X-Forwarded-For`. From anybody else that header counts for nothing: it is the caller's own invention.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, HeaderName, request::Parts},
};
use ipnet::IpNet;
use posthaste_domain::throttle::ClientAddress;

use crate::state::AppState;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client of a request.
#[derive(Debug, Clone, Copy)]
pub struct Client(pub ClientAddress);

impl FromRequestParts<AppState> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        // Without a connection, as in a test of the router, all requests are of one client.
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        let client = client(peer, &parts.headers, &state.parts.trusted_proxies);
        Ok(Self(client.into()))
    }
}

/// The last address on the way here that is not a trusted proxy's. Each proxy adds the one that it was called from at
/// the end, so the list is read backwards, and no further than the first address that nobody trusted vouches for.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut client = peer.to_canonical();
    let values = headers.get_all(X_FORWARDED_FOR).iter();
    let hops: Vec<&str> = values
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .collect();
    for hop in hops.into_iter().rev() {
        if !is_trusted(client) {
            break;
        }
        let Some(address) = hop_address(hop.trim()) else {
            break;
        };
        client = address.to_canonical();
    }
    client
}

/// An address, alone or with a port.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    hop.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(peer: &str, forwarded: &[&str], expected: &str) {
        let trusted = ["10.0.0.0/8", "::1/128"].map(|network| network.parse().unwrap());
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(X_FORWARDED_FOR, value.parse().unwrap());
        }
        let expected: IpAddr = expected.parse().unwrap();
        assert_eq!(
            client(peer.parse().unwrap(), &headers, &trusted),
            expected,
            "{peer} {forwarded:?}"
        );
    }

    /// S16.
    #[test]
    fn only_trusted_proxies_are_believed_about_who_called_them() {
        check("192.0.2.9", &["203.0.113.5"], "192.0.2.9");
        check("10.1.1.1", &["203.0.113.5"], "203.0.113.5");
        check("10.1.1.1", &["6.6.6.6, 203.0.113.5"], "203.0.113.5");
        check(
            "10.1.1.1",
            &["6.6.6.6", "203.0.113.5, 10.2.2.2"],
            "203.0.113.5",
        );
        check("::1", &["203.0.113.5:4711"], "203.0.113.5");
        check("::1", &["[2001:db8::7]:80"], "2001:db8::7");
        check("::ffff:10.1.1.1", &["::ffff:203.0.113.5"], "203.0.113.5");
        check("10.1.1.1", &[], "10.1.1.1");
        check("10.1.1.1", &["nonsense"], "10.1.1.1");
        check("10.1.1.1", &["203.0.113.5, nonsense, 10.2.2.2"], "10.2.2.2");
    }
}
