//! Promise 10, secrets stay secret: no password in anything that is written or said.

use memchr::memmem::Finder;

use super::Violation;
use super::facts::Facts;
use super::view::View;

/// Checks the promise.
#[must_use]
pub fn check(view: &View, facts: &Facts) -> Vec<Violation> {
    let all: Vec<_> = facts
        .canaries
        .iter()
        .map(|canary| (canary, spellings(canary)))
        .collect();
    let beginnings = beginnings(&all);
    let beginnings: Vec<_> = beginnings.iter().map(Finder::new).collect();
    let mut violations = Vec::new();
    for text in &view.texts {
        let stands = |one: &Finder<'_>| one.find(&text.bytes).is_some();
        if !beginnings.iter().any(stands) {
            continue;
        }
        for (canary, spellings) in &all {
            if spellings.iter().any(|one| stands(&Finder::new(one))) {
                // The canary itself, so that it can be found in the trace: it opens nothing.
                let text = format!("the password {canary} stands in {}", text.source);
                violations.push(Violation::new(10, text));
            }
        }
    }
    violations
}

/// What the passwords have in common at their beginning, spelling by spelling: where none of that
/// stands, no password does, and megabytes need not be read once for each password.
fn beginnings(all: &[(&String, Vec<Vec<u8>>)]) -> Vec<Vec<u8>> {
    let mut common: Vec<Vec<u8>> = Vec::new();
    for (_, spellings) in all {
        for (at, spelling) in spellings.iter().enumerate() {
            match common.get_mut(at) {
                Some(known) => {
                    let same = known.iter().zip(spelling).take_while(|(a, b)| a == b);
                    let length = same.count();
                    known.truncate(length);
                }
                None => common.push(spelling.clone()),
            }
        }
    }
    common
}

/// A password as it might stand somewhere: plain, as UTF-16, in base64 at any offset.
fn spellings(canary: &str) -> Vec<Vec<u8>> {
    let mut all = vec![
        canary.as_bytes().to_vec(),
        canary
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<u8>>(),
    ];
    for offset in 0..3_usize {
        let mut padded = vec![0; offset];
        padded.extend_from_slice(canary.as_bytes());
        let encoded = base64(&padded);
        // What depends on the neighbours is left out: the first and the last group of four.
        let inner = encoded.get(4..encoded.len().saturating_sub(4));
        all.extend(inner.filter(|inner| inner.len() >= 8).map(<[u8]>::to_vec));
    }
    all
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    for group in bytes.chunks(3) {
        let mut bits = 0_u32;
        for index in 0..3 {
            bits = bits << 8 | u32::from(group.get(index).copied().unwrap_or_default());
        }
        for shift in [18, 12, 6, 0] {
            out.push(LETTERS[((bits >> shift) & 63) as usize]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::fixture::World;
    use crate::oracle::view::Text;

    fn look(bytes: &[u8]) -> usize {
        let mut world = World::good();
        world.view.texts.push(Text {
            source: "log".to_owned(),
            bytes: bytes.to_vec(),
        });
        let facts = Facts::of(&world.view.history);
        check(&world.view, &facts).len()
    }

    #[test]
    fn any_of_several_passwords() {
        let mut world = World::good();
        for canary in [
            "canary-0123456789abcdef",
            "canary-fedcba9876543210",
            "something-else-altogether",
        ] {
            let canary = canary.to_owned();
            world.push(
                crate::oracle::fixture::minutes(1),
                crate::history::Event::SecretSet { canary },
            );
        }
        let facts = Facts::of(&world.view.history);
        for canary in &facts.canaries {
            for spelling in spellings(canary) {
                let mut view = world.view.clone();
                view.texts.push(Text {
                    source: "log".to_owned(),
                    bytes: [b"before ", spelling.as_slice(), b" after"].concat(),
                });
                let found = check(&view, &facts);
                assert_eq!(found.len(), 1, "{canary}: {found:?}");
            }
        }
    }

    #[test]
    fn a_password_in_any_spelling() {
        assert_eq!(look(b"signed in as ada"), 0);
        assert_eq!(look(b"PasPassword: canary-of-the-profile-1."), 1);
        let wide: Vec<u8> = "canary-of-the-profile-1"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(look(&wide), 1);
        for user in ["a:", "ab:", "abc:"] {
            let basic = base64(format!("{user}canary-of-the-profile-1").as_bytes());
            assert_eq!(look(&basic), 1, "{user}");
        }
    }
}
