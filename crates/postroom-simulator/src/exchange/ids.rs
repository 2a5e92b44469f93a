//! Identifiers as they appear on the wire: opaque, long, and case sensitive.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use super::code::Refusal;
use crate::model::{AccountId, Attachment, Folder, FolderId, Item, ItemId, ItemKind};

/// What an id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Folder(FolderId),
    Item(ItemId),
    /// An attachment by its [`attachment_number`] in its item.
    Attachment(ItemId, u32),
}

/// The number of the attachment at `index`. It follows from the attachment and not from its place,
/// so that an id never comes to name a neighbour when another attachment is taken away. Equal
/// attachments are counted.
pub(super) fn attachment_number(all: &[Attachment], index: usize) -> u32 {
    const PART: usize = 4096;
    let Some(one) = all.get(index) else {
        return u32::MAX;
    };
    let twins = all.iter().take(index).filter(|other| *other == one).count();
    let size = one.content.len();
    let head = one.content.get(..size.min(PART)).unwrap_or_default();
    let tail = one
        .content
        .get(size.saturating_sub(PART)..)
        .unwrap_or_default();
    let counts = [size.to_be_bytes(), twins.to_be_bytes()].concat();
    // FNV-1a.
    [
        one.name.as_bytes(),
        one.content_id.as_bytes(),
        head,
        tail,
        &counts,
    ]
    .into_iter()
    .flatten()
    .fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// The GUID of a mailbox.
pub(super) fn mailbox_guid(account: AccountId) -> Uuid {
    Uuid::from_u128(0x6f1d_2c3b_0000_4a5e_9b70_0000_0000_0000 | u128::from(account.number()))
}

const HEAD: [u8; 3] = [0x00, 0x03, 0x24];
const FILL: [u8; 7] = [0x00, 0x46, 0x00, 0x00, 0x00, 0x00, 0x00];

/// Source: ews-managed-api prints ids of this build; the layout inside is our own.
pub(super) fn encode(account: AccountId, named: Named) -> String {
    let (kind, number, index) = match named {
        Named::Folder(id) => (1_u8, id.0, 0),
        Named::Item(id) => (2, id.0, 0),
        Named::Attachment(id, index) => (3, id.0, index),
    };
    let mut bytes = Vec::with_capacity(72);
    bytes.extend_from_slice(&HEAD);
    bytes.extend_from_slice(mailbox_guid(account).to_string().as_bytes());
    bytes.extend_from_slice(&FILL);
    bytes.push(kind);
    bytes.extend_from_slice(&number.to_be_bytes());
    if kind == 3 {
        bytes.extend_from_slice(&index.to_be_bytes());
    }
    bytes.extend_from_slice(&[0, 0]);
    STANDARD.encode(bytes)
}

pub(super) fn decode(id: &str) -> Result<Named, Refusal> {
    if id.is_empty() {
        return Err(Refusal::new("ErrorInvalidIdEmpty"));
    }
    decode_inner(id).ok_or_else(|| Refusal::new("ErrorInvalidIdMalformed"))
}

fn decode_inner(id: &str) -> Option<Named> {
    let bytes = STANDARD.decode(id).ok()?;
    let rest = bytes.strip_prefix(&HEAD)?;
    let (guid, rest) = rest.split_at_checked(36)?;
    Uuid::try_parse_ascii(guid).ok()?;
    let rest = rest.strip_prefix(&FILL)?;
    let (kind, rest) = rest.split_first()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let number = u64::from_be_bytes(*number);
    match (kind, rest) {
        (1, [0, 0]) => Some(Named::Folder(FolderId(number))),
        (2, [0, 0]) => Some(Named::Item(ItemId(number))),
        (3, [index @ .., 0, 0]) => Some(Named::Attachment(
            ItemId(number),
            u32::from_be_bytes(index.try_into().ok()?),
        )),
        _ => None,
    }
}

fn change_key(kind: u32, change: u64) -> String {
    let mut bytes = Vec::with_capacity(22);
    bytes.extend_from_slice(&kind.to_le_bytes());
    bytes.extend_from_slice(&[0x16, 0, 0, 0]);
    bytes.extend_from_slice(&change.to_be_bytes());
    STANDARD.encode(bytes)
}

pub(super) fn item_change_key(item: &Item) -> String {
    change_key(
        if item.kind == ItemKind::Appointment {
            15
        } else {
            9
        },
        item.change,
    )
}

pub(super) fn folder_change_key(folder: &Folder) -> String {
    change_key(1, folder.id.0)
}

/// A change key for an item that is told of but not shown.
pub(super) fn unknown_item_key() -> String {
    change_key(9, 0)
}

/// A change key for a folder that is told of but not shown.
pub(super) fn unknown_folder_key() -> String {
    change_key(1, 0)
}

/// The change number inside a change key.
pub(super) fn decode_change_key(key: &str) -> Result<u64, Refusal> {
    let bytes = STANDARD.decode(key).ok();
    bytes
        .as_deref()
        .and_then(|bytes| bytes.split_at_checked(8))
        .and_then(|(_, number)| number.try_into().ok())
        .map(u64::from_be_bytes)
        .ok_or_else(|| Refusal::new("ErrorInvalidChangeKey"))
}

/// Bytes as the wire has them.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
