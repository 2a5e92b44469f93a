//! CreateFolder: a folder for mail.

use crate::ops::FolderRef;
use crate::xml::Xml;

/// The answer is read like that of GetFolder.
pub(crate) fn write(xml: &mut Xml, parent: FolderRef<'_>, name: &str) {
    xml.start("m:CreateFolder", &[])
        .start("m:ParentFolderId", &[]);
    parent.write(xml);
    xml.end()
        .start("m:Folders", &[])
        .start("t:Folder", &[])
        .text("t:FolderClass", "IPF.Note")
        .text("t:DisplayName", name)
        .end()
        .end()
        .end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Distinguished;
    use crate::ops::test_support::written;

    #[test]
    fn class_precedes_name() {
        let text = written(|xml| {
            let inbox = FolderRef::Distinguished(Distinguished::Inbox, None);
            write(xml, inbox, "Undeliverable");
        });
        assert_eq!(
            text,
            "<m:CreateFolder><m:ParentFolderId><t:DistinguishedFolderId Id=\"inbox\"/></m:ParentFolderId>\
             <m:Folders><t:Folder><t:FolderClass>IPF.Note</t:FolderClass>\
             <t:DisplayName>Undeliverable</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"
        );
    }
}
