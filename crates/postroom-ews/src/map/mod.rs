//! From EWS properties to the domain.

pub(crate) mod mail;
pub(crate) mod rebuilt;

use postroom_core::Timestamp;

/// A time as servers write it: with an offset as promised, or without one, which means UTC here.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let at: jiff::Timestamp = text.parse().or_else(|_| format!("{text}Z").parse()).ok()?;
    Some(Timestamp::from_millis(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_and_without_zone() {
        let noon = "2026-11-22T12:00:00Z".parse().ok();
        assert_eq!(time("2026-11-22T12:00:00Z"), noon);
        assert_eq!(time(" 2026-11-22T13:00:00+01:00"), noon);
        assert_eq!(time("2026-11-22T12:00:00"), noon);
        assert_eq!(time("soon"), None);
    }
}
