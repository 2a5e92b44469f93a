//! FindFolder: the folders below a folder, page by page.

use crate::client::Reply;
use crate::ops::FolderRef;
use crate::ops::get_folder::{FolderInfo, folder_info, shape};
use crate::soap::{Refusal, messages};
use crate::xml::{Xml, child, children};

/// Folders of one page.
pub(crate) const PAGE: u32 = 500;

/// Which folders.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'a> {
    /// All, at any depth.
    All,
    /// Those right below that have this name.
    Named(&'a str),
}

pub(crate) fn write(xml: &mut Xml, parent: FolderRef<'_>, wanted: Wanted<'_>, offset: u32) {
    let traversal = match wanted {
        Wanted::All => "Deep",
        Wanted::Named(_) => "Shallow",
    };
    xml.start("m:FindFolder", &[("Traversal", traversal)]);
    shape(xml);
    xml.empty(
        "m:IndexedPageFolderView",
        &[
            ("MaxEntriesReturned", &PAGE.to_string()),
            ("Offset", &offset.to_string()),
            ("BasePoint", "Beginning"),
        ],
    );
    if let Wanted::Named(name) = wanted {
        xml.start("m:Restriction", &[])
            .start("t:IsEqualTo", &[])
            .empty("t:FieldURI", &[("FieldURI", "folder:DisplayName")])
            .start("t:FieldURIOrConstant", &[])
            .empty("t:Constant", &[("Value", name)])
            .end()
            .end()
            .end();
    }
    xml.start("m:ParentFolderIds", &[]);
    parent.write(xml);
    xml.end().end();
}

/// One page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FolderPage {
    pub(crate) folders: Vec<FolderInfo>,
    /// Where the next page begins; `None` at the end. Never at or before this page: contradictory
    /// numbers are met (ews-notes section 8).
    pub(crate) next: Option<u32>,
}

pub(crate) fn read(reply: &Reply<'_, '_>, offset: u32) -> Option<Result<FolderPage, Refusal>> {
    let message = messages(reply.response).into_iter().next()?;
    let node = match message.into_result() {
        Ok(node) => node,
        Err(refusal) => return Some(Err(refusal)),
    };
    let root = child(node, "RootFolder")?;
    let folders: Vec<_> = child(root, "Folders")
        .map(|list| children(list).filter_map(folder_info).collect())
        .unwrap_or_default();
    let last = root.attribute("IncludesLastItemInRange") == Some("true");
    let told = root
        .attribute("IndexedPagingOffset")
        .and_then(|text| text.parse().ok());
    let counted = offset.saturating_add(u32::try_from(folders.len()).unwrap_or(u32::MAX));
    let next = told.unwrap_or(counted);
    let next = (!last && !folders.is_empty() && next > offset).then_some(next);
    Some(Ok(FolderPage { folders, next }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Distinguished;
    use crate::ops::test_support::{answer, written};

    #[test]
    fn names_are_escaped() {
        let text = written(|xml| {
            let root = FolderRef::Distinguished(Distinguished::Root, None);
            write(xml, root, Wanted::Named("A & \"B\""), 0);
        });
        assert!(text.contains("Value=\"A &amp; &quot;B&quot;\""), "{text}");
        assert!(text.contains("Traversal=\"Shallow\""));
    }

    #[test]
    fn paging_ends_whatever_the_numbers_say() {
        let page = |attributes: &str, folders: &str, offset| {
            answer(
                &format!(
                    "<R><ResponseMessages><M ResponseClass='Success'><ResponseCode>NoError</ResponseCode>\
                     <RootFolder {attributes}><Folders>{folders}</Folders></RootFolder></M></ResponseMessages></R>"
                ),
                &[],
                |reply| read(reply, offset),
            )
            .unwrap()
            .unwrap()
            .next
        };
        let folder = "<Folder><FolderId Id='F'/></Folder>";
        assert_eq!(
            page(
                "IndexedPagingOffset='1' IncludesLastItemInRange='false'",
                folder,
                0
            ),
            Some(1)
        );
        assert_eq!(page("IncludesLastItemInRange='false'", folder, 4), Some(5));
        assert_eq!(
            page(
                "IndexedPagingOffset='1' IncludesLastItemInRange='true'",
                folder,
                0
            ),
            None
        );
        assert_eq!(
            page(
                "IndexedPagingOffset='4' IncludesLastItemInRange='false'",
                folder,
                4
            ),
            None
        );
        assert_eq!(
            page(
                "IndexedPagingOffset='9' IncludesLastItemInRange='false'",
                "",
                4
            ),
            None
        );
    }
}
