//! Server-sent events, read piece by piece (HTML standard, section 9.2.6).

use super::message::MAX_MESSAGE;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// Its type; empty is `message`.
    pub(super) kind: String,
    /// Its data, lines joined by line feeds.
    pub(super) data: Vec<u8>,
}

impl Event {
    /// What it takes in memory.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.kind.len() + self.data.len()
    }
}

/// More bytes than any real event has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Reads events from pieces of a stream.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    event: Event,
    /// Whether the event has a data field: without one it is none.
    filled: Filled,
    last: Option<u8>,
    begun: Filled,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Filled {
    #[default]
    No,
    Yes,
}

impl Events {
    /// Takes the next bytes and yields the events that they complete.
    ///
    /// # Errors
    /// When a line or an event grows beyond the largest message.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLarge> {
        let mut events = Vec::new();
        for byte in bytes {
            // A line ends with CR, LF or CR LF.
            let after_cr = self.last.replace(*byte) == Some(b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                byte => {
                    if self.line.len() + self.event.data.len() >= MAX_MESSAGE {
                        return Err(TooLarge);
                    }
                    self.line.push(*byte);
                }
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if self.begun == Filled::No {
            self.begun = Filled::Yes;
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            let filled = std::mem::take(&mut self.filled);
            return (filled == Filled::Yes).then_some(event);
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = match colon {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if self.filled == Filled::Yes {
                    self.event.data.push(b'\n');
                }
                self.filled = Filled::Yes;
                self.event.data.extend_from_slice(value);
            }
            b"event" => self.event.kind = String::from_utf8_lossy(value).into_owned(),
            // A comment (no name), id, retry, or a field of the future.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_whatever_their_line_ends_and_pieces() {
        let expected = [
            ("", "{\"a\":\n1}"),
            ("endpoint", "/messages?id=1"),
            ("", ""),
            ("message", "x:y"),
        ];
        let text = "\u{feff}: keep-alive\nid: 1\ndata: {\"a\":\ndata:1}\n\n\
                    event: endpoint\ndata: /messages?id=1\n\n\nretry: 5\n\ndata\n\n\
                    event:message\nunknown: field\ndata: x:y\n\ndata: never ended";
        for end in ["\n", "\r\n", "\r"] {
            let bytes = text.replace('\n', end).into_bytes();
            for size in [1, 2, 3, 7, bytes.len()] {
                let mut events = Events::default();
                let mut found = Vec::new();
                for piece in bytes.chunks(size) {
                    found.extend(events.push(piece).unwrap());
                }
                let found: Vec<_> = found
                    .iter()
                    .map(|e| (e.kind.as_str(), std::str::from_utf8(&e.data).unwrap()))
                    .collect();
                assert_eq!(found, expected, "{end:?} {size}");
            }
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        for piece in [&b"data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"[..], &b"x"[..]] {
            let mut events = Events::default();
            let piece = piece.repeat(1000);
            let refused = (0..20_000).any(|_| events.push(&piece).is_err());
            assert!(refused);
        }
    }
}
