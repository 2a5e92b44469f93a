//! SyncFolderItems and SyncFolderHierarchy.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::Node;

use crate::exchange::call::{Call, Outcome, child, child_text, required};
use crate::exchange::code::Refusal;
use crate::exchange::fault::Fault;
use crate::exchange::ids::{self, Named};
use crate::exchange::render;
use crate::exchange::shape::{Shape, View};
use crate::exchange::xml::Xml;
use crate::model::{ChangeKind, Folder, FolderId, Item, ItemId, WellKnown};

/// What is inside of a sync state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    /// `i` for items, `h` for the hierarchy.
    of: char,
    root: FolderId,
    epoch: u32,
    hidden: bool,
    /// Changes up to this number are known to the client.
    known: u64,
    /// Set during the first pass over a folder: only arrivals below this are still to be told.
    below: Option<u64>,
}

impl State {
    fn encode(&self) -> String {
        let Self {
            of,
            root,
            epoch,
            hidden,
            known,
            below,
        } = self;
        let below = below.map_or_else(|| "-".to_owned(), |below| below.to_string());
        STANDARD.encode(format!(
            "psim1|{of}|{}|{epoch}|{hidden}|{known}|{below}",
            root.0
        ))
    }

    fn decode(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.trim()).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let mut parts = text.split('|');
        if parts.next()? != "psim1" {
            return None;
        }
        let of = parts.next()?.chars().next()?;
        let root = FolderId(parts.next()?.parse().ok()?);
        let epoch = parts.next()?.parse().ok()?;
        let hidden = parts.next()?.parse().ok()?;
        let known = parts.next()?.parse().ok()?;
        let below = match parts.next()? {
            "-" => None,
            number => Some(number.parse().ok()?),
        };
        Some(Self {
            of,
            root,
            epoch,
            hidden,
            known,
            below,
        })
    }
}

/// The state to begin from: a given one that fits, or a fresh one.
fn begin(call: &Call<'_>, request: Node<'_, '_>, fresh: State) -> Outcome<State> {
    let given = child_text(request, "SyncState");
    if given.is_empty() {
        return Ok(fresh);
    }
    let invalid = || Refusal::new("ErrorInvalidSyncStateData");
    if call.has_fault(&Fault::InvalidSyncState) {
        return Err(invalid());
    }
    let state = State::decode(given).ok_or_else(invalid)?;
    let same = state.of == fresh.of
        && state.root == fresh.root
        && state.epoch == fresh.epoch
        && state.hidden == fresh.hidden;
    if same && call.mail.remembers(state.known) {
        Ok(state)
    } else {
        Err(invalid())
    }
}

