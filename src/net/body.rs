//! Request bodies that are streamed with their length known: 64 KiB at a time, whatever the size.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// How much of a body has been handed to the connection.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    bytes: Arc<AtomicU64>,
    abandoned: Arc<AtomicBool>,
    size: u64,
}

impl Sent {
    /// Bytes handed over so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The answer has come before the end of the body: the rest is not wanted.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// Whether that is all of them.
    pub(crate) fn is_complete(&self) -> bool {
        self.bytes() >= self.size
    }
}

/// The body of a request; what it sends comes from a [`Feed`].
pub(crate) struct StreamBody {
    parts: mpsc::Receiver<io::Result<Bytes>>,
    remaining: u64,
    sent: Sent,
}

/// The other end of a [`StreamBody`].
#[derive(Clone)]
pub(crate) struct Feed(mpsc::Sender<io::Result<Bytes>>);

/// The connection that takes a body is gone; its own error says why.
#[derive(Debug)]
pub(crate) struct Closed;

impl StreamBody {
    /// A body of exactly `size` bytes, the end that feeds it, and its meter.
    pub(crate) fn new(size: u64) -> (Self, Feed, Sent) {
        // Two parts in flight: one being read while one is being sent.
        let (sender, parts) = mpsc::channel(2);
        let sent = Sent {
            bytes: Arc::default(),
            abandoned: Arc::default(),
            size,
        };
        let body = Self {
            parts,
            remaining: size,
            sent: sent.clone(),
        };
        (body, Feed(sender), sent)
    }
}

impl Feed {
    /// Passes bytes on, from a thread that may block.
    pub(crate) fn blocking_send(&self, part: io::Result<Bytes>) -> Result<(), Closed> {
        self.0.blocking_send(part).map_err(|_closed| Closed)
    }

    /// Passes bytes on.
    pub(crate) async fn send(&self, part: io::Result<Bytes>) -> Result<(), Closed> {
        self.0.send(part).await.map_err(|_closed| Closed)
    }
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.sent.abandoned.load(Ordering::Relaxed) {
            let error = io::Error::other("the answer came before the end");
            return Poll::Ready(Some(Err(error)));
        }
        let part = std::task::ready!(self.parts.poll_recv(context));
        Poll::Ready(match part {
            Some(Ok(bytes)) if bytes.len() as u64 <= self.remaining => {
                self.remaining -= bytes.len() as u64;
                self.sent
                    .bytes
                    .fetch_add(bytes.len() as u64, Ordering::Relaxed);
                Some(Ok(Frame::data(bytes)))
            }
            Some(Ok(_)) => Some(Err(io::Error::other("more bytes than announced"))),
            Some(Err(error)) => Some(Err(error)),
            None if self.remaining > 0 => Some(Err(io::ErrorKind::UnexpectedEof.into())),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}
