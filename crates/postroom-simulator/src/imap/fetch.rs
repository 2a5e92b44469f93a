//! FETCH.

use jiff::Timestamp as Moment;

use super::fault::ImapFault;
use super::line::Word;
use super::mailbox::flags;
use super::session::{Answer, Connection, argument};
use crate::model::{Disposal, Item};

/// A size that nobody has.
const LIE: u64 = 4_294_967_295;
/// A length that nobody waits for.
const HUGE: u64 = 2_147_483_648;

impl Connection<'_> {
    pub(super) fn fetch(&self, arguments: &[Word], faults: &[ImapFault]) -> Answer {
        let Some(chosen) = self.chosen(&argument(arguments, 0)) else {
            return Answer::bad("no set");
        };
        let items = arguments.get(1).map(Word::words).unwrap_or_default();
        let mail = self.server.mail();
        self.server.count_listed(chosen.len());
        let mut data = Vec::new();
        let mut damaged = false;
        for (number, uid, id) in chosen {
            if faults.contains(&ImapFault::ExpungedWhileFetching(id)) {
                let _ = mail.delete_item(id, Disposal::Hard);
            }
            let reads = items.iter().any(|item| item.text().starts_with("BODY"));
            if reads && faults.contains(&ImapFault::Damaged(id)) {
                damaged = true;
                continue;
            }
            let Ok(item) = mail.item(id) else {
                continue;
            };
            data.extend_from_slice(format!("* {number} FETCH (UID {uid}").as_bytes());
            for wanted in items {
                if !wanted.is("UID") {
                    data.push(b' ');
                    self.attribute(&item, &wanted.text(), faults, &mut data);
                }
            }
            data.extend_from_slice(b")\r\n");
        }
        if damaged {
            Answer {
                data,
                status: "NO some of them cannot be read".to_owned(),
            }
        } else {
            Answer::ok(data)
        }
    }

    fn attribute(
        &self,
        item: &std::sync::Arc<Item>,
        wanted: &str,
        faults: &[ImapFault],
        data: &mut Vec<u8>,
    ) {
        let upper = wanted.to_ascii_uppercase();
        match upper.as_str() {
            "FLAGS" => {
                data.extend_from_slice(format!("FLAGS ({})", flags(self.server, item)).as_bytes());
            }
            "INTERNALDATE" => {
                let date = internal_date(item.received.as_millis() / 1000);
                data.extend_from_slice(format!("INTERNALDATE \"{date}\"").as_bytes());
            }
            "RFC822.SIZE" => {
                let size = u64::try_from(item.content().len()).unwrap_or(LIE);
                let size = if faults.contains(&ImapFault::WrongSizes) {
                    LIE
                } else {
                    size
                };
                data.extend_from_slice(format!("RFC822.SIZE {size}").as_bytes());
            }
            "MODSEQ" => {
                data.extend_from_slice(format!("MODSEQ ({})", item.change).as_bytes());
            }
            _ if upper.starts_with("BODY") => self.body(item, &upper, faults, data),
            _ => data.extend_from_slice(format!("{upper} NIL").as_bytes()),
        }
    }

    fn body(&self, item: &Item, wanted: &str, faults: &[ImapFault], data: &mut Vec<u8>) {
        let section = wanted
            .split_once('[')
            .and_then(|(_, rest)| rest.split_once(']'));
        let (section, rest) = section.unwrap_or_default();
        let writable = self
            .mailbox
            .as_ref()
            .is_some_and(|mailbox| mailbox.writable);
        if !wanted.starts_with("BODY.PEEK") && writable {
            let _ = self.server.mail().set_read(item.id, true);
        }
        let whole: &[u8] = item.content();
        let content = if section == "HEADER" {
            header(whole)
        } else {
            whole
        };
        let range = rest
            .strip_prefix('<')
            .and_then(|rest| rest.strip_suffix('>'))
            .and_then(|range| range.split_once('.'))
            .filter(|_| self.server.offers().partial);
        let mut content = content;
        let mut origin = String::new();
        if let Some((from, length)) = range {
            let (from, length) = (from.parse().unwrap_or(0), length.parse().unwrap_or(0));
            content = content.get(from..).unwrap_or_default();
            content = content.get(..length).unwrap_or(content);
            origin = format!("<{from}>");
        }
        data.extend_from_slice(format!("BODY[{section}]{origin} ").as_bytes());
        if faults.contains(&ImapFault::Empty(item.id)) {
            data.extend_from_slice(b"NIL");
            return;
        }
        let length = if faults.contains(&ImapFault::HugeLiteral(item.id)) {
            HUGE
        } else {
            u64::try_from(content.len()).unwrap_or(HUGE)
        };
        data.extend_from_slice(format!("{{{length}}}\r\n").as_bytes());
        data.extend_from_slice(content);
    }
}

/// A message's header, with the empty line behind it.
fn header(content: &[u8]) -> &[u8] {
    let end = memchr::memmem::find(content, b"\r\n\r\n").map(|at| at + 4);
    let bare = memchr::memmem::find(content, b"\n\n").map(|at| at + 2);
    let end = end.into_iter().chain(bare).min();
    end.and_then(|end| content.get(..end)).unwrap_or(content)
}

fn internal_date(seconds: i64) -> String {
    let moment = Moment::from_second(seconds).unwrap_or(Moment::UNIX_EPOCH);
    moment.strftime("%d-%b-%Y %H:%M:%S +0000").to_string()
}
