//! Published ports: connections to this machine's side are carried to the container's.
//!
//! The listening sockets are made before the new network namespace is joined, and connections to
//! the program afterwards: a socket belongs to the namespace that it was made in.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::thread;

use crate::run::Port;
use crate::run::error::RunError;

/// Connections that are carried at once.
const MAX_CONNECTIONS: usize = 256;

/// Listens on this machine's side of every port.
pub(super) fn listen(ports: &[Port]) -> Result<Vec<(TcpListener, u16)>, RunError> {
    let listen = |port: &Port| {
        let listener = TcpListener::bind(port.host).map_err(|source| RunError::Listen {
            address: port.host.to_string(),
            source,
        })?;
        Ok((listener, port.container))
    };
    ports.iter().map(listen).collect()
}

/// Carries connections until the process ends.
pub(super) fn serve(listeners: Vec<(TcpListener, u16)>) {
    for (listener, port) in listeners {
        thread::spawn(move || accept(&listener, port));
    }
}

fn accept(listener: &TcpListener, port: u16) {
    let open = std::sync::Arc::new(());
    for connection in listener.incoming() {
        let Ok(outside) = connection else {
            // No descriptor is free, or the client has gone already.
            thread::sleep(std::time::Duration::from_millis(50));
            continue;
        };
        if std::sync::Arc::strong_count(&open) > MAX_CONNECTIONS {
            continue;
        }
        let counted = std::sync::Arc::clone(&open);
        thread::spawn(move || {
            // Nobody listens inside: the client sees its connection closed.
            let _closed = carry(&outside, port);
            drop(counted);
        });
    }
}

fn carry(outside: &TcpStream, port: u16) -> io::Result<()> {
    let inside = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .or_else(|_v4| TcpStream::connect((Ipv6Addr::LOCALHOST, port)))?;
    // Answers of servers are small and waited for.
    inside.set_nodelay(true)?;
    outside.set_nodelay(true)?;
    thread::scope(|scope| {
        let back = scope.spawn(|| copy(&inside, outside));
        let there = copy(outside, &inside);
        let _ended = back.join();
        there
    })
}

/// One direction to its end; an error ends both.
fn copy(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    let copied = io::copy(&mut from, &mut to);
    let half = match copied {
        Ok(_) => Shutdown::Write,
        Err(_) => Shutdown::Both,
    };
    // Closed by the other side already.
    let _closed = to.shutdown(half);
    if copied.is_err() {
        let _closed = from.shutdown(Shutdown::Both);
    }
    copied.map(drop)
}
