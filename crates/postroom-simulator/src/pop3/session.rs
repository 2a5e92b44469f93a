//! One connection.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use postroom_net::line::Io;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::fault::{GREETING, Pop3Fault};
use super::server::{Lock, Pop3Server, uidl};
use crate::model::{Item, WellKnown};

/// Longest command that is read.
const COMMAND_MAX: usize = 64 * 1024;
/// What APOP's digest is made of, beside the password.
const STAMP: &str = "<1896.697170952@pop.example.org>";

/// Why a connection ends.
enum End {
    /// Somebody closed it, or a fault did.
    Closed,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

/// What a command comes to.
enum Answer {
    Ok(String),
    Refused(String),
    /// Lines behind a good status line, unstuffed.
    Lines(String, Vec<u8>),
    Continue,
}

fn refused(text: &str) -> Answer {
    Answer::Refused(text.to_owned())
}

struct Maildrop {
    lock: Lock,
    items: Vec<(Arc<Item>, String)>,
    deleted: BTreeSet<usize>,
}

struct Connection<'a> {
    server: &'a Pop3Server,
    io: BufReader<Box<dyn Io>>,
    secure: bool,
    user: Option<String>,
    maildrop: Option<Maildrop>,
}

/// Speaks to a client until one of both ends it.
pub(super) async fn run(server: &Pop3Server, io: Box<dyn Io>, secure: bool) -> io::Result<()> {
    let mut connection = Connection {
        server,
        io: BufReader::new(io),
        secure,
        user: None,
        maildrop: None,
    };
    match connection.speak().await {
        Ok(()) | Err(End::Closed) => Ok(()),
    }
}

