//! One connection.

use std::io;

use postroom_net::line::Io;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use super::fault::{GREETING, ImapFault};
use super::line::{self, Word};
use super::mailbox::Mailbox;
use super::server::ImapServer;
use crate::model::AccountId;

/// Longest line of a command that is read.
const LINE_MAX: usize = 64 * 1024;
/// Longest literal that is read.
const LITERAL_MAX: usize = 256 * 1024 * 1024;

/// Why a connection ends.
pub(super) enum End {
    /// Somebody closed it, or a fault did.
    Closed,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

/// What a command comes to: data, and the tagged line without its tag.
pub(super) struct Answer {
    pub(super) data: Vec<u8>,
    pub(super) status: String,
}

impl Answer {
    pub(super) fn ok(data: impl Into<Vec<u8>>) -> Self {
        Self {
            data: data.into(),
            status: "OK done".to_owned(),
        }
    }

    pub(super) fn no(text: &str) -> Self {
        Self {
            data: Vec::new(),
            status: format!("NO {text}"),
        }
    }

    pub(super) fn bad(text: &str) -> Self {
        Self {
            data: Vec::new(),
            status: format!("BAD {text}"),
        }
    }

    pub(super) fn saying(mut self, status: impl Into<String>) -> Self {
        self.status = status.into();
        self
    }
}

/// One client.
pub(super) struct Connection<'a> {
    pub(super) server: &'a ImapServer,
    io: BufReader<Box<dyn Io>>,
    pub(super) secure: bool,
    pub(super) account: Option<AccountId>,
    pub(super) mailbox: Option<Mailbox>,
    /// Whether the client asked for VANISHED.
    pub(super) by_uid: bool,
}

/// Speaks to a client until one of both ends it.
pub(super) async fn run(server: &ImapServer, io: Box<dyn Io>, secure: bool) {
    let mut connection = Connection {
        server,
        io: BufReader::new(io),
        secure,
        account: None,
        mailbox: None,
        by_uid: false,
    };
    match connection.speak().await {
        Ok(()) | Err(End::Closed) => {}
    }
}

