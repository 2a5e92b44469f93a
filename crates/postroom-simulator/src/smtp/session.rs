//! One connection.

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use postroom_net::line::Io;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::fault::{CONTENT, GREETING, SmtpFault};
use super::server::{SmtpEnvelope, SmtpServer};
use crate::model::{AccountId, ModelError, Submission, WellKnown};

/// Longest command that is read.
const COMMAND_MAX: usize = 64 * 1024;
/// What is read ahead.
const BUFFER: usize = 64 * 1024;

/// Somebody closed the connection, or a fault did.
struct Closed;

impl From<io::Error> for Closed {
    fn from(_: io::Error) -> Self {
        Self
    }
}

#[derive(Default)]
struct Transaction {
    sender: String,
    recipients: Vec<String>,
}

struct Connection<'a> {
    server: &'a SmtpServer,
    io: BufReader<Box<dyn Io>>,
    /// Replies that wait until the client waits for them.
    out: Vec<u8>,
    secure: bool,
    account: Option<AccountId>,
    transaction: Option<Transaction>,
}

/// Speaks to a client until one of both ends it.
pub(super) async fn run(server: &SmtpServer, io: Box<dyn Io>, secure: bool) {
    let mut connection = Connection {
        server,
        io: BufReader::with_capacity(BUFFER, io),
        out: Vec::new(),
        secure,
        account: None,
        transaction: None,
    };
    if connection.speak().await.is_err() {
        // What was answered before reaches the client.
        let _ = connection.flush().await;
    }
}

fn reply(code: u16, enhanced: &str, text: &str) -> String {
    format!("{code} {enhanced} {text}")
}

fn plain(reply: &str) -> String {
    let mut words = reply.split(' ');
    let code = words.next().unwrap_or_default();
    let rest: Vec<&str> = words.skip(1).collect();
    format!("{code} {}", rest.join(" "))
}

