//! From the greeting to the account.
//!
//! TLS by upgrade comes before anything else is said, and nothing that was heard before it counts after it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postroom_core::Secret;
use postroom_net::NetFailure;
use postroom_provider::OpContext;

use super::{Receive, Session, SessionError, SignInFailure, ended, ignore};
use crate::config::{ImapConfig, Method};
use crate::proto::capability::Capabilities;
use crate::proto::command::{Command, can_be_said};
use crate::proto::response::{self, Response, Status, Word};

/// Most responses to a sign-in by SASL.
const RESPONSES_MAX: u32 = 100;

/// What earlier sessions told about the server, so that it need not be asked again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Before the sign-in.
    pub(crate) before: Option<Capabilities>,
    /// After it.
    pub(crate) after: Option<Capabilities>,
}

/// Why a sign-in ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    #[error("the server speaks another protocol: {0}")]
    NotImap(&'static str),
    #[error("the server begins with TLS; the profile has it begin in clear")]
    TlsAtOnce,
    #[error("the server does not offer to begin TLS")]
    TlsNotOffered,
    #[error("the server offers no way to sign in that is known here: {0}")]
    NoMethod(String),
    #[error("user name or password hold characters that no way to sign in can carry")]
    CannotBeSaid,
    #[error("the server refuses: {}", .0.text)]
    Refused(Word),
}

fn failed(error: SignInError, about_credentials: bool) -> SessionError {
    SessionError::SignIn(Box::new(SignInFailure {
        error,
        about_credentials,
    }))
}

impl Session {
    pub(super) async fn sign_in(
        &mut self,
        ctx: &OpContext,
        config: &ImapConfig,
        known: Option<Known>,
    ) -> Result<(), SessionError> {
        let known = known.unwrap_or_default();
        let signed_in = self.greeted(ctx).await?;
        if signed_in && config.upgrade() {
            // Nobody can begin TLS after that; whoever says it may be anybody.
            return Err(failed(SignInError::TlsNotOffered, false));
        }
        let mut told = self.greeting.argument("CAPABILITY").map(Capabilities::read);
        if config.upgrade() {
            self.begin_tls(ctx).await?;
            told = None;
        }
        if !signed_in {
            self.capabilities = match told.or(known.before) {
                Some(told) => told,
                None => self.ask_capabilities(ctx).await?,
            };
            told = self.authenticate(ctx, config).await?;
            self.before = std::mem::take(&mut self.capabilities);
        }
        self.capabilities = match told.or(known.after) {
            Some(told) => told,
            None => self.ask_capabilities(ctx).await?,
        };
        Ok(())
    }

    /// Hears the greeting; whether it says that this connection is signed in already.
    async fn greeted(&mut self, ctx: &OpContext) -> Result<bool, SessionError> {
        let line = match self.connection.read_line(ctx, super::RESPONSE_MAX).await {
            Ok(Some(line)) => line,
            Ok(None) => {
                let error = ended().with_detail("the server closes before it says anything");
                return Err(error.into());
            }
            Err(error) => {
                return Err(match error.failure() {
                    NetFailure::TimedOut => error
                        .with_detail(
                            "the server says nothing: does it expect TLS at once, or speak another protocol?",
                        )
                        .into(),
                    NetFailure::Lost => error
                        .with_detail("the server closes before it says anything")
                        .into(),
                    // No IMAP server greets like that.
                    NetFailure::LineTooLong => {
                        failed(SignInError::NotImap("its first line has no end"), false)
                    }
                    _ => error.into(),
                });
            }
        };
        match response::read(&line, false) {
            Response::Untagged(Status::Ok, word) => {
                self.greeting = word;
                Ok(false)
            }
            Response::Untagged(Status::PreAuth, word) => {
                self.greeting = word;
                Ok(true)
            }
            Response::Untagged(Status::Bye, word) => Err(failed(SignInError::Refused(word), false)),
            _ => Err(failed(not_imap(&line), false)),
        }
    }

    async fn begin_tls(&mut self, ctx: &OpContext) -> Result<(), SessionError> {
        let done = self
            .run(ctx, &Command::new("STARTTLS"), &mut ignore)
            .await?;
        if done.status != Status::Ok {
            return Err(failed(SignInError::TlsNotOffered, false));
        }
        Ok(self.connection.start_tls(ctx).await?)
    }

    async fn ask_capabilities(&mut self, ctx: &OpContext) -> Result<Capabilities, SessionError> {
        let mut heard = Heard::default();
        let command = Command::new("CAPABILITY");
        self.run(ctx, &command, &mut heard).await?.ok()?;
        Ok(heard.0.unwrap_or_default())
    }

