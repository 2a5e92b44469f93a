//! Folders, by their names on the wire.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::model::{AccountId, Folder, FolderId, MailSystem, ModelError, WellKnown};

/// A folder and its name.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) folder: Folder,
}

impl Named {
    /// What the server says of its role.
    pub(super) fn role(&self) -> &'static str {
        match self.folder.well_known {
            Some(WellKnown::SentItems) => "\\Sent",
            Some(WellKnown::Drafts) => "\\Drafts",
            Some(WellKnown::DeletedItems) => "\\Trash",
            Some(WellKnown::JunkEmail) => "\\Junk",
            _ => "",
        }
    }
}

/// The folders of mail, parents before children.
pub(super) fn all(mail: &MailSystem, account: AccountId) -> Vec<Named> {
    let Ok(top) = mail.well_known(account, WellKnown::MessageRoot) else {
        return Vec::new();
    };
    let folders = mail.folders(account);
    let mut named: Vec<Named> = Vec::new();
    let mut level = vec![(top, String::new())];
    while let Some((parent, above)) = level.pop() {
        for folder in folders
            .iter()
            .filter(|folder| folder.parent == Some(parent))
        {
            let holds_mail = folder.class.is_empty() || folder.class.starts_with("IPF.Note");
            if !holds_mail || folder.well_known == Some(WellKnown::Outbox) {
                continue;
            }
            let name = match folder.well_known {
                Some(WellKnown::Inbox) => "INBOX".to_owned(),
                _ => format!("{above}{}", encoded(&folder.name)),
            };
            level.push((folder.id, format!("{name}/")));
            named.push(Named {
                name,
                folder: folder.clone(),
            });
        }
    }
    named.sort_by(|a, b| a.name.cmp(&b.name));
    named
}

/// The folder of that name.
pub(super) fn find(mail: &MailSystem, account: AccountId, name: &str) -> Option<FolderId> {
    let inbox = name.eq_ignore_ascii_case("INBOX");
    let mut all = all(mail, account).into_iter();
    let found = all.find(|named| {
        let same = named.name == name;
        same || (inbox && named.folder.well_known == Some(WellKnown::Inbox))
    });
    found.map(|named| named.folder.id)
}

/// Makes a folder.
pub(super) fn create(mail: &MailSystem, account: AccountId, name: &str) -> Result<(), ModelError> {
    let (parent, own) = match name.rsplit_once('/') {
        Some((above, own)) => (find(mail, account, above).ok_or(ModelError::NoFolder)?, own),
        None => (mail.well_known(account, WellKnown::MessageRoot)?, name),
    };
    let own = decoded(own).filter(|own| !own.is_empty());
    let own = own.ok_or(ModelError::NoFolder)?;
    mail.create_folder(parent, &own, "IPF.Note").map(drop)
}

/// Modified UTF-7. Source: RFC 3501 section 5.1.3.
pub(super) fn encoded(name: &str) -> String {
    let mut text = String::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let plain = |c: char| matches!(c, ' '..='~');
        let same = rest.find(|c| plain(c) != plain(first));
        let (part, behind) = rest.split_at(same.unwrap_or(rest.len()));
        if plain(first) {
            text.push_str(&part.replace('&', "&-"));
        } else {
            let units: Vec<u8> = part.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let base64 = STANDARD_NO_PAD.encode(units).replace('/', ",");
            text.push_str(&format!("&{base64}-"));
        }
        rest = behind;
    }
    text
}

fn decoded(name: &str) -> Option<String> {
    let mut parts = name.split('&');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let (shifted, behind) = part.split_once('-')?;
        if shifted.is_empty() {
            text.push('&');
        } else {
            let bytes = STANDARD_NO_PAD.decode(shifted.replace(',', "/")).ok()?;
            let (pairs, _) = bytes.as_chunks::<2>();
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            text.push_str(&String::from_utf16(&units).ok()?);
        }
        text.push_str(behind);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for name in [
            "Entw\u{fc}rfe",
            "a&b",
            "\u{53f0}\u{5317}/\u{1f600}",
            "plain",
        ] {
            assert_eq!(decoded(&encoded(name)).as_deref(), Some(name));
        }
        assert_eq!(encoded("\u{53f0}\u{5317}"), "&U,BTFw-");
    }
}
