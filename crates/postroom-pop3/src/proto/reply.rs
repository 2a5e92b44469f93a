//! What the server says in one line.

use bytes::Bytes;

/// A status line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// `+OK`, with what follows.
    Ok(Bytes),
    /// `-ERR`.
    Refused(Refusal),
    /// `+`: the server waits for the next part of an authentication.
    Continue,
}

/// Why the server refuses, as far as it says. Source: RFC 2449 section 8, RFC 3206.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseCode {
    /// The mailbox is in use by another session.
    InUse,
    /// The last sign-in was too short a time ago.
    LoginDelay,
    /// Trouble of the server that will pass.
    SysTemp,
    /// Trouble of the server that a person must mend.
    SysPerm,
    /// It is about the credentials.
    Auth,
    /// Another one.
    Other,
}

/// A `-ERR` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Option<ResponseCode>,
    pub(crate) text: String,
}

/// Reads a status line; `None` where it is none.
pub(crate) fn read(line: &Bytes) -> Option<Reply> {
    let starts = |prefix: &[u8]| {
        line.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
            && line
                .get(prefix.len())
                .is_none_or(|next| matches!(next, b' ' | b'\t'))
    };
    if starts(b"+OK") {
        return Some(Reply::Ok(line.slice(3..)));
    }
    if starts(b"-ERR") {
        let text = line.get(4..).unwrap_or_default();
        return Some(Reply::Refused(refusal(&String::from_utf8_lossy(text))));
    }
    starts(b"+").then_some(Reply::Continue)
}

fn refusal(text: &str) -> Refusal {
    let text = text.trim();
    let bracketed = text
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .filter(|(code, _)| !code.is_empty() && !code.contains(' '));
    let Some((code, rest)) = bracketed else {
        return Refusal {
            code: None,
            text: text.to_owned(),
        };
    };
    // A code may be refined after a slash.
    let code = code.to_ascii_uppercase();
    let is = |name: &str| {
        code.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let code = if is("IN-USE") {
        ResponseCode::InUse
    } else if is("LOGIN-DELAY") {
        ResponseCode::LoginDelay
    } else if is("SYS/TEMP") {
        ResponseCode::SysTemp
    } else if is("SYS/PERM") {
        ResponseCode::SysPerm
    } else if is("AUTH") {
        ResponseCode::Auth
    } else {
        ResponseCode::Other
    };
    Refusal {
        code: Some(code),
        text: rest.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines() {
        let status = |text: &'static str| read(&Bytes::from_static(text.as_bytes()));
        assert_eq!(status("+OK"), Some(Reply::Ok(Bytes::new())));
        assert!(matches!(status("+ok fine"), Some(Reply::Ok(_))));
        assert_eq!(status("+ "), Some(Reply::Continue));
        assert_eq!(status("+"), Some(Reply::Continue));
        for other in ["", "+OKAY", "* OK", "220 hello", "-ERROR", "HTTP/1.1 400"] {
            assert_eq!(status(other), None, "{other}");
        }
        for (line, code) in [
            ("-ERR", None),
            ("-ERR no", None),
            ("-ERR [IN-USE] busy", Some(ResponseCode::InUse)),
            ("-ERR [LOGIN-DELAY] wait", Some(ResponseCode::LoginDelay)),
            ("-ERR [sys/temp] later", Some(ResponseCode::SysTemp)),
            ("-ERR [SYS/TEMP/DISK] later", Some(ResponseCode::SysTemp)),
            ("-ERR [SYS/PERM] never", Some(ResponseCode::SysPerm)),
            ("-ERR [AUTH] wrong", Some(ResponseCode::Auth)),
            ("-ERR [AUTHOR] x", Some(ResponseCode::Other)),
            ("-ERR [not a code] x", None),
            ("-ERR [open", None),
        ] {
            match status(line) {
                Some(Reply::Refused(refusal)) => assert_eq!(refusal.code, code, "{line}"),
                other => panic!("{line}: {other:?}"),
            }
        }
    }
}
