//! Asking an instance from this host: HTTP and ICMP.

use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::controller::rest::chain;
use crate::error::{Error, ErrorKind};

/// How long an answer may take; who is blocked gives none.
const ANSWER_TIME: Duration = Duration::from_secs(3);
const HTTP: u16 = 80;
const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;

/// What a request has met with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// An answer, with its text.
    Came(String),
    /// None, within the time.
    Silence,
    /// Something else, in words.
    Other(String),
}

/// Whether this host knows where to send what is for an address. Nothing is sent.
pub(super) fn has_route(address: Ipv4Addr) -> Result<bool, Error> {
    let connected = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| socket.connect((address, HTTP)));
    match connected {
        Ok(()) => Ok(true),
        Err(error) if unreachable(&error) => Ok(false),
        Err(error) => {
            Err(Error::new(ErrorKind::Environment, format!("cannot look for a route to {address}")).because(&error))
        }
    }
}

/// Asks for the page at an address.
pub(super) async fn http(address: Ipv4Addr) -> Result<Answer, Error> {
    let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_TIME).build();
    let client =
        client.map_err(|error| Error::new(ErrorKind::Internal, "cannot make an HTTP client").because(&error))?;
    let answer = async { client.get(format!("http://{address}/")).send().await?.error_for_status()?.text().await };
    Ok(match answer.await {
        Ok(text) => Answer::Came(text.trim().to_owned()),
        Err(error) if error.is_timeout() => Answer::Silence,
        Err(error) => {
            let words = chain(&error);
            // Nobody says where the address is: as good as silence.
            if words.contains("No route to host") { Answer::Silence } else { Answer::Other(words) }
        }
    })
}

/// Sends an ICMP echo request, and waits for the reply. `None`: this user may send none.
pub(super) async fn ping(address: Ipv4Addr) -> Result<Option<Answer>, Error> {
    let action = format!("cannot ping {address}");
    match tokio::task::spawn_blocking(move || echo(address)).await {
        Ok(Ok(true)) => Ok(Some(Answer::Came(String::new()))),
        Ok(Ok(false)) => Ok(Some(Answer::Silence)),
        Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Ok(Err(error)) if unreachable(&error) => Ok(Some(Answer::Silence)),
        Ok(Err(error)) => Err(Error::new(ErrorKind::Environment, action).because(&error)),
        Err(broken) => Err(Error::new(ErrorKind::Internal, action).because(&broken)),
    }
}

fn unreachable(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable)
}

/// Whether an address replies.
fn echo(address: Ipv4Addr) -> io::Result<bool> {
    let mut socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
    socket.connect(&SocketAddr::from((address, 0)).into())?;
    let identity = rand::random::<u16>();
    socket.send(&echo_request(identity))?;
    let deadline = Instant::now() + ANSWER_TIME;
    let mut packet = [0; 1500];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        socket.set_read_timeout(Some(left))?;
        match socket.read(&mut packet) {
            Ok(length) if is_reply(packet.get(..length).unwrap_or_default(), address, identity) => return Ok(true),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Ok(false);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// An echo request with an identity by which its reply is known.
fn echo_request(identity: u16) -> [u8; 8] {
    let [high, low] = identity.to_be_bytes();
    let mut message = [ECHO_REQUEST, 0, 0, 0, high, low, 0, 1];
    let [high, low] = checksum(&message).to_be_bytes();
    (message[2], message[3]) = (high, low);
    message
}

/// The checksum of the Internet protocols: the complement of the sum in ones' complement.
fn checksum(message: &[u8]) -> u16 {
    let words = message.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// Whether a packet, with its IP header, is the reply of an address.
fn is_reply(packet: &[u8], address: Ipv4Addr, identity: u16) -> bool {
    let Some(header) = packet.first().map(|first| usize::from(first & 0x0f) * 4) else { return false };
    let source = packet.get(12..16) == Some(address.octets().as_slice());
    let message = packet.get(header..).unwrap_or_default();
    let ours = message.get(4..6) == Some(identity.to_be_bytes().as_slice());
    source && ours && message.first() == Some(&ECHO_REPLY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_carries_its_checksum() {
        let request = echo_request(0x1234);
        assert_eq!(request[..2], [8, 0]);
        assert_eq!(checksum(&request), 0, "with its checksum, a message sums up to nothing");
        assert_eq!(checksum(&[0xff, 0xff, 0x01]), !0x0100);
    }

    #[test]
    fn only_the_own_reply_counts() {
        let address = Ipv4Addr::new(10, 204, 0, 9);
        let packet = |kind, identity: u16, source: Ipv4Addr| {
            let mut packet = vec![0; 20];
            packet[0] = 0x45;
            packet[12..16].copy_from_slice(&source.octets());
            packet.extend([kind, 0, 0, 0]);
            packet.extend(identity.to_be_bytes());
            packet
        };
        assert!(is_reply(&packet(ECHO_REPLY, 7, address), address, 7));
        assert!(!is_reply(&packet(ECHO_REPLY, 8, address), address, 7));
        assert!(!is_reply(&packet(ECHO_REQUEST, 7, address), address, 7));
        assert!(!is_reply(&packet(ECHO_REPLY, 7, Ipv4Addr::LOCALHOST), address, 7));
        assert!(!is_reply(&[], address, 7));
    }

    #[test]
    fn this_host_has_a_route_to_itself() {
        assert!(has_route(Ipv4Addr::LOCALHOST).unwrap());
    }

    #[test]
    fn this_host_replies() {
        match echo(Ipv4Addr::LOCALHOST) {
            Ok(replied) => assert!(replied),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}"),
        }
    }
}
