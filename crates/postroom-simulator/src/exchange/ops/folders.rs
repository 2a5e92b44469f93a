//! Folders.

use roxmltree::Node;

use super::restriction::Restriction;
use crate::exchange::call::{Call, Outcome, child, child_text, required};
use crate::exchange::code::Refusal;
use crate::exchange::path::Path;
use crate::exchange::render;
use crate::exchange::shape::{Shape, View};
use crate::exchange::xml::Xml;
use crate::model::{Disposal, Folder, ModelError};

pub(super) fn get(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    let shape = Shape::read(required(request, "FolderShape")?, View::Single)?;
    call.batch(xml, required(request, "FolderIds")?, |xml, node| {
        let folder = call.folder(node);
        call.respond(
            xml,
            folder.map(|folder| {
                let shape = &shape;
                move |xml: &mut Xml| {
                    xml.open("m:Folders", &[]);
                    render::folder(call, xml, &folder, shape);
                    xml.close("m:Folders");
                }
            }),
        );
    });
    Ok(())
}

/// Writes `m:Folders` with one folder by its id.
fn id_only(call: &Call<'_>, xml: &mut Xml, folder: &Folder) {
    xml.open("m:Folders", &[]);
    render::folder(call, xml, folder, &Shape::ids(View::Single));
    xml.close("m:Folders");
}

pub(super) fn find(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    let shape = Shape::read(required(request, "FolderShape")?, View::Single)?;
    let restriction = child(request, "Restriction")
        .map(Restriction::read)
        .transpose()?;
    let deep = request.attribute("Traversal") == Some("Deep");
    let view = child(request, "IndexedPageFolderView");
    call.batch(xml, required(request, "ParentFolderIds")?, |xml, node| {
        let found = call.folder(node).map(|parent| {
            let all = call
                .mail
                .folders(parent.account)
                .into_iter()
                .filter(|folder| {
                    let placed = if deep {
                        render::is_below(call, folder, parent.id)
                    } else {
                        folder.parent == Some(parent.id)
                    };
                    placed
                        && !render::is_root(folder)
                        && restriction
                            .as_ref()
                            .is_none_or(|restriction| restriction.fits_folder(call, folder))
                });
            all.collect::<Vec<Folder>>()
        });
        call.respond(
            xml,
            found.map(|all| {
                let shape = &shape;
                move |xml: &mut Xml| {
                    let page = super::find::Page::cut(call, view, all.len());
                    page.open(xml);
                    xml.open("t:Folders", &[]);
                    for folder in all.iter().skip(page.first).take(page.count) {
                        render::folder(call, xml, folder, shape);
                    }
                    xml.close("t:Folders");
                    xml.close("m:RootFolder");
                }
            }),
        );
    });
    Ok(())
}

pub(super) fn create(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    call.refuse_writing()?;
    let parent = call.folder_in(required(request, "ParentFolderId")?);
    call.batch(xml, required(request, "Folders")?, |xml, node| {
        let outcome = parent.clone().and_then(|parent| {
            let class = child_text(node, "FolderClass");
            let element = node.tag_name().name();
            if element != "Folder" && !class.is_empty() {
                return Err(Refusal::new("ErrorNoFolderClassOverride"));
            }
            let class = match element {
                "CalendarFolder" => "IPF.Appointment",
                "ContactsFolder" => "IPF.Contact",
                "TasksFolder" => "IPF.Task",
                _ if class.is_empty() => "IPF.Note",
                _ => class,
            };
            let name = child_text(node, "DisplayName");
            if name.trim().is_empty() {
                return Err(Refusal::new("ErrorFolderSavePropertyError"));
            }
            let id = call.mail.create_folder(parent.id, name, class)?;
            Ok(call.mail.folder(id)?)
        });
        call.respond(
            xml,
            outcome.map(|folder| move |xml: &mut Xml| id_only(call, xml, &folder)),
        );
    });
    Ok(())
}

pub(super) fn update(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    call.refuse_writing()?;
    call.batch(xml, required(request, "FolderChanges")?, |xml, change| {
        let outcome = change
            .children()
            .find(Node::is_element)
            .ok_or_else(|| Refusal::new("ErrorInvalidRequest"))
            .and_then(|id| {
                let folder = call.folder(id)?;
                for edit in required(change, "Updates")?
                    .children()
                    .filter(Node::is_element)
                {
                    one_edit(call, &folder, edit)?;
                }
                Ok(call.mail.folder(folder.id)?)
            });
        call.respond(
            xml,
            outcome.map(|folder| move |xml: &mut Xml| id_only(call, xml, &folder)),
        );
    });
    Ok(())
}

fn one_edit(call: &Call<'_>, folder: &Folder, edit: Node<'_, '_>) -> Outcome {
    let path = Path::among(edit)?.ok_or_else(|| Refusal::new("ErrorInvalidRequest"))?;
    if edit.tag_name().name() != "SetFolderField" {
        return Err(Refusal::new("ErrorInvalidPropertyDelete").path(&path.name()));
    }
    let given = edit.children().filter(Node::is_element).nth(1);
    let value = |name| given.map_or("", |given| child_text(given, name));
    match path.name().as_str() {
        "folder:DisplayName" => {
            call.mail
                .update_folder(folder.id, Some(value("DisplayName")), None)?
        }
        "folder:FolderClass" => {
            call.mail
                .update_folder(folder.id, None, Some(value("FolderClass")))?
        }
        other => return Err(Refusal::new("ErrorInvalidPropertySet").path(other)),
    }
    Ok(())
}

fn disposal(request: Node<'_, '_>) -> Disposal {
    match request.attribute("DeleteType") {
        Some("HardDelete") => Disposal::Hard,
        Some("SoftDelete") => Disposal::Soft,
        _ => Disposal::ToDeletedItems,
    }
}

pub(super) fn delete(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    call.batch(xml, required(request, "FolderIds")?, |xml, node| {
        let outcome = call
            .folder(node)
            .and_then(|folder| Ok(call.mail.delete_folder(folder.id, disposal(request))?));
        call.respond(xml, outcome.map(|()| |_: &mut Xml| ()));
    });
    Ok(())
}

pub(super) fn empty(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    let below = request
        .attribute("DeleteSubFolders")
        .is_some_and(crate::exchange::call::is_true);
    call.batch(xml, required(request, "FolderIds")?, |xml, node| {
        let outcome = call.folder(node).and_then(|folder| {
            call.mail.empty_folder(folder.id, disposal(request))?;
            if below {
                call.mail.delete_subfolders(folder.id)?;
            }
            Ok(())
        });
        call.respond(xml, outcome.map(|()| |_: &mut Xml| ()));
    });
    Ok(())
}

pub(super) fn relocate(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    let target = call
        .folder_in(required(request, "ToFolderId")?)
        .map_err(super::items::as_target);
    call.batch(xml, required(request, "FolderIds")?, |xml, node| {
        let outcome = target.clone().and_then(|target| {
            let folder = call.folder(node)?;
            call.mail
                .move_folder(folder.id, target.id)
                .map_err(|error| match error {
                    ModelError::WellKnownFolder => Refusal::new("ErrorMoveDistinguishedFolder"),
                    other => other.into(),
                })?;
            Ok(call.mail.folder(folder.id)?)
        });
        call.respond(
            xml,
            outcome.map(|folder| move |xml: &mut Xml| id_only(call, xml, &folder)),
        );
    });
    Ok(())
}