impl Connection<'_> {
    async fn speak(&mut self) -> Result<(), End> {
        let faults = self.server.struck(GREETING);
        self.before(&faults).await?;
        let greets = faults.iter().find_map(|fault| match fault {
            ImapFault::Greets(line) => Some(line.clone()),
            _ => None,
        });
        let greeting = greets.unwrap_or_else(|| {
            let told = if self.server.offers().tells_capabilities {
                format!("[CAPABILITY {}] ", self.capabilities())
            } else {
                String::new()
            };
            format!("* OK {told}Postroom simulator")
        });
        self.write(format!("{greeting}\r\n").as_bytes()).await?;
        self.after(&faults)?;
        loop {
            let bytes = self.command().await?;
            self.server.count_request();
            let text = String::from_utf8_lossy(&bytes);
            let mut parts = text.splitn(3, ' ');
            let tag = parts.next().unwrap_or_default().to_owned();
            let mut name = parts.next().unwrap_or_default().to_ascii_uppercase();
            let words = line::words(bytes.get(tag.len()..).unwrap_or_default());
            let mut arguments = words.unwrap_or_default();
            if !arguments.is_empty() {
                arguments.remove(0);
            }
            if name == "UID" && !arguments.is_empty() {
                let second = arguments.remove(0).text().to_ascii_uppercase();
                name = format!("UID {second}");
            }
            let faults = self.server.struck(&name);
            self.before(&faults).await?;
            if let Some(text) = refusal(&faults) {
                self.finish(&tag, Answer::no(text), &faults).await?;
                continue;
            }
            if name == "STARTTLS" && self.begins_tls() {
                self.finish(&tag, Answer::ok(""), &faults).await?;
                self.upgrade().await?;
                continue;
            }
            let answer = self.act(&name, &arguments, &faults).await?;
            if faults.contains(&ImapFault::LoseAnswer) {
                return Err(End::Closed);
            }
            self.finish(&tag, answer, &faults).await?;
            self.after(&faults)?;
            if name == "LOGOUT" {
                self.io.flush().await?;
                return Ok(());
            }
        }
    }

    async fn before(&mut self, faults: &[ImapFault]) -> Result<(), End> {
        for fault in faults {
            match fault {
                ImapFault::Silent => {
                    // Until the client goes, or the test does.
                    loop {
                        self.command().await?;
                    }
                }
                ImapFault::CloseBefore => return Err(End::Closed),
                ImapFault::Bye(text) => {
                    self.write(format!("* BYE {text}\r\n").as_bytes()).await?;
                    self.io.flush().await?;
                    return Err(End::Closed);
                }
                ImapFault::Slow(by) => tokio::time::sleep(*by).await,
                ImapFault::LongLine => {
                    let line = format!("* OK {}\r\n", "x".repeat(1024 * 1024));
                    self.write(line.as_bytes()).await?;
                }
                ImapFault::Garbage => {
                    self.write(b"* \0\0\0\r\n* 1 FETCH (\r\nhello\r\n* LIST (((\r\n\r\n")
                        .await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn after(&self, faults: &[ImapFault]) -> Result<(), End> {
        if faults.contains(&ImapFault::CloseAfter) {
            return Err(End::Closed);
        }
        Ok(())
    }

    /// A command with its literals, without the last line end.
    pub(super) async fn command(&mut self) -> Result<Vec<u8>, End> {
        let mut whole = self.line().await?;
        while let Some((length, at_once)) = announced(&whole) {
            if length > LITERAL_MAX {
                return Err(End::Closed);
            }
            if !at_once {
                self.write(b"+ go on\r\n").await?;
                self.io.flush().await?;
            }
            whole.extend_from_slice(b"\r\n");
            let from = whole.len();
            whole.resize(from + length, 0);
            let room = whole.get_mut(from..).unwrap_or_default();
            self.io.read_exact(room).await?;
            whole.extend_from_slice(&self.line().await?);
        }
        Ok(whole)
    }

    async fn line(&mut self) -> Result<Vec<u8>, End> {
        if self.io.buffer().is_empty() {
            self.io.flush().await?;
        }
        let mut line = Vec::new();
        loop {
            let held = self.io.fill_buf().await?;
            if held.is_empty() {
                return Err(End::Closed);
            }
            let end = memchr::memchr(b'\n', held);
            let taken = end.map_or(held.len(), |end| end + 1);
            line.extend_from_slice(held.get(..taken).unwrap_or_default());
            self.io.consume(taken);
            if end.is_some() {
                break;
            }
            if line.len() > LINE_MAX {
                return Err(End::Closed);
            }
        }
        while line
            .last()
            .is_some_and(|byte| matches!(byte, b'\r' | b'\n'))
        {
            line.pop();
        }
        Ok(line)
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.io.get_mut().write_all(bytes).await?;
        Ok(())
    }

    pub(super) async fn flush(&mut self) -> Result<(), End> {
        self.io.flush().await?;
        Ok(())
    }

    async fn finish(&mut self, tag: &str, answer: Answer, faults: &[ImapFault]) -> Result<(), End> {
        let mut bytes = answer.data;
        bytes.extend_from_slice(format!("{tag} {}\r\n", answer.status).as_bytes());
        if faults.contains(&ImapFault::InjectAfterStartTls) {
            bytes.extend_from_slice(b"* OK injected\r\n");
        }
        if faults.contains(&ImapFault::Cut) {
            bytes.truncate(bytes.len() / 2);
            self.write(&bytes).await?;
            self.io.flush().await?;
            return Err(End::Closed);
        }
        self.write(&bytes).await
    }

    fn begins_tls(&self) -> bool {
        self.server.offers().starttls && !self.secure && self.account.is_none()
    }

    async fn upgrade(&mut self) -> Result<(), End> {
        self.io.flush().await?;
        let (gone, _) = tokio::io::duplex(1);
        let plain = std::mem::replace(&mut self.io, BufReader::new(Box::new(gone)));
        let stream = self.server.acceptor().accept(plain.into_inner()).await?;
        self.io = BufReader::new(Box::new(stream));
        self.secure = true;
        Ok(())
    }

    /// What the server has, at this point of the dialogue.
    pub(super) fn capabilities(&self) -> String {
        let offers = self.server.offers();
        let outside = self.account.is_none();
        let all = [
            ("IMAP4rev1", true),
            ("STARTTLS", outside && offers.starttls && !self.secure),
            ("LOGINDISABLED", outside && !offers.login),
            ("AUTH=PLAIN", outside && offers.plain),
            ("AUTH=XOAUTH2", outside && offers.xoauth2),
            ("AUTH=OAUTHBEARER", outside && offers.oauth_bearer),
            ("SASL-IR", outside && offers.sasl_ir),
            ("LITERAL+", offers.literal_plus),
            ("IDLE", offers.idle),
            ("UIDPLUS", offers.uid_plus),
            ("MOVE", offers.moves),
            ("CONDSTORE", offers.condstore),
            ("ENABLE QRESYNC", offers.qresync),
            ("SPECIAL-USE LIST-EXTENDED", offers.special_use),
        ];
        let had = all.into_iter().filter(|(_, has)| *has);
        had.map(|(name, _)| name).collect::<Vec<_>>().join(" ")
    }
}

fn refusal(faults: &[ImapFault]) -> Option<&str> {
    faults.iter().find_map(|fault| match fault {
        ImapFault::Refuse(text) => Some(text.as_str()),
        _ => None,
    })
}

/// The literal that a line announces at its end, and whether it follows at once.
fn announced(line: &[u8]) -> Option<(usize, bool)> {
    let rest = line.strip_suffix(b"}")?;
    let at_once = rest.ends_with(b"+");
    let rest = rest.strip_suffix(b"+").unwrap_or(rest);
    let from = memchr::memrchr(b'{', rest)?;
    let digits = std::str::from_utf8(rest.get(from + 1..)?).ok()?;
    Some((digits.parse().ok()?, at_once))
}

/// The text of an argument.
pub(super) fn argument(words: &[Word], at: usize) -> String {
    words.get(at).map(Word::text).unwrap_or_default()
}
