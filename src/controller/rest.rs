//! What the clients of all OpenStack APIs have in common: an answer with any status, the words of a
//! fault, and when a request may be sent again.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

use crate::error::causes;

/// An answer with any status.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body: JSON, or else its text; null if there is none.
    pub body: Value,
}

/// Sends a request and reads the whole answer. The error is in words.
pub async fn send(request: RequestBuilder, time: Duration) -> Result<Answer, String> {
    let answer = request.timeout(time).send().await.map_err(|error| chain(&error))?;
    let status = answer.status();
    let content = answer.bytes().await.map_err(|error| chain(&error))?;
    Ok(Answer { status, body: body(&content) })
}

fn body(content: &[u8]) -> Value {
    if content.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(content).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(content).into_owned()))
}

/// An error with its sources: reqwest's own words do not say why.
pub fn chain(error: &reqwest::Error) -> String {
    causes(error).join(": ")
}

/// Whether an answer means that the service could do nothing just now, and whether the request may
/// be sent again although it may have been carried out.
pub fn may_repeat(method: &Method, answer: &Result<Answer, String>, sent: bool) -> bool {
    let (busy, lost) = match answer {
        Ok(answer) => match answer.status {
            StatusCode::SERVICE_UNAVAILABLE => (true, false),
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => (true, true),
            _ => (false, false),
        },
        Err(_) => (true, sent),
    };
    // What was made although the answer was lost must be looked up before it is made again.
    let uncertain = lost && *method == Method::POST;
    busy && !uncertain
}

/// The words in the body of a refusal. Each API wraps them in its own way.
pub fn fault(body: &Value) -> String {
    let text = match body {
        Value::String(text) => without_markup(text),
        Value::Object(fields) => {
            let first_error = body.pointer("/errors/0/detail").and_then(Value::as_str);
            let message = fields.values().find_map(|field| field.get("message").and_then(Value::as_str));
            let own = body.get("message").and_then(Value::as_str);
            match message.or(first_error).or(own) {
                Some(text) => text.to_owned(),
                None => body.to_string(),
            }
        }
        Value::Null => String::new(),
        other => other.to_string(),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text of an HTML page: some refusals come as one.
fn without_markup(text: &str) -> String {
    let mut plain = String::new();
    let mut inside = false;
    for character in text.chars() {
        match character {
            '<' => inside = true,
            '>' if inside => {
                inside = false;
                plain.push(' ');
            }
            _ if !inside => plain.push(character),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_api_has_words_for_its_refusals() {
        for (body, words) in [
            (
                json!({"error": {"code": 401, "message": "The request you have made requires authentication."}}),
                "The request",
            ),
            (json!({"conflictingRequest": {"code": 409, "message": "Quota exceeded"}}), "Quota exceeded"),
            (json!({"NeutronError": {"type": "InUse", "message": "still in use", "detail": ""}}), "still in use"),
            (json!({"errors": [{"title": "Bad Request", "detail": "no such thing"}]}), "no such thing"),
            (
                json!("<html><head><title>409 Conflict</title></head>\n<body>in use</body></html>"),
                "409 Conflict in use",
            ),
            (Value::Null, ""),
        ] {
            assert!(fault(&body).starts_with(words), "{body}: {}", fault(&body));
        }
    }

    #[test]
    fn what_may_have_been_made_is_not_made_again() {
        let answer = |status| Ok(Answer { status, body: Value::Null });
        assert!(may_repeat(&Method::POST, &answer(StatusCode::SERVICE_UNAVAILABLE), true));
        assert!(!may_repeat(&Method::POST, &answer(StatusCode::BAD_GATEWAY), true));
        assert!(may_repeat(&Method::GET, &answer(StatusCode::BAD_GATEWAY), true));
        assert!(!may_repeat(&Method::GET, &answer(StatusCode::NOT_FOUND), true));
        assert!(!may_repeat(&Method::POST, &Err("connection lost".to_owned()), true));
        assert!(may_repeat(&Method::POST, &Err("not logged in".to_owned()), false));
    }
}