impl Connection<'_> {
    async fn speak(&mut self) -> Result<(), Closed> {
        let faults = self.server.struck(GREETING, "");
        self.before(&faults).await?;
        let greeting = faults.iter().find_map(|fault| match fault {
            SmtpFault::Greets(line) | SmtpFault::Refuse(line) => Some(line.clone()),
            _ => None,
        });
        let greeting = greeting.unwrap_or_else(|| "220 smtp.example.org ESMTP ready".to_owned());
        self.put(&greeting, &faults);
        self.after(&faults)?;
        loop {
            let line = self.command().await?;
            let (name, rest) = line.split_once([' ', ':']).unwrap_or((&line, ""));
            let name = name.to_ascii_uppercase();
            self.server.count_request();
            let faults = self.server.struck(&name, rest);
            self.before(&faults).await?;
            if let Some(refusal) = refusal(&faults) {
                self.put(&refusal, &faults);
                self.after(&faults)?;
                continue;
            }
            if name == "STARTTLS" && !self.secure && self.server.offers().starttls {
                self.put(&self.said(reply(220, "2.0.0", "begin")), &faults);
                if faults.contains(&SmtpFault::InjectAfterStartTls) {
                    self.out.extend_from_slice(b"250 injected\r\n");
                }
                self.upgrade().await?;
                continue;
            }
            let answer = self.act(&name, rest, &faults).await?;
            self.finish(&answer, &faults)?;
            if answer.starts_with("354") {
                self.message().await?;
            }
            if name == "QUIT" {
                return Err(Closed);
            }
        }
    }

    /// The answer to a command that had its effect.
    fn finish(&mut self, answer: &str, faults: &[SmtpFault]) -> Result<(), Closed> {
        if faults.contains(&SmtpFault::LoseAnswer) {
            return Err(Closed);
        }
        self.put(answer, faults);
        self.after(faults)
    }

    async fn before(&mut self, faults: &[SmtpFault]) -> Result<(), Closed> {
        for fault in faults {
            match fault {
                SmtpFault::Silent => {
                    // Until the client goes, or the test does.
                    loop {
                        self.command().await?;
                    }
                }
                SmtpFault::CloseBefore => return Err(Closed),
                SmtpFault::Slow(by) => {
                    self.flush().await?;
                    tokio::time::sleep(*by).await;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn after(&self, faults: &[SmtpFault]) -> Result<(), Closed> {
        if faults.contains(&SmtpFault::CloseAfter) {
            return Err(Closed);
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Closed> {
        if !self.out.is_empty() {
            let out = std::mem::take(&mut self.out);
            self.io.get_mut().write_all(&out).await?;
            self.io.get_mut().flush().await?;
        }
        Ok(())
    }

    /// A line, without its end. Whoever waits for more has answered everything before.
    async fn line(&mut self, out: &mut Vec<u8>, max: usize) -> Result<(), Closed> {
        out.clear();
        loop {
            if self.io.buffer().is_empty() {
                self.flush().await?;
            }
            let held = self.io.fill_buf().await?;
            if held.is_empty() {
                return Err(Closed);
            }
            let end = memchr::memchr(b'\n', held);
            let taken = end.map_or(held.len(), |end| end + 1);
            out.extend_from_slice(held.get(..taken).unwrap_or_default());
            self.io.consume(taken);
            if end.is_some() {
                return Ok(());
            }
            if out.len() > max {
                return Err(Closed);
            }
        }
    }

    async fn command(&mut self) -> Result<String, Closed> {
        let mut line = Vec::new();
        self.line(&mut line, COMMAND_MAX).await?;
        if !self.server.offers().pipelining {
            // Without it nothing may follow before the answer: who does it all the same is out of step.
            if !self.io.buffer().is_empty() {
                return Err(Closed);
            }
        }
        let line = String::from_utf8_lossy(&line);
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// The text as it goes out: without enhanced codes where there are none.
    fn said(&self, text: String) -> String {
        if self.server.offers().enhanced {
            text
        } else {
            plain(&text)
        }
    }

    fn put(&mut self, text: &str, faults: &[SmtpFault]) {
        let garbled = faults.iter().find_map(|fault| match fault {
            SmtpFault::Garbles(line) => Some(line.as_str()),
            _ => None,
        });
        self.out
            .extend_from_slice(garbled.unwrap_or(text).as_bytes());
        if faults.contains(&SmtpFault::LongLine) {
            self.out.extend_from_slice(&vec![b'x'; 1024 * 1024]);
        }
        self.out.extend_from_slice(b"\r\n");
    }

    async fn upgrade(&mut self) -> Result<(), Closed> {
        self.flush().await?;
        // What was sent before TLS is thrown away with the buffer.
        let (empty, _) = tokio::io::duplex(1);
        let old = std::mem::replace(&mut self.io, BufReader::new(Box::new(empty)));
        let stream = self.server.acceptor().accept(old.into_inner()).await?;
        self.io = BufReader::with_capacity(BUFFER, Box::new(stream));
        self.secure = true;
        self.account = None;
        self.transaction = None;
        Ok(())
    }

    async fn act(
        &mut self,
        name: &str,
        rest: &str,
        faults: &[SmtpFault],
    ) -> Result<String, Closed> {
        let offers = self.server.offers();
        let answer = match name {
            "EHLO" if offers.ehlo => return Ok(self.hello(faults)),
            "HELO" => return Ok("250 smtp.example.org".to_owned()),
            "NOOP" => reply(250, "2.0.0", "ok"),
            "RSET" => {
                self.transaction = None;
                reply(250, "2.0.0", "forgotten")
            }
            "QUIT" => reply(221, "2.0.0", "bye"),
            "AUTH" => return self.authenticate(rest).await,
            "MAIL" => self.sender(rest),
            "RCPT" => self.recipient(rest),
            "DATA" => match &self.transaction {
                Some(transaction) if !transaction.recipients.is_empty() => {
                    return Ok("354 go on".to_owned());
                }
                Some(_) => reply(554, "5.5.1", "no valid recipients"),
                None => reply(503, "5.5.1", "MAIL first"),
            },
            _ => reply(500, "5.5.2", "unknown command"),
        };
        Ok(self.said(answer))
    }

    fn hello(&mut self, faults: &[SmtpFault]) -> String {
        self.transaction = None;
        let offers = self.server.offers();
        let mut lines = vec!["smtp.example.org at your service".to_owned()];
        let mut offer = |has: bool, line: &str| {
            if has {
                lines.push(line.to_owned());
            }
        };
        offer(offers.pipelining, "PIPELINING");
        let told = faults.iter().find_map(|fault| match fault {
            SmtpFault::TellsSize(size) => Some(*size),
            _ => None,
        });
        offer(true, &format!("SIZE {}", told.unwrap_or(offers.size_max)));
        offer(offers.starttls && !self.secure, "STARTTLS");
        let mechanisms: Vec<&str> = [
            (offers.plain, "PLAIN"),
            (offers.login, "LOGIN"),
            (offers.xoauth2, "XOAUTH2"),
        ]
        .into_iter()
        .filter_map(|(has, name)| has.then_some(name))
        .collect();
        // As most servers: nobody shows a password in clear.
        offer(
            self.secure && !mechanisms.is_empty(),
            &format!("AUTH {}", mechanisms.join(" ")),
        );
        offer(offers.eight_bit, "8BITMIME");
        offer(offers.utf8, "SMTPUTF8");
        offer(offers.enhanced, "ENHANCEDSTATUSCODES");
        let last = lines.len().saturating_sub(1);
        let numbered: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' }))
            .collect();
        numbered.join("\r\n")
    }

    async fn authenticate(&mut self, rest: &str) -> Result<String, Closed> {
        let offers = self.server.offers();
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let mechanism = mechanism.to_ascii_uppercase();
        let known = match mechanism.as_str() {
            "PLAIN" => offers.plain,
            "LOGIN" => offers.login,
            "XOAUTH2" => offers.xoauth2,
            _ => false,
        };
        if !known || !self.secure {
            return Ok(self.said(reply(504, "5.5.4", "unknown mechanism")));
        }
        let decoded = |text: &str| {
            let bytes = STANDARD.decode(text).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (user, password) = if mechanism == "LOGIN" {
            let user = self.ask("VXNlcm5hbWU6").await?;
            let password = self.ask("UGFzc3dvcmQ6").await?;
            (decoded(&user), decoded(&password))
        } else {
            let answer = if initial.is_empty() {
                self.ask("").await?
            } else {
                initial.to_owned()
            };
            let answer = decoded(&answer);
            if mechanism == "PLAIN" {
                let mut parts = answer.splitn(3, '\0').skip(1).map(str::to_owned);
                let user = parts.next().unwrap_or_default();
                (user, parts.next().unwrap_or_default())
            } else {
                let part = |name: &str| {
                    let mut parts = answer.split('\x01');
                    let found = parts.find_map(|part| part.strip_prefix(name));
                    found.unwrap_or_default().to_owned()
                };
                (part("user="), part("auth=Bearer "))
            }
        };
        self.account = self.server.mail().authenticate(&user, &password);
        if self.account.is_some() {
            return Ok(self.said(reply(235, "2.7.0", "welcome")));
        }
        if mechanism == "XOAUTH2" {
            // The reason first; the client acknowledges it by an empty line.
            self.ask("eyJzdGF0dXMiOiI0MDAifQ==").await?;
        }
        Ok(self.said(reply(535, "5.7.8", "credentials invalid")))
    }

    async fn ask(&mut self, challenge: &str) -> Result<String, Closed> {
        self.put(&format!("334 {challenge}"), &[]);
        self.command().await
    }

    fn sender(&mut self, rest: &str) -> String {
        let offers = self.server.offers();
        if self.account.is_none() && !offers.open {
            return reply(530, "5.7.0", "authentication required");
        }
        if self.transaction.is_some() {
            return reply(503, "5.5.1", "a transaction is under way");
        }
        let argument = rest.trim_start_matches("FROM:").trim();
        let upper = argument.to_ascii_uppercase();
        let size = upper
            .split(" SIZE=")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .and_then(|size| size.parse::<u64>().ok());
        if size.is_some_and(|size| offers.size_max > 0 && size > offers.size_max) {
            return reply(552, "5.3.4", "message too large");
        }
        if (upper.contains(" BODY=8BITMIME") && !offers.eight_bit)
            || (upper.contains(" SMTPUTF8") && !offers.utf8)
        {
            return reply(555, "5.5.4", "unknown parameter");
        }
        if !argument.is_ascii() && !upper.contains(" SMTPUTF8") {
            return reply(553, "5.6.7", "address beyond ASCII");
        }
        self.transaction = Some(Transaction {
            sender: argument.to_owned(),
            recipients: Vec::new(),
        });
        reply(250, "2.1.0", "ok")
    }

    fn recipient(&mut self, rest: &str) -> String {
        let offers = self.server.offers();
        let mail = Arc::clone(self.server.mail());
        let Some(transaction) = &mut self.transaction else {
            return reply(503, "5.5.1", "MAIL first");
        };
        let address = rest
            .trim_start_matches("TO:")
            .trim()
            .trim_start_matches('<')
            .split('>')
            .next()
            .unwrap_or_default()
            .to_owned();
        if !address.contains('@') {
            return reply(501, "5.1.3", "bad address");
        }
        if transaction.recipients.len() >= offers.recipients_max {
            return reply(452, "4.5.3", "too many recipients");
        }
        if offers.knows_recipients && mail.account(&address).is_none() && own(&mail, &address) {
            return reply(550, "5.1.1", "no such user here");
        }
        transaction.recipients.push(address);
        reply(250, "2.1.5", "ok")
    }

    async fn message(&mut self) -> Result<(), Closed> {
        let (mut content, mut line) = (Vec::new(), Vec::new());
        let max = usize::try_from(self.server.offers().size_max).unwrap_or(usize::MAX);
        let mut too_large = false;
        loop {
            self.line(&mut line, usize::MAX).await?;
            if line == b".\r\n" {
                break;
            }
            let unstuffed = line.strip_prefix(b".").unwrap_or(&line);
            if max > 0 && content.len() + unstuffed.len() > max {
                too_large = true;
            } else {
                content.extend_from_slice(unstuffed);
            }
        }
        self.server.count_request();
        let transaction = self.transaction.take().unwrap_or_default();
        let faults = self.server.struck(CONTENT, "");
        self.before(&faults).await?;
        if let Some(refusal) = refusal(&faults) {
            self.put(&refusal, &faults);
            return self.after(&faults);
        }
        let answer = if too_large {
            reply(552, "5.3.4", "message too large")
        } else {
            self.accept(transaction, Bytes::from(content))
        };
        let answer = self.said(answer);
        self.finish(&answer, &faults)
    }

    fn accept(&self, transaction: Transaction, content: Bytes) -> String {
        let Transaction { sender, recipients } = transaction;
        let envelope = SmtpEnvelope {
            sender,
            recipients: recipients.clone(),
            content: content.clone(),
        };
        let mail = self.server.mail();
        let ok = reply(250, "2.0.0", "taken");
        let Some(account) = self.account else {
            if self.server.note(envelope) {
                let to: Vec<&str> = recipients.iter().map(String::as_str).collect();
                mail.deliver(content, &to);
            }
            return ok;
        };
        let file_in = self
            .server
            .offers()
            .files_copy
            .then(|| mail.well_known(account, WellKnown::SentItems).ok())
            .flatten();
        // Whether it may be sent is asked first: what is refused was not received.
        let submission = Submission::new(account, content, recipients);
        let checked = mail.may_submit(&submission);
        match checked {
            Ok(()) => {
                if self.server.note(envelope) {
                    // Checked a moment ago.
                    let _ = mail.submit(&submission, file_in, |_| {});
                }
                ok
            }
            Err(ModelError::SendAsDenied) => reply(553, "5.7.1", "not in this name"),
            Err(_) => reply(554, "5.6.0", "it cannot be sent"),
        }
    }
}

fn refusal(faults: &[SmtpFault]) -> Option<String> {
    faults.iter().find_map(|fault| match fault {
        SmtpFault::Refuse(text) | SmtpFault::RefuseRecipient(_, text) => Some(text.clone()),
        _ => None,
    })
}

/// Whether the domain is one of the accounts'.
fn own(mail: &crate::model::MailSystem, address: &str) -> bool {
    let domain = |address: &str| {
        let domain = address.rsplit('@').next().unwrap_or_default();
        domain.to_lowercase()
    };
    let wanted = domain(address);
    mail.accounts().into_iter().any(|id| {
        mail.account_info(id)
            .is_ok_and(|account| domain(&account.address) == wanted)
    })
}
