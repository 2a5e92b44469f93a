//! What commands do.

use super::fault::ImapFault;
use super::folders;
use super::line::{self, Word, quoted};
use super::mailbox::{self, Mailbox, uid, uid_validity};
use super::session::{Answer, Connection, End, argument};
use crate::model::{Disposal, FolderId, ItemId, ModelError, NewItem};

impl Connection<'_> {
    pub(super) async fn act(
        &mut self,
        name: &str,
        arguments: &[Word],
        faults: &[ImapFault],
    ) -> Result<Answer, End> {
        let offers = self.server.offers();
        let answer = match (name, self.account) {
            ("CAPABILITY", _) => Answer::ok(format!("* CAPABILITY {}\r\n", self.capabilities())),
            ("LOGOUT", _) => Answer::ok("* BYE see you\r\n"),
            ("NOOP", None) => Answer::ok(""),
            ("LOGIN", None) if offers.login => {
                let (user, password) = (argument(arguments, 0), argument(arguments, 1));
                self.log_in(&user, &password)
            }
            ("LOGIN", None) => Answer::no("[PRIVACYREQUIRED] not like that"),
            ("AUTHENTICATE", None) => self.authenticate(arguments).await?,
            (_, None) => Answer::bad("sign in first"),
            ("ENABLE", Some(_)) if offers.qresync => {
                self.by_uid |= arguments.iter().any(|word| word.is("QRESYNC"));
                Answer::ok("* ENABLED QRESYNC\r\n")
            }
            ("LIST", Some(account)) => {
                let mut text = String::new();
                for named in folders::all(self.server.mail(), account) {
                    let role = if offers.special_use { named.role() } else { "" };
                    text.push_str(&format!(
                        "* LIST ({role}) \"/\" {}\r\n",
                        quoted(&named.name)
                    ));
                }
                Answer::ok(text)
            }
            ("CREATE", Some(account)) => {
                match folders::create(self.server.mail(), account, &argument(arguments, 0)) {
                    Ok(()) => Answer::ok(""),
                    Err(ModelError::FolderExists) => Answer::no("[ALREADYEXISTS] it is there"),
                    Err(_) => Answer::no("[CANNOT] no such name"),
                }
            }
            ("SUBSCRIBE", Some(_)) => Answer::ok(""),
            ("SELECT" | "EXAMINE", Some(_)) => self.select(name == "SELECT", arguments),
            ("APPEND", Some(_)) => self.append(arguments),
            ("IDLE", Some(_)) if offers.idle => self.idle().await?,
            ("CLOSE", Some(_)) if self.mailbox.is_some() => {
                self.expunge(None);
                self.mailbox = None;
                Answer::ok("")
            }
            ("UID FETCH", Some(_)) => self.fetch(arguments, faults),
            ("UID SEARCH", Some(_)) => self.search(arguments),
            ("UID STORE", Some(_)) => self.store(arguments),
            ("UID COPY", Some(_)) => self.carry(arguments, false),
            ("UID MOVE", Some(_)) if offers.moves => self.carry(arguments, true),
            ("UID EXPUNGE", Some(_)) if offers.uid_plus => self.expunge(arguments.first()),
            ("EXPUNGE", Some(_)) => self.expunge(None),
            ("NOOP" | "CHECK", Some(_)) => Answer::ok(""),
            _ => Answer::bad("unknown command"),
        };
        // Numbers of messages must not change while a client speaks by number; these commands are free.
        let quiet = matches!(name, "SELECT" | "EXAMINE" | "IDLE" | "LOGOUT");
        let by_uid = self.by_uid;
        let mut answer = answer;
        if let Some(mailbox) = self.mailbox.as_mut().filter(|_| !quiet) {
            let news = mailbox.news(self.server.mail(), by_uid);
            answer.data.extend_from_slice(news.as_bytes());
        }
        Ok(answer)
    }

    fn folder(&self, name: &str) -> Option<FolderId> {
        folders::find(self.server.mail(), self.account?, name)
    }

    fn select(&mut self, writable: bool, arguments: &[Word]) -> Answer {
        self.mailbox = None;
        let offers = self.server.offers();
        let Some(folder) = self.folder(&argument(arguments, 0)) else {
            return Answer::no("[NONEXISTENT] there is none");
        };
        let mail = self.server.mail();
        let mailbox = Mailbox::open(mail, folder, writable);
        let validity = uid_validity(mail, folder);
        let last = mailbox.view.last().map_or(0, |(uid, _)| *uid);
        let next = self.server.next_uid(folder, last);
        let mut text = format!(
            "* FLAGS (\\Seen \\Draft \\Deleted)\r\n* {} EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY {validity}] valid\r\n",
            mailbox.view.len()
        );
        if offers.uid_next {
            text.push_str(&format!("* OK [UIDNEXT {next}] next\r\n"));
        }
        if offers.condstore {
            let highest = mail.folder(folder).map_or(1, |folder| folder.change.max(1));
            text.push_str(&format!("* OK [HIGHESTMODSEQ {highest}] highest\r\n"));
        }
        let parameters = arguments.get(1).map(Word::words).unwrap_or_default();
        let known = parameters
            .iter()
            .skip_while(|word| !word.is("QRESYNC"))
            .nth(1);
        if let Some(known) = known {
            if !self.by_uid {
                return Answer::bad("QRESYNC is not enabled");
            }
            let words = known.words();
            let same = argument(words, 0) == validity.to_string();
            if let (true, Ok(since)) = (same, argument(words, 1).parse()) {
                text.push_str(&mailbox::since(self.server, &mailbox, since, next));
            }
        }
        let access = if writable { "READ-WRITE" } else { "READ-ONLY" };
        self.mailbox = Some(mailbox);
        Answer::ok(text).saying(format!("OK [{access}] opened"))
    }

    /// The messages that a set of UIDs names: number, UID, id.
    pub(super) fn chosen(&self, set: &str) -> Option<Vec<(usize, u32, ItemId)>> {
        let mailbox = self.mailbox.as_ref()?;
        let uids = line::chosen(set, &mailbox.uids())?;
        let of = |uid: u32| mailbox.find(uid).map(|(number, id)| (number, uid, id));
        Some(uids.into_iter().filter_map(of).collect())
    }

    fn search(&self, arguments: &[Word]) -> Answer {
        let Some(mut found) = self.chosen("1:*") else {
            return Answer::bad("no mailbox is open");
        };
        let mail = self.server.mail();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let key = word.text().to_ascii_uppercase();
            match key.as_str() {
                "ALL" => {}
                "DELETED" => found.retain(|(_, _, id)| self.server.is_marked(*id)),
                "UNDRAFT" => {
                    found.retain(|(_, _, id)| mail.item(*id).is_ok_and(|item| !item.draft));
                }
                "UID" => {
                    let set = words.next().map(Word::text).unwrap_or_default();
                    let Some(named) = self.chosen(&set) else {
                        return Answer::bad("no set");
                    };
                    found.retain(|one| named.contains(one));
                }
                "HEADER" => {
                    let name = words.next().map(Word::text).unwrap_or_default();
                    let value = words.next().map(Word::text).unwrap_or_default();
                    let value = value.to_lowercase();
                    found.retain(|(_, _, id)| {
                        let item = mail.item(*id);
                        item.is_ok_and(|item| field(item.content(), &name).contains(&value))
                    });
                }
                _ => return Answer::bad("unknown search key"),
            }
        }
        self.server.count_listed(found.len());
        let uids: String = found.iter().map(|(_, uid, _)| format!(" {uid}")).collect();
        Answer::ok(format!("* SEARCH{uids}\r\n"))
    }

    fn writable(&self) -> bool {
        self.mailbox
            .as_ref()
            .is_some_and(|mailbox| mailbox.writable)
    }

    fn store(&self, arguments: &[Word]) -> Answer {
        let Some(chosen) = self.chosen(&argument(arguments, 0)) else {
            return Answer::bad("no set");
        };
        if !self.writable() {
            return Answer::no("[READ-ONLY] it is open for reading");
        }
        let add = !argument(arguments, 1).starts_with('-');
        let flags = arguments.get(2).map(Word::words).unwrap_or_default();
        for (_, _, id) in chosen {
            if flags.iter().any(|flag| flag.is("\\Deleted")) {
                self.server.mark(id, add);
            }
            if flags.iter().any(|flag| flag.is("\\Seen")) {
                let _ = self.server.mail().set_read(id, add);
            }
        }
        Answer::ok("")
    }

    fn carry(&self, arguments: &[Word], moves: bool) -> Answer {
        let Some(chosen) = self.chosen(&argument(arguments, 0)) else {
            return Answer::bad("no set");
        };
        if moves && !self.writable() {
            return Answer::no("[READ-ONLY] it is open for reading");
        }
        let Some(target) = self.folder(&argument(arguments, 1)) else {
            return Answer::no("[TRYCREATE] there is none");
        };
        let mail = self.server.mail();
        let (mut from, mut to) = (Vec::new(), Vec::new());
        for (_, old, id) in chosen {
            let carried = if moves {
                mail.move_item(id, target)
            } else {
                mail.copy_item(id, target)
            };
            if let Ok(item) = carried {
                from.push(old);
                to.push(uid(mail, &item));
            }
        }
        if from.is_empty() || !self.server.offers().uid_plus {
            return Answer::ok("");
        }
        let (from, to) = (line::runs(&from), line::runs(&to));
        let told = format!("[COPYUID {} {from} {to}]", uid_validity(mail, target));
        if moves {
            Answer::ok(format!("* OK {told} moved\r\n"))
        } else {
            Answer::ok("").saying(format!("OK {told} copied"))
        }
    }

    fn expunge(&self, set: Option<&Word>) -> Answer {
        let set = set.map_or_else(|| "1:*".to_owned(), Word::text);
        let Some(chosen) = self.chosen(&set).filter(|_| self.writable()) else {
            return Answer::no("[READ-ONLY] nothing is open for changes");
        };
        for (_, _, id) in chosen {
            if self.server.is_marked(id) {
                // Deleted by somebody else meanwhile is deleted, too.
                let _ = self.server.mail().delete_item(id, Disposal::Hard);
                self.server.mark(id, false);
            }
        }
        Answer::ok("")
    }

    fn append(&self, arguments: &[Word]) -> Answer {
        let Some(folder) = self.folder(&argument(arguments, 0)) else {
            return Answer::no("[TRYCREATE] there is none");
        };
        let Some(Word::Text(content)) = arguments.last() else {
            return Answer::bad("no message");
        };
        let flags: Vec<&Word> = arguments.iter().flat_map(Word::words).collect();
        let has = |flag: &str| flags.iter().any(|word| word.is(flag));
        let mut item = if has("\\Draft") {
            NewItem::draft(content.clone())
        } else {
            NewItem::message(content.clone())
        };
        item.read = has("\\Seen");
        let mail = self.server.mail();
        match mail.append(folder, item) {
            Ok(item) if self.server.offers().uid_plus => {
                let (validity, uid) = (uid_validity(mail, folder), uid(mail, &item));
                Answer::ok("").saying(format!("OK [APPENDUID {validity} {uid}] kept"))
            }
            Ok(_) => Answer::ok(""),
            Err(_) => Answer::no("[CANNOT] not there"),
        }
    }

    async fn idle(&mut self) -> Result<Answer, End> {
        self.write(b"+ idling\r\n").await?;
        self.flush().await?;
        self.server.count_idling();
        let by_uid = self.by_uid;
        loop {
            let server = self.server;
            let changed = server.changed().notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            if let Some(mailbox) = self.mailbox.as_mut() {
                let news = mailbox.news(server.mail(), by_uid);
                if !news.is_empty() {
                    self.write(news.as_bytes()).await?;
                    self.flush().await?;
                }
            }
            tokio::select! {
                () = changed => {}
                ended = self.command() => {
                    let ended = ended?;
                    return Ok(if ended.eq_ignore_ascii_case(b"DONE") {
                        Answer::ok("")
                    } else {
                        Answer::bad("DONE was expected")
                    });
                }
            }
        }
    }
}

/// What a header says under that name, in lower case.
fn field(content: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(content);
    let header = text.split("\r\n\r\n").next().unwrap_or_default();
    let unfolded = header.replace("\r\n ", " ").replace("\r\n\t", " ");
    let start = format!("{}:", name.to_lowercase());
    let lines = unfolded.lines().map(str::to_lowercase);
    let found = lines.filter(|line| line.starts_with(&start));
    found.collect::<Vec<_>>().join("\n")
}
