//! Short texts that have a form: addresses, identifiers, times, names.

use postroom_core::email::{ConversationIndex, MessageId};
use postroom_core::{Code, EmailAddress, MailboxId, NamedAddress, Timestamp, Workload};

use super::{Target, magnitude, observed};
use crate::family::{Family, filled};

/// Short texts.
#[derive(Debug)]
pub(super) struct Addresses;

const SEEDS: &[&str] = &[
    "Ada.Lovelace+x@example.org",
    "\"odd name\"@example.org",
    " jörg@müller.example ",
    "\"a@b\"@[127.0.0.1]",
    "<id.1234@example.org>",
    "2026-11-22T12:00:00.123456789+01:00",
    "-009999-01-01T00:00:00Z",
    "67e55044-10b1-426f-9247-bb680e5fe0c8",
    "server-busy",
    "incoming",
    "AQHR0wECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygp",
];

const WORDS: &[&[u8]] = &[
    b"@",
    b"\"@",
    b"mailto:",
    b"[UTC]",
    b"Z",
    "\u{85}".as_bytes(),
    "\u{3000}".as_bytes(),
    "İ".as_bytes(),
];

impl Target for Addresses {
    fn seeds(&self) -> Vec<Vec<u8>> {
        SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect()
    }

    fn dictionary(&self) -> &'static [&'static [u8]] {
        WORDS
    }

    fn length_max(&self) -> usize {
        2000
    }

    fn families(&self) -> Vec<Family> {
        vec![
            Family {
                name: "ats",
                make: |size| filled(b"", b"@", b"", size),
            },
            Family {
                name: "quotes",
                make: |size| filled(b"\"", b"\\\"", b"\"@b", size),
            },
            Family {
                name: "angles",
                make: |size| filled(b"", b"<", b"", size),
            },
            Family {
                name: "blanks",
                make: |size| filled(b"", b" ", b"a@b", size),
            },
            Family {
                name: "digits",
                make: |size| filled(b"2026-11-22T12:00:00.", b"0", b"Z", size),
            },
        ]
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let text = &*String::from_utf8_lossy(input);
        let address = text.parse::<EmailAddress>();
        if let Ok(address) = &address {
            assert!(address.as_str().len() <= 254);
            assert_eq!(address.as_str().parse().as_ref(), Ok(address));
            assert_eq!(
                format!("{}@{}", address.local_part(), address.domain()),
                address.as_str()
            );
            assert!(!address.as_str().chars().any(char::is_control));
            let normal: EmailAddress = address.normalized().parse().expect("in lower case, too");
            assert_eq!(normal, *address);
            through_json(address);
            let named = NamedAddress::new(text, address.clone());
            assert!(named.to_string().ends_with(">"));
            through_json(&named);
        } else if let Err(error) = address {
            // What it says has an example of its own.
            let said = error.to_string().replace("name@example.org", "");
            let told = text.trim().contains('@') && said.contains(text.trim());
            assert!(text.trim().len() < 4 || !told, "the text is a person's");
        }
        let id = text.parse::<MessageId>();
        if let Ok(id) = &id {
            assert_eq!(id.as_str().parse().as_ref(), Ok(id), "as it is written");
            assert_eq!(id.to_string().parse().as_ref(), Ok(id), "in brackets");
            through_json(id);
        }
        let time = text.parse::<Timestamp>();
        if let Ok(time) = time {
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        let mut eight = [0; 8];
        eight
            .iter_mut()
            .zip(input)
            .for_each(|(to, from)| *to = *from);
        // Any number that a damaged row may hold can be shown.
        let odd = Timestamp::from_millis(i64::from_le_bytes(eight));
        assert!(!odd.to_string().is_empty());
        let index = ConversationIndex::from_bytes(input.to_vec());
        if let Some(index) = &index {
            assert_eq!(index.root().len(), 22);
            assert_eq!(
                format!("{index:?}").len(),
                "ConversationIndex()".len() + 2 * input.len()
            );
            through_json(index);
        }
        let words = (
            text.parse::<MailboxId>().is_ok(),
            text.parse::<Code>().ok(),
            text.parse::<Workload>().is_ok(),
        );
        let as_json = (
            serde_json::from_slice::<NamedAddress>(input).is_ok(),
            serde_json::from_slice::<EmailAddress>(input).is_ok(),
            serde_json::from_slice::<MessageId>(input).is_ok(),
            serde_json::from_slice::<ConversationIndex>(input).is_ok(),
        );
        observed(&(
            text.parse::<EmailAddress>()
                .map_err(|error| error.to_string())
                .is_ok(),
            text.parse::<EmailAddress>()
                .err()
                .map(|error| error.to_string()),
            id.is_ok(),
            time.is_ok(),
            index.is_some(),
            words.0,
            words.1.map(|code| code.to_string()),
            words.2,
            as_json,
            magnitude(text.len()),
        ))
    }
}

fn through_json<T>(value: &T)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let text = serde_json::to_string(value).expect("it can be written");
    assert_eq!(
        serde_json::from_str::<T>(&text).ok().as_ref(),
        Some(value),
        "as JSON"
    );
}
