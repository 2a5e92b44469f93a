//! Items and folders as answers.

use super::call::{Call, Outcome};
use super::code::Refusal;
use super::extended::{self, Oddities};
use super::fault::Fault;
use super::ids::{self, Named};
use super::schema::schema;
use super::shape::{Shape, View};
use super::value::{default_fields, effective_rights, element_of, value};
use super::xml::Xml;
use crate::model::{Field, Folder, Item, WellKnown};

/// An item that is ready to be written: whatever can fail has been tried.
pub(super) struct Rendered {
    element: &'static str,
    mime: Option<bytes::Bytes>,
    parts: Vec<Part>,
    odd: Oddities,
    dirty: bool,
}

enum Part {
    Field(Field),
    Extended(Vec<(super::path::Extended, crate::model::PropertyValue)>),
}

/// Makes an item ready.
pub(super) fn item(call: &Call<'_>, item: &Item, shape: &Shape) -> Outcome<Rendered> {
    let (element, of) = element_of(item);
    let mut odd = Oddities::default();
    let mut dirty = false;
    for fault in call.item_faults(item) {
        match fault {
            Fault::Corrupt if shape.view == View::Single => {
                return Err(Refusal::new("ErrorItemCorrupt"));
            }
            Fault::MimeFailure if shape.mime => {
                return Err(Refusal::new("ErrorMimeContentConversionFailed"));
            }
            Fault::PropertyWithoutValue => odd.without_value = true,
            Fault::PathSpelledDifferently => odd.respelled = true,
            Fault::ForbiddenCharacters => dirty = true,
            Fault::Code(code) => return Err(Refusal::new(code)),
            _ => {}
        }
    }
    let mime = shape.mime.then(|| super::generic::mime(item));
    let default = default_fields(item);
    let mut parts = Vec::new();
    for name in schema().order(of) {
        if name == "ExtendedProperty" {
            let all = shape
                .extended
                .iter()
                .filter_map(|wanted| Some((wanted.clone(), extended::item_value(item, wanted)?)));
            parts.push(Part::Extended(all.collect()));
            continue;
        }
        let entries: Vec<&str> = shape
            .entries
            .iter()
            .filter(|(element, _)| element == name)
            .map(|(_, key)| key.as_str())
            .collect();
        let whole = name != "MimeContent" && shape.wants(name, default);
        if !whole && entries.is_empty() {
            continue;
        }
        let Some(mut field) = value(call, item, name, shape) else {
            continue;
        };
        if !whole {
            field.children.retain(|entry| {
                let key = entry
                    .attribute("Key")
                    .or_else(|| entry.attribute("HeaderName"));
                key.is_some_and(|key| {
                    entries
                        .iter()
                        .any(|wanted| wanted.eq_ignore_ascii_case(key))
                })
            });
            if field.children.is_empty() {
                continue;
            }
        }
        if dirty && name == "Subject" {
            field.text.push('\u{1}');
        }
        parts.push(Part::Field(field));
    }
    Ok(Rendered {
        element,
        mime,
        parts,
        odd,
        dirty,
    })
}

impl Rendered {
    pub(super) fn write(&self, xml: &mut Xml) {
        let name = format!("t:{}", self.element);
        let before = std::mem::replace(&mut xml.dirty, self.dirty);
        xml.open(&name, &[]);
        if let Some(mime) = &self.mime {
            xml.base64("t:MimeContent", &[("CharacterSet", "UTF-8")], mime);
        }
        for part in &self.parts {
            match part {
                Part::Field(field) => xml.field(field),
                Part::Extended(all) => {
                    for (wanted, value) in all {
                        extended::write(xml, wanted, value, self.odd);
                    }
                }
            }
        }
        xml.close(&name);
        xml.dirty = before;
    }
}

/// The element that stands for a folder, by its class.
fn folder_element(folder: &Folder) -> &'static str {
    let class = folder.class.to_ascii_lowercase();
    if class.starts_with("ipf.appointment") {
        "CalendarFolder"
    } else if class.starts_with("ipf.contact") {
        "ContactsFolder"
    } else if class.starts_with("ipf.task") {
        "TasksFolder"
    } else {
        "Folder"
    }
}

/// Writes a folder.
pub(super) fn folder(call: &Call<'_>, xml: &mut Xml, folder: &Folder, shape: &Shape) {
    let element = folder_element(folder);
    let default: &[&str] = &[
        "DisplayName",
        "TotalCount",
        "ChildFolderCount",
        "UnreadCount",
    ];
    let name = format!("t:{element}");
    let of = format!("t:{element}Type");
    xml.open(&name, &[]);
    for field in schema().order(&of) {
        if field == "ExtendedProperty" {
            for wanted in &shape.extended {
                if let Some(value) = extended::folder_value(folder, wanted) {
                    extended::write(xml, wanted, &value, Oddities::default());
                }
            }
        } else if shape.wants(field, default)
            && let Some(value) = folder_value(call, folder, field, element)
        {
            xml.field(&value);
        }
    }
    xml.close(&name);
}

/// The value of a folder's field.
pub(super) fn folder_value(
    call: &Call<'_>,
    folder: &Folder,
    name: &str,
    element: &str,
) -> Option<Field> {
    match name {
        "FolderId" => Some(folder_id(name, folder)),
        "ParentFolderId" => {
            let parent = folder
                .parent
                .and_then(|parent| call.mail.folder(parent).ok());
            Some(folder_id(name, parent.as_ref().unwrap_or(folder)))
        }
        "FolderClass" => (!folder.class.is_empty()).then(|| Field::text(name, &folder.class)),
        "DisplayName" => Some(Field::text(name, &folder.name)),
        "TotalCount" => Some(Field::text(name, folder.count.to_string())),
        "ChildFolderCount" => {
            let children = call
                .mail
                .folders(folder.account)
                .into_iter()
                .filter(|other| other.parent == Some(folder.id));
            Some(Field::text(name, children.count().to_string()))
        }
        "EffectiveRights" => Some(effective_rights(name)),
        "DistinguishedFolderId" => folder
            .well_known
            .map(|known| Field::text(name, known.ews_name())),
        "UnreadCount" if matches!(element, "Folder" | "TasksFolder") => {
            let unread = call
                .mail
                .items(folder.id)
                .iter()
                .filter(|item| !item.read)
                .count();
            Some(Field::text(name, unread.to_string()))
        }
        _ => None,
    }
}

fn folder_id(name: &str, folder: &Folder) -> Field {
    let id = ids::encode(folder.account, Named::Folder(folder.id));
    Field::text(name, "")
        .with("Id", id)
        .with("ChangeKey", ids::folder_change_key(folder))
}

/// Whether a folder is shown by FindFolder and the hierarchy sync below `top`.
pub(super) fn is_below(call: &Call<'_>, folder: &Folder, top: crate::model::FolderId) -> bool {
    let mut at = folder.parent;
    while let Some(id) = at {
        if id == top {
            return true;
        }
        at = call.mail.folder(id).ok().and_then(|folder| folder.parent);
    }
    false
}

/// Whether the folder is the root that no list shows.
pub(super) fn is_root(folder: &Folder) -> bool {
    folder.well_known == Some(WellKnown::Root)
}
