//! GetFolder: ids and names of folders.

use postroom_provider::FolderId;
use roxmltree::Node;

use crate::client::Reply;
use crate::ops::FolderRef;
use crate::soap::{Refusal, messages};
use crate::xml::{Xml, child, children, text_of};

/// A folder as GetFolder, FindFolder and CreateFolder tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FolderInfo {
    pub(crate) id: FolderId,
    pub(crate) parent: Option<FolderId>,
    pub(crate) name: String,
    /// `IPF.Note` and the like; may be missing.
    pub(crate) class: Option<String>,
}

pub(crate) fn write(xml: &mut Xml, folders: &[FolderRef<'_>]) {
    xml.start("m:GetFolder", &[]);
    shape(xml);
    xml.start("m:FolderIds", &[]);
    for folder in folders {
        folder.write(xml);
    }
    xml.end().end();
}

/// The properties that [`FolderInfo`] is made of.
pub(crate) fn shape(xml: &mut Xml) {
    xml.start("m:FolderShape", &[])
        .text("t:BaseShape", "IdOnly")
        .start("t:AdditionalProperties", &[]);
    for path in [
        "folder:ParentFolderId",
        "folder:DisplayName",
        "folder:FolderClass",
    ] {
        xml.empty("t:FieldURI", &[("FieldURI", path)]);
    }
    xml.end().end();
}

/// One outcome per folder.
pub(crate) fn read(reply: &Reply<'_, '_>) -> Option<Vec<Result<FolderInfo, Refusal>>> {
    messages(reply.response)
        .into_iter()
        .map(|message| match message.into_result() {
            Ok(node) => child(node, "Folders")
                .and_then(|folders| children(folders).next())
                .and_then(folder_info)
                .map(Ok),
            Err(refusal) => Some(Err(refusal)),
        })
        .collect()
}

/// Reads a folder element; `None` where it has no id.
pub(crate) fn folder_info(folder: Node<'_, '_>) -> Option<FolderInfo> {
    let id = |name| {
        child(folder, name)
            .and_then(|id| id.attribute("Id"))
            .filter(|id| !id.is_empty())
            .map(FolderId::new)
    };
    Some(FolderInfo {
        id: id("FolderId")?,
        parent: id("ParentFolderId"),
        name: text_of(folder, "DisplayName")
            .unwrap_or_default()
            .to_owned(),
        class: text_of(folder, "FolderClass").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Distinguished;
    use crate::ops::test_support::{answer, written};

    #[test]
    fn asks_by_name_and_by_id() {
        let text = written(|xml| {
            write(
                xml,
                &[
                    FolderRef::Distinguished(Distinguished::Inbox, None),
                    FolderRef::Distinguished(Distinguished::Drafts, Some("o@x.example")),
                    FolderRef::Id("A=="),
                ],
            );
        });
        assert_eq!(
            text,
            "<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>\
             <t:FieldURI FieldURI=\"folder:ParentFolderId\"/><t:FieldURI FieldURI=\"folder:DisplayName\"/>\
             <t:FieldURI FieldURI=\"folder:FolderClass\"/></t:AdditionalProperties></m:FolderShape>\
             <m:FolderIds><t:DistinguishedFolderId Id=\"inbox\"/><t:DistinguishedFolderId Id=\"drafts\">\
             <t:Mailbox><t:EmailAddress>o@x.example</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId>\
             <t:FolderId Id=\"A==\"/></m:FolderIds></m:GetFolder>"
        );
    }

    #[test]
    fn reads_one_outcome_per_folder() {
        let read = answer(
            "<m:GetFolderResponse xmlns:m='M' xmlns:t='T'><m:ResponseMessages>\
             <m:GetFolderResponseMessage ResponseClass='Success'><m:ResponseCode>NoError</m:ResponseCode>\
             <m:Folders><t:Folder><t:FolderId Id='F1' ChangeKey='C'/><t:ParentFolderId Id='P'/>\
             <t:FolderClass>IPF.Note</t:FolderClass><t:DisplayName>Posteingang</t:DisplayName></t:Folder></m:Folders>\
             </m:GetFolderResponseMessage><m:GetFolderResponseMessage ResponseClass='Error'>\
             <m:ResponseCode>ErrorFolderNotFound</m:ResponseCode><m:Folders/></m:GetFolderResponseMessage>\
             </m:ResponseMessages></m:GetFolderResponse>",
            &[],
            read,
        )
        .unwrap();
        let first = read[0].as_ref().unwrap();
        assert_eq!(
            (first.id.as_str(), first.name.as_str()),
            ("F1", "Posteingang")
        );
        assert_eq!(first.parent.as_ref().unwrap().as_str(), "P");
        assert_eq!(read[1].as_ref().unwrap_err().code, "ErrorFolderNotFound");
    }
}
