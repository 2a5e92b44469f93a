//! The operations, by family.

mod attachments;
mod create;
mod find;
mod folders;
mod items;
mod names;
mod oof;
mod query;
mod respond;
mod restriction;
mod subscriptions;
mod sync;
mod update;

pub use subscriptions::EventStream;
pub(super) use subscriptions::{Subscriptions, open_stream};

use roxmltree::Node;

use super::call::{Call, Outcome};
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
        "GetUserOofSettings" => oof::get(call, request, xml),
        "SetUserOofSettings" => oof::set(call, request, xml),
        "GetServerTimeZones" => names::time_zones(call, request, xml),
        "ConvertId" => names::convert(call, request, xml),
        _ => {
            Err(Refusal::new("ErrorInvalidOperation")
                .text("This server does not serve the operation."))
        }
    }
}

/// Operations of Exchange that this server leaves out. A client is told so, where
/// `ErrorInvalidRequest` would have it try one schema version after the other.
const LEFT_OUT: [&str; 44] = [
    "AddDelegate",
    "AddImContactToGroup",
    "AddImGroup",
    "ApplyConversationAction",
    "ArchiveItem",
    "CreateFolderPath",
    "CreateManagedFolder",
    "CreateUserConfiguration",
    "DeleteUserConfiguration",
    "DisableApp",
    "DisconnectPhoneCall",
    "ExpandDL",
    "ExportItems",
    "FindConversation",
    "FindMessageTrackingReport",
    "FindPeople",
    "GetAppManifests",
    "GetClientAccessToken",
    "GetConversationItems",
    "GetDelegate",
    "GetImItemList",
    "GetImItems",
    "GetInboxRules",
    "GetMailTips",
    "GetMessageTrackingReport",
    "GetPasswordExpirationDate",
    "GetPersona",
    "GetRoomLists",
    "GetRooms",
    "GetSearchableMailboxes",
    "GetServiceConfiguration",
    "GetSharingFolder",
    "GetSharingMetadata",
    "GetUserAvailability",
    "GetUserConfiguration",
    "GetUserPhoto",
    "GetUserRetentionPolicyTags",
    "MarkAllItemsAsRead",
    "RemoveDelegate",
    "SearchMailboxes",
    "UpdateDelegate",
    "UpdateInboxRules",
    "UpdateUserConfiguration",
    "UploadItems",
];

/// Why a request element that the schema does not hold is refused.
pub(super) fn unknown(operation: &str) -> Refusal {
    if LEFT_OUT.contains(&operation) {
        Refusal::new("ErrorInvalidOperation").text("This server does not serve the operation.")
    } else {
        Refusal::new("ErrorInvalidRequest").text("The operation is not known to this server.")
    }
}

pub(super) use oof::{OutOfOffice, answer as answer_oof};
