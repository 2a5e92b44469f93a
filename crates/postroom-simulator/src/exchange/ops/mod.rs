//! The operations, by family.

mod attachments;
mod create;
mod find;
mod folders;
mod items;
mod names;
mod restriction;
mod subscriptions;
mod sync;
mod update;

pub use subscriptions::EventStream;
pub(super) use subscriptions::{Subscriptions, open_stream};

use roxmltree::Node;

use super::call::{Call, Outcome, refusal_head};
use super::code::Refusal;
use super::xml::Xml;

/// Serves a request that is valid by the schema. A refusal is one for the whole request.
pub(super) fn serve(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    match call.operation {
        "GetFolder" => folders::get(call, request, xml),
        "FindFolder" => folders::find(call, request, xml),
        "CreateFolder" => folders::create(call, request, xml),
        "UpdateFolder" => folders::update(call, request, xml),
        "DeleteFolder" => folders::delete(call, request, xml),
        "EmptyFolder" => folders::empty(call, request, xml),
        "MoveFolder" => folders::relocate(call, request, xml),
        "SyncFolderHierarchy" => sync::hierarchy(call, request, xml),
        "SyncFolderItems" => sync::items(call, request, xml),
        "FindItem" => find::items(call, request, xml),
        "GetItem" => items::get(call, request, xml),
        "MoveItem" => items::relocate(call, request, xml, true),
        "CopyItem" => items::relocate(call, request, xml, false),
        "DeleteItem" => items::delete(call, request, xml),
        "MarkAsJunk" => items::mark_as_junk(call, request, xml),
        "CreateItem" => create::items(call, request, xml),
        "SendItem" => create::send(call, request, xml),
        "UpdateItem" => update::items(call, request, xml),
        "GetAttachment" => attachments::get(call, request, xml),
        "CreateAttachment" => attachments::create(call, request, xml),
        "DeleteAttachment" => attachments::delete(call, request, xml),
        "ResolveNames" => names::resolve(call, request, xml),
        "Subscribe" => subscriptions::subscribe(call, request, xml),
        "Unsubscribe" => subscriptions::unsubscribe(call, request, xml),
        "GetEvents" => subscriptions::events(call, request, xml),
        "GetUserOofSettings" => Ok(()),
        "GetServerTimeZones" => names::time_zones(call, request, xml),
        "ConvertId" => names::convert(call, request, xml),
        _ => {
            Err(Refusal::new("ErrorInvalidOperation")
                .text("This server does not serve the operation."))
        }
    }
}

/// Out of office: always off. This operation has an answer of a shape of its own.
pub(super) fn oof(xml: &mut Xml, refusal: Option<Refusal>) {
    if let Some(refusal) = refusal {
        xml.open("m:ResponseMessage", &[("ResponseClass", "Error")]);
        refusal_head(xml, &refusal);
        xml.close("m:ResponseMessage");
        return;
    }
    xml.open("m:ResponseMessage", &[("ResponseClass", "Success")]);
    xml.leaf("m:ResponseCode", "NoError");
    xml.close("m:ResponseMessage");
    xml.open("t:OofSettings", &[]);
    xml.leaf("t:OofState", "Disabled");
    xml.leaf("t:ExternalAudience", "None");
    xml.close("t:OofSettings");
    xml.leaf("m:AllowExternalOof", "All");
}
