//! Which folders there are, and what they are for.

use postroom_provider::{Folder, FolderId, OpContext, WellKnownFolder};

use crate::proto::command::Command;
use crate::proto::response::{Attribute, Name, Response};
use crate::proto::utf7;
use crate::session::{Session, SessionError};

/// Where mail arrives, on every server.
pub(crate) const INBOX: &str = "INBOX";
/// Most folders of a mailbox.
const FOLDERS_MAX: usize = 50_000;

/// Names that mean a role where the server does not say so: those of the clients that make them.
const KNOWN: [(WellKnownFolder, &[&str]); 4] = [
    (
        WellKnownFolder::SentItems,
        &["sent", "sent items", "sent messages", "sent mail"],
    ),
    (WellKnownFolder::Drafts, &["drafts", "draft"]),
    (
        WellKnownFolder::DeletedItems,
        &["trash", "deleted items", "deleted messages", "bin"],
    ),
    (
        WellKnownFolder::Junk,
        &["junk", "spam", "junk e-mail", "junk email", "bulk mail"],
    ),
];

/// The folders of a mailbox.
#[derive(Clone, Debug, Default)]
pub(crate) struct Folders {
    names: Vec<Name>,
}

/// Asks for all folders.
pub(crate) async fn list(ctx: &OpContext, session: &mut Session) -> Result<Folders, SessionError> {
    let offers = &session.capabilities;
    let roles = offers.has("SPECIAL-USE");
    let command = if roles && (offers.has("LIST-EXTENDED") || offers.has("IMAP4REV2")) {
        "LIST \"\" \"*\" RETURN (SPECIAL-USE)"
    } else {
        "LIST \"\" \"*\""
    };
    let mut names: Vec<Name> = Vec::new();
    let mut keep = |response: Response| {
        if let Response::List(name) = response
            && names.len() < FOLDERS_MAX
        {
            names.push(name);
        }
    };
    let command = Command::new(command);
    session.run(ctx, &command, &mut keep).await?.ok()?;
    if names.len() >= FOLDERS_MAX {
        return Err(SessionError::Odd("a listing of folders has no end"));
    }
    names.sort_by(|a, b| a.name.cmp(&b.name));
    names.dedup_by(|a, b| a.name == b.name);
    if !names.iter().any(|name| name.name == INBOX) {
        // Some list it only when it is asked for.
        names.insert(
            0,
            Name {
                name: INBOX.to_owned(),
                delimiter: names.first().and_then(|name| name.delimiter),
                attributes: Vec::new(),
            },
        );
    }
    Ok(Folders { names })
}

impl Folders {
    /// The name of a folder, by its id.
    pub(crate) fn find(&self, id: &str) -> Option<&Name> {
        self.names.iter().find(|name| name.name == id)
    }

    /// What parts the levels.
    pub(crate) fn delimiter(&self) -> Option<char> {
        self.names.iter().find_map(|name| name.delimiter)
    }

    /// What stands before the names of a person's own folders where the server keeps them all below the inbox:
    /// `INBOX.` of Courier and Cyrus.
    pub(crate) fn prefix(&self) -> String {
        let Some(delimiter) = self.delimiter() else {
            return String::new();
        };
        let below = format!("{INBOX}{delimiter}");
        let mut others = self.names.iter().filter(|name| name.name != INBOX);
        let all =
            others.clone().next().is_some() && others.all(|name| name.name.starts_with(&below));
        if all { below } else { String::new() }
    }

    /// The folder that a name of the last level names, whatever its case.
    pub(crate) fn child(&self, parent: &str, name: &str) -> Option<&Name> {
        let wanted = name.to_lowercase();
        self.names.iter().find(|candidate| {
            let rest = candidate.name.strip_prefix(parent);
            rest.is_some_and(|rest| utf7::decode(rest).to_lowercase() == wanted)
        })
    }

    /// The folder with that role.
    pub(crate) fn with_role(&self, role: WellKnownFolder) -> Option<&Name> {
        self.names.iter().find(|name| self.role(name) == Some(role))
    }

    /// Where all mail is, Gmail's for one.
    pub(crate) fn all_mail(&self) -> Option<&Name> {
        let all = |name: &&Name| name.attributes.contains(&Attribute::All);
        self.names.iter().find(all)
    }

