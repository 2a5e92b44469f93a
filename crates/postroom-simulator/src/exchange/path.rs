//! Property paths: how a request names a field.

use roxmltree::Node;

use super::code::Refusal;
use crate::model::PropertyPath;

/// An extended property as a client asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extended {
    pub(super) path: PropertyPath,
    pub(super) kind: String,
    /// The attributes as they were spelled, to be given back that way.
    pub(super) spelled: Vec<(String, String)>,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Path {
    /// The URI and the element that holds the field, such as `item:Subject` and `Subject`.
    Field {
        uri: String,
        element: String,
    },
    /// One entry of a dictionary: URI, element and key.
    Entry {
        uri: String,
        element: String,
        key: String,
    },
    Extended(Extended),
}

const SETS: [(&str, &str); 10] = [
    ("Meeting", "6ed8da90-450b-101b-98da-00aa003f1305"),
    ("Appointment", "00062002-0000-0000-c000-000000000046"),
    ("Common", "00062008-0000-0000-c000-000000000046"),
    ("PublicStrings", "00020329-0000-0000-c000-000000000046"),
    ("Address", "00062004-0000-0000-c000-000000000046"),
    ("InternetHeaders", "00020386-0000-0000-c000-000000000046"),
    ("CalendarAssistant", "11000e07-b51b-40d6-af21-caa85edab1d0"),
    ("UnifiedMessaging", "4442858e-a9e3-4e80-b900-317a210cc15b"),
    ("Task", "00062003-0000-0000-c000-000000000046"),
    ("Sharing", "00062040-0000-0000-c000-000000000046"),
];

impl Path {
    /// Reads a path element; `None` if the node is something else.
    pub(super) fn read(node: Node<'_, '_>) -> Result<Option<Self>, Refusal> {
        let attribute = |name| node.attribute(name).unwrap_or_default().to_owned();
        match node.tag_name().name() {
            "FieldURI" => {
                let uri = attribute("FieldURI");
                let element = element_of(&uri);
                Ok(Some(Self::Field { uri, element }))
            }
            "IndexedFieldURI" => {
                let uri = attribute("FieldURI");
                let element = dictionary_of(&uri).to_owned();
                Ok(Some(Self::Entry {
                    uri,
                    element,
                    key: attribute("FieldIndex"),
                }))
            }
            "ExtendedFieldURI" => {
                Extended::read(node).map(|extended| Some(Self::Extended(extended)))
            }
            _ => Ok(None),
        }
    }

    /// The first path among the children of a node.
    pub(super) fn among(node: Node<'_, '_>) -> Result<Option<Self>, Refusal> {
        for child in node.children().filter(Node::is_element) {
            if let Some(path) = Self::read(child)? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// The name in messages about it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Field { uri, .. } | Self::Entry { uri, .. } => uri.clone(),
            Self::Extended(extended) => extended.path.to_string(),
        }
    }
}

fn element_of(uri: &str) -> String {
    let local = uri.split_once(':').map_or(uri, |(_, local)| local);
    match uri {
        "folder:FolderId" => "FolderId",
        "item:ItemId" => "ItemId",
        _ => local,
    }
    .to_owned()
}

fn dictionary_of(uri: &str) -> &str {
    match uri {
        "contacts:ImAddress" => "ImAddresses",
        "contacts:EmailAddress" => "EmailAddresses",
        "contacts:PhoneNumber" => "PhoneNumbers",
        "item:InternetMessageHeader" => "InternetMessageHeaders",
        _ if uri.starts_with("contacts:PhysicalAddress:") => "PhysicalAddresses",
        _ => uri.split_once(':').map_or(uri, |(_, local)| local),
    }
}

impl Extended {
    pub(super) fn read(node: Node<'_, '_>) -> Result<Self, Refusal> {
        let kind = node
            .attribute("PropertyType")
            .unwrap_or_default()
            .to_owned();
        if matches!(kind.trim_end_matches("Array"), "Object" | "Null" | "Error") {
            return Err(Refusal::new("ErrorUnsupportedMapiPropertyType"));
        }
        let invalid = || Refusal::new("ErrorInvalidExtendedProperty");
        let tag = node.attribute("PropertyTag");
        let known = node.attribute("DistinguishedPropertySetId");
        let guid = node.attribute("PropertySetId");
        let name = node.attribute("PropertyName");
        let id = node.attribute("PropertyId");
        let set = match (known, guid) {
            (Some(known), None) => SETS
                .iter()
                .find(|(name, _)| *name == known)
                .map(|(_, guid)| (*guid).to_owned()),
            (None, Some(guid)) => Some(guid.trim_matches(['{', '}']).to_owned()),
            (None, None) => None,
            (Some(_), Some(_)) => return Err(invalid()),
        };
        let path = match (tag, set, name, id) {
            (Some(tag), None, None, None) => {
                let number = match tag.strip_prefix("0x").or_else(|| tag.strip_prefix("0X")) {
                    Some(hex) => u16::from_str_radix(hex, 16).ok(),
                    None => tag.parse().ok(),
                };
                let number = number.ok_or_else(invalid)?;
                if (0x8000..=0xFFFE).contains(&number) {
                    return Err(Refusal::new("ErrorNoPropertyTagForCustomProperties"));
                }
                PropertyPath::Tag(number)
            }
            (None, Some(set), Some(name), None) => PropertyPath::named(&set, name),
            (None, Some(set), None, Some(id)) => {
                let id: i32 = id.trim().parse().ok().ok_or_else(invalid)?;
                PropertyPath::numbered(&set, id.cast_unsigned())
            }
            _ => return Err(invalid()),
        };
        let spelled = node
            .attributes()
            .map(|attribute| (attribute.name().to_owned(), attribute.value().to_owned()))
            .collect();
        Ok(Self {
            path,
            kind,
            spelled,
        })
    }

    /// The same path spelled another way, as some servers give it back.
    pub(super) fn respelled(&self) -> Vec<(String, String)> {
        let mut attributes: Vec<(String, String)> = Vec::new();
        match &self.path {
            PropertyPath::Tag(tag) => {
                attributes.push(("PropertyTag".to_owned(), format!("0x{tag:x}")))
            }
            PropertyPath::Named { set, name } => {
                attributes.push(("PropertySetId".to_owned(), set.to_ascii_uppercase()));
                attributes.push(("PropertyName".to_owned(), name.clone()));
            }
            PropertyPath::Numbered { set, id } => {
                attributes.push(("PropertySetId".to_owned(), set.to_ascii_uppercase()));
                attributes.push(("PropertyId".to_owned(), id.cast_signed().to_string()));
            }
        }
        attributes.push(("PropertyType".to_owned(), self.kind.clone()));
        attributes
    }
}
