//! Names of mailboxes: modified UTF-7. Source: RFC 3501 section 5.1.3.

use base64::alphabet::Alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, Engine};

/// Base64 with `,` for `/`, without padding.
fn engine() -> Option<impl Engine> {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    Some(GeneralPurpose::new(&Alphabet::new(alphabet).ok()?, config))
}

/// The name for people. What is no modified UTF-7 is shown as it is.
pub(crate) fn decode(name: &str) -> String {
    decoded(name).unwrap_or_else(|| name.to_owned())
}

fn decoded(name: &str) -> Option<String> {
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((plain, behind)) = rest.split_once('&') {
        text.push_str(plain);
        let (shifted, behind) = behind.split_once('-')?;
        if shifted.is_empty() {
            text.push('&');
        } else {
            let bytes = engine()?.decode(shifted).ok()?;
            let (pairs, odd) = bytes.as_chunks::<2>();
            if !odd.is_empty() {
                return None;
            }
            let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
            for unit in char::decode_utf16(units) {
                text.push(unit.ok()?);
            }
        }
        rest = behind;
    }
    text.push_str(rest);
    Some(text)
}

/// The name for the server.
pub(crate) fn encode(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut shifted: Vec<u8> = Vec::new();
    for character in name.chars() {
        if matches!(character, ' '..='~') {
            flush(&mut shifted, &mut text);
            text.push(character);
            if character == '&' {
                text.push('-');
            }
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                shifted.extend_from_slice(&unit.to_be_bytes());
            }
        }
    }
    flush(&mut shifted, &mut text);
    text
}

fn flush(shifted: &mut Vec<u8>, text: &mut String) {
    if let Some(engine) = engine()
        && !shifted.is_empty()
    {
        text.push('&');
        text.push_str(&engine.encode(&*shifted));
        text.push('-');
    }
    shifted.clear();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_in_the_protocol() {
        for (name, text) in [
            ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            ("Gesendete Objekte", "Gesendete Objekte"),
            ("Entw&APw-rfe", "Entwürfe"),
            ("a&-b", "a&b"),
        ] {
            assert_eq!(decode(name), text);
            assert_eq!(encode(text), name);
        }
    }

    #[test]
    fn what_is_none_is_shown_as_it_is() {
        for name in ["a&b", "&AA-", "&2AA-", "&?-", "&"] {
            assert_eq!(decode(name), name);
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in ".*") {
            prop_assert_eq!(decode(&encode(&name)), name);
        }
    }
}
