//! DeleteItem. Source: ews-notes section 11. The answer is read like that of SendItem.

use postroom_provider::{DeleteMode, RemoteId};

use crate::ops::item_ids;
use crate::xml::Xml;

pub(crate) fn write(xml: &mut Xml, mode: DeleteMode, ids: &[RemoteId]) {
    let kind = match mode {
        DeleteMode::ToDeletedItems => "MoveToDeletedItems",
        DeleteMode::Permanently => "HardDelete",
    };
    // The last two are required where an item turns out to be an appointment or a task, and
    // accepted where it does not.
    xml.start(
        "m:DeleteItem",
        &[
            ("DeleteType", kind),
            ("SendMeetingCancellations", "SendToNone"),
            ("AffectedTaskOccurrences", "AllOccurrences"),
        ],
    );
    item_ids(xml, ids);
    xml.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::test_support::written;

    #[test]
    fn nobody_is_told_of_a_cancellation() {
        assert_eq!(
            written(|xml| write(xml, DeleteMode::Permanently, &[RemoteId::new("1")])),
            "<m:DeleteItem DeleteType=\"HardDelete\" SendMeetingCancellations=\"SendToNone\" \
             AffectedTaskOccurrences=\"AllOccurrences\"><m:ItemIds><t:ItemId Id=\"1\"/></m:ItemIds></m:DeleteItem>"
        );
    }
}