    fn role(&self, name: &Name) -> Option<WellKnownFolder> {
        if name.name == INBOX {
            return Some(WellKnownFolder::Inbox);
        }
        if !can_be_opened(name) {
            return None;
        }
        let role = said_role(name);
        if role.is_some() {
            return role;
        }
        let prefix = self.prefix();
        let own = name.name.strip_prefix(&prefix).unwrap_or(&name.name);
        let own = own.to_lowercase();
        let (role, known) = KNOWN
            .iter()
            .find(|(_, known)| known.contains(&own.as_str()))?;
        // One that the server names goes before; of those that are named by habit, the first habit.
        let taken = self.names.iter().any(|other| {
            let better = known.iter().take_while(|name| **name != own);
            let other_own = other.name.strip_prefix(&prefix).unwrap_or(&other.name);
            let other_own = other_own.to_lowercase();
            said_role(other) == Some(*role) || better.into_iter().any(|name| *name == other_own)
        });
        (!taken).then_some(*role)
    }

    /// In the domain's words.
    pub(crate) fn told(&self) -> Vec<Folder> {
        let of = |name: &Name| {
            let split = name
                .delimiter
                .and_then(|delimiter| name.name.rsplit_once(delimiter))
                .filter(|(parent, own)| !own.is_empty() && self.find(parent).is_some());
            let own = split.map_or(name.name.as_str(), |(_, own)| own);
            let mut folder = Folder::new(FolderId::new(name.name.clone()), utf7::decode(own));
            folder.parent = split.map(|(parent, _)| FolderId::new(parent));
            folder.role = self.role(name);
            folder
        };
        self.names.iter().map(of).collect()
    }
}

/// Whether messages can be in it.
pub(crate) fn can_be_opened(name: &Name) -> bool {
    !name.attributes.contains(&Attribute::CannotBeOpened)
}

fn said_role(name: &Name) -> Option<WellKnownFolder> {
    name.attributes
        .iter()
        .find_map(|attribute| match attribute {
            Attribute::Sent => Some(WellKnownFolder::SentItems),
            Attribute::Drafts => Some(WellKnownFolder::Drafts),
            Attribute::Trash => Some(WellKnownFolder::DeletedItems),
            Attribute::Junk => Some(WellKnownFolder::Junk),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(names: &[(&str, &[Attribute])]) -> Folders {
        let of = |(name, attributes): &(&str, &[Attribute])| Name {
            name: (*name).to_owned(),
            delimiter: Some('/'),
            attributes: attributes.to_vec(),
        };
        Folders {
            names: names.iter().map(of).collect(),
        }
    }

    fn role_of(folders: &Folders, role: WellKnownFolder) -> Option<&str> {
        folders.with_role(role).map(|name| name.name.as_str())
    }

    #[test]
    fn what_the_server_says_goes_before_names() {
        let all = folders(&[
            (INBOX, &[]),
            ("Gesendet", &[Attribute::Sent]),
            ("Sent", &[]),
            ("Spam", &[]),
            ("Junk", &[]),
            ("Trash", &[Attribute::CannotBeOpened]),
        ]);
        assert_eq!(role_of(&all, WellKnownFolder::SentItems), Some("Gesendet"));
        assert_eq!(role_of(&all, WellKnownFolder::Junk), Some("Junk"));
        assert_eq!(role_of(&all, WellKnownFolder::DeletedItems), None);
        assert_eq!(role_of(&all, WellKnownFolder::Inbox), Some(INBOX));
    }

    #[test]
    fn folders_below_the_inbox() {
        let all = folders(&[
            (INBOX, &[]),
            ("INBOX/Sent Items", &[]),
            ("INBOX/Entw&APw-rfe", &[]),
        ]);
        assert_eq!(all.prefix(), "INBOX/");
        assert_eq!(
            role_of(&all, WellKnownFolder::SentItems),
            Some("INBOX/Sent Items")
        );
        assert!(all.child("INBOX/", "ENTWÜRFE").is_some());
        let told = all.told();
        assert_eq!(told[2].name, "Entwürfe");
        assert_eq!(told[2].parent, Some(FolderId::new(INBOX)));
        assert_eq!(folders(&[(INBOX, &[])]).prefix(), "");
    }
}
