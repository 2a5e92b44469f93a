//! From the greeting to the mailbox: what to say next, given what was heard.
//!
//! TLS by upgrade comes before anything else is said, and nothing that was heard before it counts after it.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use postroom_core::Secret;

use super::capa::Capa;
use super::command::fits_in_line;
use super::reply::{self, Refusal, Reply};

/// Longest command, its line end included. Source: RFC 2449 section 4.
const COMMAND_MAX: usize = 255;

/// What the account proves itself with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// A password, in whatever way the server takes it.
    Password,
    /// An access token (XOAUTH2).
    Token,
}

/// Who signs in, and how.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) method: Method,
    pub(crate) user: String,
    pub(crate) secret: Secret,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Say this, and hear a status line.
    Say(Secret),
    /// Say this, and hear lines after a good status line.
    Ask(&'static str),
    /// Begin TLS.
    BeginTls,
    /// The mailbox is open.
    Done,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A line.
    Line(Bytes),
    /// Lines, after a good status line.
    Lines(Vec<Bytes>),
    /// TLS has begun.
    Tls,
}

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    #[error("the server speaks another protocol: {0}")]
    NotPop3(&'static str),
    #[error("the server begins with TLS; the profile has it begin in clear")]
    TlsAtOnce,
    #[error("the server does not offer to begin TLS")]
    TlsNotOffered,
    #[error("the server offers no way to sign in that is known here: {0}")]
    NoMethod(String),
    #[error("user name or password hold characters that this server's way to sign in cannot carry")]
    CannotBeSaid,
    #[error("the server refuses: {}", .0.text)]
    Refused(Refusal),
    #[error("the server says something else than it should")]
    Unexpected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Greeting,
    Stls,
    Tls,
    Capa,
    User,
    /// The server's word on all that was sent.
    Verdict,
    /// The server asks for the first part.
    Challenge,
    /// The server's word, or an explanation to be acknowledged first.
    TokenVerdict,
    Done,
}

/// The sign-in of one session.
#[derive(Debug)]
pub(crate) struct SignIn<'a> {
    account: &'a Account,
    upgrade: bool,
    secure: bool,
    stamp: Option<String>,
    capa: Option<Capa>,
    state: State,
    /// What is said to a challenge.
    answer: Option<Secret>,
}

impl<'a> SignIn<'a> {
    /// A sign-in on a fresh connection, secure already or to be upgraded. What the server offers need not be
    /// asked where it is known.
    pub(crate) const fn new(
        account: &'a Account,
        secure: bool,
        upgrade: bool,
        known: Option<Capa>,
    ) -> Self {
        Self {
            account,
            upgrade,
            secure,
            stamp: None,
            capa: known,
            state: State::Greeting,
            answer: None,
        }
    }

    /// What the server offers, once the sign-in is through.
    pub(crate) fn into_capa(self) -> Capa {
        self.capa.unwrap_or_else(Capa::untold)
    }

    /// What the server offers, as far as it was asked.
    pub(crate) const fn capa(&self) -> Option<&Capa> {
        self.capa.as_ref()
    }

    /// Whether the credentials, or a part of them, were sent.
    pub(crate) const fn asked_for_verdict(&self) -> bool {
        matches!(
            self.state,
            State::User | State::Verdict | State::Challenge | State::TokenVerdict
        )
    }

    /// Hears something and says what is next.
    pub(crate) fn hear(&mut self, heard: Heard) -> Result<Next, SignInError> {
        let line = match (self.state, heard) {
            (State::Tls, Heard::Tls) => {
                self.secure = true;
                // What was offered in clear text may have been anybody's word.
                return self.after_security();
            }
            (State::Capa, Heard::Lines(lines)) => {
                self.capa = Some(Capa::read(lines.iter().map(Bytes::as_ref)));
                return self.authenticate();
            }
            (State::Greeting, Heard::Line(line)) => return self.greeted(&line),
            (_, Heard::Line(line)) => line,
            (_, Heard::Lines(_) | Heard::Tls) => return Err(SignInError::Unexpected),
        };
        let reply = reply::read(&line).ok_or(SignInError::Unexpected)?;
        match (self.state, reply) {
            (State::Stls, Reply::Ok(_)) => {
                self.state = State::Tls;
                Ok(Next::BeginTls)
            }
            (State::Stls, Reply::Refused(_)) => Err(SignInError::TlsNotOffered),
            (State::Capa, Reply::Refused(_)) => {
                self.capa = Some(Capa::untold());
                self.authenticate()
            }
            (State::User | State::Challenge, Reply::Ok(_) | Reply::Continue)
                if self.answer.is_some() =>
            {
                self.state = match self.account.method {
                    Method::Password => State::Verdict,
                    Method::Token => State::TokenVerdict,
                };
                self.answer.take().map_or(Err(SignInError::Unexpected), say)
            }
            (State::Verdict | State::TokenVerdict, Reply::Ok(_)) => {
                self.state = State::Done;
                Ok(Next::Done)
            }
            // The reason comes in a form of its own; an empty answer brings the refusal.
            (State::TokenVerdict, Reply::Continue) => {
                self.state = State::Verdict;
                say(Secret::new(""))
            }
            (_, Reply::Refused(refusal)) => Err(SignInError::Refused(refusal)),
            (_, Reply::Ok(_) | Reply::Continue) => Err(SignInError::Unexpected),
        }
    }