impl Connection<'_> {
    async fn speak(&mut self) -> Result<(), End> {
        let faults = self.server.struck(GREETING);
        self.before(&faults).await?;
        let greeting = faults.iter().find_map(|fault| match fault {
            Pop3Fault::Greets(line) => Some(format!("{line}\r\n")),
            _ => None,
        });
        match greeting {
            Some(line) => self.write(line.as_bytes()).await?,
            None => {
                let stamp = if self.server.offers().apop { STAMP } else { "" };
                let text = format!("POP3 ready {stamp}");
                self.answer(Answer::Ok(text), &faults).await?;
            }
        }
        self.after(&faults)?;
        loop {
            let line = self.command().await?;
            let (name, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let name = name.to_ascii_uppercase();
            self.server.count_request();
            let faults = self.server.struck(&name);
            self.before(&faults).await?;
            if let Some(Pop3Fault::Refuse(text)) =
                faults.iter().find(|f| matches!(f, Pop3Fault::Refuse(_)))
            {
                self.answer(refused(text), &faults).await?;
                continue;
            }
            if name == "STLS" && self.begins_tls() {
                self.answer(Answer::Ok("begin".to_owned()), &faults).await?;
                self.upgrade().await?;
                continue;
            }
            let answer = self.act(&name, rest, &faults).await?;
            if faults.contains(&Pop3Fault::LoseAnswer) {
                return Err(End::Closed);
            }
            self.answer(answer, &faults).await?;
            self.after(&faults)?;
            if name == "QUIT" {
                self.io.flush().await?;
                return Ok(());
            }
        }
    }

    async fn before(&mut self, faults: &[Pop3Fault]) -> Result<(), End> {
        for fault in faults {
            match fault {
                Pop3Fault::Silent => {
                    // Until the client goes, or the test does.
                    loop {
                        self.command().await?;
                    }
                }
                Pop3Fault::CloseBefore => return Err(End::Closed),
                Pop3Fault::Slow(by) => tokio::time::sleep(*by).await,
                _ => {}
            }
        }
        Ok(())
    }

    fn after(&self, faults: &[Pop3Fault]) -> Result<(), End> {
        if faults.contains(&Pop3Fault::CloseAfter) {
            return Err(End::Closed);
        }
        Ok(())
    }

    async fn command(&mut self) -> Result<String, End> {
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
            if line.len() > COMMAND_MAX {
                return Err(End::Closed);
            }
        }
        let line = String::from_utf8_lossy(&line);
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.io.get_mut().write_all(bytes).await?;
        Ok(())
    }

    async fn answer(&mut self, answer: Answer, faults: &[Pop3Fault]) -> Result<(), End> {
        let has = |fault| faults.contains(&fault);
        let long = if has(Pop3Fault::LongLine) {
            "x".repeat(1024 * 1024)
        } else {
            String::new()
        };
        let mut bytes = Vec::new();
        match answer {
            Answer::Ok(text) => bytes.extend_from_slice(format!("+OK {text}{long}\r\n").as_bytes()),
            Answer::Refused(text) => {
                bytes.extend_from_slice(format!("-ERR {text}{long}\r\n").as_bytes());
            }
            Answer::Continue => bytes.extend_from_slice(b"+ \r\n"),
            Answer::Lines(text, content) => {
                bytes.extend_from_slice(format!("+OK {text}{long}\r\n").as_bytes());
                stuff(&content, !has(Pop3Fault::NotStuffed), &mut bytes);
                if has(Pop3Fault::Cut) {
                    bytes.truncate(bytes.len() / 2);
                } else {
                    bytes.extend_from_slice(b".\r\n");
                }
            }
        }
        if has(Pop3Fault::BareLf) {
            bytes = bare(&bytes);
        }
        if has(Pop3Fault::InjectAfterStls) {
            bytes.extend_from_slice(b"+OK injected\r\n");
        }
        self.write(&bytes).await?;
        if has(Pop3Fault::Cut) {
            self.io.flush().await?;
            return Err(End::Closed);
        }
        Ok(())
    }

    fn begins_tls(&self) -> bool {
        self.server.offers().stls && !self.secure && self.maildrop.is_none()
    }

    async fn upgrade(&mut self) -> Result<(), End> {
        self.io.flush().await?;
        let (gone, _) = tokio::io::duplex(1);
        let plain = std::mem::replace(&mut self.io, BufReader::new(Box::new(gone)));
        let stream = self.server.acceptor().accept(plain.into_inner()).await?;
        self.io = BufReader::new(Box::new(stream));
        self.secure = true;
        self.user = None;
        Ok(())
    }

    async fn act(&mut self, name: &str, rest: &str, faults: &[Pop3Fault]) -> Result<Answer, End> {
        let offers = self.server.offers();
        Ok(match (name, &mut self.maildrop) {
            ("CAPA", _) if offers.capa => self.capabilities(),
            ("QUIT", _) => self.quit(),
            ("USER", None) if offers.user => {
                self.user = Some(rest.to_owned());
                Answer::Ok("and the password?".to_owned())
            }
            ("PASS", None) => match self.user.take() {
                Some(user) => self.sign_in(&user, rest),
                None => refused("USER first"),
            },
            ("APOP", None) if offers.apop => self.apop(rest),
            ("AUTH", None) => self.authenticate(rest).await?,
            ("NOOP", Some(_)) => Answer::Ok(String::new()),
            ("STAT" | "LIST" | "UIDL" | "TOP" | "RETR" | "DELE" | "RSET", Some(maildrop)) => {
                let same = faults.contains(&Pop3Fault::SameUidl);
                let lie = faults.contains(&Pop3Fault::WrongSizes);
                let damaged = |item: &Item| faults.contains(&Pop3Fault::Damaged(item.id));
                match name {
                    "UIDL" if !offers.uidl => refused("unknown command"),
                    "TOP" if !offers.top => refused("unknown command"),
                    "STAT" => maildrop.stat(),
                    "LIST" => maildrop.listing(rest, |item, _| {
                        if lie {
                            2_147_483_648
                        } else {
                            item.content().len()
                        }
                        .to_string()
                    }),
                    "UIDL" => maildrop
                        .listing(rest, |_, uidl| if same { "same" } else { uidl }.to_owned()),
                    "TOP" => maildrop.top(rest, damaged),
                    "RETR" => maildrop.retrieve(rest, damaged),
                    "DELE" => maildrop.delete(rest),
                    _ => {
                        maildrop.deleted.clear();
                        Answer::Ok(String::new())
                    }
                }
            }
            _ => refused("unknown command"),
        })
    }

    fn capabilities(&self) -> Answer {
        let offers = self.server.offers();
        let mut lines = String::new();
        let mut offer = |offered: bool, line: &str| {
            if offered {
                lines.push_str(line);
                lines.push_str("\r\n");
            }
        };
        offer(offers.top, "TOP");
        offer(offers.uidl, "UIDL");
        offer(offers.user, "USER");
        offer(offers.pipelining, "PIPELINING");
        offer(offers.resp_codes, "RESP-CODES");
        offer(offers.resp_codes, "AUTH-RESP-CODE");
        offer(self.begins_tls(), "STLS");
        let plain = if offers.plain { " PLAIN" } else { "" };
        let token = if offers.xoauth2 { " XOAUTH2" } else { "" };
        offer(
            offers.plain || offers.xoauth2,
            &format!("SASL{plain}{token}"),
        );
        if let Some(delay) = offers.login_delay {
            offer(true, &format!("LOGIN-DELAY {}", delay.as_secs()));
        }
        offer(true, "IMPLEMENTATION Postroom-simulator");
        Answer::Lines(String::new(), lines.into_bytes())
    }

    fn sign_in(&mut self, user: &str, password: &str) -> Answer {
        let mail = self.server.mail();
        let Some(account) = mail.authenticate(user, password) else {
            return refused(self.code("AUTH", "no"));
        };
        let Some(lock) = self.server.lock(account) else {
            return refused(self.code("IN-USE", "maildrop already locked"));
        };
        let Ok(inbox) = mail.well_known(account, WellKnown::Inbox) else {
            return refused(self.code("SYS/PERM", "no mailbox"));
        };
        let items = mail.items(inbox).into_iter();
        let items = items.map(|item| {
            let uidl = uidl(mail, &item);
            (item, uidl)
        });
        let items: Vec<_> = items.collect();
        let text = format!("{} messages", items.len());
        self.maildrop = Some(Maildrop {
            lock,
            items,
            deleted: BTreeSet::new(),
        });
        Answer::Ok(text)
    }

    fn code(&self, code: &str, text: &str) -> &'static str {
        // The few that there are.
        match (self.server.offers().resp_codes, code) {
            (true, "AUTH") => "[AUTH] no",
            (true, "IN-USE") => "[IN-USE] maildrop already locked",
            (true, _) => "[SYS/PERM] no mailbox",
            (false, "IN-USE") => "maildrop already locked",
            (false, _) if text == "no" => "no",
            (false, _) => "no mailbox",
        }
    }

    fn apop(&mut self, rest: &str) -> Answer {
        let mail = Arc::clone(self.server.mail());
        let Some((user, digest)) = rest.rsplit_once(' ') else {
            return refused("name and digest");
        };
        let known = mail.accounts().into_iter().find_map(|id| {
            let account = mail.account_info(id).ok()?;
            let named = account.user.eq_ignore_ascii_case(user) || account.owns(user);
            named.then(|| account.password.clone())
        });
        let password = known.filter(|password| {
            let wanted = Md5::new()
                .chain_update(STAMP)
                .chain_update(password)
                .finalize();
            let wanted: String = wanted.iter().map(|byte| format!("{byte:02x}")).collect();
            wanted == digest
        });
        match password {
            Some(password) => self.sign_in(user, &password),
            None => refused(self.code("AUTH", "no")),
        }
    }

    async fn authenticate(&mut self, rest: &str) -> Result<Answer, End> {
        let offers = self.server.offers();
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let mechanism = mechanism.to_ascii_uppercase();
        let known = match mechanism.as_str() {
            "PLAIN" => offers.plain,
            "XOAUTH2" => offers.xoauth2,
            _ => false,
        };
        if !known {
            return Ok(refused("unknown mechanism"));
        }
        let mut message = initial.to_owned();
        if message.is_empty() {
            self.answer(Answer::Continue, &[]).await?;
            message = self.command().await?;
        }
        let decoded = STANDARD.decode(&message).unwrap_or_default();
        let decoded = String::from_utf8_lossy(&decoded).into_owned();
        if mechanism == "PLAIN" {
            let mut parts = decoded.split('\0').skip(1);
            let (user, password) = (parts.next(), parts.next());
            return Ok(self.sign_in(user.unwrap_or_default(), password.unwrap_or_default()));
        }
        let part = |name: &str| {
            let parts = decoded.split('\x01');
            parts
                .filter_map(|part| part.strip_prefix(name))
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        let answer = self.sign_in(&part("user="), &part("auth=Bearer "));
        if matches!(answer, Answer::Refused(_)) {
            // The reason first; the client acknowledges it by an empty line.
            self.answer(Answer::Continue, &[]).await?;
            self.command().await?;
        }
        Ok(answer)
    }

    fn quit(&mut self) -> Answer {
        let Some(maildrop) = self.maildrop.take() else {
            return Answer::Ok(String::new());
        };
        for at in &maildrop.deleted {
            if let Some((item, _)) = maildrop.items.get(*at) {
                // Deleted by somebody else meanwhile is deleted, too.
                let _ = self
                    .server
                    .mail()
                    .delete_item(item.id, crate::model::Disposal::Hard);
            }
        }
        Answer::Ok(format!("bye, {} deleted", maildrop.deleted.len()))
    }
}