    /// Proves who it is; what the server has from then on, where it says so by itself.
    async fn authenticate(
        &mut self,
        ctx: &OpContext,
        config: &ImapConfig,
    ) -> Result<Option<Capabilities>, SessionError> {
        let account = &config.account;
        let (user, secret) = (account.user.as_str(), account.secret.expose());
        if !can_be_said(user) || !can_be_said(secret) {
            return Err(failed(SignInError::CannotBeSaid, false));
        }
        let offers = &self.capabilities;
        let token = |mechanism| {
            let text = match mechanism {
                "XOAUTH2" => format!("user={user}\x01auth=Bearer {secret}\x01\x01"),
                // Commas and equals signs part the header of GS2. Source: RFC 7628, RFC 5801.
                _ => {
                    let name = user.replace('=', "=3D").replace(',', "=2C");
                    format!("n,a={name},\x01auth=Bearer {secret}\x01\x01")
                }
            };
            (mechanism, Secret::new(text))
        };
        let said = match account.method {
            Method::Token if offers.authenticates("XOAUTH2") => Some(token("XOAUTH2")),
            Method::Token if offers.authenticates("OAUTHBEARER") => Some(token("OAUTHBEARER")),
            Method::Token => {
                let ways = offers.ways_in();
                return Err(failed(SignInError::NoMethod(ways), false));
            }
            Method::Password if offers.authenticates("PLAIN") => {
                Some(("PLAIN", Secret::new(format!("\0{user}\0{secret}"))))
            }
            Method::Password if offers.has("LOGINDISABLED") => {
                let ways = offers.ways_in();
                return Err(failed(SignInError::NoMethod(ways), false));
            }
            Method::Password => None,
        };
        let mut heard = Heard::default();
        let done = match said {
            None => {
                let command = Command::new("LOGIN").string(user).string(secret);
                self.run(ctx, &command, &mut heard).await
            }
            Some((mechanism, message)) => self.sasl(ctx, mechanism, &message, &mut heard).await,
        };
        let word = match done.and_then(super::Done::ok) {
            Ok(word) => word,
            Err(SessionError::Refused { word, .. } | SessionError::Bye(word)) => {
                return Err(failed(SignInError::Refused(word), true));
            }
            Err(other) => return Err(other),
        };
        let told = word.argument("CAPABILITY").map(Capabilities::read);
        Ok(told.or(heard.0))
    }

    async fn sasl(
        &mut self,
        ctx: &OpContext,
        mechanism: &str,
        message: &Secret,
        heard: &mut Heard,
    ) -> Result<super::Done, SessionError> {
        let encoded = Secret::new(STANDARD.encode(message.expose()));
        let at_once = self.capabilities.has("SASL-IR");
        let mut command = Command::new("AUTHENTICATE").word(mechanism);
        if at_once {
            command = command.word(encoded.expose());
        }
        let sent = self.send(ctx, &command).await?;
        let mut said = at_once;
        for _ in 0..RESPONSES_MAX {
            match self.response(ctx, heard).await? {
                Response::Continue(_) => {
                    // The reason of a refusal comes in a form of its own; an empty answer brings the refusal.
                    let answer = match (said, mechanism) {
                        (false, _) => format!("{}\r\n", encoded.expose()),
                        (true, "OAUTHBEARER") => "AQ==\r\n".to_owned(),
                        (true, _) => "\r\n".to_owned(),
                    };
                    said = true;
                    let answer = Secret::new(answer);
                    self.send_raw(ctx, answer.expose().as_bytes()).await?;
                }
                Response::Done(tag, status, word) if tag == sent.tag => {
                    let what = sent.what;
                    return Ok(super::Done { status, word, what });
                }
                other => heard.take(other),
            }
        }
        Err(SessionError::Odd("a sign-in has no end"))
    }
}

/// Capabilities that the server tells without being asked.
#[derive(Default)]
struct Heard(Option<Capabilities>);

impl Receive for Heard {
    fn take(&mut self, response: Response) {
        if let Response::Capabilities(told) = response {
            self.0 = Some(told);
        }
    }
}

fn not_imap(line: &[u8]) -> SignInError {
    let starts = |prefix: &[u8]| line.starts_with(prefix);
    match line {
        // A record of TLS: an alert, or a handshake.
        [0x15 | 0x16, 0x03, ..] => SignInError::TlsAtOnce,
        _ if starts(b"220") => SignInError::NotImap("it looks like SMTP"),
        _ if starts(b"+OK") => SignInError::NotImap("it looks like POP3"),
        _ if starts(b"HTTP/") => SignInError::NotImap("it looks like HTTP"),
        _ if starts(b"SSH-") => SignInError::NotImap("it looks like SSH"),
        _ => SignInError::NotImap("it does not begin with * OK"),
    }
}
