//! Values that must never be shown.

use std::fmt;

use zeroize::Zeroizing;

/// A password, token or key: shown nowhere, wiped from memory when dropped.
///
/// `Debug` prints a placeholder; there is no `Display` and no serialization. The one way to the
/// value is [`Secret::expose`], so that a reader of the code can find every use.
///
/// ```
/// use postroom_core::Secret;
/// let password = Secret::new("correct horse");
/// assert_eq!(format!("{password:?}"), "Secret(redacted)");
/// assert_eq!(password.expose(), "correct horse");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a secret.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}