impl Maildrop {
    /// The place of a message, by its number.
    fn place(&self, number: &str) -> Option<usize> {
        let at = number.trim().parse::<usize>().ok()?.checked_sub(1)?;
        (at < self.items.len() && !self.deleted.contains(&at)).then_some(at)
    }

    fn there(&self) -> impl Iterator<Item = (usize, &(Arc<Item>, String))> {
        let all = self.items.iter().enumerate();
        all.filter(|(at, _)| !self.deleted.contains(at))
    }

    fn stat(&self) -> Answer {
        let size: usize = self
            .there()
            .map(|(_, (item, _))| item.content().len())
            .sum();
        Answer::Ok(format!("{} {size}", self.there().count()))
    }

    fn listing(&self, rest: &str, tell: impl Fn(&Item, &str) -> String) -> Answer {
        if !rest.is_empty() {
            let found = self
                .place(rest)
                .and_then(|at| Some((at, self.items.get(at)?)));
            return match found {
                Some((at, (item, uidl))) => Answer::Ok(format!("{} {}", at + 1, tell(item, uidl))),
                None => refused("no such message"),
            };
        }
        let mut lines = String::new();
        for (at, (item, uidl)) in self.there() {
            lines.push_str(&format!("{} {}\r\n", at + 1, tell(item, uidl)));
        }
        Answer::Lines(String::new(), lines.into_bytes())
    }