/// What a page tells about one item.
enum Told {
    Shown(&'static str, render::Rendered),
    Read(Arc<Item>),
    Gone(ItemId),
    Phantom,
}

pub(super) fn items(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    let shape = Shape::read(required(request, "ItemShape")?, View::Sync)?;
    let folder = call.folder_in(required(request, "SyncFolderId")?);
    let outcome = folder.map_err(sync_folder).and_then(|folder| {
        let page = page(call, request, &folder, &shape)?;
        let (state, complete, told) = &page;
        let same = child_text(request, "SyncState") == state.encode();
        call.idle
            .set(same && *complete && told.is_empty() && folder.account == call.account);
        Ok(page)
    });
    call.respond(
        xml,
        outcome.map(|(state, complete, told)| {
            move |xml: &mut Xml| {
                xml.leaf("m:SyncState", &state.encode());
                xml.leaf(
                    "m:IncludesLastItemInRange",
                    if complete { "true" } else { "false" },
                );
                xml.open("m:Changes", &[]);
                for one in told {
                    one.write(call, xml);
                }
                xml.close("m:Changes");
            }
        }),
    );
    Ok(())
}

fn sync_folder(refusal: Refusal) -> Refusal {
    if refusal.code == "ErrorFolderNotFound" {
        Refusal::new("ErrorSyncFolderNotFound")
    } else {
        refusal
    }
}

fn page(
    call: &Call<'_>,
    request: Node<'_, '_>,
    folder: &Folder,
    shape: &Shape,
) -> Outcome<(State, bool, Vec<Told>)> {
    let hidden = child_text(request, "SyncScope") == "NormalAndAssociatedItems";
    let now = call.mail.change_number();
    let fresh = State {
        of: 'i',
        root: folder.id,
        epoch: folder.epoch,
        hidden,
        known: now,
        below: Some(u64::MAX),
    };
    let mut state = begin(call, request, fresh)?;
    let asked: usize = child_text(request, "MaxChangesReturned")
        .trim()
        .parse()
        .unwrap_or(1);
    let limit = call.page_limit(asked);
    let ignored: BTreeSet<ItemId> = child(request, "Ignore")
        .into_iter()
        .flat_map(|list| list.children())
        .filter_map(|node| match ids::decode(node.attribute("Id")?) {
            Ok(Named::Item(id)) => Some(id),
            _ => None,
        })
        .collect();
    if call.has_fault(&Fault::ContradictoryPaging) {
        return Ok((state, false, Vec::new()));
    }
    let wanted = |item: &Item| (hidden || !item.hidden) && !ignored.contains(&item.id);
    let mut told = Vec::new();
    let complete;
    if let Some(below) = state.below {
        // The first pass goes from the latest arrival to the oldest, over what there was when it
        // began; what happens meanwhile is told afterwards.
        let mut found = Vec::new();
        let mut more = false;
        call.mail.walk(
            folder.id,
            below.min(state.known.saturating_add(1)),
            |item| {
                if found.len() == limit {
                    more = true;
                    return ControlFlow::Break(());
                }
                state.below = Some(item.arrival);
                if wanted(item) {
                    found.push(Arc::clone(item));
                }
                ControlFlow::Continue(())
            },
        );
        for item in found {
            told.push(Told::Shown("Create", shown(call, &item, shape)?));
        }
        if !more {
            state.below = None;
        }
        complete = !more;
    } else {
        let changes = call.mail.item_changes(folder.id, state.known, limit)?;
        state.known = changes.next;
        complete = changes.complete;
        for change in changes.changes {
            if ignored.contains(&change.id) {
                continue;
            }
            let item = call
                .mail
                .item(change.id)
                .ok()
                .filter(|item| item.folder == folder.id);
            match (change.kind, item) {
                (ChangeKind::Deleted, _) => told.push(Told::Gone(change.id)),
                // It is gone by now; a later page says so.
                (_, None) => {}
                (_, Some(item)) if !wanted(&item) => {}
                (ChangeKind::ReadFlag, Some(item)) => told.push(Told::Read(item)),
                (ChangeKind::Created, Some(item)) => {
                    told.push(Told::Shown("Create", shown(call, &item, shape)?))
                }
                (ChangeKind::Updated, Some(item)) => {
                    told.push(Told::Shown("Update", shown(call, &item, shape)?))
                }
            }
        }
    }
    if call.has_fault(&Fault::PhantomItem) {
        told.push(Told::Phantom);
    }
    Ok((state, complete, told))
}

fn shown(call: &Call<'_>, item: &Item, shape: &Shape) -> Outcome<render::Rendered> {
    render::item(call, item, shape)
}

impl Told {
    fn write(&self, call: &Call<'_>, xml: &mut Xml) {
        match self {
            Self::Shown(how, rendered) => {
                let name = format!("t:{how}");
                xml.open(&name, &[]);
                rendered.write(xml);
                xml.close(&name);
            }
            Self::Read(item) => {
                xml.open("t:ReadFlagChange", &[]);
                call.write_item_id(xml, "t:ItemId", item);
                xml.leaf("t:IsRead", if item.read { "true" } else { "false" });
                xml.close("t:ReadFlagChange");
            }
            Self::Gone(id) => {
                xml.open("t:Delete", &[]);
                xml.empty(
                    "t:ItemId",
                    &[
                        ("Id", &ids::encode(call.account, Named::Item(*id))),
                        ("ChangeKey", &ids::unknown_item_key()),
                    ],
                );
                xml.close("t:Delete");
            }
            Self::Phantom => {
                let id = ids::encode(call.account, Named::Item(ItemId(u64::MAX)));
                xml.open("t:Create", &[]);
                xml.open("t:Message", &[]);
                xml.empty(
                    "t:ItemId",
                    &[("Id", &id), ("ChangeKey", &ids::unknown_item_key())],
                );
                xml.close("t:Message");
                xml.close("t:Create");
            }
        }
    }
}

pub(super) fn hierarchy(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    let shape = Shape::read(required(request, "FolderShape")?, View::Single)?;
    let root = match child(request, "SyncFolderId") {
        Some(node) => call.folder_in(node).map_err(sync_folder),
        None => Ok(call
            .mail
            .folder(call.mail.well_known(call.account, WellKnown::MessageRoot)?)?),
    };
    let outcome = root.and_then(|root| {
        let now = call.mail.change_number();
        let fresh = State {
            of: 'h',
            root: root.id,
            epoch: root.epoch,
            hidden: false,
            known: now,
            below: Some(u64::MAX),
        };
        let mut state = begin(call, request, fresh)?;
        let mut changes: Vec<(&'static str, FolderId, Option<Folder>)> = Vec::new();
        if state.below.take().is_some() {
            let all = call
                .mail
                .folders(root.account)
                .into_iter()
                .filter(|folder| render::is_below(call, folder, root.id));
            changes.extend(all.map(|folder| ("Create", folder.id, Some(folder))));
        } else {
            let page = call
                .mail
                .folder_changes(root.account, state.known, usize::MAX)?;
            state.known = page.next;
            for change in page.changes {
                let folder = call.mail.folder(change.id).ok();
                let inside = folder
                    .as_ref()
                    .is_some_and(|folder| render::is_below(call, folder, root.id));
                match change.kind {
                    ChangeKind::Deleted => changes.push(("Delete", change.id, None)),
                    ChangeKind::Created if inside => changes.push(("Create", change.id, folder)),
                    ChangeKind::Updated | ChangeKind::ReadFlag if inside => {
                        changes.push(("Update", change.id, folder))
                    }
                    ChangeKind::Created | ChangeKind::Updated | ChangeKind::ReadFlag => {}
                }
            }
        }
        Ok((state, changes))
    });
    call.respond(
        xml,
        outcome.map(|(state, changes)| {
            move |xml: &mut Xml| {
                xml.leaf("m:SyncState", &state.encode());
                xml.leaf("m:IncludesLastFolderInRange", "true");
                xml.open("m:Changes", &[]);
                for (how, id, folder) in &changes {
                    let name = format!("t:{how}");
                    xml.open(&name, &[]);
                    match folder {
                        Some(folder) => render::folder(call, xml, folder, &shape),
                        None => xml.empty(
                            "t:FolderId",
                            &[
                                ("Id", &ids::encode(call.account, Named::Folder(*id))),
                                ("ChangeKey", &ids::unknown_folder_key()),
                            ],
                        ),
                    }
                    xml.close(&name);
                }
                xml.close("m:Changes");
            }
        }),
    );
    Ok(())
}