    fn greeted(&mut self, line: &Bytes) -> Result<Next, SignInError> {
        match reply::read(line) {
            Some(Reply::Ok(text)) => self.stamp = stamp(&text),
            Some(Reply::Refused(refusal)) => return Err(SignInError::Refused(refusal)),
            Some(Reply::Continue) | None => return Err(not_pop3(line)),
        }
        if self.upgrade && !self.secure {
            self.state = State::Stls;
            return say(Secret::new("STLS"));
        }
        self.after_security()
    }

    fn after_security(&mut self) -> Result<Next, SignInError> {
        if self.capa.is_some() {
            return self.authenticate();
        }
        self.state = State::Capa;
        Ok(Next::Ask("CAPA"))
    }

    fn authenticate(&mut self) -> Result<Next, SignInError> {
        let untold = Capa::untold();
        let capa = self.capa.as_ref().unwrap_or(&untold);
        let Account {
            method,
            user,
            secret,
        } = self.account;
        let password = secret.expose();
        if *method == Method::Token {
            if capa.told && !capa.sasl.contains("XOAUTH2") {
                return Err(no_method(&capa.sasl));
            }
            let token = Secret::new(format!("user={user}\x01auth=Bearer {password}\x01\x01"));
            self.answer = Some(Secret::new(STANDARD.encode(token.expose())));
            self.state = State::Challenge;
            return say(Secret::new("AUTH XOAUTH2"));
        }
        let sayable = fits_in_line(user) && fits_in_line(password);
        if let Some(stamp) = self.stamp.as_deref().filter(|_| !self.secure)
            && fits_in_line(user)
        {
            // In clear text, a digest tells less than a password.
            let digest = Md5::new()
                .chain_update(stamp)
                .chain_update(password)
                .finalize();
            let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            self.state = State::Verdict;
            return say(Secret::new(format!("APOP {user} {digest}")));
        }
        let plain = capa.sasl.contains("PLAIN") && !user.contains('\0') && !password.contains('\0');
        if plain {
            let message = Secret::new(format!("\0{user}\0{password}"));
            let encoded = Secret::new(STANDARD.encode(message.expose()));
            let whole = Secret::new(format!("AUTH PLAIN {}", encoded.expose()));
            if whole.expose().len() + 2 <= COMMAND_MAX {
                self.state = State::Verdict;
                return say(whole);
            }
            self.answer = Some(encoded);
            self.state = State::Challenge;
            return say(Secret::new("AUTH PLAIN"));
        }
        // A server that tells neither USER nor PLAIN knows USER nearly always.
        if !sayable {
            return Err(SignInError::CannotBeSaid);
        }
        if capa.told && !capa.user && !capa.sasl.is_empty() {
            return Err(no_method(&capa.sasl));
        }
        self.answer = Some(Secret::new(format!("PASS {password}")));
        self.state = State::User;
        say(Secret::new(format!("USER {user}")))
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it ends the branches of a decision"
)]
const fn say(line: Secret) -> Result<Next, SignInError> {
    Ok(Next::Say(line))
}

fn no_method(offered: &BTreeSet<String>) -> SignInError {
    let offered: Vec<&str> = offered.iter().map(String::as_str).collect();
    SignInError::NoMethod(if offered.is_empty() {
        "it names none".to_owned()
    } else {
        offered.join(" ").chars().take(100).collect()
    })
}

/// The time stamp in a greeting, by which APOP is offered. Source: RFC 1939 section 7.
fn stamp(text: &Bytes) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let from = text.find('<')?;
    let rest = text.get(from..)?;
    let stamp = rest.get(..=rest.find('>')?)?;
    (stamp.contains('@') && stamp.is_ascii() && !stamp.contains(' ')).then(|| stamp.to_owned())
}

fn not_pop3(line: &Bytes) -> SignInError {
    let starts = |prefix: &[u8]| line.starts_with(prefix);
    match line.as_ref() {
        // A record of TLS: an alert, or a handshake.
        [0x15 | 0x16, 0x03, ..] => SignInError::TlsAtOnce,
        _ if starts(b"220") => SignInError::NotPop3("it looks like SMTP"),
        _ if starts(b"* ") => SignInError::NotPop3("it looks like IMAP"),
        _ if starts(b"HTTP/") => SignInError::NotPop3("it looks like HTTP"),
        _ if starts(b"SSH-") => SignInError::NotPop3("it looks like SSH"),
        _ => SignInError::NotPop3("it does not begin with +OK"),
    }
}

#[cfg(test)]
mod tests;