    /// A message, if it is there still and sound.
    fn sound(&self, number: &str, damaged: impl Fn(&Item) -> bool) -> Result<&Item, Answer> {
        let found = self.place(number).and_then(|at| self.items.get(at));
        let Some((item, _)) = found else {
            return Err(refused("no such message"));
        };
        // The snapshot has it; the store may not have it any more.
        let mail = self.lock.mail();
        if mail.item(item.id).is_err() || damaged(item) {
            return Err(refused("the message cannot be read"));
        }
        Ok(item)
    }

    fn retrieve(&self, rest: &str, damaged: impl Fn(&Item) -> bool) -> Answer {
        match self.sound(rest, damaged) {
            Ok(item) => Answer::Lines(
                format!("{} octets", item.content().len()),
                item.content().to_vec(),
            ),
            Err(refused) => refused,
        }
    }

    fn top(&self, rest: &str, damaged: impl Fn(&Item) -> bool) -> Answer {
        let Some((number, lines)) = rest.split_once(' ') else {
            return refused("number and lines");
        };
        let Ok(lines) = lines.trim().parse::<usize>() else {
            return refused("number and lines");
        };
        match self.sound(number, damaged) {
            Err(refused) => refused,
            Ok(item) => {
                let (content, mut left) = (item.content(), None);
                let mut shown = Vec::new();
                for line in content.split_inclusive(|byte| *byte == b'\n') {
                    if left == Some(0) {
                        break;
                    }
                    shown.extend_from_slice(line);
                    left = match left {
                        Some(left) => Some(left - 1),
                        None if line == b"\r\n" || line == b"\n" => Some(lines),
                        None => None,
                    };
                }
                Answer::Lines(String::new(), shown)
            }
        }
    }

    fn delete(&mut self, rest: &str) -> Answer {
        match self.place(rest) {
            Some(at) => {
                self.deleted.insert(at);
                Answer::Ok("will be deleted".to_owned())
            }
            None => refused("no such message"),
        }
    }
}

/// Doubles dots at the beginning of lines, and ends the last line.
fn stuff(content: &[u8], stuffed: bool, out: &mut Vec<u8>) {
    let mut start = true;
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        if start && stuffed && line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
        start = line.ends_with(b"\r\n");
    }
    if !content.is_empty() && !content.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
}

fn bare(bytes: &[u8]) -> Vec<u8> {
    let mut bare = Vec::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        if *byte != b'\r' || bytes.get(at + 1) != Some(&b'\n') {
            bare.push(*byte);
        }
    }
    bare
}
