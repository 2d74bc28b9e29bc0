//! JSON-RPC messages, and what of a stream is one.

use serde_json::{Map, Value, json};

/// Largest message that is read: tool lists of real servers have some 100 kB.
pub(super) const MAX_MESSAGE: usize = 8 << 20;

/// A message of the server.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    /// The answer to a request of ours.
    Answer {
        /// Whose.
        id: Id,
        /// Its result, or why there is none.
        outcome: Result<Value, RpcError>,
    },
    /// A request of the server's own.
    Request {
        /// Repeated in the answer.
        id: Value,
        /// What it wants.
        method: String,
    },
    /// Wants no answer.
    Notification,
}

/// The id of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Id {
    /// As we number requests.
    Number(u64),
    /// Null: the server could not tell which request it was.
    Null,
    /// Nothing that we sent.
    Foreign,
}

/// The error of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RpcError {
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Value,
    /// The HTTP status that it came with, unless that was 2xx.
    pub(super) status: Option<u16>,
}

impl Message {
    /// Whether it is an answer whose id no request can have had: servers repeat a number as a text.
    pub(super) fn is_stray(&self) -> bool {
        let Self::Answer { id, .. } = self else {
            return false;
        };
        matches!(id, Id::Foreign | Id::Null)
    }

    /// Whether it answers request `number`; an error without an id answers what is pending.
    pub(super) fn answers(&self, number: u64) -> bool {
        match self {
            Self::Answer { id, outcome } => match id {
                Id::Number(id) => *id == number,
                Id::Null => outcome.is_err(),
                Id::Foreign => false,
            },
            Self::Request { .. } | Self::Notification => false,
        }
    }
}

/// The messages of one line, body or event: one, or several of a batch. None when any of it is
/// no JSON-RPC message.
pub(super) fn parse(bytes: &[u8]) -> Option<Vec<Message>> {
    match serde_json::from_slice(bytes).ok()? {
        Value::Array(batch) if !batch.is_empty() => batch.into_iter().map(message).collect(),
        single => Some(vec![message(single)?]),
    }
}

fn message(value: Value) -> Option<Message> {
    let Value::Object(mut fields) = value else {
        return None;
    };
    if fields.get("jsonrpc")?.as_str()? != "2.0" {
        return None;
    }
    let id = fields.remove("id");
    if let Some(method) = fields.get("method") {
        let method = method.as_str()?.to_owned();
        return Some(match id {
            Some(id) => Message::Request { id, method },
            None => Message::Notification,
        });
    }
    let outcome = match (fields.remove("result"), fields.remove("error")) {
        (Some(result), None) => Ok(result),
        (_, Some(Value::Object(error))) => Err(rpc_error(error)),
        _ => return None,
    };
    let id = match id? {
        Value::Number(number) => number.as_u64().map_or(Id::Foreign, Id::Number),
        Value::Null => Id::Null,
        _ => Id::Foreign,
    };
    Some(Message::Answer { id, outcome })
}

fn rpc_error(mut error: Map<String, Value>) -> RpcError {
    RpcError {
        code: error.get("code").and_then(Value::as_i64).unwrap_or(0),
        message: match error.remove("message") {
            Some(Value::String(message)) => message,
            _ => String::new(),
        },
        data: error.remove("data").unwrap_or(Value::Null),
        status: None,
    }
}

/// A notification of ours.
pub(super) fn notification(method: &str) -> Vec<u8> {
    let message = json!({"jsonrpc": "2.0", "method": method});
    message.to_string().into_bytes()
}

/// What we say to a request of the server: `ping` is answered, all else is nothing that we
/// declared.
pub(super) fn reply(id: &Value, method: &str) -> Vec<u8> {
    let message = match method {
        "ping" => json!({"jsonrpc": "2.0", "id": id, "result": {}}),
        _ => json!({
            "jsonrpc": "2.0",
            "id": id,
            "error": {"code": -32601, "message": format!("karisimbi smoke does not offer {method}")},
        }),
    };
    message.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_are_messages() {
        for text in [
            "",
            "hello",
            "1",
            "[]",
            "{}",
            r#"{"level":"info"}"#,
            r#"{"id":1,"result":{}}"#,
            r#"{"jsonrpc":"1.0","id":1,"result":{}}"#,
            r#"{"jsonrpc":"2.0","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":"text"}"#,
            r#"[{"jsonrpc":"2.0","method":"x"},1]"#,
            "{\"jsonrpc\":\"2.0\",\"method\":\"\u{e9}",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(b"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}"), None);
        // Nesting is bounded.
        let deep = format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{}1{}}}"#,
            "[".repeat(5000),
            "]".repeat(5000)
        );
        assert_eq!(parse(deep.as_bytes()), None);
    }

    #[test]
    fn answers_are_known_by_their_ids() {
        for (text, answers) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":{}}"#, true),
            (r#"{"jsonrpc":"2.0","id":"7","result":{}}"#, false),
            (r#"{"jsonrpc":"2.0","id":7.5,"result":{}}"#, false),
            (r#"{"jsonrpc":"2.0","id":-7,"result":{}}"#, false),
            (r#"{"jsonrpc":"2.0","id":[7],"result":{}}"#, false),
            (r#"{"jsonrpc":"2.0","id":8,"error":{"code":-1}}"#, false),
            (r#"{"jsonrpc":"2.0","id":null,"error":{"code":-1}}"#, true),
            (r#"{"jsonrpc":"2.0","id":null,"result":{}}"#, false),
            (r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#, false),
        ] {
            let messages = parse(text.as_bytes()).unwrap();
            assert_eq!(messages[0].answers(7), answers, "{text}");
        }
    }
}
